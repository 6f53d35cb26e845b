"""A sweep has one process that works on it, and a ledger that may have been anybody's."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from stand_ins import make_ledger
from sweep_children import children_here

from bakeoff.errors import ConfigError
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.sweeps import job
from bakeoff.sweeps.ledger import begun, read_ledger
from bakeoff.sweeps.owner import owned

HOLDS = """
import sys, time
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from bakeoff.sweeps.ledger import read_ledger
from bakeoff.sweeps.owner import owned
sweep = Path(sys.argv[1])
with owned(sweep):
    read_ledger(sweep).write(owned=True)
    print("owns", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path))
    ledger = make_ledger(tmp_path, 2)
    ledger.write(owned=False)
    return ledger.folder


@contextmanager
def held(sweep: Path) -> Iterator[int]:
    """Another process works on the sweep, and is killed at the end; its number."""
    source = str(Path(job.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(sweep), source], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "owns\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_told_who_works_on_it_until_that_one_is_killed(sweep: Path) -> None:
    with (
        held(sweep) as pid,
        pytest.raises(ConfigError, match=rf"process {pid}\) since .*bakeoff watch night"),
        owned(sweep),
    ):
        pytest.fail("two own it")
    with owned(sweep):
        pass


def test_where_there_are_no_locks_the_ledger_says_who_lives(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with held(sweep) as pid, pytest.raises(ConfigError, match=f"process {pid}"), owned(sweep):
        pytest.fail("two own it")
    with owned(sweep):
        pass


@pytest.mark.parametrize(("age_seconds", "is_refused"), [(5, True), (3600, False)])
def test_of_another_machine_only_the_heartbeat_tells(sweep: Path, age_seconds: int, is_refused: bool) -> None:
    content = json.loads((sweep / "sweep.json").read_text())
    beat = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - age_seconds))
    content["parent"] = {"host": "another", "pid": os.getpid() + 1, "heartbeat": beat, "started": beat}
    (sweep / "sweep.json").write_text(json.dumps(content))
    if not is_refused:
        with owned(sweep):
            return
    with pytest.raises(ConfigError, match="it runs on another"), owned(sweep):
        pytest.fail("two own it")


def test_a_ledger_is_read_as_it_was_written(sweep: Path) -> None:
    ledger = read_ledger(sweep)
    ledger.set("1", state="failed", reason="ended by SIGKILL", started="a", ended="b")
    ledger.jobs_at_once, ledger.threads_per_job = 3, 2
    ledger.write(owned=True)
    again = read_ledger(sweep)
    assert again.entries == ledger.entries
    assert (again.line, again.options, again.jobs_at_once, again.threads_per_job) == (
        ["seed=0"], ledger.options, 3, 2,
    )  # fmt: skip
    assert again.is_worked_on
    ledger.write(owned=False)
    assert not read_ledger(sweep).is_worked_on


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": None}, {"jobs": [3]}, {"jobs": [{}]}, {"line": "seed"}, {"created": 3}, {"options": {"jobs": -1}},
        {"options": None}, {"jobs_at_once": "2"}, {"folder": "../x"}, {"folder": "/etc"}, {"folder": "a/b"},
        {"folder": ".."}, {"folder": "."}, {"folder": ""}, {"seed": "0"}, {"state": None}, {"reason": 4},
        {"folder": "a\0b"}, {"folder": "a\ud800"}, {"jobs_at_once": 0}, {"jobs_at_once": -3},
        {"jobs_at_once": 10**9}, {"threads_per_job": True},
    ],
)  # fmt: skip
def test_anybodys_ledger_is_refused_and_replaced(sweep: Path, change: dict[str, Any]) -> None:
    content = json.loads((sweep / "sweep.json").read_text())
    (key,) = change
    place = content if key in content else content["jobs"][0]
    (sweep / "sweep.json").write_text(json.dumps({**content, "jobs": [*content["jobs"]]}))
    place.update(change)
    (sweep / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(UnreadableFileError, match=r"sweep\.json"):
        read_ledger(sweep)
    fresh = begun(sweep, ["seed=1"])
    assert (fresh.line, fresh.entries) == (["seed=1"], {})


@pytest.mark.usefixtures("no_pictures")
def test_a_sweep_goes_on_in_any_folder_and_makes_none_beside_it(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    children_here(monkeypatch, lambda _: 3)
    assert bakeoff("train", "-m", "data=digits", "model.channels=[4]", "trainer.epochs=1", "seed=0,1")[0] == 7
    (made,) = Path("outputs/sweeps").iterdir()
    moved = tmp_path / "a disk" / "of mine"
    shutil.move(made, moved)
    children_here(monkeypatch)
    monkeypatch.chdir(moved)
    code, _, err = bakeoff("resume", ".")
    assert (code, err) == (0, "")
    assert len(list(moved.glob("*/summary.json"))) == 2
    assert not list(tmp_path.rglob("sweeps/*/*"))


@pytest.mark.usefixtures("no_pictures")
def test_a_copy_of_a_sweep_goes_on_elsewhere(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    children_here(monkeypatch, lambda _: 3)
    line = ["data=digits", "model.channels=[4]", "trainer.epochs=1", "seed=0,1", "sweep.name=night"]
    assert bakeoff("train", "-m", *line)[0] == 7
    shutil.move(Path("outputs/sweeps/night"), tmp_path / "elsewhere" / "sweeps" / "day")
    roots: list[str] = []

    def work(options: Namespace) -> int:
        roots.append(options.data_root)
        return job._work(options)

    children_here(monkeypatch, work)
    copy = tmp_path / "elsewhere" / "sweeps" / "day"
    code, out, err = bakeoff("resume", str(copy), "--data-root", str(tmp_path))
    assert (code, err) == (0, "")
    assert roots == [str(tmp_path)] * 2
    assert len(list(copy.glob("*/summary.json"))) == 2
    assert f"next           bakeoff list {copy}\n" in out  # its name is not looked for there
    code, out, _ = bakeoff("resume", str(copy))
    assert (code, "2 runs, 2 of them done already" in out) == (0, True)
