"""A sweep by a path, the beginning of its name, or `latest`; a run's name is told from a sweep's."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.runs.folders import sweep_dirs
from bakeoff.runs.locate import find_run, resolve
from bakeoff.sweeps.ledger import Ledger
from bakeoff.sweeps.locate import find_run_or_sweep, find_sweep, word_for


def sweep(root: Path, name: str, at: float, *runs: str, ledger: bool = True) -> Path:
    folder = root / "sweeps" / name
    for run in runs:
        (folder / run).mkdir(parents=True)
        (folder / run / "config.json").write_text("{}")
    folder.mkdir(parents=True, exist_ok=True)
    if ledger:
        Ledger(folder, ["seed=0,1"], "2026-01-01T00:00:00+00:00").write(owned=False)
    os.utime(folder / "sweep.json" if ledger else folder, (at, at))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sweep(tmp_path, "night-one", 300.0, "cnn-digits-s0-aaaaaaaa")
    sweep(tmp_path, "night-two", 200.0, "vit-digits-s0-bbbbbbbb", "vit-digits-s1-bbbbbbbb")
    sweep(tmp_path, "older", 100.0, "mlp-digits-s0-cccccccc", ledger=False)
    (tmp_path / "sweeps" / "no runs").mkdir()
    (tmp_path / "sweeps" / ".hidden").mkdir()
    (tmp_path / "sweeps" / ".hidden" / "sweep.json").write_text("{}")
    (tmp_path / "sweeps" / "link").symlink_to(tmp_path / "sweeps" / "night-one")
    return tmp_path


@pytest.mark.parametrize("outputs", [".", "here", "link", "elsewhere"])
def test_the_word_for_a_sweep_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_OUTPUTS", outputs)
    (tmp_path / "link").symlink_to("here")
    folder = sweep(Path("here"), "a night", 1.0, "cnn-digits-s0-aaaaaaaa")
    for path in (folder, folder.absolute()):
        word = word_for(path)
        assert word == shlex.quote("a night" if outputs in ("here", "link") else str(path))
        assert find_sweep(*shlex.split(word), Path(outputs)).samefile(folder)


@pytest.mark.parametrize("find", [find_sweep, find_run_or_sweep])
@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("night-one", "night-one"),
        ("night-t", "night-two"),
        ("night-two/", "night-two"),
        ("sweeps/night-two", "night-two"),
        ("older", "older"),
        ("o", "older"),
    ],
)
def test_by_its_name(root: Path, find: Callable[[str, Path], Path], word: str, name: str) -> None:
    assert find(word, root) == root / "sweeps" / name


def test_by_a_path_from_anywhere(root: Path, tmp_path: Path) -> None:
    path = str(root / "sweeps" / "older")
    assert find_sweep(path, tmp_path / "nowhere") == Path(path)
    assert find_run_or_sweep(path, tmp_path / "nowhere") == Path(path)


def test_latest_is_the_sweep_that_was_worked_on_last(root: Path) -> None:
    assert [folder.name for folder in sweep_dirs(root)] == ["night-one", "night-two", "older"]
    assert find_sweep("latest", root).name == "night-one"
    os.utime(root / "sweeps" / "night-two" / "sweep.json", (400.0, 400.0))
    assert find_sweep("latest", root).name == "night-two"


def test_an_exact_name_is_not_the_beginning_of_another(root: Path) -> None:
    sweep(root, "night", 50.0)
    assert find_sweep("night", root).name == "night"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nigt-one", "did you mean night-one?"),
        ("night", "2 sweeps have names that begin with it (night-one, night-two)"),
        ("cnn-digits-s0-aaaaaaaa", "no sweep of this name, but the run "),
        ("vit", "no sweep of this name, but 2 runs, such as "),
        ("sweeps", "no sweep of this name"),
        ("no runs", "no sweep of this name"),
        ("no/such", "no such path"),
    ],
)
def test_what_is_no_sweep_is_told_in_one_line(root: Path, word: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        find_sweep(word, root)
    assert str(raised.value).startswith(f"sweep {word}: ")
    assert says in str(raised.value)


def test_a_path_that_is_something_else(root: Path) -> None:
    run = root / "sweeps" / "night-one" / "cnn-digits-s0-aaaaaaaa"
    with pytest.raises(ConfigError, match="that is a run; see bakeoff show"):
        find_sweep(str(run), root)
    with pytest.raises(ConfigError, match="no runs"):
        find_sweep(str(root / "sweeps"), root)


def test_without_any_sweep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no sweep below"):
        find_sweep("latest", tmp_path)


def test_a_run_is_told_from_a_sweep(root: Path) -> None:
    for word in ("night-one", "sweeps/night-one", str(root / "sweeps" / "night-one")):
        with pytest.raises(ConfigError, match=r"that is a sweep|but the sweep night-one"):
            find_run(word, root)
    assert find_run_or_sweep("cnn-d", root).name == "cnn-digits-s0-aaaaaaaa"
    sweep(root, "cnn-night", 1.0)
    with pytest.raises(ConfigError, match="1 run and 1 sweep have names that begin with it"):
        find_run_or_sweep("cnn", root)
    sweep(root, "cnn", 1.0)
    assert find_run_or_sweep("cnn", root) == root / "sweeps" / "cnn"


def test_latest_of_both_is_a_run(root: Path) -> None:
    (root / "sweeps" / "night-one" / "cnn-digits-s0-aaaaaaaa" / "summary.json").write_text("{}")
    assert find_run_or_sweep("latest", root).name == "cnn-digits-s0-aaaaaaaa"


def test_a_sweep_stands_for_its_folder_where_a_path_is_asked_for(root: Path) -> None:
    assert resolve("night-o", root) == root / "sweeps" / "night-one"
    assert resolve("cnn-digits", root).name == "cnn-digits-s0-aaaaaaaa"
    sweep(root, "cnn-digits", 1.0)
    assert resolve("cnn-digits", root) == root / "sweeps" / "cnn-digits"
