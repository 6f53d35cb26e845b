"""Fixtures that several test files share."""

import os

# Before torch loads: the tensors of these tests are too small for a second thread to help.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bakeoff.data.sets import find_set, set_names
from bakeoff.data.sources import Source
from bakeoff.machine import environment
from bakeoff.machine.installed import missing

environment.prepare()


def source_of(name: str) -> Source:
    """The files of a data set, as its own file has them now."""
    source = find_set(name).SOURCE
    assert source is not None
    return source


def sets_with_files() -> list[str]:
    """The data sets that can be fetched."""
    return [name for name in set_names() if (source := find_set(name).SOURCE) and source.files]


# With few tests that take long: xdist, which hands out files in this order, must not begin them last.
LONG_FILES = ("test_sweep.py", "test_slow.py", "test_real_runs.py", "test_cuda.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_collection_finish() -> None:
    """What lives now lives on: the tests that collect garbage need not look through it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hashes of data files are not kept in the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        # xdist tells its workers how wide the terminal is; what is printed must not depend on that.
        for name in ("BAKEOFF_OUTPUTS", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
            patch.delenv(name, raising=False)
        # What else runs beside these tests must not add a line to what they look at.
        patch.setattr("bakeoff.machine.load._running_others", lambda: 0.0)
        yield


@pytest.fixture(scope="session")
def mnist_root() -> str:
    """The data root with the real MNIST files; `.ci/run` makes their absence a failure."""
    root = os.environ.get("BAKEOFF_DATA", "data")
    source = source_of("mnist")
    if not source.is_complete(root):
        message = f"needs the real MNIST files in {source.folder_in(root)} (set BAKEOFF_DATA)"
        if os.environ.get("BAKEOFF_REQUIRE_MNIST") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return root


def idx_bytes(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    header = bytes((0, 0, 8, values.ndim)) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_mnist(root: Path, num_train: int = 512, num_test: int = 128) -> Path:
    """Synthetic images in MNIST's files: the class is the place of a bright bar."""
    folder = source_of("mnist").folder_in(root)
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for part, count in (("train", num_train), ("t10k", num_test)):
        labels = np.arange(count) % 10
        images = random.randint(0, 80, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 + 2 * label : 5 + 2 * label] += 150
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return root


@pytest.fixture(scope="session")
def tiny_mnist(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data root with 512 + 128 synthetic images."""
    return str(write_mnist(tmp_path_factory.mktemp("tiny") / "data"))


Bakeoff = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def bakeoff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bakeoff:
    """Runs a command in this process, in an empty folder; returns exit code, stdout, stderr."""
    from bakeoff.cli import main

    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        handlers = logging.root.handlers[:]
        try:
            code = main(arguments)
        except SystemExit as exit_:  # argparse
            code = int(exit_.code or 0)
        finally:
            # Hydra's --cfg and --help leave a handler that would write into this test's closed stream.
            logging.root.handlers[:] = handlers
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw none of the pictures that every run has: 1 s each, nine tenths of a small run.

    For tests of something else, of runs whose like another test draws.
    """
    monkeypatch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
    monkeypatch.setattr("bakeoff.plots.style.check", lambda: None)


@pytest.fixture(params=["no pictures", pytest.param("pictures", marks=pytest.mark.slow)])
def pictures_if_slow(request: pytest.FixtureRequest) -> None:
    """The same, but in the slow tier all is drawn: for runs whose pictures are like no other's."""
    if request.param == "no pictures":
        request.getfixturevalue("no_pictures")


def command(arguments: Sequence[str]) -> list[str]:
    """The same in a process of its own."""
    return [sys.executable, "-m", "bakeoff", *arguments]


def files_below(folder: Path) -> list[str]:
    """Everything in a folder, for "nothing is left on disk"."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(params=["in this process", pytest.param("as processes", marks=pytest.mark.slow)])
def children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes seconds to load torch, and what these tests look at is what the parent makes of it.

    The first test and that of Ctrl-C have real processes in the quick tier, too.
    """
    if request.param == "as processes":
        return
    request.getfixturevalue("no_pictures")
    from sweep_children import children_here  # of tests/sweeps

    children_here(monkeypatch)


@pytest.fixture(scope="session")
def report_extra() -> None:
    """Skips where the extra `report` is not installed; `.ci/run` makes that a failure."""
    from bakeoff.report.extra import missing

    _needed("the extra `report`", missing())


@pytest.fixture(scope="session")
def tune_extra() -> None:
    """Skips where the extra `tune` is not installed; `.ci/run` makes that a failure."""
    from bakeoff.sweeps.search.extra import missing

    _needed("the extra `tune`", missing())


@pytest.fixture(scope="session")
def notebook_extra() -> None:
    """Skips where notebooks cannot be run; `.ci/run` makes that a failure."""
    _needed("the group `notebook`", missing({"nbclient": "nbclient", "ipykernel": "ipykernel"}))


def _needed(what: str, names: Sequence[str]) -> None:
    if names:
        message = f"needs {', '.join(names)} ({what})"
        if os.environ.get("BAKEOFF_REQUIRE_EXTRAS") == "1":
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def onnx_extra() -> None:
    """Skips where the extra `onnx` is not installed; `.ci/run` makes that a failure."""
    from bakeoff.deploy.export.extra import missing

    if names := missing():
        message = f"needs {', '.join(names)} (the extra `onnx`)"
        if os.environ.get("BAKEOFF_REQUIRE_EXTRAS") == "1":
            pytest.fail(message)
        pytest.skip(message)
