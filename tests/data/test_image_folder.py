"""A user's folder of pictures: what counts as one, how the splits are made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from picture_files import config, folder, picture

from bakeoff import data
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.folders import list_pictures
from bakeoff.data.pictures import read_picture
from bakeoff.errors import ConfigError, DataError


def test_classes_labels_and_order(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", classes=("dog", "Ant", "cat"))
    loaded = data.load(config(root))
    assert loaded.class_names == ("Ant", "cat", "dog")
    assert loaded.image_shape == (3, 8, 8)
    assert loaded.files is not None
    assert loaded.val is not None
    for split, part in ((loaded.train, "train"), (loaded.val, "val"), (loaded.test, "test")):
        pixels, labels = split.as_arrays()
        names = loaded.files[part]
        assert names == sorted(names)
        assert [loaded.class_names[label] for label in labels] == [name.split("/")[1] for name in names]
        assert np.array_equal(pixels[-1], read_picture(root / names[-1], 8, 3))
    assert not set(loaded.files["train"]) & set(loaded.files["val"])
    assert len(loaded.files["train"]) + len(loaded.files["val"]) == 30
    assert {name.split("/")[0] for name in loaded.files["test"]} == {"test"}


def test_what_is_no_picture_by_name_is_passed_over(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=2)
    for name in (".DS_Store", "Thumbs.db", "notes.txt", ".hidden.png", "x.heic", "noextension"):
        (root / "train" / "cat" / name).write_bytes(b"x")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "README.md").write_text("x")
    picture(root / "train" / "cat" / "UPPER.PNG")
    picture(root / "train" / "cat" / "inner" / "Photo.Jpeg")
    names = [item.name for item in list_pictures(root).train]
    assert names == [
        "train/cat/00.png", "train/cat/01.png", "train/cat/UPPER.PNG", "train/cat/inner/Photo.Jpeg",
        "train/dog/00.png", "train/dog/01.png",
    ]  # fmt: skip


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """One that leads back up would loop, and one that leads to another class would give its pictures two labels."""
    root = folder(tmp_path / "d", count=2)
    (root / "train" / "dog" / "cats").symlink_to(root / "train" / "cat", target_is_directory=True)
    names = [item.name for item in list_pictures(root).train]
    assert names == ["train/cat/00.png", "train/cat/01.png", "train/dog/00.png", "train/dog/01.png"]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            lambda root: (root / "train").rename(root / "learn"),
            r"test/ beside learn/, but no train/ .*train/<class>/",
        ),
        (
            lambda root: [path.unlink() for path in (root / "train" / "cat").iterdir()],
            r"train/cat: no pictures",
        ),
        (
            lambda root: picture(root / "test" / "owl" / "x.png"),
            r"test/owl: a class that train/ does not have",
        ),
        (
            lambda root: [path.unlink() for path in (root / "test").rglob("*.png")],
            r"test: no pictures; remove it",
        ),
        (lambda root: (root / "train" / "cat").rename(root / "elsewhere"), r"one class in train/"),
    ],
)
def test_a_folder_of_another_shape_is_explained(tmp_path: Path, spoil: Any, error: str) -> None:
    root = folder(tmp_path / "d", count=2)
    spoil(root)
    with pytest.raises(DataError, match=error):
        data.load(config(root))


def test_pictures_of_many_sizes_need_one(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    picture(root / "train" / "cat" / "odd.png", size=(9, 30))
    with pytest.raises(DataError, match=r"pictures of 2 sizes .*set data\.image_size"):
        data.load(config(root, image_size=None))
    assert data.load(config(root)).image_shape == (3, 8, 8)
    (root / "train" / "cat" / "odd.png").unlink()
    assert data.load(config(root, image_size=None)).image_shape == (3, 12, 12)


def test_grey_pictures_alone_have_one_channel(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4, mode="L")
    assert data.load(config(root)).image_shape == (1, 8, 8)
    picture(root / "test" / "cat" / "colour.png")
    assert data.load(config(root)).image_shape == (3, 8, 8)


@pytest.mark.usefixtures("no_pictures")
def test_without_test_pictures_a_part_is_set_apart_the_same_for_all(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", test=False, count=20)
    found = []
    for seed in (0, 1):
        code, out, _ = bakeoff(
            "train", "data=image_folder", f"data.root={root}", "data.image_size=8", f"seed={seed}",
            "model=cnn_small", "trainer.epochs=1", "data.augment.shift_pixels=0",
        )  # fmt: skip
        assert code == 0
        assert "no test/ folder, so 8 of 40 pictures are set apart" in out
        (run,) = Path("outputs").glob(f"*/*-s{seed}-*")
        found.append(json.loads((run / "files.json").read_text()))
    assert found[0] == found[1]
    assert len({name for names in found[0].values() for name in names}) == 40
    assert [name.split("/")[1] for name in found[0]["test"]] == ["cat"] * 4 + ["dog"] * 4
    code, out, _ = bakeoff("compare")
    assert (code, "d: 8 test images, 2 classes" in out) == (0, True)


@pytest.mark.parametrize("test", [True, False])
def test_no_picture_is_in_two_splits(tmp_path: Path, test: bool) -> None:
    root = folder(tmp_path / "d", test=test, count=20)
    files = data.load(config(root, val_fraction=0.25)).files
    assert files is not None
    names = [name for part in files.values() for name in part]
    assert sorted(names) == sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    assert [len(files[part]) for part in ("train", "val", "test")] == ([30, 10, 20] if test else [24, 8, 8])


def test_a_run_on_photographs_is_evaluated_again_and_named_in_tables(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    root = folder(tmp_path / "d", classes=("T-shirt/top".replace("/", " or "), "[x] dog"))
    code, _, err = bakeoff(
        "train", "data=image_folder", f"data.root={root}", "data.image_size=16", "model=cnn_small",
        "trainer.epochs=2", "data.augment.flip=true",
    )  # fmt: skip
    assert (code, err) == (0, "")
    code, out, _ = bakeoff("evaluate", "latest")
    assert code == 0
    assert "T-shirt or top" in out
    assert "[x] dog" in out
    summary = json.loads(next(Path("outputs").glob("*/*/summary.json")).read_text())
    assert [item["label"] for item in summary["test"]["per_class"]] == ["T-shirt or top", "[x] dog"]


def test_the_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    first = data_fingerprint("image_folder", str(root))
    assert data_fingerprint("image_folder", str(root)) == first
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    assert data_fingerprint("image_folder", str(moved)) == first
    path = moved / "train" / "cat" / "00.png"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert data_fingerprint("image_folder", str(moved)) != first
    path.write_bytes(content)
    assert data_fingerprint("image_folder", str(moved)) == first
    path.rename(path.with_name("zz.png"))
    assert data_fingerprint("image_folder", str(moved)) != first


def test_classes_and_limits_hold_for_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", classes=("ant", "bee", "cat"), count=10)
    loaded = data.load(config(root, classes=["cat", 0], train_limit=6))
    assert loaded.class_names == ("ant", "cat")
    assert loaded.files is not None
    assert len(loaded.train) == 6
    assert {name.split("/")[1] for names in loaded.files.values() for name in names} == {"ant", "cat"}
    assert set(loaded.test.as_arrays()[1]) == {0, 1}
    with pytest.raises(ConfigError, match=r"no class caat; .*did you mean cat\?"):
        data.load(config(root, classes=["caat", "ant"]))
