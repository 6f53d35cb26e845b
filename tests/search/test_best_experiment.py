"""The file of a search's best configuration: `bakeoff train --config-dir FOLDER experiment=NAME` trains it again."""

from pathlib import Path
from typing import Any

import pytest

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.meanings import header_of
from bakeoff.config.studies import job_of, studies_of
from bakeoff.experiment.identity import identity
from bakeoff.sweeps.search.best import command, experiments, write_experiment
from bakeoff.sweeps.search.trial import Trial


def _own_files(folder: Path) -> None:
    for group, name, text in (
        (
            "model",
            "mine",
            "# @package _global_\nmodel: {name: mine, family: vit, width: 48, patch_size: 2}\n",
        ),
        ("data", "few", "name: digits\ntrain_limit: 100\naugment: {shift_pixels: 1}\n"),
        ("optim", "own", "name: sgd\nlr: 0.25\n"),
    ):
        (folder / group).mkdir()
        (folder / group / f"{name}.yaml").write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "params"),
    [
        (["model=vit", "data=digits", "seed=3"], {"optim.lr": 1e-05, "model.depth": 2}),
        (
            ["data=digits", "optim=adam,sgd", "optim.clip_norm=null,1.5", "model.channels=[8],[16,32]"],
            {"optim": "sgd", "optim.clip_norm": None, "model.channels": [16, 32]},
        ),
        (["model=cnn", "data=mnist_affine", "data.title='1e5: a \"b\"'", "optim.lr=1,2"], {"optim.lr": 0.1 + 0.2}),
        (
            ["model=faster_rcnn", "data=digits", "experiment=debug", "optim.warmup_epochs=2", "optim.lr=1,2"],
            {"optim.lr": 0.004},
        ),
        (
            ["--config-dir=OWN", "model=mine", "data=few", "optim=own", "data.root=OWN/pictures", "model.depth=2,3"],
            {"model.depth": 3},
        ),
        (
            ["data=image_folder", "data.root=OWN/my pictures", "data.classes=['1e5',null_,'a b']", "optim.lr=1,2"],
            {"optim.lr": 0.002},
        ),
    ],
)  # fmt: skip
def test_it_composes_to_the_trials_own_config(
    words: list[str], params: dict[str, Any], tmp_path: Path
) -> None:
    own, sweep = tmp_path / "own", tmp_path / "a sweep"
    own.mkdir()
    sweep.mkdir()
    _own_files(own)
    line = parse_arguments([word.replace("OWN", str(own)) for word in words])
    (study,) = studies_of(line, TuneConfig())
    params = study.space.first | params
    trial = Trial(study.name, 12, None, "finished", params, (0.98,), 3, None)
    path = write_experiment(sweep, "best of it", line, study, trial, "98.00 %")
    assert experiments(sweep) == [path]
    bakeoff, train, *arguments = command(path)
    assert (bakeoff, train) == ("bakeoff", "train")
    (again,), is_sweep = expand(parse_arguments(arguments))
    assert not is_sweep
    values = job_of(line, study, params, None, "s").values
    assert canonical_json(identifying_config(again.values)) == canonical_json(identifying_config(values))
    assert again.values["data"]["root"] == values["data"]["root"]
    assert again.values["data"].get("title") == values["data"].get("title")
    # A word after it still wins.
    assert expand(parse_arguments([*arguments, "seed=9"]))[0][0].values["seed"] == 9


def test_its_identity_is_that_of_the_trial_and_its_header_says_what_it_is(tmp_path: Path) -> None:
    line = parse_arguments(["data=digits", "optim.lr=interval(1e-4,1e-2)"])
    (study,) = studies_of(line, TuneConfig())
    trial = Trial("cnn", 12, None, "finished", {"optim.lr": 1.2345678901234567e-05}, (0.98,), 3, None)
    path = write_experiment(tmp_path, "best", line, study, trial, "98.00 % validation accuracy")
    (again,), _ = expand(parse_arguments(command(path)[2:]))
    values = job_of(line, study, trial.params, None, "s").values
    assert identity(again.values, "data") == identity(values, "data")
    header = header_of(path)
    assert header.says == "The best configuration that a search has found: cnn, trial 12."
    assert header.fields["command"] == f"bakeoff train --config-dir {tmp_path} experiment=best"
    assert header.fields["result"] == "98.00 % validation accuracy"
    assert header_of(conf_dir() / "experiment" / "mnist_best.yaml").fields.keys() >= header.fields.keys()
