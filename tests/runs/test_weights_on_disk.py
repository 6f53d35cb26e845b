"""Weights as a file among others: room, mode, flushed to the disk, names that are no UTF-8."""

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Bakeoff

from bakeoff.errors import ResourceError
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.weight_files import read_weights

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(3, dtype=torch.int64)}


def same(tensors: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == TENSORS.keys() and all(
        torch.equal(tensors[key], TENSORS[key]) for key in TENSORS
    )


def test_the_mode_is_that_of_every_other_file(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.write_status("running", 0)
    run.write_weights(TENSORS, finished=True)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(set(modes.values())) == 1, modes
    assert sorted(modes) == ["status.json", "weights.safetensors"]


def test_what_is_flushed_is_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    RunDir(tmp_path).write_weights(TENSORS, finished=True)
    assert (tmp_path / "weights.safetensors").stat().st_ino in flushed
    assert tmp_path.stat().st_ino in flushed


def test_a_path_that_is_no_utf_8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/wt\xff"))
    folder.mkdir()
    RunDir(folder).write_weights(TENSORS, finished=True)
    assert same(read_weights(folder))


def test_a_link_a_pipe_and_damage_are_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    path = tmp_path / "weights.safetensors"
    run.write_weights(TENSORS, finished=True)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableFileError, match="is a link"):
        read_weights(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableFileError, match="not a regular file"):
        read_weights(tmp_path)
    path.unlink()
    path.write_bytes((tmp_path / "elsewhere").read_bytes()[:-1])
    with pytest.raises(UnreadableFileError, match="damaged"):
        read_weights(tmp_path)


def test_no_room_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.write_weights(TENSORS, finished=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(
            ResourceError, match=r"weights.safetensors: cannot write: File too large; make room"
        ):
            run.write_weights({"a": torch.zeros(10_000)}, finished=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert same(read_weights(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("override", "code", "said"),
    [("optim.lr=0.01", 4, "cannot write: No space left"), ("optim.lr=1e30", 5, "not finite")],
)
def test_no_room_for_weights_hides_no_reason(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, override: str, code: int, said: str
) -> None:
    from safetensors import SafetensorError

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    words = ["data=digits", "model=cnn_small", "trainer.epochs=1", "optim=sgd", "optim.clip_norm=null"]
    found, _, error = bakeoff("train", *words, "optim.warmup_epochs=0", override)
    assert found == code, error
    assert said in error
    assert error.count("\n") == 1


def test_another_user_can_read_them(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
import torch
from bakeoff.runs.rundir import RunDir
os.umask(0o022)
RunDir(Path(sys.argv[1])).write_weights({"a": torch.zeros(2)}, finished=True)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert stat.S_IMODE((tmp_path / "weights.safetensors").stat().st_mode) == 0o644
