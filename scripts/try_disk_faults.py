"""A disk that fails, and a process that dies, at every system call of a save, a finish, a resume's start.

    .venv/bin/python scripts/try_disk_faults.py   # all points
    .venv/bin/python scripts/try_disk_faults.py --points 10 --seed 3

Needs strace, which lets one system call fail (ENOSPC, EIO) or kills the process there. After each trial the
checkpoint of before must be whole, and the run must go on to the bits of one that nobody disturbed, with no
temporary file left. Ends with 1 if one trial is wrong, with 4 without strace.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tiny_resume import begin, copied, ended, goes_on, start, undisturbed

from bakeoff.errors import BakeoffError
from bakeoff.runs.checkpoints import Checkpoint, Checkpoints

CALLS = (
    "mkdir", "mkdirat", "open", "openat", "creat", "write", "pwrite64", "writev", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
    "rmdir", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat", "fallocate", "copy_file_range",
    "sendfile",
)  # fmt: skip
FAULTS = ("signal=SIGKILL", "error=ENOSPC", "error=EIO")
_START, _END = "/border-start", "/border-end"  # opened in vain, so that they stand in strace's list


@dataclass
class Work:
    """What all trials share."""

    folder: Path
    chance: random.Random
    expected: dict[str, str]  # the bits of a run that nobody disturbed


@dataclass
class Scene:
    """A run that stands right before what is tried."""

    name: str
    save_at: tuple[int, ...]  # the steps of the checkpoints that it has got
    killed_at: str  # a border of `tiny_resume`
    tried_from: str  # another one, of the process that goes on
    next_save: int | None = None  # the step of the save that is tried
    run: Path = Path()
    points: list[tuple[str, int]] = field(default_factory=list)  # system call, how many-th

    def prepare(self, folder: Path) -> None:
        """Trains until there."""
        self.run = begin(folder / self.name.replace(" ", "-"), self.save_at, self.killed_at)
        if self.tried_from == "claim":  # what a save leaves that was killed at its very end, and a half one
            newest = self.run / "checkpoints" / f"step-{self.save_at[-2]:08d}"
            half = newest.with_name(f".step-{self.save_at[-1]:08d}.1.tmp")
            shutil.copytree(newest, half)
            (half / "manifest.json").unlink()
            newest.rename(newest.with_name(f".{newest.name}.1.tmp"))
            (self.run / ".tmpAbc123").touch()

    def go_on(self, run: Path, strace: list[str], log: Path) -> int:
        """Goes on with a copy, traced from the border on; the exit code of what was tried."""
        attach, attached = os.pipe(), os.pipe()

        def traced(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                os.write(attach[1], b".")
                os.read(attached[0], 1)
                _mark(_START)
                if self.tried_from.startswith("save"):
                    _end_after(original, arguments)
                return original(*arguments)

            return call

        def begin_tracing(pid: int) -> None:
            os.close(attach[1])
            assert os.read(attach[0], 1), f"ended before its border: {run}"
            command = ["strace", "-f", "-y", "-s", "0", "-o", str(log), *strace, "-p", str(pid)]
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert tracer.stderr
            line = tracer.stderr.readline()
            assert "attached" in line, line
            os.write(attached[1], b".")
            tracer.communicate()

        steps = () if self.next_save is None else (self.next_save,)
        borders = {self.tried_from: traced}
        if self.tried_from == "claim":
            borders["train"] = _ends
        try:
            pid = start(["resume", str(run)], steps, borders, log.with_suffix(".out"))
            begin_tracing(pid)
            return ended(pid)
        finally:
            for descriptor in (attach[0], *attached):
                os.close(descriptor)


def _ends(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        _mark(_END)
        return original(*arguments)

    return call


def _end_after(original: Callable[..., Any], arguments: tuple[Any, ...]) -> NoReturn:
    """The save, and then the end of the process: exit code 0 if there is a checkpoint, else why not."""
    code = 1
    try:
        original(*arguments)
        code = 0
    except BakeoffError as error:
        code = error.exit_code
    finally:
        _mark(_END)
        os._exit(code)


def _mark(path: str) -> None:
    try:
        os.open(path, os.O_RDONLY)
    except OSError:
        return


SCENES = (
    Scene("a save", (5, 6, 7), "save 3", "save 1", next_save=7),
    # Before and after the validation of an epoch.
    Scene("a save of the same step", (7, 8), "save 3", "save 1", next_save=8),
    Scene("a finish", (10, 11), "finish", "finish"),
    Scene("the start of a resume", (5, 6, 7), "save 3", "claim"),
)


def listed(scene: Scene, folder: Path) -> list[tuple[str, int]]:
    """The system calls behind the border that change the run directory: name, how many-th of that name."""
    run, log = copied(scene.run, folder / "run"), folder / "calls"
    code = scene.go_on(run, ["-e", f"trace={','.join(CALLS)}"], log)
    assert code == 0, f"exit code {code}: {log}"
    counts: Counter[str] = Counter()
    points, inside = [], False
    for line in log.read_text().splitlines():
        found = re.match(r"\d+ +(\w+)\((.*)", line)
        if not found:
            continue
        name, rest = found.groups()
        counts[name] += 1
        inside = (inside or _START in rest) and _END not in rest
        reads = name.startswith("open") and not re.search(r"O_CREAT|O_WRONLY|O_RDWR", rest)
        if inside and str(run) in rest and not reads:
            points.append((name, counts[name]))
    return points


def try_point(scene: Scene, point: tuple[str, int], fault: str, work: Work) -> str:
    """What is wrong after one fault; an empty text if nothing is."""
    run, log = copied(scene.run, work.folder / "run"), work.folder / "log"
    before, _ = Checkpoints(run, 2).newest()
    name, number = point
    code = scene.go_on(run, ["-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={number}"], log)
    killed = fault.startswith("signal")
    if not killed and "INJECTED" not in log.read_text():
        return "the fault was not met"
    has_summary = (run / "summary.json").exists()
    may_go_on = has_summary or scene.tried_from.startswith("save")
    allowed = {-signal.SIGKILL} if killed else {4, 0} if may_go_on else {4}
    if code not in allowed:
        return f"exit code {code}: {log.with_suffix('.out').read_text()[-400:]}"
    if not has_summary:
        assert before is not None
        found, _ = Checkpoints(run, 2).newest()
        if problem := not_whole(scene, before, found, saved=code == 0):
            return problem
    return goes_on(run, work.expected, log.with_suffix(".out"))


def not_whole(scene: Scene, before: Checkpoint, found: Checkpoint | None, saved: bool) -> str:
    """Whether the checkpoint of before is there with its bytes, or a newer one of its step in its place."""
    if found is None or found.order < before.order:
        return "the checkpoint of before is lost"
    if saved and found.order == before.order:
        return "exit code 0, but no new checkpoint"
    same_step = found.plain["step"] == before.plain["step"]
    place = found.path if found.order == before.order else before.path
    if found.order > before.order and same_step:
        return ""
    kept = scene.run / "checkpoints" / before.path.name
    changed = [path.name for path in kept.iterdir() if path.read_bytes() != (place / path.name).read_bytes()]
    return f"changed: {changed}" if changed else ""


def why_not_traced() -> str:
    """Why no process can be traced here; an empty text if one can be."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    sleeper = subprocess.Popen(["sleep", "60"])
    tracer = subprocess.Popen(["strace", "-p", str(sleeper.pid)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    line = tracer.stderr.readline().strip()
    sleeper.kill()
    sleeper.wait()
    tracer.communicate()
    return "" if "attached" in line else f"this system lets no process be traced ({line})"


def main() -> int:
    """Prints a line for each kind of fault; 1 if one trial is wrong."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--points", type=int, default=0, help="how many, drawn at random; 0: all")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    if reason := why_not_traced():
        print(f"error: {reason}: nothing was tried", file=sys.stderr)
        return 4
    folder, expected = undisturbed("try_disk_faults-")
    work = Work(folder, random.Random(given.seed), expected)
    bad = try_points(given.points, work)
    told = "all trials are right" if not bad else f"{bad} trials are wrong, see {folder}"
    print(f"seed {given.seed}: {told}")
    if not bad:
        shutil.rmtree(folder)
    return 1 if bad else 0


def try_points(most: int, work: Work) -> int:
    """Every fault at every point, or at some of them; how many trials were wrong."""
    trials = []
    for scene in SCENES:
        scene.prepare(work.folder)
        scene.points = listed(scene, work.folder)
        counts = Counter(name for name, _ in scene.points)
        calls = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print(f"{scene.name}: {len(scene.points)} system calls: {calls}")
        trials += [(scene, point, fault) for point in scene.points for fault in FAULTS]
    chosen = work.chance.sample(trials, min(most, len(trials))) if most else trials
    right: Counter[tuple[str, str]] = Counter()
    for scene, point, fault in chosen:
        if problem := try_point(scene, point, fault, work):
            print(f"WRONG {scene.name}, {point[0]} number {point[1]}, {fault}: {problem}", flush=True)
        else:
            right[scene.name, fault] += 1
    tried = Counter((scene.name, fault) for scene, _, fault in chosen)
    for (name, fault), number in sorted(tried.items()):
        print(f"{name}, {fault}: {right[name, fault]} of {number} right")
    return len(chosen) - right.total()


if __name__ == "__main__":
    sys.exit(main())
