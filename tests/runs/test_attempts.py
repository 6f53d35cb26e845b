"""Who works on a run: one process at a time, and the dead do not count."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bakeoff.errors import ResourceError, ResumeError
from bakeoff.runs import attempts, storage


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
        ResumeError, match=rf"running on \S+ \(process {os.getpid()}\) since 2\d\d\d-.*stop it first"
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
    with pytest.raises(ResumeError, match="running on elsewhere"):
        attempts.begin(tmp_path, {})
    (tmp_path / "status.json").write_text(json.dumps({"heartbeat": (now - timedelta(hours=1)).isoformat()}))
    # It may have begun after that, and has not come to its first heartbeat.
    with pytest.raises(ResumeError, match="running on elsewhere"):
        attempts.begin(tmp_path, {})
    change(tmp_path, 1, started=(now - timedelta(minutes=50)).isoformat())
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


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_of_attempts_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = tmp_path / "attempts"
    place.symlink_to(elsewhere) if kind == "link" else place.touch()
    for call in (lambda: attempts.begin(tmp_path, {}), lambda: attempts.records(tmp_path)):
        with pytest.raises(ResumeError, match="a link or a file has the folder's name"):
            call()
    assert list(elsewhere.iterdir()) == []


def test_attempts_that_are_links_or_files_are_not_read_and_not_written_to(tmp_path: Path) -> None:
    """Their names are taken all the same."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / "attempts").mkdir(parents=True)
    elsewhere.mkdir()
    attempts.begin(elsewhere, {"secret": 1})
    (run / "attempts" / "0001").touch()
    (run / "attempts" / "0002").symlink_to(elsewhere / "attempts" / "0001")
    (run / "attempts" / "0003").symlink_to(tmp_path / "nowhere")
    assert attempts.records(run) == []
    assert attempts.begin(run, {}).number == 4
    assert not (tmp_path / "nowhere").exists()


def test_a_claim_that_could_not_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has made room tries again, and need not wait for a process that is not there."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_atomically", full)
        with pytest.raises(ResourceError, match="No space left"):
            attempts.begin(tmp_path, {})
    assert list((tmp_path / "attempts").iterdir()) == []
    assert attempts.begin(tmp_path, {}).number == 1


def test_a_claim_is_never_seen_without_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before that, a process has claimed nothing; the next one removes what it has left."""
    seen = []

    def killed(path: Path, *_: object) -> None:
        seen.append(attempts.check_free(tmp_path))
        path.touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            attempts.begin(tmp_path, {})
    assert seen == [0]
    assert [path.name[:6] for path in (tmp_path / "attempts").iterdir()] == [".0001."]
    assert attempts.begin(tmp_path, {}).number == 1
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["0001"]


def test_who_goes_on_removes_what_killed_processes_have_left(tmp_path: Path) -> None:
    left = [".weights.safetensors.12.0a1b2c3d.tmp", ".tmpUqSQh1", "plots/.curves.png.12.0a1b2c3d.tmp"]
    (tmp_path / "plots").mkdir()
    (tmp_path / "attempts" / ".0001.12.tmp").mkdir(parents=True)  # a claim that was not finished
    for name in (*left, ".own", "notes.tmp", ".tmp"):
        (tmp_path / name).touch()
    attempts.begin(tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".own",
        ".tmp",
        "attempts",
        "notes.tmp",
        "plots",
    ]
    assert list((tmp_path / "plots").iterdir()) == []
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["0001"]


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
