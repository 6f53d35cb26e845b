"""Who works on a run: one process at a time, and the dead do not count."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bakeoff.errors import ResumeError
from bakeoff.runs import attempts


def change(run: Path, number: int, **fields: object) -> None:
    path = run / "attempts" / f"{number:04d}" / "attempt.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_attempts_are_counted_and_say_who(tmp_path: Path) -> None:
    first = attempts.begin(tmp_path, {"identity": "abc"})
    assert first.number == 1
    (record,) = attempts.records(tmp_path)
    assert (record["pid"], record["identity"]) == (os.getpid(), "abc")
    change(tmp_path, 1, pid=dead_process())
    second = attempts.begin(tmp_path, {})
    assert second.number == 2
    assert (first.is_newest(), second.is_newest()) == (False, True)
    assert [path.name for path in sorted((tmp_path / "attempts").iterdir())] == ["0001", "0002"]


def test_a_run_whose_process_lives_is_refused_with_who_where_and_since_when(tmp_path: Path) -> None:
    attempts.begin(tmp_path, {})
    with pytest.raises(
        ResumeError, match=rf"runs on \S+ \(process {os.getpid()}\) since 2\d\d\d-.*stop it first"
    ):
        attempts.begin(tmp_path, {})
    # The same number given to another process is no life.
    change(tmp_path, 1, process_started="another boot 12")
    assert attempts.begin(tmp_path, {}).number == 2


def test_what_another_host_does_is_told_by_its_heartbeat(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    attempts.begin(tmp_path, {})
    change(tmp_path, 1, host="elsewhere")
    now = datetime.now(UTC)
    (tmp_path / "status.json").write_text(json.dumps({"heartbeat": now.isoformat()}))
    with pytest.raises(ResumeError, match="runs on elsewhere"):
        attempts.begin(tmp_path, {})
    (tmp_path / "status.json").write_text(json.dumps({"heartbeat": (now - timedelta(hours=1)).isoformat()}))
    assert attempts.begin(tmp_path, {}).number == 2


def test_a_folder_without_a_record_counts_for_a_minute(tmp_path: Path) -> None:
    folder = tmp_path / "attempts" / "0001"
    folder.mkdir(parents=True)
    with pytest.raises(ResumeError, match="a moment ago"):
        attempts.begin(tmp_path, {})
    old = time.time() - 120
    os.utime(folder, (old, old))
    assert attempts.begin(tmp_path, {}).number == 2


def test_what_does_not_belong_there_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "attempts" / "notes").mkdir(parents=True)
    assert attempts.begin(tmp_path, {}).number == 1
    assert attempts.records(tmp_path / "nowhere") == []


def _claim(run: Path, start: float, results: "multiprocessing.Queue[int]") -> None:
    while time.time() < start:
        pass
    try:
        results.put(attempts.begin(run, {}).number)
        time.sleep(0.2)  # it works on the run
    except ResumeError:
        results.put(0)


def test_of_two_at_one_instant_one_goes_on(tmp_path: Path) -> None:
    """Two processes that wait for the same moment."""
    context = multiprocessing.get_context("fork")
    for trial in range(10):
        run = tmp_path / str(trial)
        run.mkdir()
        results: multiprocessing.Queue[int] = context.Queue()
        start = time.time() + 0.05
        both = [context.Process(target=_claim, args=(run, start, results)) for _ in range(2)]
        for process in both:
            process.start()
        assert sorted(results.get(timeout=20) for _ in both) == [0, 1]
        for process in both:
            process.join()
