"""A state that went through a checkpoint on the disk goes on with the same bits, and nothing is defaulted."""

import copy
import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import CPU, assert_same_bits, toy_config, toy_split, toy_state, weights_of

from bakeoff.config.schema import Config
from bakeoff.errors import InterruptedRunError, ResumeError
from bakeoff.machine.runtime import Runtime
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.training.loop import SavePoint, fit
from bakeoff.training.state import TrainState

TRAIN, VAL = toy_split(100), toy_split(40, seed=1)
TIMES = ("train_seconds", "eval_seconds", "train_images_per_second")
FP16 = Runtime(torch.device("cpu"), "fp16", channels_last=False)

SETTINGS: dict[str, dict[str, Any]] = {
    "one_cycle": {},
    "cosine": {"optim__schedule": "cosine"},
    "step": {"optim__schedule": "step"},
    "constant and warm-up": {
        "optim__schedule": "constant",
        "optim__warmup_epochs": 1.5,
        "optim__warmup": None,
    },
    "average": {"trainer__ema_decay": 0.9},
    "accumulation and clipping": {"trainer__accumulate": 3, "optim__clip_norm": 0.1},
    "sgd, last weights": {"optim__name": "sgd", "trainer__select": "last"},
    "rmsprop, average": {"optim__name": "rmsprop", "trainer__ema_decay": 0.5},
    "smoothing": {"trainer__label_smoothing": 0.1},
}


def finished(state: TrainState, config: Config, runtime: Runtime = CPU) -> TrainState:
    for _ in fit(state, TRAIN, VAL, config, runtime):
        pass
    return state


def without_times(state: TrainState) -> list[dict[str, Any]]:
    kept = [dataclasses.asdict(record) for record in state.epochs]
    for record, name in itertools.product(kept, TIMES):
        del record[name]
    return kept


def assert_same(state: TrainState, other: TrainState) -> None:
    assert without_times(state) == without_times(other)
    assert (state.epoch, state.step, state.step_in_epoch) == (other.epoch, other.step, other.step_in_epoch)
    assert state.epochs_without_gain == other.epochs_without_gain
    ours, theirs = state.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"plain"}:
        assert_same_bits(ours[name], theirs[name])
    assert ours["plain"]["best"] == theirs["plain"]["best"]


def through_disk(state: TrainState, config: Config, folder: Path) -> TrainState:
    """Stores a state, spoils it, and loads a fresh one."""
    Checkpoints(folder, keep=1).write(state.state_dict())
    torch.manual_seed(999)
    for tensor in (*state.model.state_dict().values(), *(state.best.weights.values() if state.best else ())):
        tensor.zero_()
    found, problems = Checkpoints(folder, keep=1).newest()
    assert found is not None
    assert not problems
    fresh = toy_state(config)
    fresh.load_state_dict(found.parts())
    return fresh


def stopped_at(border: int, state: TrainState, config: Config, runtime: Runtime = CPU) -> TrainState:
    for event in fit(state, TRAIN, VAL, config, runtime, pause=lambda: state.step == border):
        if isinstance(event, SavePoint):
            return state
    raise AssertionError("it has fewer steps")


@pytest.mark.parametrize("setting", list(SETTINGS))
def test_a_stored_state_goes_on_with_the_same_bits_from_every_step(setting: str, tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=3, **SETTINGS[setting])
    straight = finished(toy_state(config), config)
    for border in range(1, 22):
        folder = tmp_path / str(border)
        folder.mkdir()
        state = through_disk(stopped_at(border, toy_state(config), config), config, folder)
        assert state.step == border
        assert_same(finished(state, config), straight)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_state_stored_after_a_validation_goes_on_with_the_same_bits(epoch: int, tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=3, trainer__ema_decay=0.9)
    straight = finished(toy_state(config), config)
    state = toy_state(config)
    for _ in zip(range(epoch), fit(state, TRAIN, VAL, config, CPU), strict=False):
        pass
    assert_same(finished(through_disk(state, config, tmp_path), config), straight)


def test_a_state_that_was_stopped_in_its_validation_validates_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config(trainer__epochs=2)
    straight = finished(toy_state(config), config)
    state = toy_state(config)

    def stopped(*_: object) -> None:
        torch.rand(3)
        raise InterruptedRunError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("bakeoff.training.loop.validate", stopped)
        with pytest.raises(InterruptedRunError):
            finished(state, config)
    assert (state.epoch, state.step_in_epoch) == (1, 7)
    assert_same(finished(through_disk(state, config, tmp_path), config), straight)


def test_the_loss_scale_is_stored(tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=1)
    state = toy_state(config)
    from bakeoff.training.scaling import LossScale

    state.loss_scale = LossScale(torch.tensor(128.0), torch.tensor(5))
    fresh = toy_state(config)
    fresh.loss_scale = LossScale.start(CPU.device)
    fresh.load_state_dict(copy.deepcopy(state.state_dict()))
    assert (fresh.loss_scale.scale.item(), fresh.loss_scale.good_steps.item()) == (128.0, 5)


def pieces(parts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for part, own in parts.items():
        for name in own:
            yield part, name


def test_a_piece_that_is_missing_unknown_or_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=2, trainer__ema_decay=0.9)
    state = stopped_at(9, toy_state(config), config)
    parts = state.state_dict()
    parts["plain"] = json.loads(json.dumps(parts["plain"]))
    num_refused = 0
    for part, name in pieces(parts):
        lacking = {**parts, part: {key: value for key, value in parts[part].items() if key != name}}
        with pytest.raises(ResumeError, match=name.partition(".")[2] or name):
            toy_state(config).load_state_dict(lacking)
        num_refused += 1
        if part == "plain":
            continue
        for wrong in (parts[part][name].to(torch.float16), parts[part][name].new_zeros(3, 3, 3)):
            if name.startswith("loss_sums"):
                continue
            changed = {**parts, part: {**parts[part], name: wrong}}
            with pytest.raises(ResumeError, match="another kind"):
                toy_state(config).load_state_dict(changed)
        with pytest.raises(ResumeError, match=r"unknown .*more_than"):
            toy_state(config).load_state_dict({**parts, part: {**parts[part], "optimizer.more_than": wrong}})
    assert num_refused > 50
    for part in parts:
        with pytest.raises(ResumeError, match=part):
            toy_state(config).load_state_dict({key: value for key, value in parts.items() if key != part})


def test_weights_of_the_state_are_those_that_were_stored(tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=2)
    state = stopped_at(5, toy_state(config), config)
    before = weights_of(state)
    assert_same_bits(before, weights_of(through_disk(state, config, tmp_path)))
