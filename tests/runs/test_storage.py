"""Files appear whole or not at all; a folder is claimed once."""

import errno
import json
import math
import os
import re
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from conftest import files_below

from bakeoff.errors import ConfigError, ResourceError, ResumeError
from bakeoff.runs.folders import refuse_run_files
from bakeoff.runs.kept_images import write_test_images
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.reading import UnreadableFileError, read_bytes, read_json, sha256_of
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.runs.rundir import RunDir, single_run_folder
from bakeoff.runs.storage import append_line, remove_temporaries, write_atomically, write_json
from bakeoff.runs.stored_predictions import read_predictions


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised above
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert files_below(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_is_exit_4_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(ResourceError, match=r"file\.json: cannot write") as caught:
            write_json(path, {"new": 2})
    assert caught.value.exit_code == 4
    assert os.strerror(number) in str(caught.value)
    assert read_json(path) == {"old": 1}
    assert files_below(tmp_path) == ["file.json"]


def test_not_a_number_becomes_null(tmp_path: Path) -> None:
    write_json(tmp_path / "f", {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}})
    assert read_json(tmp_path / "f") == {"a": None, "b": [None, 1.5], "c": {"d": None}}


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    for number in range(3):
        append_line(tmp_path / "f", json.dumps(number))
    assert (tmp_path / "f").read_text() == "0\n1\n2\n"
    with pytest.raises(ResourceError):
        append_line(tmp_path / "none" / "f", "x")


def test_devices_and_large_files_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="not a regular file"):
        read_bytes(Path("/dev/zero"), 10)
    (tmp_path / "f").write_bytes(b"12345678901")
    with pytest.raises(UnreadableFileError, match="11 bytes, more than 10"):
        read_bytes(tmp_path / "f", 10)
    assert read_bytes(tmp_path / "f", 11) == b"12345678901"


def test_of_many_that_want_a_folder_one_gets_it(tmp_path: Path) -> None:
    barrier, won, lost = threading.Barrier(20), [], []

    def claim() -> None:
        barrier.wait()
        try:
            won.append(RunDir.create(tmp_path / "a" / "run"))
        except ConfigError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=claim) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)
    assert all("there already" in text for text in lost)


# Faults that are not simulated, and names that are no UTF-8.


def test_a_file_size_limit_is_exit_4_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from bakeoff.errors import ResourceError; from bakeoff.runs.storage import write_json\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_json(Path(sys.argv[1]), {'new': 'x' * 100_000})\n"
        "except ResourceError as error: print(error); sys.exit(error.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith(f"{path}: cannot write: ")
    assert done.stdout.rstrip().endswith("make room")
    assert read_json(path) == {"old": 1}
    assert files_below(tmp_path) == ["file.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupted_writer_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "file").write_text("old")

    def stop(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "file", stop)
    assert (tmp_path / "file").read_text() == "old"
    assert files_below(tmp_path) == ["file"]


def test_the_order_is_file_then_name_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        calls.append("replace")
        assert Path(source).parent == Path(target).parent
        assert Path(source).read_bytes() == b"new"
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", replaced)
        write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert calls == ["fsync file", "replace", "fsync folder"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_folder_that_cannot_be_synced_leaves_the_old_or_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})
    fsync = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_for_folders)
        with pytest.raises(ResourceError, match=r"file\.json"):
            write_json(path, {"new": 2})
    assert read_json(path) in ({"old": 1}, {"new": 2})
    assert files_below(tmp_path) == ["file.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_line_that_cannot_be_synced_is_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    append_line(tmp_path / "run.log", "one")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ResourceError, match=r"run\.log: cannot write") as caught:
            append_line(tmp_path / "run.log", "two")
    assert caught.value.exit_code == 4
    assert (tmp_path / "run.log").read_text().splitlines()[0] == "one"


@pytest.mark.parametrize("place", ["missing/file", "file/below", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match=re.escape(f"{tmp_path / place}: cannot write")):
        write_json(tmp_path / place, {})
    assert files_below(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize(
    "text", ["é", "日本", "\U0001f600", "a\u2028b", "\x00\x1b", os.fsdecode(b"/data/\xff\xfe")]
)
def test_any_text_is_read_as_it_was_written(tmp_path: Path, text: str) -> None:
    """The last is what Python makes of a folder's name that is no UTF-8."""
    write_json(tmp_path / "f.json", {"path": text, text: 1})
    assert read_json(tmp_path / "f.json") == {"path": text, text: 1}


def test_a_line_with_a_name_that_is_no_utf8_is_appended(tmp_path: Path) -> None:
    append_line(tmp_path / "run.log", "start")
    append_line(tmp_path / "run.log", "run directory " + os.fsdecode(b"/data/\xff"))
    first, second = (tmp_path / "run.log").read_bytes().splitlines()
    assert first == b"start"
    assert second.startswith(b"run directory /data/")


def test_numbers_survive_unrounded(tmp_path: Path) -> None:
    values = {"a": 0.1 + 0.2, "b": 1e-320, "c": 2**60, "d": -0.0, "e": True, "f": None, "g": [1.0]}
    write_json(tmp_path / "f", values)
    found = read_json(tmp_path / "f")
    assert found == values
    assert [type(value) for value in found.values()] == [type(value) for value in values.values()]
    assert math.copysign(1, found["d"]) == -1


CLAIM = """
import sys, time
from pathlib import Path
from bakeoff.errors import ConfigError
from bakeoff.runs.rundir import RunDir, single_run_folder
folder, number = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
try:
    RunDir.create(folder / "runs" / "run").write_status("running", int(number))
except ConfigError as error:
    sys.exit(error.exit_code)
"""


def test_of_many_processes_that_want_a_folder_one_gets_it(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(20)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    codes = []
    for process in processes:
        process.communicate(timeout=30)
        codes.append(process.returncode)
    assert sorted(codes) == [0] + [2] * 19
    status = read_json(tmp_path / "runs" / "run" / "status.json")
    assert (status["step"], status["pid"]) == (codes.index(0), processes[codes.index(0)].pid)
    assert files_below(tmp_path / "runs") == ["run", "run/status.json"]


def test_runs_of_the_same_second_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def frozen(pattern: str) -> str:
        return real(pattern, time.gmtime(0))

    real = time.strftime
    with monkeypatch.context() as patch:
        patch.setattr(time, "strftime", frozen)
        folders = {single_run_folder("out", "cnn", "digits", 3) for _ in range(50)}
    assert len(folders) >= 49  # 50 draws of 26**4 meet once in 370 rounds
    for folder in folders:
        assert re.fullmatch(r"out/1970-01-01/000000-cnn-digits-s3-[a-z]{4}", str(folder))


@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_what_stands_in_the_way_is_left_alone(tmp_path: Path, there: str) -> None:
    path = tmp_path / "run"
    if there == "file":
        path.write_text("mine")
    elif there == "folder":
        path.mkdir()
        (path / "mine").write_text("")
    else:
        path.symlink_to(tmp_path / "nowhere")
    before = files_below(tmp_path)
    with pytest.raises(ConfigError, match="there already"):
        RunDir.create(path)
    assert files_below(tmp_path) == before


def test_a_name_that_is_taken_is_made_anew_unless_it_is_always_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four letters are 456,976 words: of 1,000 runs in the same second, two have the same about every time."""
    letters = iter("aaaa" + "aaaa" + "bbbb")
    monkeypatch.setattr("bakeoff.runs.rundir.secrets.choice", lambda _: next(letters))
    monkeypatch.setattr("bakeoff.runs.rundir.time.strftime", lambda _: "0")
    names = [
        RunDir.create_named(lambda: single_run_folder(str(tmp_path), "cnn", "digits", 0)).run_id
        for _ in range(2)
    ]
    assert names == ["0-cnn-digits-s0-aaaa", "0-cnn-digits-s0-bbbb"]
    with pytest.raises(ConfigError, match="there already"):
        RunDir.create_named(lambda: tmp_path / "0" / names[0])


def test_a_run_directory_below_a_file_is_exit_4(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResourceError, match="cannot write"):
        RunDir.create(tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_epoch_is_a_line_without_nan(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    scores = ValidationScores(0.5, math.nan, math.inf)
    for epoch in (1, 2):
        run.append_epoch(EpochRecord(epoch, 3, 0.1, math.nan, {"a": -math.inf}, scores, 1.0, 2.0, 3.0))
    lines = (tmp_path / "run" / "epochs.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert json.loads(lines[0]) == {
        "epoch": 1, "step": 3, "lr": 0.1, "train_loss": None, "train_loss_parts": {"a": None},
        "val": {"accuracy": 0.5, "macro_f1": None, "nll": None}, "train_seconds": 1.0, "eval_seconds": 2.0,
        "train_images_per_second": 3.0,
    }  # fmt: skip


def test_predictions_are_stored_uncompressed_and_come_back(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    rows = np.array([[0.25, 0.75], [0, 0], [1, 0]], dtype=np.float32)
    run.write_predictions("val", np.arange(3), np.array([1, 0, 0]), rows)
    with zipfile.ZipFile(tmp_path / "run" / "predictions_val.npz") as archive:
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
        assert sorted(archive.namelist()) == ["index.npy", "label.npy", "probabilities.npy"]
    found = read_predictions(tmp_path / "run", "val")
    assert {name: str(array.dtype) for name, array in found.items()} == {
        "index": "int64", "label": "int64", "probabilities": "float32",
    }  # fmt: skip
    assert np.array_equal(found["probabilities"], rows)
    assert (found["index"].tolist(), found["label"].tolist()) == ([0, 1, 2], [1, 0, 0])
    with pytest.raises(UnreadableFileError, match=r"predictions\.npz: no such file"):
        read_predictions(tmp_path / "run", "test")


def test_stored_test_images_are_not_written_again(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 1, 3, 3)
    write_test_images(tmp_path, "abc", images, np.array([0, 1]))
    write_test_images(tmp_path, "abc", np.zeros_like(images), np.array([1, 1]))
    assert files_below(tmp_path) == ["datasets", "datasets/abc.npz"]
    with np.load(tmp_path / "datasets" / "abc.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["images"], images)
        assert stored["labels"].tolist() == [0, 1]


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")  # the example of FIPS 180-2
    assert sha256_of(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_status_is_written_where_no_file_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the block that the file has is all there is."""
    run = RunDir.create(tmp_path / "run")
    run.write_status("running", 3)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def not_new(path: Any, mode: str = "r", **options: Any) -> Any:
        return full() if mode in ("xb", "a") else open(path, mode, **options)

    monkeypatch.setattr("bakeoff.runs.storage.open", not_new, raising=False)
    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(os, "ftruncate", full)
    for error in ("x" * 100_000, "\udcf6" * 100_000, "too short to cover it", None):
        run.write_status("failed", 12, error)
        stored = read_json(run.path / "status.json")
        assert (stored["status"], stored["step"], (stored["error"] or "")[:3]) == (
            "failed",
            12,
            (error or "")[:3],
        )
        assert (run.path / "status.json").stat().st_size <= 4096
    run.log("lost, and that is all")
    assert not (run.path / "run.log").exists()


def test_a_status_takes_no_link(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    (tmp_path / "mine").write_text("kept")
    (run.path / "status.json").symlink_to(tmp_path / "mine")
    with pytest.raises(ResourceError):
        run.write_status("running", 0)
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_folder_that_died_before_its_first_file_is_found(tmp_path: Path) -> None:
    old = time.time() - 3600
    for name in ("120000-cnn-mnist-s0-abcd", "cnn-mnist-s12-0123abcd", "notes", "120000-cnn-mnist-s0-young"):
        (tmp_path / name).mkdir()
        if name.startswith("cnn"):
            (tmp_path / name / ".status.json.1.ab.tmp").write_text("half")
        if not name.endswith("young"):
            os.utime(tmp_path / name, (old, old))
    found = [path.name for path in find_run_dirs(tmp_path)]
    assert found == ["120000-cnn-mnist-s0-abcd", "cnn-mnist-s12-0123abcd"]


def test_a_status_that_is_being_written_is_read_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    path.write_text('{"step": 1')

    def meanwhile(_: float) -> None:
        path.write_text('{"step": 12}')

    with pytest.raises(UnreadableFileError):
        read_json(path)
    monkeypatch.setattr(time, "sleep", meanwhile)
    assert read_json(path, attempts=2) == {"step": 12}


def test_what_is_being_written_can_be_removed_at_once(tmp_path: Path) -> None:
    def removed(file: BinaryIO) -> None:
        assert len(list(tmp_path.iterdir())) == 1
        remove_temporaries()
        assert list(tmp_path.iterdir()) == []

    with pytest.raises(ResourceError):  # its temporary file is gone
        write_atomically(tmp_path / "a.json", removed)


def test_abandoned_after_the_summary_a_run_is_finished(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    run.write_status("running", 3)
    run.abandon(3, "stopped")
    assert read_json(run.path / "status.json")["status"] == "interrupted"
    write_json(run.path / "summary.json", {})
    run.abandon(4, "stopped again")
    assert read_json(run.path / "status.json")["status"] == "finished"
    assert "stopped again" in (run.path / "run.log").read_text()


@pytest.mark.parametrize("name", ["run.log", "epochs.jsonl", "status.json"])
def test_what_is_written_where_it_stands_follows_no_link_and_waits_on_no_pipe(
    name: str, tmp_path: Path
) -> None:
    """A run of somebody else's, that goes on here, must not write into a file of the user's."""
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "own").write_text("as it was")
    write: Callable[[], object] = {
        "run.log": lambda: append_line(run / name, "a line"),
        "epochs.jsonl": lambda: RunDir(run).append_epoch(
            EpochRecord(1, 1, 0.1, 1.0, {}, None, 1.0, 1.0, 1.0)
        ),
        "status.json": lambda: RunDir(run).write_status("running", 1),
    }[name]
    for kind in ("link", "pipe"):
        (run / name).symlink_to(tmp_path / "own") if kind == "link" else os.mkfifo(run / name)
        with pytest.raises(ResourceError, match=re.escape(f"{run / name}: cannot write")):
            write()
        (run / name).unlink()
    assert (tmp_path / "own").read_text() == "as it was"


@pytest.mark.parametrize("kind", ["link", "file"])
def test_pictures_go_into_no_folder_of_somebody_else(kind: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    (run / "plots").symlink_to(tmp_path / "elsewhere") if kind == "link" else (run / "plots").touch()
    with pytest.raises(ResourceError, match="a link or a file has the folder's name"):
        RunDir(run).plot_file("curves.png")


def test_a_process_that_has_lost_its_run_writes_none_of_its_files(tmp_path: Path) -> None:
    def lost() -> None:
        raise ResumeError("another one goes on")

    run = RunDir(tmp_path)
    run.before_writing = lost
    epoch = EpochRecord(1, 1, 0.1, 1.0, {}, None, 1.0, 1.0, 1.0)
    nothing = np.zeros(0)
    writes: list[Callable[[], object]] = [
        lambda: run.write_status("running", 1),
        lambda: run.append_epoch(epoch),
        lambda: run.rewrite_epochs([epoch]),
        lambda: run.log("a line"),
        lambda: run.write_weights({}, finished=True),
        lambda: run.write_predictions("test", nothing, nothing, nothing),
        lambda: run.write_confusion(["a"], nothing),
        lambda: run.plot_file("curves.png"),
        lambda: run.write_summary(None),  # type: ignore[arg-type]
    ]
    for write in writes:
        with pytest.raises(ResumeError):
            write()
    assert list(tmp_path.iterdir()) == []


def test_only_what_a_run_consists_of_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")  # as many a folder has one, which is no run
    (tmp_path / "table.md").write_text("mine")
    refuse_run_files(tmp_path / "table.md")
    (tmp_path / "link.md").symlink_to(tmp_path / "summary.json")
    for name in ("summary.json", "weights.safetensors", "link.md"):
        with pytest.raises(ConfigError, match="a file of the run"):
            refuse_run_files(tmp_path / name)
