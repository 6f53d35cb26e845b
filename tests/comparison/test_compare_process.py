"""`bakeoff compare` as a process: what it loads, how fast it is, where its output goes, beside writers."""

import cProfile
import io
import itertools
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_runs import as_json, edit_summary
from conftest import Bakeoff, command, files_below
from run_directories import make_run
from terminals import read_to_end

from bakeoff.comparison import read
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.storage import write_atomically


def test_two_hundred_runs_are_quick(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number in range(200):
        make_run(tmp_path / "r" / str(number), number, f"s{number % 10}")
    start = time.process_time()  # of this process: whatever else runs on the machine is no fault of ours
    assert (
        sum(row["num_runs"] for row in as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]) == 200
    )
    assert time.process_time() - start < 3


@pytest.mark.parametrize("own_settings", [False, True])
def test_the_work_grows_with_the_number_of_runs(bakeoff: Bakeoff, tmp_path: Path, own_settings: bool) -> None:
    """Counted in calls, which no other load changes: three times the runs are three times the work."""
    first = tmp_path / "r" / "0"
    make_run(first, 0, "s", count=10)
    (first / "predictions.npz").unlink()
    config, calls = json.loads((first / "config.json").read_text()), []
    for made, total in ((1, 1), (1, 40), (40, 120)):  # the first round only loads what is needed
        for number in range(made, total):
            run = shutil.copytree(first, tmp_path / "r" / str(number))
            setting = f"s{number if own_settings else 0}"
            edit_summary(run, identity=str(number), seed=number, setting=setting)
            changed = {f"new{key}": number for key in range(10)} if own_settings else {}
            (run / "config.json").write_text(json.dumps(config | {"own": changed}))
        profile = cProfile.Profile()
        assert profile.runcall(bakeoff, "compare", str(tmp_path / "r"))[0] == 0
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[2] < 3.5 * calls[1]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_is_shown_on_a_terminal_alone(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    for number in range(3):
        make_run(tmp_path / "r" / str(number), number, "a")
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(read, "_SILENT_SECONDS", 0)
    runs, _ = read.read_runs(sorted((tmp_path / "r").iterdir()))
    assert len(runs) == 3
    assert ("reading: " in shown.getvalue() and "0/3" in shown.getvalue()) == is_terminal
    assert bool(shown.getvalue()) == is_terminal


def started(arguments: list[str], **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command(arguments), capture_output=True, check=False, timeout=60, **options)


def test_reading_runs_loads_neither_torch_nor_hydra(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.lr": 0.5, "model._target_": "os.system"})
    script = (
        "import sys; from bakeoff.cli import main\n"
        "for kind in ('table', 'markdown', 'csv', 'json', 'latex'):\n"
        "    assert main(['compare', sys.argv[1], '--format', kind]) == 0\n"
        "names = {'torch', 'torchvision', 'sklearn', 'scipy.stats', 'hydra', 'omegaconf', 'matplotlib', 'pandas'}\n"
        "sys.exit(f'loaded {names & set(sys.modules)}' if names & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "r")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_environment_without_home_or_locale_gives_utf8(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / "r" / str(seed), seed, "a", model="é日本")
    for environment in ({}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "COLUMNS": "0", "TERM": "dumb"}):
        done = started(["compare", str(tmp_path / "r")], env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert "é日本" in done.stdout.decode()
        assert "───" in done.stdout.decode()


@pytest.mark.parametrize("columns", ["1", "20"])
def test_a_narrow_terminal_does_not_crash(tmp_path: Path, columns: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": columns, "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        command(["compare", str(tmp_path / "r")]), stdout=theirs, stderr=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    shown = read_to_end(ours)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert len(shown.split()) > 5
    # Fold as it may: the letters are all there, and nothing that acts on the terminal.
    letters = re.sub(rb"\s", b"", bytes(shown))
    assert b"60testimages" in letters
    assert b"\x1b" not in shown


def test_an_output_that_takes_nothing_is_no_bug_of_ours(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    line = shlex.join(command(["compare", str(tmp_path / "r")]))
    full = subprocess.run(["bash", "-c", f"{line} > /dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr.count("\n")) == (4, 1)
    assert "No space left" in full.stderr
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | true"], capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stderr) == (0, "")


def test_a_closed_output_is_no_bug_of_ours(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    line = shlex.join(command(["compare", str(tmp_path / "r")]))
    closed = subprocess.run(["bash", "-c", f"{line} >&-"], capture_output=True, text=True, check=False)
    assert closed.returncode in (0, 4), closed.stderr
    assert "bug" not in closed.stderr


def test_reading_writes_nothing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "a", 0, "a")
    RunDir.create(tmp_path / "r" / "b").write_status("failed", 1)

    def state() -> list[tuple[str, int, int]]:
        paths = sorted((tmp_path / "r").rglob("*"))
        return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]

    before = state()
    for kind in ("table", "markdown", "csv", "json"):
        assert bakeoff("compare", str(tmp_path / "r"), "--format", kind)[0] == 7
    assert state() == before
    assert files_below(Path.cwd()) == []


def test_a_comparison_while_others_write_shows_whole_runs_only(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """Runs appear in the order of `experiment/train.py`: status, config, predictions, summary."""
    source, root = tmp_path / "source", tmp_path / "r"
    expected = {seed: make_run(source / str(seed), seed, "a").test.accuracy for seed in range(8)}
    contents = {
        seed: {
            name: (source / str(seed) / name).read_bytes()
            for name in ("config.json", "predictions.npz", "summary.json")
        }
        for seed in expected
    }
    root.mkdir()
    stop = threading.Event()

    def write(seed: int) -> None:
        number = 0
        while not stop.is_set() and number < 40:
            run = RunDir.create(root / f"{seed}-{number:03}")
            run.write_status("running", number)
            for name, content in contents[seed].items():
                write_atomically(run.path / name, lambda file, content=content: file.write(content))
            number += 1

    make_run(root / "first", 99, "b")
    threads = [threading.Thread(target=write, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    seen = 0
    try:
        # Longer than 15 times only where the machine is so busy that a writer has not begun.
        for number in itertools.count():
            if number >= 15 and (seen == 8 or number > 200):
                break
            result = as_json(bakeoff, str(root))
            reasons = {problem["reason"].split(":")[0] for problem in result["problems"]}
            assert {reason for reason in reasons if not reason.startswith("the same run as")} <= {"running"}
            for row in result["tables"][0]["settings"]:
                if row["setting"] == "a":
                    accuracies = [expected[seed] for seed in row["seeds"]]
                    assert row["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies), abs=1e-12)
                    seen = max(seen, row["num_runs"])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen == 8
