"""Whether a run's process lives: by its number, its start, and what another host last said."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bakeoff.runs import liveness
from bakeoff.runs.liveness import is_alive, process_start
from bakeoff.runs.reading import read_json
from bakeoff.runs.rundir import RunDir

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are asked by /proc")


@pytest.fixture
def status(tmp_path: Path) -> dict[str, Any]:
    """Of a run of this process, just begun."""
    RunDir.create(tmp_path / "run").write_status("running", 4)
    return read_json(tmp_path / "run" / "status.json")


def test_this_process_lives(status: dict[str, Any]) -> None:
    assert status["process_started"] == process_start(os.getpid())
    assert is_alive(status)


def test_a_process_is_known_by_its_boot_and_start(status: dict[str, Any]) -> None:
    boot, ticks = status["process_started"].split()
    for other in (f"{boot} {int(ticks) + 1}", f"another {ticks}", ""):
        assert not is_alive(status | {"process_started": other})


@pytest.fixture
def sleeping() -> Iterator["subprocess.Popen[bytes]"]:
    """A living process that began long after this one."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    yield child
    child.kill()
    child.wait()


def test_a_process_of_the_same_number_is_another(
    status: dict[str, Any], sleeping: "subprocess.Popen[bytes]"
) -> None:
    assert not is_alive(status | {"pid": sleeping.pid})
    assert is_alive(status | {"pid": sleeping.pid, "process_started": process_start(sleeping.pid)})


def test_a_zombie_is_dead(status: dict[str, Any], sleeping: "subprocess.Popen[bytes]") -> None:
    own = {"pid": sleeping.pid, "process_started": process_start(sleeping.pid)}
    assert is_alive(status | own)
    sleeping.kill()
    deadline = time.monotonic() + 30
    while (found := liveness._state_and_ticks(sleeping.pid)) and found[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(sleeping.pid, 0)  # it is still there
    assert not is_alive(status | own)
    assert not is_alive(status | own | {"process_started": None})
    sleeping.wait()
    assert not is_alive(status | own)


def test_an_older_status_belongs_to_a_process_that_was_there_before_it(status: dict[str, Any]) -> None:
    older = {key: value for key, value in status.items() if key != "process_started"}
    assert is_alive(older)
    assert not is_alive(older | {"heartbeat": "2000-01-01T00:00:00+00:00"})
    assert not is_alive(older | {"heartbeat": None})
    assert is_alive(older | {"heartbeat": "9999-12-31T23:59:59.999999+00:00"})


@pytest.mark.parametrize("pid", [None, True, 0, -1, "1", 1.0, 2**31, 2**63, 10**30])
def test_no_number_of_a_process(status: dict[str, Any], pid: Any) -> None:
    assert not is_alive(status | {"pid": pid})


@pytest.mark.parametrize(
    ("age", "alive"),
    [
        (timedelta(0), True),
        (timedelta(minutes=9), True),
        (timedelta(minutes=11), False),
        (timedelta(hours=-12), True),
        (timedelta(days=-2), False),
    ],
)
def test_another_host_lives_by_its_heartbeat(status: dict[str, Any], age: timedelta, alive: bool) -> None:
    heartbeat = (datetime.now(UTC) - age).isoformat()
    assert is_alive(status | {"host": "elsewhere", "heartbeat": heartbeat}) == alive


def test_any_name_of_a_process_is_read(tmp_path: Path) -> None:
    """The second field of stat is its name, which may hold brackets and spaces."""
    script = tmp_path / "a) Z 1 (b"
    script.symlink_to(sys.executable)
    child = subprocess.Popen([str(script), "-S", "-c", "import time; time.sleep(60)"])
    try:
        found = liveness._state_and_ticks(child.pid)
        own = liveness._state_and_ticks(os.getpid())
        assert found
        assert own
        assert found[0] in "RSD"
        assert found[1] >= own[1]
    finally:
        child.kill()
        child.wait()


def test_where_the_system_does_not_tell_the_number_decides(
    status: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert is_alive(status | {"process_started": None})
    assert not is_alive(status | {"pid": 2**22 + 1})
