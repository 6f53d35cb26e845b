"""Stored predictions of other people: plain arrays, stored as they are."""

from pathlib import Path

import numpy as np
import pytest

from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.stored_predictions import read_predictions

ARRAYS = {
    "index": np.arange(4),
    "label": np.array([0, 1, 0, 1]),
    "probabilities": np.full((4, 2), 0.5, dtype=np.float32),
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    RunDir(tmp_path).write_predictions("val", *ARRAYS.values())
    arrays = read_predictions(tmp_path, "val")
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert arrays["probabilities"].dtype == np.float32


def test_a_packed_archive_is_refused_before_it_grows(tmp_path: Path) -> None:
    """A few kilobytes of zeros could become gigabytes."""
    zeros = ARRAYS | {"probabilities": np.zeros((1_000_000, 2), dtype=np.float32)}
    np.savez_compressed(tmp_path / "predictions.npz", **zeros)
    assert (tmp_path / "predictions.npz").stat().st_size < 100_000
    with pytest.raises(UnreadableFileError, match=r"predictions.npz: damaged: compressed"):
        read_predictions(tmp_path, "test")


def test_an_archive_without_one_of_its_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "predictions.npz", index=ARRAYS["index"], label=ARRAYS["label"])
    with pytest.raises(UnreadableFileError, match=r"predictions.npz: damaged: .*probabilities"):
        read_predictions(tmp_path, "test")
