"""A state that went through a checkpoint on the disk goes on with the same bits, and nothing is defaulted."""

import copy
import dataclasses
import itertools
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import CPU, FailingToy, Toy, assert_same_bits, toy_config, toy_split, toy_state, weights_of

from bakeoff.config.schema import Config
from bakeoff.data.batches import Batch
from bakeoff.errors import DivergedError, InterruptedRunError, ResumeError
from bakeoff.machine.runtime import Runtime, seed_everything
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.training.loop import SavePoint, fit
from bakeoff.training.state import TrainState

TRAIN, VAL = toy_split(52), toy_split(40, seed=1)
STEPS = 12  # of three epochs
TIMES = ("train_seconds", "eval_seconds", "train_images_per_second")

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


class RecordingToy(Toy):
    """Keeps what it is taught, and has several losses, whose names are in no order."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[list[int], list[int], bytes]] = []  # indices, labels, pixels

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.taken.append((batch.indices.tolist(), batch.labels.tolist(), batch.images.numpy().tobytes()))
        logits = self(self.normalise(batch.images))
        small = {"z": logits.square().mean() * 0.037, "a": logits.abs().mean() * 0.0011}
        return self.loss_of_logits(logits, batch.labels) | small


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
    # As text: the order of a loss's parts is the order in which they are added.
    assert json.dumps(without_times(state)) == json.dumps(without_times(other))
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


def stored_at(borders: Collection[int], config: Config, folder: Path) -> dict[int, Path]:
    """One training that is stored after some of its steps: step -> where its checkpoint is."""
    state, places = recording_state(config), {}
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step in borders):
        if isinstance(event, SavePoint):
            places[state.step] = folder / str(state.step)
            places[state.step].mkdir()
            Checkpoints(places[state.step], keep=1).write(state.state_dict())
    return places


def recording_state(config: Config) -> TrainState:
    seed_everything(config.seed)  # the first weights are drawn before the state is
    return toy_state(config, RecordingToy())


def steps_of(state: TrainState, config: Config) -> dict[int, dict[str, Any]]:
    """Trains to the end; what each step did, by its number."""
    assert isinstance(state.model, RecordingToy)
    done: dict[int, dict[str, Any]] = {}

    def record(state: TrainState, num_images: int, loss: torch.Tensor) -> None:
        assert isinstance(state.model, RecordingToy)
        assert state.step not in done
        rates = [group["lr"] for group in state.optimizer.param_groups]
        done[state.step] = {"rates": rates, "loss": loss.item(), "batches": state.model.taken}
        state.model.taken = []

    for _ in fit(state, TRAIN, VAL, config, CPU, progress=record):
        pass
    return done


# Of each setting two borders: in an epoch, and where its last step is done and nothing is validated.
QUICK_BORDERS = (6, 8)
ALL_BORDERS = [
    pytest.param(setting, range(1, STEPS + 1), marks=() if setting == "average" else pytest.mark.slow)
    for setting in SETTINGS
]


@pytest.mark.parametrize(
    ("setting", "borders"),
    [*((name, QUICK_BORDERS) for name in SETTINGS if name != "average"), *ALL_BORDERS],
    ids=str,
)
def test_a_stored_state_goes_on_with_the_same_steps_and_bits(
    setting: str, borders: Collection[int], tmp_path: Path
) -> None:
    """Rates, indices, augmented images, losses; then weights, optimizer, history and the rest."""
    config = toy_config(trainer__epochs=3, **SETTINGS[setting])
    straight = recording_state(config)
    expected = steps_of(straight, config)
    assert list(expected) == list(range(1, STEPS + 1))
    places = stored_at(borders, config, tmp_path)
    assert list(places) == list(borders)
    for border, place in places.items():
        found, problems = Checkpoints(place, keep=1).newest()
        assert found is not None
        assert not problems
        torch.manual_seed(999)
        state = recording_state(config)
        state.load_state_dict(found.parts())
        assert state.step == border
        assert steps_of(state, config) == {step: expected[step] for step in range(border + 1, STEPS + 1)}
        assert_same(state, straight)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_state_stored_after_a_validation_goes_on_with_the_same_bits(epoch: int, tmp_path: Path) -> None:
    config = toy_config(trainer__epochs=3, trainer__ema_decay=0.9)
    straight = finished(toy_state(config), config)
    state = toy_state(config)
    for _ in zip(range(epoch), fit(state, TRAIN, VAL, config, CPU), strict=False):
        pass
    assert_same(finished(through_disk(state, config, tmp_path), config), straight)


class Unfreezing(Toy):
    """Its first layer learns from the second epoch on."""

    def __init__(self) -> None:
        super().__init__()
        self.set_epoch(1)

    def set_epoch(self, epoch: int) -> None:
        self.layers[0].requires_grad_(epoch > 1)


@pytest.mark.parametrize("step", [STEPS // 3, STEPS // 3 + 1])
def test_a_state_stored_where_weights_begin_to_learn_goes_on_with_the_same_bits(
    step: int, tmp_path: Path
) -> None:
    """Between two epochs what the second unfreezes has no state yet."""
    config = toy_config(trainer__epochs=3)
    torch.manual_seed(0)
    model = Unfreezing()
    straight = finished(toy_state(config, copy.deepcopy(model)), config)
    state = toy_state(config, copy.deepcopy(model))
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step == step):
        if state.step == step and isinstance(event, SavePoint) == (step % (STEPS // 3) > 0):
            break
    Checkpoints(tmp_path, keep=1).write(state.state_dict())
    found, _ = Checkpoints(tmp_path, keep=1).newest()
    assert found is not None
    fresh = toy_state(config, model)
    fresh.load_state_dict(found.parts())
    assert_same(finished(fresh, config), straight)


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
    assert (state.epoch, state.step_in_epoch) == (1, 4)
    assert_same(finished(through_disk(state, config, tmp_path), config), straight)


def test_a_state_that_has_gone_wrong_is_not_stored() -> None:
    """The host looks every fifty steps, and before each pause."""
    config = toy_config(trainer__epochs=3)
    state = toy_state(config, FailingToy(bad_call=2))
    with pytest.raises(DivergedError, match="step 2, epoch 1"):
        stopped_at(3, state, config)


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
    state = stopped_at(6, toy_state(config), config)
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


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("step_in_epoch", "3", "step_in_epoch"),
        ("total_seconds", None, "total_seconds"),
        ("epochs_without_gain", 1.5, "epochs_without_gain"),
        ("loss_parts", [1], "loss_parts.0"),
        ("best", {"epoch": 1, "has_weights": True}, "best.scores"),
        ("epochs", 5, "epochs"),
        ("epochs", [{"epoch": 1}], "epochs.0.step"),
        ("phase_seconds", {"train": []}, "phase_seconds.train"),
        ("phase_peak_bytes", [], "phase_peak_bytes"),
        ("highest_bytes", {}, "highest_bytes"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(name: str, value: Any, told: str) -> None:
    """Runs come from other people: nothing is computed with what is no number."""
    config = toy_config(trainer__epochs=2)
    parts = finished(toy_state(config), config).state_dict()
    toy_state(config).load_state_dict(parts)
    parts["plain"][name] = value
    with pytest.raises(ResumeError, match=f"the checkpoint's {told} is of another kind"):
        toy_state(config).load_state_dict(parts)
