"""A tiny run that is stopped at a named border, and goes on in forked processes: what other scripts share.

A process that is forked from one which has loaded torch goes on and finishes in a tenth of the time that a
new one takes. Checkpoints come at the steps that are named, not by the clock; pictures and speeds, which
come after the result and cannot change it, are left out.
"""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from killed_runs import result_of

from bakeoff import cli
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.experiment import part, resume
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.extras import Extras
from bakeoff.experiment.gates import prepare
from bakeoff.plots import style
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoints

LINE = [
    "data=digits", "data.train_limit=200", "model=cnn_small", "model.channels=[4]", "trainer.epochs=3",
    "trainer.batch_size=50", "trainer.ema_decay=0.9", "trainer.threads=1", "trainer.deterministic=true",
    "trainer.device=cpu", "optim.warmup_epochs=0",
]  # fmt: skip
Border = Callable[[Callable[..., Any]], Callable[..., Any]]  # takes the place of the function at a border


def load_all() -> None:
    """Loads what a part of a run loads, so that forked processes need not."""
    (job,), _ = expand(parse_arguments(LINE))
    prepare(job.values)
    style.check()
    importlib.import_module("sklearn.metrics")


def undisturbed(prefix: str) -> tuple[Path, dict[str, str]]:
    """A new folder, and the bits of a run in it that nothing has disturbed."""
    load_all()
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    return folder, bits_of(begin(folder / "undisturbed", (), ""))


def begin(outputs: Path, save_at: Collection[int], stop_at: str) -> Path:
    """Trains until a border and is killed there; the run directory.

    Args:
        outputs: a new folder.
        save_at: the steps after which checkpoints are written.
        stop_at: "save N" for the Nth save, counted from 1, "claim" for the moment before the process makes
            the run its own, "finish" for the writing of the result, "" to train to the end.
    """
    words = ["train", *LINE, f"output_dir={outputs}"]
    code = ended(start(words, save_at, {stop_at: lambda _: _killed} if stop_at else {}))
    assert code == (-signal.SIGKILL if stop_at else 0), f"exit code {code}: {outputs}"
    (run,) = [path for path in outputs.glob("*/*") if path.parent.name != "datasets"]
    return run


def start(
    words: list[str],
    save_at: Collection[int] = (),
    borders: Mapping[str, Border] | None = None,
    output: Path | None = None,
) -> int:
    """Runs a command in a forked process; its number.

    Args:
        words: the command.
        save_at: the steps after which checkpoints are written.
        borders: by names as `begin` has them, what makes what is called there from what would have been.
        output: where its lines go.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _work(words, save_at, borders or {}, output)
    return pid


def ended(pid: int) -> int:
    """Waits; the exit code, negative for the signal that ended the process."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(
    words: list[str], save_at: Collection[int], borders: Mapping[str, Border], output: Path | None
) -> NoReturn:
    code = 1
    try:
        sink = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        Keeper.is_due = property(lambda keeper: keeper._state.step in save_at)  # type: ignore[method-assign,assignment]
        Extras._steps = lambda _: {}  # type: ignore[method-assign]
        for border, instead in borders.items():
            _place(border, instead)
        code = cli.main(words)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


def _place(border: str, instead: Border) -> None:
    if border == "finish":
        part.write_results = instead(part.write_results)
    if border == "claim":
        attempts.begin = instead(attempts.begin)
    if border == "train":
        resume.train_and_test = instead(resume.train_and_test)
    if border.startswith("save"):
        original, number, calls = Checkpoints.write, int(border.split()[1]), 0

        def counted(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            return (instead(original) if calls == number else original)(*arguments)

        Checkpoints.write = counted  # type: ignore[method-assign]


def _killed(*_: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def goes_on(run: Path, expected: dict[str, str], output: Path) -> str:
    """Goes on with a run to its end; what is wrong then, other bits than `expected` for one."""
    code = ended(start(["resume", str(run)], output=output))
    if code != 0:
        return f"going on ended with exit code {code}: {output.read_text()[-400:]}"
    if bits_of(run) != expected:
        return "other bits"
    return f"left over: {left}" if (left := leftovers(run)) else ""


def bits_of(run: Path) -> dict[str, str]:
    """What must be the same, without the config: a copy's speaks of the folder that it was made in."""
    return {
        name: bits for name, bits in result_of(run).items() if not name.startswith(("config", "overrides"))
    }


def copied(run: Path, place: Path) -> Path:
    """A copy of a run directory, its hard links too, in place of what stood there."""
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["cp", "-a", run, place], check=True)
    return place


def leftovers(run: Path) -> list[str]:
    """What a finished run should not have: temporary files and checkpoints."""
    return [
        str(path.relative_to(run))
        for path in sorted(run.rglob("*"))
        if path.name.startswith(".") or path.name.endswith(".tmp") or path.name == "checkpoints"
    ]
