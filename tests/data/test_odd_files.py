"""What lies among pictures and is none: pipes, links, other files. Never opened, never without a word."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import Bakeoff
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import both, config, folder, picture, tree

from bakeoff import data
from bakeoff.data import hashes
from bakeoff.data.copies import equal_files
from bakeoff.data.fingerprint import data_fingerprint, file_hash
from bakeoff.data.folders import list_pictures
from bakeoff.data.pictures import BrokenPictureError, read_header, read_picture
from bakeoff.errors import DataError


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # such names are short


ODD: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link that leads nowhere": lambda path: path.symlink_to("nowhere"),
    "a link that leads nowhere, for it leads to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_regular_file_is_named_at_once_or_left_out(tmp_path: Path, kind: str) -> None:
    root = folder(tmp_path / "d", count=20)
    before = data.load(config(root, skip_broken=True))
    fingerprint = data_fingerprint("image_folder", str(root))
    odd = root / "train" / "cat" / "03b.png"
    ODD[kind](odd)
    with pytest.raises(
        DataError, match=rf"^{odd}: no regular file \({kind.partition(',')[0]}\); remove it, or set"
    ):
        data.load(config(root))
    loaded = data.load(config(root, skip_broken=True))
    assert loaded.files == before.files
    assert loaded.skipped == (("train/cat/03b.png", f"no regular file ({kind.partition(',')[0]})"),)
    assert "data.skip_broken=true: 1 broken pictures left out (skipped_files.json)" in loaded.notes
    # What is not used is no part of the data, and nothing opens it.
    assert data_fingerprint("image_folder", str(root)) == fingerprint


@pytest.mark.parametrize("line", [[], pytest.param(["--multirun", "seed=0,1"], marks=pytest.mark.slow)])
def test_a_pipe_is_exit_3(bakeoff: Bakeoff, tmp_path: Path, line: list[str]) -> None:
    root = folder(tmp_path / "d", count=4)
    os.mkfifo(root / "test" / "dog" / "z.png")
    code, _, err = bakeoff("train", "data=image_folder", f"data.root={root}", "data.image_size=8", *line)
    assert (code, err.count("\n")) == (3, 1)
    assert f"{root}/test/dog/z.png: no regular file (a named pipe); remove it" in err
    assert not Path("outputs").exists()


def test_nothing_waits_for_a_pipe_that_comes_late(tmp_path: Path) -> None:
    """It may take the place of a picture after the folder was listed."""
    os.mkfifo(tmp_path / "x.png")
    os.mkfifo(tmp_path / "y.png")
    for read in (read_header, lambda path: read_picture(path, 8, 3)):
        with pytest.raises(BrokenPictureError, match=r"^no regular file$"):
            read(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x\.png: cannot be read: no regular file"):
        file_hash(tmp_path / "x.png")
    assert equal_files(tmp_path, ["x.png", "y.png"]).tolist() == [0, 1]


def test_a_pipe_for_a_folder_or_in_place_of_mnist_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: no folder; expected"):
        list_pictures(tmp_path / "pipe")
    missing = data_fingerprint("mnist", str(tmp_path / "none"))
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    os.mkfifo(tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte")
    assert data_fingerprint("mnist", str(tmp_path)) == missing


def test_what_is_not_used_is_counted_and_named_once(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "d", *both("train", "test"), "extra/cat", "notes.txt", "train/cat/a.txt", "train/b.md"
    )
    tree(root, "test/readme.txt", ".cache/x.txt", "train/dog/.hidden/y.txt", "train/dog/z.heic")
    picture(root / "loose.png")
    picture(root / "train" / "beside.png")
    (root / "train" / "dog" / "cats").symlink_to(root / "train" / "cat", target_is_directory=True)
    os.mkfifo(root / "pipe")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "train/cat/._0.png", "train/.DS_Store"):
        (root / name).write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    found = list_pictures(root)
    assert len(found.pictures) == 16
    files, folders = "loose.png, notes.txt, pipe, ...", ".cache/, extra/, train/dog/.hidden/, ..."
    assert found.notes == (f"{root}: not used: 8 files ({files}) and 4 folders ({folders})",)


def test_names_that_a_terminal_would_act_on_are_escaped(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("a\nb/train"), "\x1b[31mred.txt", count=10)
    for note in data.load(config(root)).notes:
        assert note.isprintable()


def test_what_lies_beside_a_wrapper_or_is_called_like_a_split_is_named(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "d", *both("pets/train"), "readme.md", "pets/test_tube/x", "pets/license.txt", count=1
    )
    assert list_pictures(root).notes[-1] == (
        f"{root}: not used: 2 files (pets/license.txt, readme.md) and 1 folder (pets/test_tube/)"
    )


@pytest.mark.parametrize("places", [["cat", "dog"], ["pets/cat", "pets/dog"]])
def test_what_lies_beside_class_folders_is_named(tmp_path: Path, places: list[str]) -> None:
    inside = "pets/" if "/" in places[0] else ""
    root = tree(tmp_path / "d", *places, f"{inside}a.txt", f"{inside}empty/b.txt", f"{inside}cat/c.txt")
    picture(root / inside / "loose.png")
    expected = f"not used: 3 files ({inside}a.txt, {inside}cat/c.txt, {inside}loose.png) and 1 folder ({inside}empty/)"
    assert list_pictures(root).notes[-1] == f"{root}: {expected}"


def test_a_folder_that_is_closed_to_us_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures below it would be missing without a word."""
    root = folder(tmp_path / "d", count=2)
    closed = picture(root / "train" / "cat" / "inner" / "x.png").parent
    scandir = os.scandir

    def refusing(place: Path) -> object:
        if Path(place) == closed:
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=f"^{closed}: cannot be read: Permission denied$"):
        list_pictures(root)


def test_a_picture_that_is_closed_to_us_has_a_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be left out by data.skip_broken; and opened to us later, it counts by what it holds."""
    root = folder(tmp_path / "d", count=2)
    opened = data_fingerprint("image_folder", str(root))
    closed, read, access = root / "train" / "cat" / "00.png", hashes.sha256_of, os.access

    def refusing(path: Path) -> str:
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(hashes, "sha256_of", refusing)
        patch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
        assert data_fingerprint("image_folder", str(root)) != opened
    assert data_fingerprint("image_folder", str(root)) == opened


@pytest.mark.parametrize("places", [both("train", "val", "test"), both("train"), ["cat", "dog"]])
def test_the_fingerprint_covers_every_picture_that_is_used(tmp_path: Path, places: list[str]) -> None:
    root = tree(tmp_path / "d", *places, "notes.txt", count=2)
    first = data_fingerprint("image_folder", str(root))
    (root / "notes.txt").write_text("other")
    assert data_fingerprint("image_folder", str(root)) == first
    for path in sorted(root.rglob("*.png")):
        content = path.read_bytes()
        path.write_bytes(content + b"x")
        assert data_fingerprint("image_folder", str(root)) != first, path
        path.write_bytes(content)
    assert data_fingerprint("image_folder", str(root)) == first


NAMES = st.sampled_from(["train", "Train", "valid", "test", "cat", "dog", "2", "pets", ".hidden"])
FILES = st.sampled_from(["a.png", "b.JPG", "c.txt", ".d.png", "e.gif"])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.lists(NAMES, max_size=4), FILES), max_size=14),
    st.sampled_from([both("train"), both("Train", "valid"), ["cat", "dog"], ["pets/cat", "pets/dog"], []]),
)
def test_every_file_is_used_or_named(drawn: list[tuple[list[str], str]], regular: list[str]) -> None:
    """Whatever the folder looks like: it is refused in one line, or nothing of it is lost without a word."""
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        files = {"/".join([*places, name]) for places, name in drawn} | {
            f"{place}/1.png" for place in regular
        }
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        try:
            found = list_pictures(root)
        except DataError:
            return
        used = [item.name for item in found.pictures]
        assert len(used) == len(set(used))
        folders = tuple(name for name in found.unused if name.endswith("/"))
        unused = {name for name in files if name in found.unused or name.startswith(folders)}
        assert set(used) | unused == files
        assert not set(used) & unused
        assert {item.label for item in found.train} == set(range(len(found.class_names)))
