"""`data.classes`, `data.train_limit` and the refusals of gate 1 that concern data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Bakeoff
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.selection import _class_numbers, select, stratified_count
from bakeoff.data.sets import find_set, set_names
from bakeoff.data.splits import DataSet, TensorSplit, notes_on_missing_classes
from bakeoff.errors import ConfigError


def test_some_classes_are_renumbered_and_keep_their_names() -> None:
    whole = data.load(DataConfig(name="digits"))
    some = data.load(DataConfig(name="digits", classes=[7, "3", 5]))
    assert some.class_names == ("3", "5", "7")
    for ours, theirs in zip(some.splits(), whole.splits(), strict=True):
        assert ours[1] is not None
        assert theirs[1] is not None
        pixels, labels = ours[1].as_arrays()
        all_pixels, all_labels = theirs[1].as_arrays()
        kept = np.isin(all_labels, [3, 5, 7])
        assert np.array_equal(pixels, all_pixels[kept])
        assert np.array_equal(np.array([3, 5, 7])[labels], all_labels[kept])


def test_validation_images_stay_validation_images(tiny_mnist: str) -> None:
    """A class left out moves no image from validation to training."""
    whole = data.load(DataConfig(root=tiny_mnist))
    some = data.load(DataConfig(root=tiny_mnist, classes=[1, 2]))
    assert whole.val is not None
    assert some.val is not None
    of_whole = {image.tobytes() for image in whole.val.as_arrays()[0]}
    assert all(image.tobytes() in of_whole for image in some.val.as_arrays()[0])


@pytest.mark.parametrize("limit", [10, 11, 99, 100, 1196, 1197])
def test_a_limit_takes_each_class_in_proportion(limit: int) -> None:
    whole = data.load(DataConfig(name="digits"))
    some = data.load(DataConfig(name="digits", train_limit=limit))
    counts = np.bincount(some.train.as_arrays()[1], minlength=10)
    share = np.bincount(whole.train.as_arrays()[1], minlength=10) * limit / 1197
    assert counts.sum() == limit
    assert np.abs(counts - share).max() < 1
    assert some.val is not None
    assert (len(some.val), len(some.test)) == (200, 400)


def test_a_larger_limit_keeps_the_images_of_a_smaller_one() -> None:
    small, large = (
        {
            image.tobytes()
            for image in data.load(DataConfig(name="digits", train_limit=n)).train.as_arrays()[0]
        }
        for n in (50, 500)
    )
    assert len(small - large) <= 5  # classes are rounded, so one image of a class may change


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=10, max_size=80), st.data())
def test_any_selection_is_right(labels: list[int], draw: st.DataObject) -> None:
    train = np.array(labels)
    classes = draw.draw(st.lists(st.integers(0, 4), min_size=2, max_size=5, unique=True))
    available = int(np.isin(train, classes).sum())
    limit = draw.draw(st.none() | st.integers(len(classes), max(len(classes), available)))
    config = DataConfig(name="digits", classes=list(classes), train_limit=limit)
    if limit is not None and limit > available:
        with pytest.raises(ConfigError, match="there are only"):
            select(config, list("abcde"), train, None, train)
        return
    chosen = select(config, list("abcde"), train, None, train)
    assert chosen.class_names == tuple("abcde"[number] for number in sorted(classes))
    assert chosen.val is None
    assert np.array_equal(chosen.test, np.flatnonzero(np.isin(train, classes)))
    assert set(chosen.train) <= set(chosen.test)
    assert len(chosen.train) == (limit or available)
    assert len(set(chosen.train)) == len(chosen.train)
    if limit is not None:
        assert set(train[chosen.train]) == set(train[chosen.test])  # no class that is there goes without
    assert [chosen.class_names[chosen.new_label[train[place]]] for place in chosen.train] == [
        "abcde"[train[place]] for place in chosen.train
    ]


@pytest.mark.parametrize(
    ("counts", "limit", "expected"),
    [
        ([900, 90, 10], 20, [18, 1, 1]),  # shares 18, 1.8 and 0.2
        ([900, 90, 10], 3, [1, 1, 1]),
        ([900, 90, 10], 200, [180, 18, 2]),  # nothing to put right
        ([1000, 1, 1, 1], 5, [2, 1, 1, 1]),
        ([1, 1, 1, 1000], 4, [1, 1, 1, 1]),
        ([5, 5], 2, [1, 1]),
    ],
)
def test_a_limit_leaves_no_class_without_an_image(counts: list[int], limit: int, expected: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [f"class {number}" for number in range(len(counts))]
    chosen = select(DataConfig(name="digits", train_limit=limit), names, labels, None, labels)
    assert np.bincount(labels[chosen.train], minlength=len(counts)).tolist() == expected
    too_few = DataConfig(name="digits", train_limit=len(counts) - 1)
    with pytest.raises(ConfigError, match=rf"fewer images than there are classes \({len(counts)}\)"):
        select(too_few, names, labels, None, labels)


def test_a_class_without_an_image_is_named_with_its_split() -> None:
    def split(*labels: int) -> TensorSplit:
        return TensorSplit(torch.zeros((len(labels), 1, 2, 2), dtype=torch.uint8), torch.tensor(labels))

    names = ("cat", "dog", "owl")
    assert notes_on_missing_classes(DataSet("x", names, split(0, 1, 2), None, split(2, 1, 0))) == ()
    notes = notes_on_missing_classes(DataSet("x", names, split(0, 0), split(0, 1), split(1, 2)))
    assert [note.partition(":")[0] for note in notes] == [
        "no training image of 2 classes (dog, owl)", "no validation image of class owl", "no test image of class cat",
    ]  # fmt: skip
    many = tuple(f"c{number}" for number in range(40))
    (note,) = notes_on_missing_classes(DataSet("x", many, split(*range(40)), None, split(0)))
    assert note.startswith("no test image of 39 classes (c1, c2, c3, c4, c5, ...): ")


def test_loading_names_classes_that_validation_has_no_image_of(tiny_mnist: str) -> None:
    """Of 512 images of ten classes 2 % are 10, one of each class; 1 % are 5."""
    standard = data.load(DataConfig(root=tiny_mnist)).notes
    assert data.load(DataConfig(root=tiny_mnist, val_fraction=0.02)).notes == standard
    notes = data.load(DataConfig(root=tiny_mnist, val_fraction=0.01)).notes
    assert [note.partition(" (")[0] for note in notes if note not in standard] == [
        "no validation image of 5 classes"
    ]


def test_counts_are_exact_whatever_the_rounding() -> None:
    labels = np.repeat([0, 1, 2], [7, 11, 13])
    for count in range(32):
        kept, held = stratified_count(labels, count, count / 31)
        assert (len(kept), len(held)) == (31 - count, count)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("data.classes=[3]", "data.classes=[3]: must be"),
        ("data.classes=[3,3]", "data.classes=[3, 3]: a class stands twice"),
        ("data.classes=[3,'3']", "a class stands twice"),
        ("data.classes=[3,10]", "data.classes=[3, 10]: no class 10; there are numbers 0 to 9: 0, 1, 2"),
        ("data.classes=[3,-1]", "no class -1"),
        ("data.classes=[3,cat]", "no class cat"),
        ("data.classes=[true,3]", "data.classes"),
        ("data.classes=3", "data.classes=3: must be"),
        ("data.train_limit=9", "data.train_limit=9: fewer images than there are classes (10)"),
        ("data.train_limit=1198", "data.train_limit=1198: there are only 1,197 training images"),
        ("data.train_limit=0", "data.train_limit=0: must be greater than or equal to 1"),
        ("data.image_size=32", "data.image_size=32: only data=image_folder has it"),
        ("data.skip_broken=true", "data.skip_broken=True: only data=image_folder has it"),
        ("data.emnist_split=letters", "data.emnist_split=letters: only data=emnist has it"),
        ("data=emnist data.emnist_split=letter", "did you mean letters?"),
        (
            "data.augment.rotate_degrees=181",
            "data.augment.rotate_degrees=181: must be less than or equal to 180",
        ),
        ("data.augment.scale=1", "data.augment.scale=1: must be less than or equal to 0.9"),
        ("data.augment.erase=1.5", "data.augment.erase=1.5: must be less than or equal to 1"),
        ("data.augment.flip=yes", "data.augment.flip=\"yes\": must be true or false or 'force'"),
        ("data.augment.flip=true", "data.augment.flip=true: digits shows digits or letters"),
        ("trainer.accumulate=129", "trainer.accumulate=129: more parts than trainer.batch_size=128"),
        ("trainer.ema_decay=1", "trainer.ema_decay=1: must be less than 1"),
        ("trainer.overfit_batches=0", "trainer.overfit_batches=0: must be"),
        ("trainer.precision=fp8", "must be 'auto', 'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_is_refused_in_one_line_and_leaves_nothing(bakeoff: Bakeoff, line: str, error: str) -> None:
    code, _, err = bakeoff("train", "data=digits", *line.split())
    assert code == 2, err
    assert error in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize("name", [name for name in set_names() if find_set(name).TRAITS.has_text])
def test_digits_and_letters_are_not_mirrored_unless_forced(bakeoff: Bakeoff, name: str) -> None:
    code, _, err = bakeoff("train", f"data={name}", "data.augment.flip=true", "data.root=nowhere/at/all")
    assert code == 2
    assert "data.augment.flip=force" in err
    code, _, err = bakeoff("train", "--cfg", "job", f"data={name}", "data.augment.flip=force")
    assert code == 0


@pytest.mark.usefixtures("pictures_if_slow")
def test_a_forced_flip_and_some_classes_train(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff(
        "train", "data=digits", "data.augment.flip=force", "data.classes=[0,8]", "data.train_limit=100",
        "model=cnn_small", "trainer.epochs=2",
    )  # fmt: skip
    assert code == 0
    assert "; 100 training, " in out
    summary = json.loads(next(Path("outputs").glob("*/*/summary.json")).read_text())
    assert [item["label"] for item in summary["test"]["per_class"]] == ["0", "8"]
    assert bakeoff("evaluate", "latest")[0] == 0


@pytest.mark.parametrize(("asked", "hint"), [(11, False), ("11", False), ("doog", True)])
def test_a_number_is_like_no_other(asked: int | str, hint: bool) -> None:
    with pytest.raises(ConfigError, match="no class") as error:
        _class_numbers(["1" if not hint else "dog", asked], ("1", "10", "dog"))
    assert ("did you mean" in str(error.value)) == hint
