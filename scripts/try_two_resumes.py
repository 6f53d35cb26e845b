"""Two `bakeoff resume` of one run: at the same instant, and one that stood still while the other took over.

    .venv/bin/python scripts/try_two_resumes.py   # 100 times at one instant, 30 that stood still, 100 kills
    .venv/bin/python scripts/try_two_resumes.py --races 10 --stops 5 --kills 10 --seed 3

Of two at one instant one must go on, and the other end with exit code 6 and a line that names who. A
process that is stopped (SIGSTOP) at a random instant, taken for dead, and woken after another one has gone on
must end without writing. And a process is killed at random instants while it saves all the time: how much of
the disk is taken, and is always one checkpoint whole? Ends with 1 if one trial is wrong.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_resume import (
    Border,
    begin,
    bits_of,
    copied,
    ended,
    goes_on,
    leftovers,
    start,
    undisturbed,
)

from bakeoff.runs.checkpoints import Checkpoints

_LONGEST_SECONDS = 60.0
EVERY_STEP = range(1, 1000)


def main() -> int:
    """Prints a line for each kind of trial; 1 if one is wrong."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--races", type=int, default=100)
    options.add_argument("--stops", type=int, default=30)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    folder, expected = undisturbed("try_two_resumes-")
    run = begin(folder / "begun", (5, 6), "save 2")
    chance = random.Random(given.seed)
    wrong = 0
    for name, number, trial in (
        ("two at one instant: one goes on, the other is refused", given.races, race),
        ("one that stood still ends without writing", given.stops, stop),
        ("killed while it saves: one checkpoint is whole, at most 3 are there", given.kills, kill),
    ):
        ways: Counter[str] = Counter()
        for index in range(number):
            problem = trial(copied(run, folder / "run"), index, chance, expected, ways)
            if problem:
                wrong += 1
                ways["WRONG"] += 1
                print(f"WRONG {name}, trial {index}: {problem}", flush=True)
        right = number - ways.pop("WRONG", 0)
        print(f"{name}: {right} of {number} right ({dict(sorted(ways.items()))})", flush=True)
    print(f"seed {given.seed}: {'all trials are right' if not wrong else f'{wrong} trials are wrong'}")
    shutil.rmtree(folder)
    return 1 if wrong else 0


def waiting_at(pipe: tuple[int, int], told: int | None = None) -> Border:
    """A border at which a process says that it is there, and waits until it is let on."""

    def instead(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if told is not None:
                os.write(told, b".")
            os.read(pipe[0], 1)
            return original(*arguments)

        return call

    return instead


def race(run: Path, index: int, _chance: random.Random, expected: Any, ways: Counter[str]) -> str:
    """Two processes wait for one instant: at their start, or at the border before one claims the run."""
    there, go, finish = os.pipe(), os.pipe(), os.pipe()
    at_claim = index % 2 == 0
    borders = {"finish": waiting_at(finish)} | ({"claim": waiting_at(go, there[1])} if at_claim else {})
    outputs = [run.parent / f"out{number}" for number in range(2)]
    for output in outputs:
        output.unlink(missing_ok=True)
    pids = [start(["resume", str(run)], (), borders, output) for output in outputs]
    if at_claim:
        for _ in pids:
            os.read(there[0], 1)
        os.write(go[1], b"..")
    # The one that goes on is held at its end, so that the other cannot find a finished run.
    timer = threading.Timer(_LONGEST_SECONDS, lambda: os.write(finish[1], b".."))
    timer.start()
    first, status = os.wait()
    timer.cancel()
    os.write(finish[1], b"..")
    refused, other = os.waitstatus_to_exitcode(status), next(pid for pid in pids if pid != first)
    went_on = ended(other)
    for pipe in (there, go, finish):
        os.close(pipe[0])
        os.close(pipe[1])
    text = outputs[pids.index(first)].read_text()
    ways["at the claim" if at_claim else "at the start"] += 1
    if (refused, went_on) != (6, 0):
        return f"exit codes {refused} and {went_on}: {text}"
    if f"(process {other}) since" not in text:
        return f"it does not say who: {text}"
    return "other bits" if bits_of(run) != expected else f"left: {left}" if (left := leftovers(run)) else ""


def stop(run: Path, _index: int, chance: random.Random, expected: Any, ways: Counter[str]) -> str:
    """Stops a process at a random instant, makes it look dead, lets another finish, and wakes it."""
    output = run.parent / "out0"
    output.unlink(missing_ok=True)
    first = start(["resume", str(run)], EVERY_STEP, output=output)
    claim = run / "attempts" / "0002" / "attempt.json"
    while not claim.exists():
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.6))
    os.kill(first, signal.SIGSTOP)
    if (run / "summary.json").exists():
        os.kill(first, signal.SIGCONT)
        ways["had finished"] += 1
        return "" if ended(first) == 0 and bits_of(run) == expected else "other bits"
    claim.write_text(json.dumps(json.loads(claim.read_text()) | {"process_started": "another boot 1"}))
    code = ended(start(["resume", str(run)], EVERY_STEP, output=run.parent / "out1"))
    if code != 0:
        os.kill(first, signal.SIGKILL)
        return f"the second ended with {code}: {(run.parent / 'out1').read_text()[-300:]}, {ended(first)}"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    os.kill(first, signal.SIGCONT)
    code = ended(first)
    ways[f"exit code {code}"] += 1
    text = output.read_text()[-300:]
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    changed = [path.name for path in {**before, **after} if before.get(path) != after.get(path)]
    if changed:
        return f"changed: {changed}; exit code {code}: {text}"
    if bits_of(run) != expected:
        return "other bits"
    if code != 6 or "another process goes on with this run" not in text:
        return f"exit code {code}: {text}"
    return f"left: {left}" if (left := leftovers(run)) else ""


def kill(run: Path, _index: int, chance: random.Random, expected: Any, ways: Counter[str]) -> str:
    """Kills a process that saves after every step; what is on the disk at any time and after that."""
    pid = start(["resume", str(run)], EVERY_STEP, output=run.parent / "out0")
    most, until = 0, time.monotonic() + chance.uniform(0.15, 0.9)
    while time.monotonic() < until:
        most = max(most, len(folders(run)))
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)
    if ended(pid) == 0 or (run / "summary.json").exists():
        ways["had finished"] += 1
    else:
        found, _ = Checkpoints(run, 2).newest()
        ways[f"{len(folders(run))} there"] += 1
        if found is None:
            return "no checkpoint is whole"
    if most > 3:  # two that are kept and one that is written
        return f"{most} checkpoints at once"
    return goes_on(run, expected, run.parent / "out0")


def folders(run: Path) -> list[str]:
    """Of checkpoints, those that are being written or removed too."""
    try:
        return os.listdir(run / "checkpoints")
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    sys.exit(main())
