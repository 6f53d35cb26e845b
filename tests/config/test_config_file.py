"""`bakeoff train --config FILE`: a flat YAML file, or what a run has stored, and overrides that win."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from omegaconf import OmegaConf

from bakeoff.config.compose import expand, parse_arguments, with_file
from bakeoff.config.config_file import file_overrides
from bakeoff.errors import ConfigError
from bakeoff.experiment.identity import setting
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps.plan import _words


def composed(*line: str) -> dict[str, Any]:
    """The config of one run."""
    return expand(parse_arguments(list(line)))[0][0].values


def from_file(path: Path, *line: str) -> dict[str, Any]:
    """The config of one run, with the settings of a file."""
    return expand(with_file(parse_arguments(list(line)), str(path)))[0][0].values


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "model: vit\ndata: {name: digits, val_fraction: 0.2}\noptim.lr: 1e-3\n"
        "trainer:\n  epochs: 3\nmodel.depth: 2\ndata.augment.flip: true\n"
    )
    return path


def test_a_flat_file_is_what_its_overrides_are(flat: Path) -> None:
    as_words = ["model=vit", "data=digits", "data.val_fraction=0.2", "optim.lr=0.001", "trainer.epochs=3"]
    assert from_file(flat) == composed(*as_words, "model.depth=2", "data.augment.flip=true")


@pytest.mark.parametrize(
    ("line", "same_as"),
    [
        (["optim.lr=0.5"], ["model=vit", "data=digits", "optim.lr=0.5"]),
        (["++optim.lr=0.5"], ["model=vit", "data=digits", "optim.lr=0.5"]),
        (["model=cnn"], ["model=cnn", "data=digits"]),
        (["data=mnist_small"], ["model=vit", "data=mnist_small", "optim.lr=0.02"]),
        (["optim=sgd"], ["model=vit", "data=digits", "optim=sgd"]),
        (["trainer=lab"], ["model=vit", "data=digits", "trainer=lab", "optim.lr=0.02"]),
    ],
)
def test_the_command_line_wins(tmp_path: Path, line: list[str], same_as: list[str]) -> None:
    """A file of a group beats what the file says of that group, and of what the group's file sets elsewhere."""
    path = tmp_path / "mine.yaml"
    path.write_text("model: vit\ndata: digits\noptim.lr: 0.02\n")
    assert from_file(path, *line) == composed(*same_as)


def test_warm_up_in_epochs_beats_the_share_that_a_file_gives(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("optim.warmup: 0.3\n")
    values = from_file(path, "optim.warmup_epochs=2")["optim"]
    assert (values["warmup"], values["warmup_epochs"]) == (None, 2)


def test_a_runs_config_trains_the_same_setting_again(tmp_path: Path) -> None:
    values = composed(
        "model=vit", "data=digits", "seed=3", "model.depth=2", "optim.clip_norm=null", "data.classes=[1,'2']",
        "optim.warmup_epochs=2", "output_dir=/elsewhere", "model.name=mine", "sweep.name=night",
    )  # fmt: skip
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    run.write_config(values, [])
    for given in (run.path, run.path / "config.yaml", run.path / "config.json"):
        again = from_file(given)
        assert again["output_dir"] == "outputs"
        assert again["sweep"]["name"] is None
        kept = values | {"output_dir": again["output_dir"], "sweep": again["sweep"]}
        assert again == kept
        assert setting(again, "data") == setting(values, "data")


def test_pictures_of_a_run_stay_where_they_are_and_downloads_do_not(tmp_path: Path) -> None:
    for name, root in (("image_folder", "/pictures"), ("digits", composed()["data"]["root"])):
        path = tmp_path / name
        path.mkdir()
        RunDir(path).write_config(composed(f"data={name}", "data.root=/pictures"), [])
        assert from_file(path)["data"]["root"] == root


@pytest.mark.parametrize(("name", "fit"), [("image_folder", "crop"), ("digits", "pad")])
def test_a_run_from_before_a_key_trains_as_it_did(tmp_path: Path, name: str, fit: str) -> None:
    values = composed(f"data={name}", "data.root=/pictures")
    del values["data"]["fit"]
    RunDir(tmp_path).write_config(values, [])
    assert from_file(tmp_path)["data"]["fit"] == fit
    assert from_file(tmp_path, "data.fit=stretch")["data"]["fit"] == "stretch"


def test_a_sweep_takes_a_file_as_its_fixed_part(flat: Path) -> None:
    jobs, is_sweep = expand(with_file(parse_arguments(["-m", "seed=0,1"]), str(flat)))
    assert is_sweep
    assert [job.values["seed"] for job in jobs] == [0, 1]
    assert {job.values["model"]["depth"] for job in jobs} == {2}


@pytest.mark.parametrize(
    "value",
    ["a b", "x=1,y=2", 'it\'s "so"', "#", "C:\\new\\", "[1", "null", "1e-3", "${oc.env:HOME}x", "ä\t日本"],
)
def test_a_text_stays_the_text_that_it_is(tmp_path: Path, value: str) -> None:
    path = tmp_path / "mine.yaml"
    OmegaConf.save({"output_dir": "@"}, path)
    path.write_text(f"output_dir: {json.dumps(value)}\n")
    expected = OmegaConf.to_container(OmegaConf.create({"x": value}), resolve=True)
    assert isinstance(expected, dict)
    assert from_file(path)["output_dir"] == expected["x"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mine.yaml: it must hold keys"),
        ("- model=cnn\n", "it must hold keys"),
        ("optim:\n  lrr: 3\n", r"mine.yaml: optim.lrr=3: no such key; did you mean optim.lr\?"),
        ("lr: 0.1\n", r"mine.yaml: lr=0.1: no such key; did you mean optim.lr\?"),
        ("model: resnet18\n", r"mine.yaml: model=.*model=finetune model.arch=resnet18"),
        ("model: [1]\n", "mine.yaml: model: give a name, as in model: alexnet, or keys"),
        ("model: {family: nope}\n", "model.family=nope: no model file has it"),
        ("learning rate: 3\n", r"learning rate: no such key"),
        ("defaults: [sgd]\n", "--config-dir DIR experiment=mine"),
        ("seed: 1\nseed: 2\n", "line 2: seed stands here for a second time"),
        ("seed: !!python/object:os.x {}\n", "line 1: .*not allowed"),
        ("a: &a [*a]\n", "Circular"),
        ("hydra: {run: {dir: x}}\n", "hydra.run.dir=.*bakeoff makes its own"),
        ("optim.lr: -1\n", "mine.yaml: optim.lr=-1: must be greater than 0"),
        ("trainer.epochs: 3\ntrainer: {epochs: 4}\n", "mine.yaml: trainer.epochs stands here twice"),
        ("trainer: {epochs: 4}\ntrainer.epochs: 3\n", "mine.yaml: trainer.epochs stands here twice"),
        ("data: {augment.scale: 0}\ndata.augment: {scale: 0}\n", "data.augment.scale stands here twice"),
        ("seed: 1\n---\nseed: 2\n", "mine.yaml, line 2: a second document begins here"),
        ("null: 2\n", "mine.yaml: null: no such key"),
        ("yes: 2\n", "mine.yaml: true: no such key"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(
    text: str, says: str, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    code, out, err = bakeoff("train", "--config", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err
    assert re.search(says, err), err


def test_a_wrong_value_of_the_command_line_is_not_laid_on_the_file(tmp_path: Path, bakeoff: Bakeoff) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("optim.lr: -1\nseed: 3\n")
    err = bakeoff("train", "--config", str(path), "optim.lr=-2")[2]
    assert err.startswith("error: optim.lr=-2: ")
    err = bakeoff("train", "-m", "--config", str(path), "seed=0,1")[2]
    assert err.startswith(f"error: --config {path}: optim.lr=-1: ")


def test_what_is_no_file_is_refused_as_that(tmp_path: Path, bakeoff: Bakeoff) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), os.devnull):
        code, _, err = bakeoff("train", "--config", path)
        assert (code, err.count("\n")) == (2, 1)
        assert f"--config {path}: no regular file" in err
    assert "--config: its file is missing; write --config FILE" in bakeoff("train", "--config", "")[2]


def test_a_job_is_shown_as_the_command_line_says_it_and_not_by_all_keys_of_the_file(flat: Path) -> None:
    jobs, _ = expand(with_file(parse_arguments(["-m", "seed=0,1", "trainer.epochs=2"]), str(flat)))
    shown = [f"--config {flat} trainer.epochs=2 seed={seed}" for seed in (0, 1)]
    assert [" ".join(_words(job)) for job in jobs] == shown


def test_an_experiment_beside_a_file_is_refused(flat: Path) -> None:
    with pytest.raises(ConfigError, match="an experiment chooses everything, too; give one of the two"):
        file_overrides(str(flat), ["experiment=debug"], None)


def test_the_config_of_a_file_can_be_shown(flat: Path, bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff("train", "--config", str(flat), "seed=7", "--cfg", "job")
    assert code == 0
    assert "depth: 2\n" in out
    assert "seed: 7\n" in out
    assert "lr: 0.001\n" in out
