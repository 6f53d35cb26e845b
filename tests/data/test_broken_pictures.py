"""Files that are no pictures: named, or left out and counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff
from picture_files import broken_content, config, folder
from PIL import Image

from bakeoff import data
from bakeoff.data.pictures import BrokenPictureError, read_header, read_picture
from bakeoff.errors import DataError

BROKEN = [
    "empty",
    "text",
    "truncated",
    "header alone",
    "too large",
    "less than it claims",
    "GIF",
    "postscript",
]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_exit_3_and_named(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    root = folder(tmp_path / "d")
    bad = root / "train" / "cat" / "07.png"
    bad.write_bytes(broken_content(kind))
    code, _, err = bakeoff("train", "data=image_folder", f"data.root={root}", "data.image_size=8")
    assert code == 3
    told = {"too large": "too large a picture (", "empty": "broken picture (empty file); "}
    assert err.startswith(f"error: {bad}: {told.get(kind, 'broken picture (')}")
    assert ("raise data.max_megapixels" in err) == (kind == "too large")
    assert "data.skip_broken=true" in err
    assert err.count("\n") == 1
    assert not Path("outputs").exists()
    with pytest.raises(BrokenPictureError):
        read_picture(bad, 8, 3)


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """A few bytes that would unpack to gigabytes; refused by what the header says, not by what follows it."""
    path = tmp_path / "x.png"
    path.write_bytes(broken_content("too large"))
    for read in (read_header, lambda bad: read_picture(bad, 8, 1), lambda bad: read_picture(bad, None, 3)):
        with pytest.raises(
            BrokenPictureError, match=r"100000x100000 pixels .* data\.max_megapixels=100 allows$"
        ):
            read(path)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "SGI", "DDS"])
def test_a_whole_picture_of_another_format_is_refused(tmp_path: Path, kind: str) -> None:
    """Only six decoders may see a user's bytes, whatever the name of the file says."""
    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(path, kind)
    for read in (read_header, lambda bad: read_picture(bad, 8, 3)):
        with pytest.raises(BrokenPictureError, match="no PNG, JPEG, BMP, WebP, GIF or TIFF"):
            read(path)


@pytest.mark.usefixtures("pictures_if_slow")
def test_broken_pictures_can_be_left_out_and_are_counted(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = folder(tmp_path / "d")
    for number, kind in enumerate(BROKEN):
        part, place = ("train", number) if number < 6 else ("test", number - 6)
        (root / part / "cat" / f"{place:02}.png").write_bytes(broken_content(kind))
    code, out, _ = bakeoff(
        "train", "data=image_folder", f"data.root={root}", "data.image_size=8", "data.skip_broken=true",
        "model=cnn_small", "trainer.epochs=1", "data.augment.shift_pixels=0",
    )  # fmt: skip
    assert code == 0
    assert f"{len(BROKEN)} broken or too large pictures left out" in out
    (run,) = Path("outputs").glob("*/*-d-s0-*")
    skipped = json.loads((run / "skipped_files.json").read_text())
    assert sorted(skipped) == sorted(
        [f"train/cat/{place:02}.png" for place in range(6)]
        + [f"test/cat/{place:02}.png" for place in range(2)]
    )
    assert all(skipped.values())
    summary = json.loads((run / "summary.json").read_text())
    assert summary["num_skipped_pictures"] == len(BROKEN)
    files = json.loads((run / "files.json").read_text())
    assert len(files["test"]) == summary["test"]["num_images"] == 8
    assert not set(skipped) & {name for names in files.values() for name in names}


def test_rows_close_up_over_broken_ones(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=6)
    names = sorted(path.relative_to(root).as_posix() for path in (root / "test").rglob("*.png"))
    (root / names[1]).write_bytes(broken_content("truncated"))
    (root / names[3]).write_bytes(broken_content("empty"))
    loaded = data.load(config(root, skip_broken=True, val_fraction=0.0))
    assert loaded.files is not None
    assert loaded.files["test"] == [name for place, name in enumerate(names) if place not in (1, 3)]
    pixels, labels = loaded.test.as_arrays()
    for name, row, label in zip(loaded.files["test"], pixels, labels, strict=True):
        assert np.array_equal(row, read_picture(root / name, 8, 3)), name
        assert loaded.class_names[label] == name.split("/")[1]


def test_only_broken_pictures_are_no_data_set(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    for path in root.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="no picture can be read"):
        data.load(config(root, skip_broken=True))
