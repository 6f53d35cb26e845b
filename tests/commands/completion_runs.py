"""The commands that there are, and runs to complete, for the tests of completion."""

from pathlib import Path

import pytest

COMMANDS = (
    "train",
    "race",
    "tune",
    "preview",
    "compare",
    "diff",
    "evaluate",
    "predict",
    "export",
    "measure",
    "resume",
    "list",
    "show",
    "prune",
    "models",
    "experiments",
    "doctor",
)
RUN = "101010-cnn-mnist-s0-abcd"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An outputs root with three runs, two of which share a name."""
    for path in (
        "2026-01-02/101010-cnn-mnist-s0-abcd",
        "sweeps/a/cnn-s0-12345678",
        "sweeps/b/cnn-s0-12345678",
    ):
        (tmp_path / "outputs" / path).mkdir(parents=True)
        (tmp_path / "outputs" / path / "status.json").write_text("{}")
    return tmp_path / "outputs"
