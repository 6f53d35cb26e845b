"""The same picture more than once: kept together by splits of our own, counted where it spoils a score."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import both, config, folder, picture, tree
from PIL import Image
from terminals import terminal

from bakeoff import data
from bakeoff.data.copies import equal_files
from bakeoff.data.fingerprint import folder_fingerprint
from bakeoff.data.selection import stratified, stratified_groups


def copied(root: Path, times: int) -> Path:
    for path in sorted(root.rglob("*.png")):
        for number in range(times):
            shutil.copy(path, path.with_name(f"copy{number}_{path.name}"))
    return root


def contents(root: Path, names: list[str]) -> set[bytes]:
    return {(root / name).read_bytes() for name in names}


@pytest.mark.parametrize("parts", [["train"], ["train", "test"], ["train", "val"], []])
def test_no_split_of_ours_parts_copies(tmp_path: Path, parts: list[str]) -> None:
    root = copied(tree(tmp_path / "d", *(both(*parts) if parts else ["cat", "dog"]), count=10), 4)
    loaded = data.load(config(root))
    assert loaded.files is not None
    train, val, test = (contents(root, loaded.files[part]) for part in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test
    own = 100 if parts in ([], ["train"]) else 200
    assert sum(len(names) for names in loaded.files.values()) == own
    (note,) = [line for line in loaded.notes if "are copies of another" in line]
    assert "80 of 100 pictures are copies of another (" in note
    assert not any("same picture in two splits" in line for line in loaded.notes)
    for part in ("train", "val", "test"):
        names = [Path(name).parent.name for name in loaded.files[part]]
        assert names.count("cat") == names.count("dog")


def test_a_leak_is_counted_with_an_example(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", test=False)
    shutil.copytree(root / "train", root / "test")
    picture(root / "test" / "dog" / "new.png", 77)
    loaded = data.load(config(root, val_fraction=0.1))
    (note,) = loaded.notes
    assert note.startswith(
        f"{root}: the same picture in two splits, compared at 8x8 pixels: 18 of 21 test pictures are "
    )
    assert "also training pictures (test/cat/00.png = train/cat/00.png)" in note
    assert "; 2 of 21 test pictures are also validation pictures (" in note
    assert note.endswith("; such a score is too good: remove the copies")


def test_a_leak_into_validation_is_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train", "val", "test"))
    shutil.copy(root / "train" / "cat" / "2.png", root / "val" / "cat" / "again.png")
    (note,) = data.load(config(root)).notes
    assert (
        "1 of 9 validation pictures are also training pictures (val/cat/again.png = train/cat/2.png); such"
        in note
    )


def test_another_format_does_not_hide_a_leak(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train", "test"))
    with Image.open(root / "train" / "cat" / "1.png") as image:
        image.save(root / "test" / "cat" / "x.bmp")
    (note,) = [line for line in data.load(config(root, val_fraction=0.0)).notes if "two splits" in line]
    assert "1 of 9 test pictures are also training pictures (test/cat/x.bmp = train/cat/1.png)" in note


@pytest.mark.parametrize("parts", [["train"], ["train", "test"], ["train", "val"]])
def test_a_split_of_ours_that_parts_equal_pictures_says_so(tmp_path: Path, parts: list[str]) -> None:
    root = tree(tmp_path / "d", *both(*parts), count=10)
    for path in sorted((root / "train").rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(".bmp"))
    notes = [line for line in data.load(config(root, val_fraction=0.3)).notes if "equal at 8x8" in line]
    (note,) = notes
    assert note.startswith(f"{root}: bakeoff's own split has parted pictures whose files differ but that are")
    assert note.endswith("keep one of each, or make folders train/, val/ and test/ of your own")
    assert ("test pictures are also" in note) == ("test" not in parts)
    assert ("validation pictures are also training" in note) == ("val" not in parts)
    assert "two splits" not in note


def test_files_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copied(tree(tmp_path / "d", *both("train"), count=4), 1)
    folder_fingerprint(root)
    monkeypatch.setattr("bakeoff.data.hashes.sha256_of", lambda path: pytest.fail(f"{path} is read again"))
    names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))]
    assert len(np.unique(equal_files(root, names))) == len(names) // 2


def test_looking_for_copies_is_seen(tmp_path: Path) -> None:
    root = copied(tree(tmp_path / "d", *both("train"), count=4), 1)
    with terminal(80) as screen:
        equal_files(root, [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))])
    assert any(text.startswith("looking for copies") for text in screen.drawn())
    assert screen.lines() == [""]


def test_a_picture_of_two_classes_is_said_and_not_parted(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *both("train"), count=10)
    shutil.copy(root / "train" / "cat" / "3.png", root / "train" / "dog" / "z.png")
    loaded = data.load(config(root))
    assert loaded.files is not None
    (note,) = [line for line in loaded.notes if "another class" in line]
    assert "2 pictures are equal to one of another class (train/cat/3.png = train/dog/z.png)" in note
    assert not any("two splits" in line for line in loaded.notes)


def test_without_copies_nothing_is_said(tmp_path: Path) -> None:
    assert data.load(config(folder(tmp_path / "d"))).notes == ()


def test_files_are_equal_by_their_bytes(tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "g.png", "missing.png"]
    for name, seed in zip(names, (1, 2, 1, 3, 2), strict=False):
        picture(tmp_path / name, seed)
    for name in ("f.png", "g.png"):  # the error page of a server, saved as pictures
        (tmp_path / name).write_text("404 not found")
    assert equal_files(tmp_path, names).tolist() == [0, 1, 0, 3, 1, 5, 6, 7]


def test_files_that_are_no_pictures_are_no_copies_of_another(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", test=False, count=20)
    whole = data.load(config(root)).files
    assert whole is not None
    for number in range(20):
        (root / "train" / "cat" / f"{number:02}.png").write_text("404 not found") if number % 2 else None
    loaded = data.load(config(root, skip_broken=True))
    assert loaded.files is not None
    assert len(loaded.skipped) == 10
    skipped = dict(loaded.skipped)
    for part, names in loaded.files.items():
        assert names == [name for name in whole[part] if name not in skipped]
    assert not any("copies" in note for note in loaded.notes)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.floats(0, 0.5))
def test_without_groups_the_split_is_the_old_one(labels: list[int], fraction: float) -> None:
    array = np.array(labels)
    ours, theirs = stratified_groups(array, np.arange(len(array)) * 7, fraction), stratified(array, fraction)
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one, other)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=100),
    st.one_of(st.floats(0, 0.5), st.sampled_from([0.1, 0.2, 0.5])),
    st.booleans(),
)
def test_groups_stay_whole_and_classes_in_proportion(
    drawn: list[tuple[int, int]], fraction: float, mixed: bool
) -> None:
    labels = np.array([label for label, _ in drawn])
    # Copies of one class, or of several.
    groups = np.array([group if mixed else 20 * label + group for label, group in drawn])
    kept, held = stratified_groups(labels, groups, fraction)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert np.all(np.diff(held) > 0)
    assert not set(groups[kept]) & set(groups[held])
    if len(set(groups)) == len(groups):
        return  # as above
    for label in set(labels):
        inside = labels == label
        assert np.isin(label, labels[kept])  # no class goes without
        largest = max(np.sum(inside & (groups == group)) for group in groups[inside])
        share = fraction * inside.sum()
        assert np.sum(labels[held] == label) <= share + largest / 2 + 1
        if not mixed and len(set(groups[inside])) > 1:
            assert np.sum(labels[held] == label) >= share - largest / 2 - 1


def test_groups_by_hand() -> None:
    labels, groups = np.repeat([0, 1], [12, 6]), np.array([*np.repeat(range(4), 3), *range(4, 10)])
    kept, held = stratified_groups(labels, groups, 0.25)
    assert np.bincount(labels[held]).tolist() == [3, 1]  # round(4.5) is 4, of shares 3 and 1.5
    assert len(set(groups[held][labels[held] == 0])) == 1
    assert len(kept) == 14
    # What fits exactly is taken, wherever the copies stand in the draw.
    for place in range(15):
        mixed = np.insert(np.arange(1, 16), place, [0] * 5)
        assert len(stratified_groups(np.zeros(20, int), mixed, 0.2)[1]) == 4
    # 5 copies where 4 are wanted are nearer than none; 5 where 2 are wanted are not.
    fives = np.repeat(range(8), 5)
    assert len(stratified_groups(np.zeros(40, int), fives, 0.1)[1]) == 5
    assert len(stratified_groups(np.zeros(40, int), fives, 0.05)[1]) == 0
