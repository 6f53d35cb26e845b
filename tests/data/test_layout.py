"""How a folder of pictures is laid out: what people's folders are called, and what is refused."""

from pathlib import Path

import pytest
from picture_files import both, tree

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.folders import PictureFolder, list_pictures
from bakeoff.data.layout import holds_class_folders, part_of
from bakeoff.errors import DataError


def counts(found: PictureFolder) -> tuple[int, int, int]:
    return len(found.train), len(found.val), len(found.test)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *[
            (name, "train")
            for name in ("train", "Train", "TRAIN", "training", "training_set", "Training-Set")
        ],
        *[(name, "train") for name in ("trainset", "TrainSet", "train_data", "train images", "images_train")],
        *[(name, "val") for name in ("val", "valid", "Validation", "dev", "valset", "val_set", "dev-set")],
        *[(name, "test") for name in ("test", "Testing", "test_set", "testset", "TEST", "test_images")],
    ],
)
def test_names_of_splits(name: str, part: str) -> None:
    assert part_of(name) == (part, ())


@pytest.mark.parametrize(
    "name",
    ["cat", "trains", "trainer", "contest", "valley", "device", "mindset", "train_test", "größe", "train\udce4", ""],
)  # fmt: skip
def test_other_names_are_no_splits(name: str) -> None:
    assert part_of(name) is None


@pytest.mark.parametrize("name", ["steam_train", "train2017", "test tube", "train_1"])
def test_a_split_by_another_word_needs_its_like(name: str) -> None:
    found = part_of(name)
    assert found is not None
    assert found[1]


@pytest.mark.parametrize(
    ("places", "expected", "note"),
    [
        (both("train", "val", "test"), (8, 8, 8), None),
        (both("train", "test"), (8, 0, 8), None),
        (both("train"), (8, 0, 0), None),
        (
            both("train", "valid", "test"),
            (8, 8, 8),
            "using train/ for training, valid/ for validation, test/ for test",
        ),
        (both("Train", "Test"), (8, 0, 8), "using Train/ for training, Test/ for test"),
        (
            both("training_set", "test_set"),
            (8, 0, 8),
            "using training_set/ for training, test_set/ for test",
        ),
        (both("seg_train", "seg_test"), (8, 0, 8), "using seg_train/ for training"),
        (both("train2017", "val2017"), (8, 8, 0), "using train2017/ for training"),
        (
            both("pets/train", "pets/dev"),
            (8, 8, 0),
            "using pets/train/ for training, pets/dev/ for val",
        ),
        (
            both("a/b/train", "a/b/test"),
            (8, 0, 8),
            "using a/b/train/ for training, a/b/test/ for test",
        ),
        (
            both("train/images", "test/images"),
            (8, 0, 8),
            "using train/images/ for training, test/images/",
        ),
        (
            both("seg_train/seg_train", "seg_test/seg_test"),
            (8, 0, 8),
            "using seg_train/seg_train/ for training",
        ),
        (["cat", "dog"], (8, 0, 0), None),
        (["pets/cat", "pets/dog"], (8, 0, 0), "pets/ is the only folder and is used"),
        (["car", "plane", "train"], (12, 0, 0), None),  # `train` is a class here
        (["car", "steam_train"], (8, 0, 0), None),
        (["car/old", "steam_train/old"], (8, 0, 0), None),
        ([*both("car", "plane"), "plane"], (20, 0, 0), None),
        ([*both("train"), "test/cat/young", "test/cat/old"], (8, 0, 8), None),
    ],
)
def test_folders_are_taken_as_meant(
    tmp_path: Path, places: list[str], expected: tuple[int, int, int], note: str | None
) -> None:
    found = list_pictures(tree(tmp_path / "d", *places))
    assert counts(found) == expected
    assert len(found.class_names) == (3 if places[0] == "car" and len(places) == 3 else 2)
    if note is None:
        assert found.notes == ()
    else:
        assert len(found.notes) == 1
        assert note in found.notes[0]
    for part, pictures in (("train", found.train), ("val", found.val), ("test", found.test)):
        assert [item.name for item in pictures] == sorted(item.name for item in pictures), part
        for item in pictures:
            assert found.class_names[item.label] in Path(item.name).parts
            assert (tmp_path / "d" / item.name).is_file()


@pytest.mark.parametrize(
    ("places", "error"),
    [
        (both("train", "Train"), "Train/ and train/ may both be the training pictures"),
        (both("train", "val", "valid"), "val/ and valid/ may both be the validation pictures"),
        (both("train", "test", "testing"), "test/ and testing/ may both be the test pictures"),
        (both("val", "test"), "test/ and val/, but no train/ with folders of classes"),
        ([*both("test"), "cat", "dog"], r"test/ beside cat/, dog/, but no train/"),
        (
            ["train", "test"],
            r"test/, train/ without folders of classes; sort the pictures into train/<class>/",
        ),
        (["car", "test", "train"], r"test/, train/ without folders of classes"),
        (
            both("Trainingsdaten", "Testdaten"),
            r"Testdaten/, Trainingsdaten/ all hold cat/, dog/; if they are splits",
        ),
        (["train/only/a", "train/only/b", "train/only"], r"one class in train/; put"),
        (["train"], r"train/ without folders of classes; sort the pictures into train/<class>/"),
        (
            [*both("train"), "test"],
            r"test: 4 pictures without folders of classes; sort them into test/<class>/",
        ),
        ([*both("train"), "val"], r"val: 4 pictures without folders of classes"),
        (
            [*both("pets/train"), *both("cars/train")],
            r"cars/train/ lies one folder too deep; give one data set",
        ),
        (["cat/train", "dog/train"], r"cat/train/ lies one folder too deep"),
        (["train/cat", "test/cat"], r"one class in train/; put the pictures into train/<class>/"),
        ([*both("train"), "val/owl"], r"val/owl: a class that train/ does not have"),
        (
            [*both("train"), "val/Cat"],
            r"val/Cat: a class that train/ does not have; did you mean cat\?; rename it, or rename val/",
        ),
        (["cat"], r"it holds 1 folder \(cat/ with 4 pictures\); expected train/<class>/ and perhaps"),
        (
            ["images", "labels.csv"],
            r"1 folder \(images/ with 4 pictures\) and 1 other file \(labels.csv\); expected ",
        ),
        (
            ["images", "labels.csv"],
            r"for each class; the table labels.csv is not read: sort the pictures into folders",
        ),
        (["pets.zip"], r"it holds 1 other file \(pets.zip\); expected .*; unpack pets.zip"),
        (["pets/labels.csv"], r"1 folder \(pets/ with no picture\)"),
        (["train/a.txt"], "with no picture"),
        ([], "it is empty"),
    ],
)
def test_what_cannot_be_told_is_one_line(tmp_path: Path, places: list[str], error: str) -> None:
    root = tmp_path / "d"
    root.mkdir()
    with pytest.raises(DataError, match=error) as raised:
        list_pictures(tree(root, *places))
    assert str(raised.value).startswith((f"data.root={root}: ", f"{root}/"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("pets.zip", "an archive; unpack it and give the folder; expected train/<class>/"),
        ("pets.tar.gz", "an archive; unpack it"),
        ("labels.csv", "a table, not a folder of pictures; expected"),
        ("cat.jpg", "a file, not a folder; expected"),
        ("missing", "no such folder; expected"),
    ],
)
def test_what_is_no_folder_is_one_line(tmp_path: Path, name: str, error: str) -> None:
    if name != "missing":
        (tmp_path / name).write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=rf"^data\.root={tmp_path}/{name}: {error}"):
        list_pictures(tmp_path / name)


def test_a_home_folder_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folders Pictures and Downloads are no classes."""
    monkeypatch.setenv("HOME", str(tree(tmp_path, "Downloads", "Pictures")))
    with pytest.raises(DataError, match="holds much more than pictures"):
        list_pictures(tmp_path)


def test_the_training_folder_alone_tells_of_those_beside_it(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train", "test"))
    found = list_pictures(root / "train")
    assert counts(found) == (8, 0, 0)
    assert found.notes == (f"{root}/train: test/ beside it not used; data.root={root} uses it",)


def test_wrappers_that_are_links_end(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "again").symlink_to(tmp_path / "d", target_is_directory=True)
    with pytest.raises(DataError, match="expected train/<class>/"):
        list_pictures(tmp_path / "d")


def test_only_what_would_be_used_is_named_beside_the_training_folder(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train", "val"))
    (root / "test").mkdir()
    (root / "old_test").mkdir()
    assert list_pictures(root / "train").notes == (
        f"{root}/train: val/ beside it not used; data.root={root} uses it",
    )
    tree(root, "development/cat")  # then nothing is: two folders may be the validation pictures
    assert list_pictures(root / "train").notes == ()


def test_one_class_alone_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder is one class, and at least two classes are needed"):
        list_pictures(tree(tmp_path / "d", "cat"))


@pytest.mark.parametrize(
    "places", [("train/cat", "train/dog"), ("Training/a", "Training/b", "test/a"), ("a", "b")]
)
def test_pictures_under_a_data_set_that_is_not_there_ask_for_image_folder(
    places: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path / "mixed", *places, count=1)
    monkeypatch.setattr("bakeoff.data.download._fetch", lambda *_: pytest.fail("it would be fetched"))
    with pytest.raises(
        DataError, match=f"no MNIST; for the pictures write data=image_folder data.root={root}$"
    ):
        data.load(DataConfig(name="mnist", root=str(root)))


@pytest.mark.parametrize(
    "places", [("pets/train/a", "pets/train/b"), ("pets/a", "pets/b", "birds/c"), ("a",)]
)
def test_a_folder_of_several_data_sets_is_no_folder_of_classes(
    places: tuple[str, ...], tmp_path: Path
) -> None:
    assert not holds_class_folders(tree(tmp_path / "data", *places, count=1))
    assert not holds_class_folders(tmp_path / "nowhere")


def test_pictures_without_a_folder_ask_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"give the folder of the pictures by data.root=DIR$"):
        data.load(DataConfig(name="image_folder", root=str(tmp_path)))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(DataError, match=r"or a folder for each class$"):
        data.load(DataConfig(name="image_folder", root=str(other)))
