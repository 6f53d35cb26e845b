"""Trainings in forked processes that are killed with SIGKILL, and what must be the same afterwards.

A part of a run is a process that is forked from one that has imported everything, so it costs no start-up.
What a run only measures and draws after its result is left out.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from run_phases import BEFORE, FINISH, PHASES, SAVE, TRAINING, VALIDATION, Board, watch

AIMED = (TRAINING, VALIDATION, SAVE, FINISH)  # beside set-up, which is the most of a short part
SECONDS_BETWEEN_PARTS = 0.2  # which must count nowhere
# What may differ between a run that was killed and one that was not; all other files and fields are compared.
OTHER_FILES = ("attempts", "run.log", "environment.json", "status.json")
OTHER_FIELDS = {
    "summary.json": {
        "run_id", "time", "speed", "parts", "peak_memory_bytes", "peak_train_memory_bytes",
        "peak_eval_memory_bytes",
    },
    "epochs.jsonl": {"train_seconds", "eval_seconds", "train_images_per_second"},
}  # fmt: skip


@dataclass
class Trial:
    """A run that has finished, and what it took."""

    run: Path
    board: Board
    kills: list[str] = field(default_factory=list)  # where each landed
    before_first_checkpoint: int = 0
    lost_steps: int = 0  # done since the last checkpoint when a kill came
    seconds: float = 0.0  # of its parts, without the time between


@dataclass
class Killer:
    """Kills at random instants, every other time in the phase of `AIMED` that was hit least so far."""

    chance: random.Random
    longest: float  # seconds of a whole run
    lengths: dict[str, float]  # what is aimed at -> seconds
    hits: Counter[str] = field(default_factory=Counter)
    tries: int = 0

    def wait(self, child: int, board: Board) -> int | None:
        """Until it is time to kill: None, or how the child has ended before that."""
        self.tries += 1
        any_time = self.chance.uniform(0.02, self.longest / 2)  # so that a run is killed a few times
        if self.tries % 2:
            return _ended(child, any_time)
        aims = AIMED if board.trained else (BEFORE, *AIMED)
        aim = min(aims, key=lambda name: self.hits[name])
        place = PHASES.index(TRAINING if aim == BEFORE else aim)
        status = _ended(child, any_time) if aim in (VALIDATION, SAVE) else None
        if status is None:
            status = _ended(child, 600, lambda: board.phase == place)
        return status if status is not None else _ended(child, self.chance.uniform(0, self.lengths[aim]))


def train_until_done(words: list[str], outputs: Path, killer: Killer | None) -> Trial:
    """Trains, is killed, goes on, until a part of it ends by itself.

    Raises:
        AssertionError: a part failed, or there is more than one run.
    """
    trial = Trial(outputs, Board.shared())
    outputs.mkdir()
    line = ["train", *words, f"output_dir={outputs}"]
    while True:
        trial.board.phase = trial.board.unsaved = 0
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _work(line, outputs, trial.board)
        status = killer.wait(child, trial.board) if killer else None
        if killer and status is None:
            os.kill(child, signal.SIGKILL)
        if status is None:
            _, status = os.waitpid(child, 0)
        trial.seconds += time.monotonic() - start
        runs = [path for path in outputs.glob("*/*") if path.parent.name != "datasets"]
        assert len(runs) <= 1, f"{runs}: more than one run directory"
        if not os.WIFSIGNALED(status):
            code = os.waitstatus_to_exitcode(status)
            assert code == 0, f"exit code {code}: {(outputs / 'output').read_text()[-600:]}"
            trial.run = runs[0]
            return trial
        assert killer is not None
        _note_kill(trial, killer, runs)
        line = _next_line(runs, line)
        time.sleep(SECONDS_BETWEEN_PARTS)


def _ended(child: int, seconds: float, enough: Callable[[], bool] = lambda: False) -> int | None:
    """Waits until a child ends, a time is over or a condition holds; the status if it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not enough():
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(min(0.0005, max(0.0, deadline - time.monotonic())))
    return None


def _note_kill(trial: Trial, killer: Killer, runs: list[Path]) -> None:
    phase = PHASES[trial.board.phase]
    trial.kills.append(phase)
    killer.hits[phase] += 1
    trial.lost_steps += trial.board.unsaved
    if not any(list(path.glob("checkpoints/step-*")) for path in runs):
        trial.before_first_checkpoint += 1
        killer.hits[BEFORE] += 1


def _next_line(runs: list[Path], line: list[str]) -> list[str]:
    """How the run goes on; killed before it was one, it begins again."""
    if not runs:
        return line
    (run,) = runs
    started = sorted(run.glob("attempts/*"))
    if not (run / "attempts" / "0001" / "attempt.json").exists():
        shutil.rmtree(run)
        return line
    if not (started[-1] / "attempt.json").exists():
        os.utime(started[-1], (0, 0))  # in place of the minute that such a start is believed to live
    return ["resume", str(run)]


def _work(line: list[str], outputs: Path, board: Board) -> NoReturn:
    """What the child does."""
    code = 1
    try:
        sink = os.open(outputs / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        watch(board)
        from bakeoff.cli import main as bakeoff

        code = bakeoff(line)
        sys.stdout.flush()
    finally:
        os._exit(code)


def result_of(run: Path) -> dict[str, str]:
    """File -> its content or hash, of all that must be the same as of an undisturbed run."""
    result = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir() or name.startswith(OTHER_FILES):
            continue
        if path.suffix in (".json", ".jsonl"):
            lines = [json.loads(line) for line in _lines(path)]
            result[name] = json.dumps(_without(lines, OTHER_FIELDS.get(name, set())))
        elif path.suffix == ".yaml":
            result[name] = path.read_text()
        else:
            result[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        result[name] = result[name].replace(str(run.parents[1]), "OUTPUTS")
    return result


def _lines(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _without(value: Any, names: set[str]) -> Any:
    """Plain values without fields of some names, at any depth."""
    if isinstance(value, dict):
        return {key: _without(own, names) for key, own in value.items() if key not in names}
    return [_without(own, names) for own in value] if isinstance(value, list) else value


def faults(trial: Trial, expected: dict[str, str]) -> list[str]:
    """What is not right with a run that has finished."""
    found = result_of(trial.run)
    wrong = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    if (trial.run / "checkpoints").exists():
        wrong.append("its checkpoints are left")
    times = json.loads((trial.run / "summary.json").read_text())["time"]
    epochs = [json.loads(line) for line in (trial.run / "epochs.jsonl").read_text().splitlines()]
    parts = sum(times[f"{phase}_seconds"] for phase in ("setup", "train", "eval", "save"))
    if abs(sum(epoch["train_seconds"] for epoch in epochs) - times["train_seconds"]) > 1e-6:
        wrong.append("train_seconds is not that of its epochs")
    total = times["total_seconds"]
    # What a part does in no phase; with what killed parts did and the time between it would be far more.
    if not parts <= total <= min(trial.seconds, parts + 0.3 * (len(trial.kills) + 1)):
        wrong.append(f"{parts:.2f} s in phases, {total:.2f} s in all, processes ran {trial.seconds:.2f} s")
    steps = epochs[-1]["step"]
    if not steps <= trial.board.trained <= steps + trial.lost_steps:
        wrong.append(f"{trial.board.trained} steps trained for {steps}, where kills took {trial.lost_steps}")
    return wrong
