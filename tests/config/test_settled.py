"""What of a config is settled when it is composed: stored configs say what was done."""

from typing import Any

import pytest
from omegaconf import OmegaConf
from shipped import CONFIGS

from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.schema import Config, OptimConfig, defaults
from bakeoff.config.settled import settle
from bakeoff.errors import ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.models.base import check_model
from bakeoff.training.optim import learning_rate, warmup_steps

STEPS_OF_MNIST = {128: 422, 64: 844, 16: 3375}  # of 54,000 images, by batch size
# Epochs of warm-up of the shipped recipes when they were counted in epochs.
WARMUP_EPOCHS = dict.fromkeys(CONFIGS, 1.0) | {"vit": 2.0, "faster_rcnn_resnet50": 0.5}


def config_of(*line: str) -> Config:
    """A composed config that passes the gates which need no data."""
    (job,), _ = expand(parse_arguments(line))
    check_model(job.values)
    return check_shared(job.values)


@pytest.mark.parametrize("model", CONFIGS)
def test_a_recipes_share_is_as_many_steps_as_its_epochs_were(model: str) -> None:
    recipe = OmegaConf.merge(defaults(), OmegaConf.load(conf_dir() / "model" / f"{model}.yaml"))
    epochs, batch_size = recipe.trainer.epochs, recipe.trainer.batch_size
    optim = OptimConfig(warmup=recipe.optim.warmup, warmup_epochs=recipe.optim.warmup_epochs)
    assert (optim.warmup is not None, optim.warmup_epochs) == (True, None)
    for steps in (STEPS_OF_MNIST[batch_size], 1197 // batch_size + 1, 100_000):
        assert warmup_steps(optim, steps, epochs) == round(WARMUP_EPOCHS[model] * steps)


OPTIMS = sorted(path.stem for path in (conf_dir() / "optim").glob("*.yaml"))
EXPERIMENTS = sorted(
    path.stem
    for path in (conf_dir() / "experiment").glob("*.yaml")
    if "hydra" not in OmegaConf.load(path)  # no sweep
)
SHIPPED = [
    *(f"model={name}" for name in CONFIGS),
    *(pytest.param(f"optim={name}", marks=pytest.mark.slow) for name in OPTIMS),
    *(pytest.param(f"experiment={name}", marks=pytest.mark.slow) for name in EXPERIMENTS),
]


@pytest.mark.parametrize("choice", SHIPPED)
def test_one_epoch_works_and_is_not_all_warm_up(choice: str) -> None:
    config = config_of(choice, "trainer.epochs=1")
    for steps in (1, 10, 422):
        assert warmup_steps(config.optim, steps, 1) <= steps / 2
        rates = [learning_rate(step, config.optim, steps, 1) for step in range(steps)]
        assert all(0 < rate <= config.optim.lr for rate in rates)


def test_a_share_of_the_run_wins_over_epochs() -> None:
    both = OptimConfig(warmup=0.25, warmup_epochs=3.0)
    assert warmup_steps(both, 10, 8) == 20
    assert warmup_steps(OptimConfig(warmup=None, warmup_epochs=3.0), 10, 8) == 30
    assert warmup_steps(OptimConfig(warmup=None, warmup_epochs=None), 10, 8) == 0
    assert warmup_steps(OptimConfig(warmup=0.0, warmup_epochs=3.0), 10, 8) == 0
    assert learning_rate(20, OptimConfig(lr=0.5, warmup=0.25, schedule="cosine"), 10, 8) == 0.5
    everything = OptimConfig(lr=0.5, warmup=1.0, schedule="cosine")
    assert [learning_rate(step, everything, 1, 2) for step in range(2)] == pytest.approx([0.005, 0.2525])


AUGMENTED = ["data.augment.shift_pixels=3", "data.augment.rotate_degrees=5", "data.augment.flip=force"]
NOTHING = {"shift_pixels": 0, "rotate_degrees": 0.0, "scale": 0.0, "erase": 0.0, "flip": False}


def test_a_dry_run_is_stored_as_it_is_trained_without_augmentation() -> None:
    (dry,), _ = expand(parse_arguments([*AUGMENTED, "trainer.overfit_batches=1"]))
    assert dry.values["data"]["augment"] == NOTHING
    (whole,), _ = expand(parse_arguments(AUGMENTED))
    assert whole.values["data"]["augment"] == NOTHING | {
        "shift_pixels": 3,
        "rotate_degrees": 5,
        "flip": "force",
    }
    jobs, _ = expand(parse_arguments(["-m", *AUGMENTED, "trainer.overfit_batches=1,null"]))
    assert [job.values["data"]["augment"]["shift_pixels"] for job in jobs] == [0, 3]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"trainer": 3, "data": None, "optim": []},
        {"trainer": {"overfit_batches": 1}},
        {"trainer": {"overfit_batches": 1}, "data": {}},
        {"trainer": {"overfit_batches": 1}, "data": {"augment": 3}},
        {"optim": None},
    ],
)
def test_what_is_no_config_is_left_for_the_check(values: dict[str, Any]) -> None:
    before = repr(values)
    settle(values, ["optim.warmup_epochs=1"])
    assert repr(values) == before


@pytest.mark.parametrize(
    "key",
    ["data.augment.shift_pixels=many", "+data.augment.shear=1", "~data.augment.scale", "data.augment=null"],
)
def test_a_dry_run_still_refuses_what_is_no_augmentation(key: str) -> None:
    (job,), _ = expand(parse_arguments(["trainer.overfit_batches=1", key]))
    with pytest.raises(ConfigError, match=r"data\.augment"):
        check_shared(job.values)
