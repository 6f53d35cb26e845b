"""How large the images of a run are, as far as anybody recorded it."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.comparison.image_shapes import _kept_above, image_shapes
from bakeoff.comparison.run import Run
from bakeoff.data.sets import set_names
from bakeoff.runs.kept_images import write_test_images

SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32, "svhn": 32}  # pixels; all others have 28


@pytest.mark.parametrize("name", [name for name in set_names() if name != "image_folder"])
def test_how_large_images_are_is_known_without_them(name: str, tmp_path: Path) -> None:
    run = Run(tmp_path, {}, {"data": {"name": name}})
    side = SIDES.get(name, 28)
    assert image_shapes(run) == [(1, side, side), (3, side, side)]


def test_how_large_images_are_is_read_of_those_that_are_kept(tmp_path: Path) -> None:
    test_hash = "ab" * 32
    run = Run(
        tmp_path / "sweeps" / "x" / "run",
        {"fingerprint": {"test_split": test_hash}},
        {"data": {"name": "cifar10"}},
    )
    write_test_images(tmp_path, test_hash, np.zeros((5, 3, 32, 32), dtype=np.uint8), np.zeros(5))
    assert image_shapes(run) == [(3, 32, 32)]
    folder = dataclasses.replace(run, config={"data": {"name": "image_folder", "image_size": 64}})
    assert image_shapes(folder) == [(3, 64, 64)]
    assert image_shapes(dataclasses.replace(run, config={"data": {"name": "../../etc"}})) == [(3, 32, 32)]
    kept = tmp_path / "datasets" / f"{test_hash}.npz"
    for damage in (b"", b"PK", kept.read_bytes()[:60]):
        kept.write_bytes(damage)
        _kept_above.cache_clear()
        assert image_shapes(folder) == [(1, 64, 64), (3, 64, 64)]


def test_what_the_summary_says_goes_first(tmp_path: Path) -> None:
    run = Run(tmp_path, {"input": {"channels": 3, "height": 20, "width": 24}}, {"data": {"name": "digits"}})
    assert image_shapes(run) == [(3, 20, 24)]


@pytest.mark.parametrize(("channels", "height"), [(2, 8), (1, 0), (1, 10**6), (True, 8), ("1", 8), (1, None)])
def test_a_summary_with_impossible_sizes_says_nothing(tmp_path: Path, channels: Any, height: Any) -> None:
    stored = {"input": {"channels": channels, "height": height, "width": 8}}
    assert image_shapes(Run(tmp_path, stored, {"data": {"name": "digits"}})) == [(1, 8, 8), (3, 8, 8)]
