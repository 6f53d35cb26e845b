"""Which pictures of a user's folder train, validate and test, and what is said of it."""

import shutil
from pathlib import Path

import pytest
from picture_files import both, config, folder, picture, tree

from bakeoff import data
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.folders import list_pictures, sorted_classes
from bakeoff.errors import ConfigError, DataError
from bakeoff.experiment.gates import prepare


def test_a_validation_folder_is_the_validation_split(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train", "valid", "test"))
    for fraction, told in ((0.1, False), (0.3, True), (0.0, True)):
        loaded = data.load(config(root, val_fraction=fraction, train_limit=6))
        assert loaded.files is not None
        assert loaded.has_own_val
        assert {name.split("/")[0] for name in loaded.files["val"]} == {"valid"}
        assert [len(loaded.files[part]) for part in ("train", "val", "test")] == [6, 8, 8]
        note = f"data.val_fraction={fraction:g} is not applied: the folder of validation pictures is used"
        assert any(note in line for line in loaded.notes) == told


def test_no_share_for_validation_needs_a_folder_for_it_or_no_choice(tmp_path: Path) -> None:
    """`data.val_fraction=0` beside a folder `val/` is what people write who want nothing held back."""
    line = ["data=image_folder", "data.image_size=8", "data.val_fraction=0", "model=cnn_small"]

    def checked(places: list[str], *more: str) -> int | None:
        root = tree(tmp_path / "-".join(sorted({place.split("/")[0] for place in places})), *places)
        val = prepare(expand(parse_arguments([*line, f"data.root={root}", *more]))[0][0].values).data.val
        return None if val is None else len(val)

    assert checked(both("train", "val", "test")) == 8
    with pytest.raises(
        ConfigError, match=r"data\.val_fraction=0: there is nothing to choose by; add trainer"
    ):
        checked(both("train", "test"))
    assert checked(both("train", "test"), "trainer.select=last") is None
    with pytest.raises(ConfigError, match="early_stopping_patience_epochs: needs validation images"):
        checked(both("train", "test"), "trainer.select=last", "trainer.early_stopping_patience_epochs=2")


def test_a_test_split_is_cut_from_train_beside_a_validation_folder(tmp_path: Path) -> None:
    loaded = data.load(config(tree(tmp_path / "d", *both("train", "val"), count=10)))
    assert loaded.files is not None
    assert [len(loaded.files[part]) for part in ("train", "val", "test")] == [16, 20, 4]
    assert {name.split("/")[0] for name in loaded.files["test"]} == {"train"}
    assert any(
        "no test/ folder, so 4 of 20 pictures are set apart as test images" in note for note in loaded.notes
    )


def test_class_folders_alone_are_split_the_same_for_all_runs(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "cat", "dog", count=10)
    first, second = (data.load(config(root, val_fraction=0.25)) for _ in range(2))
    assert first.files is not None
    assert first.files == second.files
    assert [len(first.files[part]) for part in ("train", "val", "test")] == [12, 4, 4]
    names = [name for part in first.files.values() for name in part]
    assert sorted(names) == sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    (note,) = first.notes
    assert (
        "class folders alone, so 4 of 20 pictures are set apart as test images and 4 for validation, the"
        in note
    )
    # As from a folder `train/`: the split does not depend on how the classes lie.
    other = data.load(config(tree(tmp_path / "e", *both("train"), count=10), val_fraction=0.25))
    assert other.files is not None
    assert {part: [f"train/{name}" for name in names] for part, names in first.files.items()} == other.files


@pytest.mark.parametrize(
    ("count", "options", "error"),
    [
        (
            1,
            {},
            r"too few different pictures \(2, of class cat 1\) to set a fifth apart as test images; add pictures",
        ),
        (
            2,
            {"val_fraction": 0.1},
            r"too few different pictures \(4, of class cat 2\) for data.val_fraction=0.1; raise it",
        ),
    ],
)
def test_too_few_pictures_say_how_to_go_on(
    tmp_path: Path, count: int, options: dict[str, float], error: str
) -> None:
    with pytest.raises(DataError, match=error):
        data.load(config(folder(tmp_path / "d", test=False, count=count), **options))


def test_an_uneven_folder_says_what_is_missing_where(tmp_path: Path) -> None:
    root = tree(tree(tmp_path / "d", "train/common", count=85), "train/rare", count=3)
    loaded = data.load(config(root))
    assert any(note.startswith("no validation image of class rare: ") for note in loaded.notes)
    assert any("raise data.val_fraction, or add images" in note for note in loaded.notes)
    own = data.load(config(tree(tmp_path / "e", *both("train"), "val/cat", "test/dog")))
    assert "no validation image of class dog: the choice of weights does not see it; add images" in own.notes
    assert any(note.startswith("no test image of class cat: ") for note in own.notes)


def test_whole_numbers_stand_in_their_own_order(tmp_path: Path) -> None:
    found = list_pictures(tree(tmp_path / "d", *[f"train/{number}" for number in range(12)], count=1))
    assert found.class_names == tuple(map(str, range(12)))
    assert [item.label for item in found.train] == list(range(12))
    assert sorted_classes(("10", "2", "-1", "007")) == ["-1", "2", "007", "10"]
    assert sorted_classes(("10", "2", "b")) == ["10", "2", "b"]
    assert sorted_classes(("class10", "class2", "Ant")) == ["Ant", "class10", "class2"]


def test_gif_and_tiff_are_pictures_of_a_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    for number in range(6):
        picture(root / "train" / "cat" / f"g{number}.gif", 500 + number)
        picture(root / "train" / "dog" / f"t{number}.{'tif' if number % 2 else 'TIFF'}", 600 + number)
    loaded = data.load(config(root))
    assert loaded.files is not None
    assert len(loaded.files["train"]) + len(loaded.files["val"]) == 20
    assert loaded.notes == ()


def test_copies_are_not_counted_as_different_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", test=False, count=1)
    for number in range(3):
        for path in sorted(root.rglob("00.png")):
            shutil.copy(path, path.with_name(f"copy{number}.png"))
    with pytest.raises(DataError, match=r"too few different pictures \(2, of class cat 1\) to set"):
        data.load(config(root))
