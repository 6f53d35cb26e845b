"""Searches as processes that are killed and servers that are restarted: every trial is there, once."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Bakeoff
from fake_search import NIGHT, RATE, WORDS, check_whole, record, results
from search_server import SERVER

POSTGRES = Path(__file__).parents[2] / "scripts" / "postgres"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tune_extra")]
SEARCH = ["tune", *WORDS, RATE, "tune.trials=14", "tune.confirm=1", "tune.confirm_seeds=2", "sweep.jobs=2"]
Start = Callable[..., int]


@pytest.fixture
def start(bakeoff: Bakeoff) -> Iterator[Start]:  # both work in its folder
    """Starts a process of `bakeoff` in the test's folder, and gives its number."""
    with subprocess.Popen(SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        started = []

        def process(*words: str) -> int:
            server.stdin.write(json.dumps([*SEARCH, *words]) + "\n")  # type: ignore[union-attr]
            server.stdin.flush()  # type: ignore[union-attr]
            started.append(int(server.stdout.readline()))  # type: ignore[union-attr]
            return started[-1]

        yield process
        for pid in started:
            kill(pid)
        server.stdin.close()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def ends(pid: int) -> str:
    """What a process has said, once it has ended."""
    waited(lambda: not Path(f"/proc/{pid}").exists())
    return Path(f"{pid}.log").read_text()


def waited(is_so: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def done() -> int:
    try:
        return sum(one["state"] != "running" for one in results())
    except (OSError, ValueError):
        return 0


def check_each_once(trials: int = 14) -> None:
    check_whole(trials)
    for path in NIGHT.iterdir():
        if (path / "began").exists():
            ended = (path / "finished").read_text().split() if (path / "finished").exists() else []
            status = json.loads((path / "status.json").read_text())["status"]
            assert (len(ended), status) in {(1, "finished"), (0, "pruned")}
    assert len(record()["confirmed"][0]["runs"]) == 2


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_two_workers_of_which_one_is_killed(start: Start, storage: str) -> None:
    words = f"tune.storage={storage}"
    one, other = start(words), start(words)
    waited(lambda: done() >= 4)
    kill(one)
    assert ends(other).endswith("exit code 0\n")
    check_each_once()


@pytest.mark.parametrize("seed", range(2))
def test_ten_times_killed_and_started_again(start: Start, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(10):
        pid = start()
        time.sleep(moments.uniform(0.2, 1.4))
        kill(pid)
    assert ends(start()).endswith("exit code 0\n")
    check_each_once()


def test_the_process_that_trains_the_best_again_is_killed(start: Start) -> None:
    one, other = start(), start()
    logs = {pid: Path(f"{pid}.log") for pid in (one, other)}
    waited(lambda: any("seed=1: started" in log.read_text() for log in logs.values() if log.exists()))
    first = next(pid for pid, log in logs.items() if "seed=1: started" in log.read_text())
    kill(first)
    assert ends(other if first == one else one).endswith("exit code 0\n")
    check_each_once()


def test_cancel_stops_all_workers_and_resume_goes_on(start: Start, bakeoff: Bakeoff) -> None:
    workers = [start(), start()]
    waited(lambda: done() >= 3)
    code, out, _ = bakeoff("cancel", "night")
    assert (code, "has stopped" in out) == (0, True)
    for pid in workers:
        assert "stopped by bakeoff cancel; " in ends(pid)
        assert ends(pid).endswith("exit code 75\n")
    assert record()["ended"] is None
    assert ends(start()).endswith("exit code 0\n")
    check_each_once()


def test_a_train_sweep_keeps_out_of_it(start: Start, bakeoff: Bakeoff) -> None:
    pid = start()
    waited(lambda: done() >= 1)
    code, _, error = bakeoff("train", "-m", "data=digits", "model=cnn_small", "seed=0,1", "sweep.name=night")
    assert (code, f"process {pid}" in error) == (2, True)
    assert ends(pid).endswith("exit code 0\n")
    check_each_once()


@pytest.fixture
def server() -> Iterator[Callable[[str], str]]:
    """Starts, restarts and stops a PostgreSQL server on loopback."""
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        message = "needs PostgreSQL: apt-get install postgresql"
        if os.environ.get("BAKEOFF_REQUIRE_POSTGRES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-postgres-"))  # pytest's are closed to other users
    folder.chmod(0o711)
    port = str(random.SystemRandom().randrange(20_000, 30_000))

    def control(command: str) -> str:
        words = [str(POSTGRES), command, str(folder / "pg"), port]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    yield control
    control("stop")
    shutil.rmtree(folder)


def test_a_server_that_is_restarted_kills_nobody(start: Start, server: Callable[[str], str]) -> None:
    url = f"tune.storage={server('start')}"
    one, other = start(url), start(url)
    for least in (3, 7):
        waited(lambda least=least: done() >= least)  # type: ignore[misc]
        server("restart")
    waited(lambda: done() >= 11)
    kill(one)
    assert ends(other).endswith("exit code 0\n")
    check_each_once()
    assert record()["storage"] == "server"


def test_a_server_that_is_away_is_waited_for_and_told_of(start: Start, server: Callable[[str], str]) -> None:
    url = server("start").replace("bakeoff@", "bakeoff:secret@")
    pid = start(f"tune.storage={url}")
    waited(lambda: done() >= 3)
    server("stop")
    time.sleep(3)
    server("start")
    said = ends(pid)
    assert said.endswith("exit code 0\n")
    assert "note: the study's storage does not answer; asking again, for at most 5 min" in said
    check_each_once()
    files = [path for path in NIGHT.rglob("*") if path.is_file()]
    assert "secret" not in said
    assert not [path for path in files if b"secret" in path.read_bytes()]
    server("stop")
    said = ends(start(f"tune.storage={url}", "sweep.name=new"))
    assert said.endswith("exit code 4\n")
    (line,) = [line for line in said.splitlines() if line.startswith("error")]
    assert ":***@127.0.0.1" in line
    assert "refused" in line
    server("start")
