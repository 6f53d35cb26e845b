"""Signals, lost output and full disks at any moment of `bakeoff train`: is what was trained still there?

usage: .venv/bin/python scripts/try_faults.py [--signals 300] [--writes 1000] [--outputs 20] [--disks 1000]
           [--seed 0]

Each trial is a small training in a process that is forked after torch has been loaded, so it takes a second.
A trial is right if its exit code, its status and its files say the same, and a finished one has the weights
and predictions of an undisturbed run. Ends with 1 if one is wrong.
"""

import argparse
import atexit
import errno
import hashlib
import json
import os
import pty
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bakeoff import cli
from bakeoff.machine import environment, streams

LINE = [
    "train", "data=digits", "model.channels=[4]", "trainer.epochs=20", "optim.warmup_epochs=0",
    "trainer.threads=1", "trainer.device=cpu",
]  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Outcome:
    """How a trial ended."""

    exit_code: int  # negative for the number of a signal that killed it
    output: str
    folder: Path
    seconds: float

    @property
    def run(self) -> Path | None:
        """Its run directory, if it came to that."""
        runs = [
            path
            for path in self.folder.glob("outputs/*/*")
            if path.is_dir() and path.parent.name != "datasets"
        ]
        assert len(runs) <= 1, runs
        return runs[0] if runs else None

    def hashes(self) -> tuple[str, str]:
        """Of weights and predictions."""
        assert self.run is not None
        names = ("weights.safetensors", "predictions.npz")
        return tuple(hashlib.sha256((self.run / name).read_bytes()).hexdigest() for name in names)  # type: ignore[return-value]


def trial(
    folder: Path,
    in_child: Callable[[], object] = lambda: None,
    meanwhile: Callable[[int], object] = lambda _: None,
    with_terminal: bool = False,
) -> Outcome:
    """One training in a forked process; `in_child` runs before it begins, `meanwhile` gets its number."""
    folder.mkdir()
    terminal, slave = pty.openpty() if with_terminal else (None, None)
    sys.stdout.flush()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.chdir(folder)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output if slave is None else slave, 2)
        in_child()
        _train()
    if terminal is not None and slave is not None:
        os.close(slave)
        threading.Thread(target=_drain, args=(terminal,), daemon=True).start()
    meanwhile(pid)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return Outcome(code, (folder / "output").read_text("utf-8", "replace"), folder, time.monotonic() - start)


def _train() -> NoReturn:
    """The program up to its exit handlers, and not further: what the parent has opened is not the child's."""
    code = 1
    try:
        sys.argv = ["bakeoff", *LINE]
        cli.run_as_process()
    except SystemExit as ended:
        code = int(ended.code or 0)
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001 - a trial that ends so is wrong, and the parent sees it
        traceback.print_exc()
    finally:
        os._exit(code)


def _drain(terminal: int) -> None:
    """A terminal shows what comes."""
    try:
        while os.read(terminal, 2**16):
            pass
    except OSError:
        os.close(terminal)


def wrong(outcome: Outcome, reference: Outcome) -> str | None:
    """What is not right with how a trial ended, by the files it left; None if all is."""
    if "Traceback" in outcome.output or "Exception ignored" in outcome.output:
        return "a traceback"
    run = outcome.run
    if run is None:
        return None if outcome.exit_code in (4, 75) else f"exit code {outcome.exit_code} and no run"
    if list(run.rglob(".*.tmp")):
        return "a temporary file is left"
    try:
        status = json.loads((run / "status.json").read_text())["status"]
    except (OSError, ValueError) as error:
        return f"status.json: {error}"
    if (run / "summary.json").exists():
        if status != "finished":
            return f"finished, but status.json says {status}"
        json.loads((run / "summary.json").read_text())
        return (
            None if outcome.hashes() == reference.hashes() else "finished with other weights or predictions"
        )
    expected = {75: "interrupted", 4: "failed"}.get(outcome.exit_code)
    return None if status == expected else f"exit code {outcome.exit_code}, but status.json says {status}"


def signal_trials(
    count: int, chance: random.Random, root: Path, reference: Outcome
) -> Iterator[tuple[str, str | None]]:
    """One signal, or two soon after each other, at any moment from when the program listens to its end."""
    for number in range(count):
        sent = [chance.choice(SIGNALS) for _ in range(1 + number % 2)]

        def send(pid: int, sent: list[signal.Signals] = sent) -> None:
            begun = time.monotonic()
            while not _listens(pid):
                if time.monotonic() - begun > 60:
                    raise TimeoutError
                time.sleep(0.002)
            time.sleep(chance.uniform(0, reference.seconds))
            for one in sent:
                try:
                    os.kill(pid, one)
                except ProcessLookupError:
                    return
                time.sleep(chance.uniform(0, 0.2))

        outcome = trial(root / f"signal{number}", meanwhile=send)
        fault = wrong(outcome, reference)
        if fault is None and outcome.exit_code not in (0, 75):
            fault = f"exit code {outcome.exit_code}"
        found = "finished" if outcome.run and (outcome.run / "summary.json").exists() else "interrupted"
        yield f"{len(sent)} signal{'s' * (len(sent) - 1)}: {found}", fault and f"{fault} ({sent})"


def write_trials(most: int, root: Path, reference: Outcome) -> Iterator[tuple[str, str | None]]:
    """Two signals at once, before each time that something written is to reach the disk; `most` of these."""
    counted = trial(root / "counted", lambda: _signal_at(None))
    total = int((counted.folder / "count").read_text())
    for number in range(1, total + 1, max(1, -(-total // most))):
        outcome = trial(root / f"write{number}", lambda number=number: _signal_at(number))  # type: ignore[misc]
        fault = wrong(outcome, reference)
        if fault is None and outcome.exit_code != 75:
            fault = f"exit code {outcome.exit_code}"
        found = "finished" if outcome.run and (outcome.run / "summary.json").exists() else "interrupted"
        yield f"2 signals while writing: {found}", fault and f"{fault} (write {number} of {total})"


def _signal_at(last: int | None) -> None:
    """From now on writes are counted, and the process gets two signals before that one."""
    from bakeoff.runs import storage

    count, fsync = 0, os.fsync

    def counted(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == last:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
        fsync(descriptor)

    storage.os = _Patched(os, fsync=counted)  # type: ignore[assignment]
    atexit.register(lambda: Path("count").write_text(str(count)))


def _listens(pid: int) -> bool:
    """Whether the process handles SIGTERM by now, which a Python that knows nothing of it does not."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def output_trials(
    count: int, chance: random.Random, root: Path, reference: Outcome
) -> Iterator[tuple[str, str | None]]:
    """Standard output or standard error fails from some write on."""
    for stream, descriptor in (("stdout", 1), ("stderr", 2)):
        for number in range(count):
            kind = ("closed", "full", "broken")[number % 3]
            last = 1 if kind == "closed" else chance.randint(1, 6)  # which write is the first to fail

            def break_it(kind: str = kind, last: int = last, descriptor: int = descriptor) -> None:
                if kind == "closed":
                    return os.close(descriptor)
                return _fail_from(descriptor, last, kind)

            outcome = trial(root / f"{stream}{number}", break_it, with_terminal=stream == "stderr")
            fault = wrong(outcome, reference)
            if fault is None and (outcome.run is None or not (outcome.run / "summary.json").exists()):
                fault = "not finished"
            if fault is None and outcome.exit_code != (4 if stream == "stdout" else 0):
                fault = f"exit code {outcome.exit_code}"
            yield f"{stream} {kind}", fault and f"{fault} (write {last})"


def _fail_from(descriptor: int, last: int, kind: str) -> None:
    """From a write on the descriptor leads to a full disk, or to a reader that went away."""
    write, seen = streams._Guarded._write, Counter[int]()

    def counted(self: Any, data: Any) -> int:
        seen[self.fileno()] += 1
        if self.fileno() == descriptor and seen[descriptor] == last:
            if kind == "full":
                os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
            else:
                reader, writer = os.pipe()
                os.dup2(writer, descriptor)
                os.close(writer)
                os.close(reader)
        return write(self, data)

    streams._Guarded._write = counted  # type: ignore[method-assign]


class FullDisk:
    """From the n-th write after training on, nothing that needs room works: new files, longer files."""

    def __init__(self, first: int, once: bool) -> None:
        self.first, self.once, self.count, self.trained = first, once, 0, False

    def install(self) -> None:
        """Lets this process write through it."""
        from bakeoff.experiment import part
        from bakeoff.runs import storage

        predict, fsync, replace = part.predict, os.fsync, os.replace
        opened = open

        def after_training(*arguments: Any, **options: Any) -> Any:
            self.trained = True
            return predict(*arguments, **options)

        def checked(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                self.check()
                return function(*arguments, **options)

            return call

        part.predict = after_training
        storage.open = lambda path, mode="r", **options: (  # type: ignore[attr-defined]
            (checked(opened) if mode in ("xb", "a") else opened)(path, mode, **options)
        )
        storage.os = _Patched(os, fsync=checked(fsync), replace=checked(replace))  # type: ignore[assignment]

    def check(self) -> None:
        """Counts, and fails when it is time."""
        if not self.trained:
            return
        self.count += 1
        if self.count == self.first or (self.count > self.first and not self.once):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Patched:
    """A module with some functions replaced, for one importer alone."""

    def __init__(self, module: Any, **functions: Any) -> None:
        self._module = module
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def disk_trials(most: int, root: Path, reference: Outcome) -> Iterator[tuple[str, str | None]]:
    """Each write after training fails, alone or with all that follow, until there is no such write."""
    for once in (True, False):
        for number in range(1, most + 1):
            disk = FullDisk(number, once)

            def install(disk: FullDisk = disk) -> None:
                disk.install()
                atexit.register(lambda: Path("count").write_text(str(disk.count)))

            outcome = trial(root / f"disk{once}{number}", install)
            if int((outcome.folder / "count").read_text()) < number:
                break
            fault = wrong(outcome, reference)
            found = "finished" if outcome.run and (outcome.run / "summary.json").exists() else "failed"
            if fault is None and outcome.exit_code not in (0, 4):
                fault = f"exit code {outcome.exit_code}"
            kind = "one write fails" if once else "this and all later writes fail"
            yield f"{kind}: {found}", fault and f"{fault} (write {number})"


def main() -> int:
    """Runs all trials and prints what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=int, default=300, help="trials with one or two signals")
    parser.add_argument("--writes", type=int, default=1000, help="at most so many writes with signals")
    parser.add_argument("--outputs", type=int, default=20, help="trials for each of stdout and stderr")
    parser.add_argument("--disks", type=int, default=1000, help="at most so many writes that fail")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args()
    environment.prepare()
    # Before the fork, and with one thread: a child has none of its parent's threads.
    import matplotlib.figure  # noqa: F401
    import torch

    import bakeoff.experiment.train  # noqa: F401

    torch.set_num_threads(1)
    chance, failed = random.Random(options.seed), 0
    # No TemporaryDirectory: a child's exit handlers would remove it.
    root = Path(tempfile.mkdtemp())
    try:
        # The shortest of three: a signal after the end of a run would try nothing.
        reference = min((trial(root / f"undisturbed{n}") for n in range(3)), key=lambda each: each.seconds)
        if reference.exit_code != 0:
            raise SystemExit(f"the undisturbed run failed:\n{reference.output}")
        print(f"undisturbed: {reference.seconds:.1f} s")
        for title, trials in (
            ("signals", signal_trials(options.signals, chance, root, reference)),
            ("signals while writing", write_trials(options.writes, root, reference)),
            ("lost output", output_trials(options.outputs, chance, root, reference)),
            ("full disk", disk_trials(options.disks, root, reference)),
        ):
            kinds: Counter[str] = Counter()
            bad = []
            for kind, fault in trials:
                kinds[kind] += 1
                bad += [f"  {kind}: {fault}"] if fault else []
            print(f"{title}: {kinds.total() - len(bad)} of {kinds.total()} right", *bad, sep="\n")
            print(*(f"  {count:4} {kind}" for kind, count in sorted(kinds.items())), sep="\n")
            failed += len(bad)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
