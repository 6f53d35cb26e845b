"""Paths as people write them: the home folder, empty variables, titles in the names of folders."""

import argparse
import importlib
import pwd
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from run_directories import make_run

import bakeoff
from bakeoff.commands.doctor import _data
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.overrides import with_home
from bakeoff.config.settled import settle, with_absolute_paths
from bakeoff.errors import ConfigError, DataError
from bakeoff.machine import environment
from bakeoff.runs.locate import find_run, outputs_root, resolve
from bakeoff.runs.paths import data_root_here, expanded, folder_word, from_environment
from bakeoff.runs.rundir import RUN_NAME, single_run_folder, sweep_run_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_home_is_expanded_at_the_beginning_alone(home: Path) -> None:
    for text, path in (("~", home), ("~/a b", home / "a b"), ("a~b", "a~b"), ("x/~", "x/~"), ("", "")):
        assert expanded(text) == str(path)
    assert expanded("~root/x") == f"{pwd.getpwnam('root').pw_dir}/x"


def test_nobodys_home_is_refused_and_a_file_of_that_name_is_not(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"^~nobody-here/x: there is no user nobody-here here; write"):
        expanded("~nobody-here/x")
    Path("~nobody-here").mkdir()
    assert expanded("~nobody-here/x") == "~nobody-here/x"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data.root=~/x", "data.root=HOME/x"),
        ("+output_dir=~", "+output_dir=HOME"),
        ("model.weights=~/a.pt,imagenet,~/b,c~d", "model.weights=HOME/a.pt,imagenet,HOME/b,c~d"),
        ("~model.weights", "~model.weights"),  # Hydra's way to take a key out
        ("data.title=~x", "data.title=~x"),
        ("data.root=x/~", "data.root=x/~"),
        ("--config-dir=~/conf", "--config-dir=HOME/conf"),
    ],
)
def test_hydra_never_sees_the_sign(home: Path, text: str, found: str) -> None:
    assert with_home(text) == found.replace("HOME", str(home))


def test_every_path_key_of_a_command_line(home: Path) -> None:
    (home / "conf" / "optim").mkdir(parents=True)
    (home / "conf" / "optim" / "mine.yaml").write_text("lr: 0.5\n")
    line = ["--config-dir", "~/conf", "optim=mine", "data.root=~/d", "output_dir=~/o"]
    line += ["model=finetune", "model.weights=~/w.pt"]
    ((job,), _) = expand(parse_arguments(line))
    values = job.values
    assert values["optim"]["lr"] == 0.5
    assert [values["data"]["root"], values["output_dir"], values["model"]["weights"]] == [
        f"{home}/d",
        f"{home}/o",
        f"{home}/w.pt",
    ]


def test_what_hydra_shows_knows_the_home_folder_too(bakeoff: Bakeoff, home: Path) -> None:
    code, out, _ = bakeoff("train", "--cfg", "job", "data=digits", "data.root=~/d")
    assert code == 0
    assert f"root: {home}/d\n" in out


def test_paths_from_files_and_variables(home: Path) -> None:
    """What no command line holds: one's own YAML, and `${oc.env:BAKEOFF_DATA}` as Hydra has filled it in."""
    values: dict[str, Any] = {"output_dir": "~/o", "data": {"root": "~"}, "model": {"weights": "~/w"}}
    settle(values, [])
    assert values == {
        "output_dir": f"{home}/o",
        "data": {"root": str(home)},
        "model": {"weights": f"{home}/w"},
    }


def test_run_and_path_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(home / "runs" / "a")
    assert find_run("~/runs/a", Path()) == home / "runs" / "a"
    assert resolve("~/runs", Path()) == home / "runs"
    assert len(bakeoff.load_runs("~/runs")) == 1
    monkeypatch.setenv("BAKEOFF_OUTPUTS", "~/runs")
    assert outputs_root() == home / "runs"


@pytest.mark.parametrize(
    ("command", "words"),
    [("compare", ["-o", "~/x"]), ("preview", ["--output=~/x"]), ("evaluate", ["run", "--data-root=~/x"])],
)
def test_options_that_name_a_file(home: Path, command: str, words: list[str]) -> None:
    options = importlib.import_module(f"bakeoff.commands.{command}").parser().parse_known_args(words)[0]
    assert str(home / "x") in map(str, vars(options).values())


def test_every_option_that_takes_a_path_is_among_them() -> None:
    from bakeoff.cli import COMMANDS

    expecting = {"FILE", "DIR", "PATH"}
    for command in COMMANDS:
        parser = importlib.import_module(f"bakeoff.commands.{command}").parser()
        for action in parser._actions:
            if action.option_strings and isinstance(action.metavar, str) and action.metavar in expecting:
                assert isinstance(action, argparse.Action)
                assert getattr(action.type, "__module__", None) == "bakeoff.runs.paths", (
                    command,
                    action.dest,
                )


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_variable_is_none(home: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    for name in ("BAKEOFF_DATA", "BAKEOFF_OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
        assert from_environment(name, "else") == Path("else")
    assert outputs_root() == Path("outputs")
    assert data_root_here("mnist", "/nowhere") == "data"
    assert next(iter(_data())).found.startswith("data can be written")
    environment.prepare()
    ((job,), _) = expand(parse_arguments(["data=digits"]))
    assert (job.values["data"]["root"], job.values["output_dir"]) == ("data", "outputs")


def test_evaluate_looks_where_the_data_were_then_where_they_are_here(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_DATA", "~/data")
    for name in ("mnist", "image_folder"):
        assert data_root_here(name, str(home)) == str(home)
    assert data_root_here("mnist", "/nowhere") == f"{home}/data"
    with pytest.raises(
        DataError, match=r"^/nowhere: the run's pictures are not there; give --data-root DIR$"
    ):
        data_root_here("image_folder", "/nowhere")


def test_what_a_run_stores_is_absolute_and_names_stay(home: Path) -> None:
    values = {"data": {"root": "x/../y"}, "model": {"weights": "runs/a"}, "output_dir": "o"}
    stored = with_absolute_paths(values, ("none", "imagenet"))
    assert stored["data"]["root"] == str(Path.cwd() / "x/../y")
    assert stored["model"]["weights"] == str(Path.cwd() / "runs/a")
    assert values["data"]["root"] == "x/../y"
    for weights in ("none", "imagenet", None):
        assert with_absolute_paths({"model": {"weights": weights}}, ("none", "imagenet")) == {
            "model": {"weights": weights}
        }


@pytest.mark.parametrize(
    ("title", "word"),
    [
        ("mnist_small", "mnist_small"),
        ("My pictures (new)", "My-pictures-new"),
        ("../x", "x"),
        ("a/b\\c", "a-b-c"),
        ("Größe", "Größe"),
        ("Gro\u0308ße", "Größe"),  # as macOS writes it
        ("猫と犬", "猫と犬"),
        ("🐈", "data"),
        ("..", "data"),
        (r"latin1 \udce4", "latin1-udce4"),
        ("x" * 99, "x" * 40),
        ("猫" * 99, "猫" * 26),
    ],
)
def test_a_title_in_the_name_of_a_folder(title: str, word: str) -> None:
    assert folder_word(title) == word
    for folder in (
        single_run_folder("out", "cnn", title, 0),
        sweep_run_folder("out", "night", "cnn", title, 0, "0123456789"),
    ):
        assert f"-{word}-s0-" in folder.name
        assert RUN_NAME.fullmatch(folder.name)
        assert len(folder.parts) == 3 + (folder.parts[1] == "sweeps")
        assert len(folder.name.encode()) < 200


def test_a_line_says_that_there_is_no_such_user(bakeoff: Bakeoff) -> None:
    for words in (
        ["train", "data.root=~nobody-here"],
        ["compare", "~nobody-here"],
        ["evaluate", "~nobody-here/x"],
    ):
        code, _, err = bakeoff(*words)
        assert code == 2
        assert err.endswith("there is no user nobody-here here; write the folder out\n")
        assert err.count("\n") == 1
