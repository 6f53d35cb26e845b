"""What the options of the trainer do: RMSprop, accumulation, weight averages, loss scale, quick test runs."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Bakeoff
from torch import Tensor, nn
from toy import CPU, TASK, FailingToy, Toy, assert_same_bits, toy_config, toy_split, toy_state, weights_of

from bakeoff.data.batches import Batch
from bakeoff.data.few import few_images
from bakeoff.data.splits import DataSet
from bakeoff.errors import DivergedError
from bakeoff.evaluation.prediction import predict
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import LogitsClassifier
from bakeoff.runs.records import EpochRecord
from bakeoff.training.ema import WeightAverage
from bakeoff.training.loop import SavePoint, fit, train_step
from bakeoff.training.scaling import LossScale
from bakeoff.training.state import TrainState, start

TRAIN, VAL = toy_split(100), toy_split(40, seed=1)


class Plain(LogitsClassifier):
    """Neither batch norm nor dropout, so that the parts of a batch add up to the batch."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def batch(count: int = 16, seed: int = 0) -> Batch:
    split = toy_split(count, seed)
    return Batch(split.pixels, split.labels, torch.arange(count))


def trained(config: Any, state: TrainState, val: Any = VAL) -> list[EpochRecord]:
    return [e for e in fit(state, TRAIN, val, config, CPU) if isinstance(e, EpochRecord)]


# RMSprop


def test_rmsprop_is_torchs() -> None:
    config = toy_config(
        optim__name="rmsprop", optim__momentum=0.5, optim__weight_decay=0.1, optim__clip_norm=None
    )
    state = toy_state(config, Plain())
    model = copy.deepcopy(state.model)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors}]
    plain = torch.optim.RMSprop(groups, lr=config.optim.lr, alpha=0.99, momentum=0.5)
    for number in range(5):
        train_step(state, batch(seed=number), config, CPU)
        plain.zero_grad()
        sum(model.losses(batch(seed=number)).values()).backward()  # type: ignore[union-attr]
        plain.step()
    assert_same_bits(weights_of(state), dict(model.state_dict()))


@pytest.mark.parametrize("bad_call", [1, 4, 9])
def test_rmsprop_takes_a_bad_step_back(bad_call: int) -> None:
    """Weights, running statistics and the optimizer's state stay those of the last good step."""
    config = toy_config(optim__name="rmsprop", optim__momentum=0.9)
    torch.manual_seed(config.seed)
    good = toy_state(config, Toy())
    steps = fit(good, TRAIN, VAL, config, CPU, pause=lambda: good.step == bad_call - 1)
    if bad_call > 1:
        assert isinstance(next(steps), (SavePoint, EpochRecord))
        while good.step < bad_call - 1:
            next(steps)
    torch.manual_seed(config.seed)
    bad = toy_state(config, FailingToy(bad_call))
    with pytest.raises(DivergedError, match=f"in step {bad_call},"):
        list(fit(bad, TRAIN, VAL, config, CPU))
    assert bad.step == bad_call - 1
    assert_same_bits(weights_of(bad), weights_of(good))
    for ours, theirs in zip(bad.model.parameters(), good.model.parameters(), strict=True):
        for key, value in good.optimizer.state[theirs].items():
            assert torch.equal(bad.optimizer.state[ours][key], value), key


# Accumulation


@pytest.mark.parametrize("accumulate", [2, 3, 5, 16])
def test_the_parts_of_a_batch_give_its_weights(accumulate: int) -> None:
    whole = toy_state(toy_config(), Plain())
    parts = copy.deepcopy(whole)
    for number in range(6):
        losses = [
            train_step(state, batch(16, number), toy_config(trainer__accumulate=count), CPU)
            for state, count in ((whole, 1), (parts, accumulate))
        ]
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    for left, right in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
    assert whole.loss_sums.keys() == parts.loss_sums.keys()
    for name, value in whole.loss_sums.items():
        assert value.item() == pytest.approx(parts.loss_sums[name].item(), rel=1e-5)


@pytest.mark.parametrize(("count", "parts"), [(16, 1), (16, 3), (7, 3), (5, 5), (3, 8), (1, 4), (17, 4)])
def test_a_batch_comes_in_parts_in_order(count: int, parts: int) -> None:
    whole = batch(count)
    found = list(whole.parts(parts))
    assert 1 <= len(found) <= parts
    assert torch.equal(torch.cat([part.indices for part in found]), whole.indices)
    assert torch.equal(torch.cat([part.images for part in found]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in found]), whole.labels)
    if count > 1:
        assert min(len(part.labels) for part in found) > 1  # batch norm cannot take a single image


def test_accumulation_takes_as_many_steps() -> None:
    config = toy_config(trainer__accumulate=4)
    state = toy_state(config)
    assert [record.step for record in trained(config, state)] == [7, 14, 21]


# Averages of weights


def test_the_average_by_hand() -> None:
    model = Toy()
    average = WeightAverage(model, 0.9)
    expected = {name: tensor.clone().double() for name, tensor in model.state_dict().items()}
    for step in range(1, 30):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.add_(1 if tensor.dtype == torch.int64 else torch.rand_like(tensor))
        average.update(model, step, torch.tensor(0.0))
        decay = min(0.9, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            old = expected[name]
            floating = tensor.dtype != torch.int64
            expected[name] = decay * old + (1 - decay) * tensor.double() if floating else tensor.double()
    for name, tensor in average.model.state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_a_skipped_step_moves_no_average() -> None:
    model = Toy()
    average = WeightAverage(model, 0.9)
    before = {name: tensor.clone() for name, tensor in average.model.state_dict().items()}
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.fill_(float("nan") if "running" in name else 5)
    average.update(model, 3, torch.tensor(1.0))
    assert_same_bits(dict(average.model.state_dict()), before)


def test_training_does_not_depend_on_the_average_and_the_average_is_judged() -> None:
    plain, averaged = toy_config(), toy_config(trainer__ema_decay=0.9)
    without, with_ema = toy_state(plain), toy_state(averaged)
    trained(plain, without)
    records = trained(averaged, with_ema)
    assert_same_bits(weights_of(without), weights_of(with_ema))
    assert with_ema.ema is not None
    judged = {name: tensor.clone() for name, tensor in with_ema.ema.model.state_dict().items()}
    assert any(not torch.equal(judged[name], tensor) for name, tensor in weights_of(with_ema).items())
    rows = predict(with_ema.ema.model, VAL, CPU)
    accuracy = (rows.probabilities.argmax(1) == rows.label).mean()
    assert records[-1].val is not None
    assert records[-1].val.accuracy == pytest.approx(accuracy)
    assert with_ema.best is not None
    if with_ema.best.epoch == 3:
        assert_same_bits(with_ema.best.weights, judged)


def test_a_state_with_everything_on_goes_on_from_a_copy() -> None:
    """Average, loss scale and RMSprop are part of the state: a copy at any step border has the same bits."""
    config = toy_config(trainer__ema_decay=0.9, trainer__accumulate=2, optim__name="rmsprop")
    reference = toy_state(config)
    reference.loss_scale = LossScale.start(CPU.device)
    trained(config, reference)
    for border in (1, 7, 10, 20):
        state = toy_state(config)
        state.loss_scale = LossScale.start(CPU.device)
        for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda s=state, b=border: s.step == b):
            if isinstance(event, SavePoint):
                break
        again = copy.deepcopy(state)
        del state
        trained(config, again)
        assert_same_bits(weights_of(again), weights_of(reference))
        assert again.ema is not None
        assert reference.ema is not None
        assert_same_bits(dict(again.ema.model.state_dict()), dict(reference.ema.model.state_dict()))
        assert again.loss_scale is not None
        assert reference.loss_scale is not None
        assert torch.equal(again.loss_scale.good_steps, reference.loss_scale.good_steps)


@pytest.mark.usefixtures("no_pictures")
def test_the_averaged_weights_are_saved_and_tested(bakeoff: Bakeoff) -> None:
    from safetensors.numpy import load_file

    arguments = ["train", "data=digits", "model.channels=[4]", "trainer.epochs=2", "trainer.select=last"]
    assert bakeoff(*arguments, "output_dir=plain")[0] == 0
    assert bakeoff(*arguments, "output_dir=ema", "trainer.ema_decay=0.99")[0] == 0
    (plain,), (ema,) = (list(Path(name).glob("*/*/weights.safetensors")) for name in ("plain", "ema"))
    left, right = load_file(plain), load_file(ema)
    assert left.keys() == right.keys()
    assert any((tensor != right[name]).any() for name, tensor in left.items())
    assert bakeoff("evaluate", str(ema.parent))[0] == 0


# fp16


FP16 = Runtime(torch.device("cpu"), "fp16", channels_last=False)  # a CPU does for the arithmetic


@pytest.mark.parametrize("overflow_at", [(), (2,), (0, 1, 5)])
def test_the_loss_scale_is_torchs_grad_scaler(overflow_at: tuple[int, ...]) -> None:
    theirs = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=2000)
    ours = LossScale.start(torch.device("cpu"))
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    theirs.scale(torch.ones(()))
    for step in range(8):
        gradient = torch.full((3,), float("inf") if step in overflow_at else 2.0)
        parameter.grad = gradient * theirs.get_scale()
        theirs.unscale_(optimizer)
        scaled = gradient * ours.scale
        ours.unscale([scaled])
        assert torch.equal(scaled, parameter.grad)
        theirs.step(optimizer)
        theirs.update()
        ours.update(~torch.isfinite(scaled).all())
        assert ours.scale.item() == theirs.get_scale()


def test_the_loss_scale_doubles_after_2000_good_steps() -> None:
    scale = LossScale.start(torch.device("cpu"))
    for step in range(1, 4001):
        scale.update(torch.tensor(False))
        assert scale.scale.item() == 2.0**16 * 2 ** (step // 2000)
    scale.update(torch.tensor(True))
    assert (scale.scale.item(), scale.good_steps.item()) == (2.0**17, 0)


def test_fp16_skips_an_overflowing_step_and_goes_on() -> None:
    config = toy_config(optim__clip_norm=None)
    torch.manual_seed(0)
    state = start(Plain(), torch.optim.SGD([{"params": []}], lr=0.1), config.trainer, FP16)
    state.optimizer = torch.optim.SGD(state.model.parameters(), lr=0.1, fused=True)
    assert state.loss_scale is not None
    before = weights_of(state)
    state.loss_scale.scale = torch.tensor(2.0**60)  # any fp16 gradient overflows
    train_step(state, batch(), config, FP16)
    assert_same_bits(weights_of(state), before)
    assert state.loss_scale.scale.item() == 2.0**59
    assert not state.guard.tripped()
    state.loss_scale.scale = torch.tensor(2.0**8)
    train_step(state, batch(), config, FP16)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in weights_of(state).items())
    assert not state.guard.tripped()


def test_fp16_ends_where_no_scale_helps() -> None:
    """A gradient that overflows at any scale must not run for ever as "skipped"."""
    config = toy_config()

    class Endless(Plain):
        def losses(self, batch: Batch) -> dict[str, Tensor]:
            parts = super().losses(batch)
            # Finite, with a gradient that is not: the square root's at 0.
            return parts | {"root": (self.layers[3].weight.float() * 0).sum().sqrt()}

    state = start(Endless(), torch.optim.SGD([{"params": []}], lr=0.1), config.trainer, FP16)
    state.optimizer = torch.optim.SGD(state.model.parameters(), lr=0.1, fused=True)
    before = weights_of(state)
    for number in range(27):
        assert not state.guard.tripped(), number
        train_step(state, batch(), config, FP16)
        if number == 25:
            break
    train_step(state, batch(), config, FP16)
    assert state.guard.tripped()
    assert_same_bits(weights_of(state), before)


def test_fp16_trains_as_well_as_fp32() -> None:
    config = toy_config(trainer__epochs=8, optim__lr=0.01)
    found = []
    for runtime in (CPU, FP16):
        torch.manual_seed(0)
        state = toy_state(config)
        if runtime is FP16:
            state.loss_scale = LossScale.start(CPU.device)
        records = [e for e in fit(state, TRAIN, VAL, config, runtime) if isinstance(e, EpochRecord)]
        found.append(records[-1].train_loss)
    assert math.isclose(*found, rel_tol=0.2)


def test_fp16_is_for_cuda(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("train", "data=digits", "trainer.precision=fp16", "trainer.device=cpu")
    assert code == 2
    assert err == "error: trainer.precision=fp16: for CUDA devices; on cpu use bf16, fp32 or auto\n"


# Compilation


@pytest.mark.parametrize("variable", [None, "no-such-compiler"])
def test_without_a_compiler_one_line(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str | None
) -> None:
    if variable is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("CXX", variable)
    code, _, err = bakeoff("train", "data=digits", "trainer.compile=true", "trainer.device=cpu")
    assert code == 2
    assert err.startswith("error: trainer.compile=true: no compiler on this machine")
    assert err.count("\n") == 1
    assert not Path("outputs").exists()


# Dry runs


def test_overfitting_uses_the_same_few_images() -> None:
    names = ("a", "b", "c")
    dataset = DataSet("toy", names, toy_split(100), toy_split(40, seed=1), toy_split(60, seed=2))
    few = few_images(dataset, 12)
    assert (len(few.train), len(few.test)) == (12, 12)
    assert few.val is few.train
    counts = torch.bincount(few.train.labels, minlength=3)
    share = torch.bincount(dataset.train.labels, minlength=3) / 100 * 12
    assert (counts - share).abs().max() < 1
    pool = {image.numpy().tobytes() for image in dataset.test.images(torch.arange(60))}
    assert all(image.numpy().tobytes() in pool for image in few.test.images(torch.arange(12)))
    assert "a quick test run, its scores mean nothing" in few.notes[-1]
    everything = few_images(dataset, 1000)
    assert (len(everything.train), len(everything.test)) == (100, 60)


@pytest.mark.usefixtures("pictures_if_slow")
def test_a_model_learns_its_few_images_by_heart(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff(
        "train", "data=digits", "model.channels=[8]", "trainer.epochs=200", "trainer.overfit_batches=1",
        "trainer.batch_size=20", "data.augment.shift_pixels=3", "optim.lr=0.02",
    )  # fmt: skip
    assert code == 0
    assert "note: trainer.overfit_batches: trains and validates on the same 20 images" in out
    (path,) = Path("outputs").glob("*/*/summary.json")
    augment = json.loads((path.parent / "config.json").read_text())["data"]["augment"]
    assert not any(augment.values())  # as it was trained, not as it was asked for
    summary = json.loads(path.read_text())
    assert summary["val"]["accuracy"] == 1.0
    assert summary["test"]["num_images"] == 20
    assert summary["fingerprint"]["train_split"] == summary["fingerprint"]["val_split"]


@pytest.mark.usefixtures("pictures_if_slow")
def test_debug_runs_any_model_and_data_without_validation_images(bakeoff: Bakeoff, tiny_mnist: str) -> None:
    code, out, _ = bakeoff("train", "experiment=debug", f"data.root={tiny_mnist}", "data.val_fraction=0")
    assert code == 0
    assert "64 training, 64 validation and 64 test images" in out
    assert bakeoff("train", "experiment=debug", "data=digits", "optim=sgd")[0] == 0
