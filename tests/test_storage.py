"""Files appear whole or not at all; a folder is claimed once."""

import errno
import json
import math
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from conftest import files_below

from bakeoff.errors import ConfigError, ResourceError
from bakeoff.rundir import RunDir
from bakeoff.storage import (
    UnreadableFileError,
    append_line,
    read_bytes,
    read_json,
    write_atomically,
    write_json,
)


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
