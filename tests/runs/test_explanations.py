"""What models show of their decisions, stored with a run and read from runs that may be anybody's."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.runs.explanations import Explanation, read_explanations, write_explanations
from bakeoff.runs.rundir import RunDir

NO_BOXES = np.zeros((0, 4), np.float32)


def map_of(seed: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.RandomState(seed).rand(12, 20) * scale).astype(np.float32)


def heated(seed: int, scale: float = 1.0) -> Explanation:
    return Explanation("where it looks", map_of(seed, scale), NO_BOXES, [], [], None, 200, 120)


def boxed(count: int, true: bool = True) -> Explanation:
    boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    labels, scores = [f"ü\udce4 {n}" for n in range(count)], [0.5 / (n + 1) for n in range(count)]
    return Explanation(
        "boxes", None, boxes, labels, scores, np.array([1, 2, 3, 4.5], np.float32) if true else None, 30, 28
    )


EXAMPLE = {
    7: heated(1),
    3: boxed(2),
    900: boxed(0),
    0: boxed(1, true=False),
    5: heated(2, 1e-6),
    4: heated(3, 1e30),
}


def assert_same(found: Explanation, given: Explanation) -> None:
    for field in dataclasses.fields(Explanation):
        mine, theirs = getattr(found, field.name), getattr(given, field.name)
        if isinstance(theirs, np.ndarray):
            assert mine.dtype == np.float32
            assert mine.shape == theirs.shape
            assert (
                np.abs(mine.astype(float) - theirs).max(initial=0) <= np.ptp(theirs) / 2**16
                if theirs.size
                else True
            )
        elif field.name == "box_scores":
            assert mine == pytest.approx(theirs)
        else:
            assert mine == theirs


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_explanations(RunDir(tmp_path), EXAMPLE)
    assert [path.name for path in tmp_path.iterdir()] == ["explanations.npz"]
    found = read_explanations(tmp_path)
    assert sorted(found) == sorted(EXAMPLE)
    for index, one in found.items():
        assert_same(one, EXAMPLE[index])


def test_a_map_that_is_everywhere_alike_stays_so(tmp_path: Path) -> None:
    write_explanations(
        RunDir(tmp_path), {0: dataclasses.replace(heated(0), heat=np.full((2, 2), 0.3, np.float32))}
    )
    heat = read_explanations(tmp_path)[0].heat
    assert heat is not None
    assert np.array_equal(heat, np.full((2, 2), 0.3, np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {"heat": map_of(0) * np.float32("nan")},
        {"heat": -map_of(0, 3e38)}, {"heat": map_of(0) + np.float32("inf")}, {"heat": np.zeros((97, 3), np.float32)},
        {"heat": np.zeros((0, 3), np.float32)}, {"heat": np.zeros(3, np.float32)}, {"width": 0}, {"height": -1}, {"width": 10**9},
        {"box_labels": ["a"]}, {"box_scores": [0.5]}, {"boxes": np.zeros((1, 4), np.float32)}, {"title": "x" * 1001},
        {"boxes": np.zeros((21, 4), np.float32), "box_labels": ["a"] * 21, "box_scores": [0.5] * 21},
        {"boxes": np.full((1, 4), np.nan, np.float32), "box_labels": ["a"], "box_scores": [0.5]},
        {"boxes": np.zeros((1, 4), np.float32), "box_labels": ["a"], "box_scores": [float("nan")]},
        {"boxes": np.zeros((1, 4), np.float32), "box_labels": [7], "box_scores": [0.5]},
        {"true_box": np.full(4, np.inf, np.float32)}, {"true_box": np.zeros(3, np.float32)}, {"true_box": np.zeros((2, 2), np.float32)},
    ],
)  # fmt: skip
def test_what_no_reader_would_take_is_not_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        write_explanations(RunDir(tmp_path), {0: dataclasses.replace(heated(0), **changes)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "found",
    [
        {},
        {n: boxed(0) for n in range(201)},
        {0: heated(0), 1: dataclasses.replace(heated(0), heat=np.ones((3, 3), np.float32))},
    ],
)
def test_none_too_many_and_maps_of_two_sizes_are_not_written(
    tmp_path: Path, found: dict[int, Explanation]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        write_explanations(RunDir(tmp_path), found)


def text(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(arrays: dict[str, Any]) -> None:
        value = json.loads(arrays["text"].tobytes())
        value = change(value) or value
        arrays["text"] = np.frombuffer(json.dumps(value).encode(), np.uint8)

    return apply


def put(name: str, place: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][place] = value

    return apply


def made(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update({name: make(arrays[name])})


NAMES = (
    "index",
    "size",
    "has_heat",
    "heat",
    "heat_range",
    "num_boxes",
    "boxes",
    "box_scores",
    "has_true_box",
    "true_box",
    "text",
)
DAMAGE = {
    **{f"no {name}": (lambda arrays, name=name: arrays.pop(name)) for name in NAMES},
    **{f"{name} in float64": made(name, lambda values: values.astype(np.float64)) for name in NAMES},
    **{f"{name} with objects": made(name, lambda values: values.astype(object)) for name in NAMES},
    **{f"one less in {name}": made(name, lambda values: values[:-1]) for name in NAMES},
    **{f"{name} of one value": made(name, lambda values: values.reshape(-1)[0]) for name in NAMES},
    **{f"{name} with another dimension": made(name, lambda values: values[None]) for name in NAMES[:-1]},
    "a map that is a line": made("heat", lambda values: values[:, 0, 0]),
    "a large map": made("heat", lambda values: np.zeros((len(values), 97, 97), np.uint16)),
    "a huge map": made("heat", lambda values: np.zeros((len(values), 2000, 2000), np.uint16)),
    "a range without an end": put("heat_range", (0, 1), np.inf),
    "a range that is no number": put("heat_range", (0, 0), np.nan),
    "a range beyond float32": put("heat_range", 0, [-3e38, 3.4e38]),
    "an image twice": put("index", 0, 900),
    "an image before the first": put("index", 0, -1),
    "no width": put("size", (0, 1), 0),
    "a width beyond all": put("size", (0, 1), 2**62),
    "a box less here and more there": put("num_boxes", slice(0, 2), [2, 1]),
    "boxes below nothing": put("num_boxes", slice(0, 2), [-1, 4]),
    "a box that is no number": put("boxes", (0, 0), np.nan),
    "a score that is no number": put("box_scores", 0, np.nan),
    "a true box that is no number": put("true_box", (0, 0), -np.inf),
    "no JSON": made("text", lambda values: values[::-1]),
    "a list": text(lambda value: [value]),
    "no titles": text(lambda value: {"box_labels": value["box_labels"]}),
    "a title too few": text(lambda value: value["titles"].pop() and None),
    "a title that is a number": text(lambda value: value["titles"].__setitem__(0, 5)),
    "a long title": text(lambda value: value["titles"].__setitem__(0, "x" * 1001)),
    "labels that are a text": text(lambda value: value["box_labels"].__setitem__(0, "a")),
    "titles that are a text": text(lambda value: value | {"titles": "abcdef"}),
    "a label that is a list": text(lambda value: value["box_labels"].__setitem__(0, [["a"]])),
    "a label too many": text(lambda value: value["box_labels"].__setitem__(0, ["a", "b"])),
    "a deep text": made("text", lambda _: np.frombuffer(b"[" * 100_000, np.uint8)),
}  # fmt: skip


def stored(folder: Path) -> dict[str, Any]:
    write_explanations(RunDir(folder), EXAMPLE)
    with np.load(folder / "explanations.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_shows_nothing(tmp_path: Path, name: str) -> None:
    arrays = stored(tmp_path)
    DAMAGE[name](arrays)
    np.savez(tmp_path / "explanations.npz", **arrays)
    assert read_explanations(tmp_path) == {}


def test_unchanged_and_written_by_others_it_is_read(tmp_path: Path) -> None:
    """So the damaged ones fail by their damage."""
    arrays = stored(tmp_path)
    text(lambda value: None)(arrays)
    np.savez_compressed(tmp_path / "explanations.npz", **arrays)
    assert sorted(read_explanations(tmp_path)) == sorted(EXAMPLE)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_file_that_is_cut_off_shows_nothing(tmp_path: Path, kept: float) -> None:
    stored(tmp_path)
    path = tmp_path / "explanations.npz"
    path.write_bytes(path.read_bytes()[: int(kept if kept > 1 else kept * path.stat().st_size)])
    assert read_explanations(tmp_path) == {}


def test_a_link_and_no_file_show_nothing(tmp_path: Path) -> None:
    assert read_explanations(tmp_path) == {}
    stored(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "explanations.npz").symlink_to(tmp_path / "explanations.npz")
    assert read_explanations(tmp_path / "run") == {}


def test_text_that_grows_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = stored(tmp_path) | {"text": np.full(2**24 + 1, ord(" "), np.uint8)}
    np.savez_compressed(tmp_path / "explanations.npz", **arrays)
    assert (tmp_path / "explanations.npz").stat().st_size < 100_000
    monkeypatch.setattr("json.loads", lambda *_: pytest.fail("unpacked"))
    assert read_explanations(tmp_path) == {}


def test_a_process_that_may_not_write_writes_nothing(tmp_path: Path) -> None:
    run = RunDir(tmp_path)

    def refuse() -> None:
        raise RuntimeError("another one has the run")

    run.before_writing = refuse
    with pytest.raises(RuntimeError, match="another one"):
        write_explanations(run, EXAMPLE)
    assert list(tmp_path.iterdir()) == []
