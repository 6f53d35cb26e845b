"""Checkpoints on the disk: whole or not counted, the best weights once, no room lost, nothing lost on the way."""

import errno
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from bakeoff.errors import ResourceError, ResumeError
from bakeoff.runs import checkpoints
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.storage import remove_temporaries


def parts(step: int, epoch: int = 1, best: int | None = None) -> dict[str, Any]:
    """Like a state's, of small tensors."""
    found: dict[str, Any] = {
        "model": {"weight": torch.full((3, 2), float(step))},
        "optimizer": {"0.exp_avg": torch.full((2,), float(step))},
        "plain": {"step": step, "epoch": epoch, "best": best},
    }
    return found if best is None else {**found, "best": {"weight": torch.full((3, 2), float(best))}}


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def step_of(run: Path) -> int | None:
    found = Checkpoints(run, 2).newest()[0]
    return None if found is None else found.plain["step"]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    Checkpoints(tmp_path, 2).write(parts(5, best=3))
    found, problems = Checkpoints(tmp_path, 2).newest()
    assert found is not None
    assert not problems
    read = found.parts()
    assert read.keys() == {"model", "optimizer", "best", "plain"}
    assert read["plain"] == {"step": 5, "epoch": 1, "best": 3}
    assert torch.equal(read["best"]["weight"], torch.full((3, 2), 3.0))
    assert sorted(path.name for path in found.path.iterdir()) == [
        "best.safetensors", "manifest.json", "model.safetensors", "optimizer.safetensors", "state.json",
    ]  # fmt: skip


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    for step in (1, 9, 10, 100):
        run.write(parts(step))
    assert names(tmp_path) == ["step-00000010", "step-00000100"]
    run.remove()
    assert not (tmp_path / "checkpoints").exists()
    assert Checkpoints(tmp_path, 2).newest() == (None, [])


def test_a_later_state_of_the_same_step_takes_its_place(tmp_path: Path) -> None:
    """A validated epoch comes after its last step."""
    run = Checkpoints(tmp_path, 2)
    run.write(parts(7, epoch=1))
    run.write(parts(7, epoch=2, best=2))
    assert names(tmp_path) == ["step-00000007"]
    found, _ = Checkpoints(tmp_path, 2).newest()
    assert found is not None
    assert found.plain["epoch"] == 2


def test_best_weights_are_written_when_they_change_and_linked_else(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 3)
    inodes = [
        (run.write(parts(step, best=best)).path / "best.safetensors").stat().st_ino
        for step, best in ((1, 1), (2, 1), (3, 3))
    ]
    assert inodes[0] == inodes[1] != inodes[2]
    # Also by the next process.
    again = Checkpoints(tmp_path, 3)
    again.newest()
    assert (again.write(parts(4, best=3)).path / "best.safetensors").stat().st_ino == inodes[2]


def test_a_disk_without_hard_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    run = Checkpoints(tmp_path, 2)
    run.write(parts(1, best=1))
    run.write(parts(2, best=1))
    assert step_of(tmp_path) == 2


FILES = ["model.safetensors", "optimizer.safetensors", "average.safetensors", "best.safetensors", "state.json", "manifest.json"]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "folder", "link", "empty"])
def test_of_a_damaged_one_the_older_is_taken_and_it_is_said(name: str, damage: str, tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    for step in (1, 2):
        run.write({**parts(step, best=step), "average": {"weight": torch.ones(3)}})
    path = tmp_path / "checkpoints" / "step-00000002" / name
    content = path.read_bytes()
    if damage == "bit":
        for at in range(0, len(content), max(1, len(content) // 40)):
            changed = bytearray(content)
            changed[at] ^= 1 << (at % 8)
            path.write_bytes(changed)
            found, problems = Checkpoints(tmp_path, 2).newest()
            # A bit in the manifest's white space changes nothing.
            if found is not None and found.plain["step"] == 2:
                assert name == "manifest.json"
                assert torch.equal(found.parts()["model"]["weight"], torch.full((3, 2), 2.0))
            else:
                assert found is not None
                assert found.plain["step"] == 1
                assert problems[0].startswith("step-00000002: ")
        return
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "empty":
        path.touch()
    elif damage == "folder":
        path.mkdir()
    elif damage == "link":
        kept = tmp_path / "elsewhere"
        kept.write_bytes(content)
        path.symlink_to(kept)
    found, problems = Checkpoints(tmp_path, 2).newest()
    if found is not None and found.plain["step"] == 2:
        # The manifest's last byte is a line's end.
        assert (name, damage) == ("manifest.json", "cut")
        return
    assert found is not None
    assert found.plain["step"] == 1
    assert len(problems) == 1
    assert problems[0].startswith(f"step-00000002: {name}")


@pytest.mark.parametrize(
    "name", ["../../config.json", "/etc/passwd", "..", "", "model.safetensors/../../x", "a.pkl"]
)
def test_a_manifest_that_names_other_files_is_refused(name: str, tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    place = run.write(parts(1)).path / "manifest.json"
    manifest = json.loads(place.read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": "0"}
    place.write_text(json.dumps(manifest))
    found, problems = Checkpoints(tmp_path, 2).newest()
    assert found is None
    assert problems == [f"step-00000001: manifest.json: names {json.dumps(name)}"]


def test_a_huge_manifest_is_not_read(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    with open(run.write(parts(1)).path / "manifest.json", "r+b") as file:
        file.truncate(2**40)
    found, problems = Checkpoints(tmp_path, 2).newest()
    assert found is None
    assert problems[0].startswith("step-00000001: manifest.json: 1099511627776 bytes, more than ")


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
def test_nobody_waits_on_a_pipe(name: str, tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    found = run.write(parts(1))
    path = found.path / name
    path.unlink()
    os.mkfifo(path)
    assert Checkpoints(tmp_path, 2).newest()[0] is None
    if name == "model.safetensors":  # exchanged after it was checked
        with pytest.raises(ResumeError, match="not a regular file"):
            found.parts()


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A run of somebody else's must not lead us to write into, or remove, folders of the user's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Checkpoints(elsewhere, 2).write(parts(1))
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoints").symlink_to(elsewhere / "checkpoints")
    with pytest.raises(ResumeError, match="a link or a file has the folder's name"):
        Checkpoints(run, 2).newest()
    with pytest.raises(ResourceError, match="a link or a file has the folder's name"):
        Checkpoints(run, 2).write(parts(2))
    Checkpoints(run, 2).remove()
    assert names(elsewhere) == ["step-00000001"]
    # One of its folders, the same.
    (run / "checkpoints").unlink()
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "step-00000001").symlink_to(elsewhere / "checkpoints" / "step-00000001")
    assert Checkpoints(run, 2).newest() == (None, [])
    Checkpoints(run, 2).write(parts(1))
    Checkpoints(run, 2).remove()
    assert len(list((elsewhere / "checkpoints" / "step-00000001").iterdir())) == 4


def test_what_somebody_else_has_put_there_is_left_alone(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    for step in (1, 2):
        run.write(parts(step))
    for name in ("aaa", "zzz", "step-1", "step-00000009-copy", ".cache"):
        (run.folder / name).mkdir()
    (run.folder / "notes.txt").touch()
    (run.folder / "step-00000099").touch()
    assert step_of(tmp_path) == 2
    run.write(parts(3))
    run.tidy()
    others = [".cache", "aaa", "notes.txt", "step-00000009-copy", "step-00000099", "step-1", "zzz"]
    assert names(tmp_path) == sorted([*others, "step-00000002", "step-00000003"])
    run.remove()
    assert names(tmp_path) == others


def test_older_ones_are_not_read(tmp_path: Path) -> None:
    """That takes time, and a half of an old one, whose removal was cut short, is nothing to tell."""
    run = Checkpoints(tmp_path, 2)
    old = run.write(parts(1)).path
    run.write(parts(2))
    (old / "model.safetensors").unlink()
    found, problems = Checkpoints(tmp_path, 2).newest()
    assert found is not None
    assert (found.plain["step"], problems) == (2, [])


def test_steps_are_compared_as_numbers(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 1)
    run.write(parts(99_999_999))
    run.write(parts(100_000_000))
    assert names(tmp_path) == ["step-100000000"]


@pytest.mark.parametrize("call", ["mkdir", "write_tensors", "write_json", "rename", "sync_folder"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_save_that_fails_leaves_what_was_there(
    call: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Checkpoints(tmp_path, 2)
    run.write(parts(1, best=1))
    calls = 0
    owner: Any = Path if call in ("mkdir", "rename") else checkpoints
    original = getattr(owner, call)

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, failing)
        with suppress(ResourceError):
            run.write(parts(2, best=2))
    assert step_of(tmp_path) in (1, 2)
    # And the next one goes through, with nothing left of the failed one.
    run.write(parts(3, best=2))
    assert step_of(tmp_path) == 3
    assert all(not name.startswith(".") for name in names(tmp_path))


def test_a_process_that_ends_while_it_saves_removes_the_half_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Checkpoints(tmp_path, keep=2)
    stored.write(parts(10))
    write_json = checkpoints.write_json

    def then_ends(path: Path, value: Any) -> None:
        write_json(path, value)
        assert len(list(stored.folder.iterdir())) == 2
        remove_temporaries()
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write_json", then_ends)
    monkeypatch.setattr(checkpoints, "_remove", lambda path: None)  # as a process that is gone by then
    with pytest.raises(KeyboardInterrupt):
        stored.write(parts(20))
    assert [path.name for path in stored.folder.iterdir()] == ["step-00000010"]


def test_half_a_checkpoint_of_a_killed_process_does_not_count_and_goes(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    made = run.write(parts(1)).path
    half = made.with_name(".step-00000002.77.tmp")
    shutil.copytree(made, half)
    (half / "manifest.json").unlink()
    assert step_of(tmp_path) == 1
    run.write(parts(3))
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def test_a_run_killed_in_its_first_save_has_no_damaged_one(tmp_path: Path) -> None:
    """It begins anew; one that is damaged must not."""
    run = Checkpoints(tmp_path, 2)
    made = run.write(parts(1)).path
    (made / "manifest.json").unlink()
    assert Checkpoints(tmp_path, 2).newest()[1] != []
    made.rename(made.with_name(".step-00000001.77.tmp"))
    assert Checkpoints(tmp_path, 2).newest() == (None, [])


def test_the_one_that_goes_on_leaves_only_what_is_whole(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    for step in (1, 2):
        run.write(parts(step, best=1))
    folder = run.folder
    for name in (".step-00000003.77.tmp", ".step-00000002.77.old", "step-00000004"):
        shutil.copytree(folder / "step-00000002", folder / name)
        (folder / name / "model.safetensors").unlink()
    (folder / "step-00000002").rename(folder / ".step-00000002.78.tmp")
    again = Checkpoints(tmp_path, 2)
    found = again.tidy()
    assert found is not None
    assert found.path == folder / "step-00000002"
    assert torch.equal(found.parts()["model"]["weight"], torch.full((3, 2), 2.0))
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    written = again.write(parts(5, best=1)).path / "best.safetensors"
    assert written.samefile(folder / "step-00000002" / "best.safetensors")


def test_a_process_that_has_lost_the_run_puts_nothing_in_place(tmp_path: Path) -> None:
    def lost() -> None:
        raise ResumeError("another one goes on")

    run = Checkpoints(tmp_path, 2)
    run.write(parts(1))
    with pytest.raises(ResumeError):
        run.write(parts(2), lost)
    assert names(tmp_path) == ["step-00000001"]


def test_a_whole_one_that_was_not_yet_renamed_counts(tmp_path: Path) -> None:
    run = Checkpoints(tmp_path, 2)
    run.write(parts(1))
    made = run.write(parts(2)).path
    made.rename(made.with_name(".step-00000002.77.tmp"))
    assert step_of(tmp_path) == 2


def test_at_every_moment_one_is_whole_and_at_most_one_more_than_kept_is_there(tmp_path: Path) -> None:
    """Looked at before and after each call that may change the disk."""
    run = Checkpoints(tmp_path, 2)
    run.write(parts(1, best=1))
    one = sum(path.stat().st_size for path in run.folder.rglob("*.safetensors"))
    counts, steps, sizes = set(), set(), []

    def look(_frame: object, event: str, function: Any) -> None:
        if event in ("c_call", "c_return") and function.__name__ in CHANGES:
            found, _ = Checkpoints(tmp_path, 2).newest()
            steps.add(found and found.plain["step"])
            counts.add(len(names(tmp_path)))
            files = [path.stat() for path in run.folder.rglob("*.safetensors")]
            sizes.append(sum({status.st_ino: status.st_size for status in files}.values()))

    for step, epoch, best in ((2, 1, 1), (3, 1, 1), (3, 2, 3), (4, 2, 3), (5, 2, 5)):
        sys.setprofile(look)
        try:
            run.write(parts(step, epoch, best))
        finally:
            sys.setprofile(None)
    assert steps == {1, 2, 3, 4, 5}
    assert counts == {1, 2, 3}
    assert max(sizes) <= 3 * one
    assert len(sizes) > 300


CHANGES = {
    "mkdir",
    "rename",
    "replace",
    "link",
    "unlink",
    "rmdir",
    "fsync",
    "open",
    "write",
    "serialize_file",
}
