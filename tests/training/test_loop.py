"""The loop with a toy classifier: what it records, and what must not change the weights."""

import copy
import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toy import CPU, FailingToy, Toy, assert_same_bits, toy_config, toy_split, toy_state, weights_of

from bakeoff.config.schema import Config
from bakeoff.data.batches import plan_epoch, training_batches
from bakeoff.errors import DivergedError
from bakeoff.evaluation import metrics
from bakeoff.evaluation.prediction import predict
from bakeoff.machine import runtime
from bakeoff.runs.records import EpochRecord
from bakeoff.training import optim
from bakeoff.training.loop import SavePoint, fit, train_step
from bakeoff.training.state import TrainState

TRAIN, VAL = toy_split(100), toy_split(40, seed=1)
TIMES = ("train_seconds", "eval_seconds", "train_images_per_second")


def run(
    config: Config, state: TrainState | None = None, **options: Any
) -> tuple[TrainState, list[EpochRecord]]:
    state = state or toy_state(config)
    options.setdefault("val", VAL)
    events = fit(state, TRAIN, config=config, runtime=CPU, **options)
    return state, [event for event in events if isinstance(event, EpochRecord)]


def without_times(records: list[EpochRecord]) -> list[dict[str, Any]]:
    kept = [dataclasses.asdict(record) for record in records]
    for record, name in itertools.product(kept, TIMES):
        del record[name]
    return kept


def test_learns_and_records_each_epoch() -> None:
    config = toy_config(trainer__epochs=8, optim__lr=0.01)
    state, records = run(config)
    assert [record.epoch for record in records] == list(range(1, 9))
    assert [record.step for record in records] == [7 * epoch for epoch in range(1, 9)]
    assert records[-1].train_loss < 0.5 * records[0].train_loss
    assert records[-1].val is not None
    assert records[-1].val.accuracy > 0.8
    assert all(record.train_loss == sum(record.train_loss_parts.values()) for record in records)
    assert state.times["train"] == pytest.approx(sum(record.train_seconds for record in records))
    assert state.first_epoch_seconds == records[0].train_seconds


class ExactToy(Toy):
    """Its layers compute in float64.

    The bias before batch norm has no gradient but what rounding leaves, and AdamW divides a gradient
    by its own size: in float32 that noise becomes steps of the full learning rate, other ones with
    each processor's kernels. In float64 it is far below AdamW's epsilon, and nothing moves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers.double()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images.double())


def test_a_step_is_the_plain_recipe() -> None:
    """Against the five lines that anybody would write, with torch's own AdamW and clipping."""
    config = toy_config(optim__clip_norm=0.1, optim__weight_decay=0.1)
    torch.manual_seed(config.seed)
    state = toy_state(config, ExactToy())
    model = copy.deepcopy(state.model)
    assert isinstance(model, Toy)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    plain = torch.optim.AdamW(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.1
    )
    plan = plan_epoch(TRAIN, config.data.augment, 0, 1, CPU.device)
    batches = list(training_batches(TRAIN, plan, 16, config.data.augment, CPU.device))
    optim.set_learning_rate(state.optimizer, 1e-3)
    torch.manual_seed(5)
    for batch in batches:
        train_step(state, batch, config, CPU)
    torch.manual_seed(5)
    for batch in batches:
        plain.zero_grad()
        F.cross_entropy(model((batch.images - 127.5) / 63.75).float(), batch.labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        plain.step()
    for (name, ours), theirs in zip(
        state.model.state_dict().items(), model.state_dict().values(), strict=True
    ):
        # The loss itself is in float32: a few of its roundings in seven steps of 1e-3.
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8, msg=name)


def test_train_loss_is_the_mean_over_images_not_over_batches() -> None:
    config = toy_config(trainer__epochs=1)
    state = toy_state(config)
    losses: list[tuple[int, float]] = []
    _, records = run(config, state, progress=lambda _, count, loss: losses.append((count, loss.item())))
    assert [count for count, _ in losses] == [16] * 6 + [4]
    expected = sum(count * loss for count, loss in losses) / 100
    assert records[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_bits_and_another_seed_others() -> None:
    first, second = run(toy_config()), run(toy_config())
    assert_same_bits(weights_of(first[0]), weights_of(second[0]))
    assert without_times(first[1]) == without_times(second[1])
    other = weights_of(run(toy_config(seed=1))[0])
    assert any(not torch.equal(other[name], tensor) for name, tensor in weights_of(first[0]).items())


@pytest.mark.parametrize(
    "options",
    [
        {"val": None},
        {"progress": lambda _, count, loss: loss.item()},
        {"pause": lambda: True},
        {"pause": iter([False, True, True, False] * 100).__next__},
    ],
    ids=["never evaluated", "progress reads every loss", "paused at each step", "paused now and then"],
)
def test_watching_does_not_change_the_weights(options: dict[str, Any]) -> None:
    config = toy_config(trainer__select="last")
    assert_same_bits(weights_of(run(config)[0]), weights_of(run(config, **options)[0]))


@pytest.mark.parametrize("kind", [SavePoint, EpochRecord])
def test_a_consumer_that_draws_does_not_change_the_training(kind: type) -> None:
    config = toy_config()
    straight, straight_records = run(config)
    state, records, drawn = toy_state(config), [], 0
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step % 5 == 2):
        if isinstance(event, EpochRecord):
            records.append(event)
        if isinstance(event, kind):
            drawn += 1
            torch.rand(7)
    assert drawn >= 3
    assert_same_bits(weights_of(straight), weights_of(state))
    assert without_times(records) == without_times(straight_records)


@pytest.mark.parametrize("border", range(1, 22))
def test_a_copy_at_any_step_border_goes_on_with_the_same_bits(border: int) -> None:
    config = toy_config()
    straight, straight_records = run(config)
    state, events, records = toy_state(config), 0, []
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step == border):
        if isinstance(event, SavePoint):
            events += 1
            break
        records.append(event)
    assert events == 1
    assert state.step == border
    copied = copy.deepcopy(state)
    torch.manual_seed(999)  # whatever happens in between
    for parameter in state.model.parameters():
        parameter.data.zero_()
    copied, rest = run(config, copied)
    assert_same_bits(weights_of(straight), weights_of(copied))
    assert without_times(records + rest) == without_times(straight_records)
    assert copied.best is not None
    assert straight.best is not None
    assert copied.best.scores == straight.best.scores
    assert_same_bits(straight.best.weights, copied.best.weights)


def test_the_clock_stands_still_at_a_save_point(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    config = toy_config(trainer__epochs=1)
    state = toy_state(config)
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: True):
        if isinstance(event, SavePoint):
            for _ in range(1000):
                next(now)  # the consumer takes its time
    # One tick for the epoch's plan and one for each of the 7 stretches between pauses.
    assert state.times["train"] == 8


@pytest.mark.parametrize("bad_step", [1, 2, 8, 21])
def test_divergence_keeps_the_weights_and_buffers_of_the_last_good_step(bad_step: int) -> None:
    config = toy_config()
    good = toy_state(config)
    for event in fit(good, TRAIN, VAL, config, CPU, pause=lambda: good.step == bad_step - 1):
        if isinstance(event, SavePoint):
            break
    state = toy_state(config, None)
    bad = toy_state(config, FailingToy(bad_step))
    bad.model.load_state_dict(state.model.state_dict())
    bad.rng = state.rng
    expected = weights_of(toy_state(config)) if bad_step == 1 else weights_of(good)
    with pytest.raises(DivergedError, match=rf"optim.lr=.*step {bad_step}, epoch {(bad_step - 1) // 7 + 1}"):
        list(fit(bad, TRAIN, VAL, config, CPU))
    assert bad.step == bad_step - 1
    assert_same_bits(expected, weights_of(bad))
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights_of(bad).values())


def test_a_rate_beyond_reason_diverges() -> None:
    with pytest.raises(DivergedError):
        run(toy_config(optim__lr=1e30, optim__clip_norm=None, optim__name="sgd", trainer__epochs=20))


def test_the_best_epoch_wins_and_ties_go_to_the_lower_nll(monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.runs.records import ValidationScores

    scores = iter(
        ValidationScores(accuracy, 0.0, nll)
        for accuracy, nll in [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8)]
    )
    monkeypatch.setattr("bakeoff.training.loop.validate", lambda *_: next(scores))
    config = toy_config(trainer__epochs=4)
    state = toy_state(config)
    at_end_of_epoch = [weights_of(state) for _ in fit(state, TRAIN, VAL, config, CPU)]
    assert state.best is not None
    assert state.best.epoch == 3
    assert state.epochs_without_gain == 1
    assert_same_bits(state.best.weights, at_end_of_epoch[2])


@pytest.fixture
def trained() -> TrainState:
    return run(toy_config())[0]


@pytest.mark.parametrize("batch_size", [1, 7, 40, 512])
def test_scores_do_not_depend_on_the_evaluation_batch(trained: TrainState, batch_size: int) -> None:
    reference = predict(trained.model, VAL, CPU)
    predictions = predict(trained.model, VAL, CPU, batch_size)
    assert np.array_equal(
        metrics.answers(predictions.probabilities), metrics.answers(reference.probabilities)
    )
    np.testing.assert_allclose(predictions.probabilities, reference.probabilities, atol=1e-6)
    assert np.array_equal(predictions.index, np.arange(40))
    assert np.array_equal(predictions.label, VAL.labels.numpy())


@pytest.mark.parametrize("mode", [True, False])
def test_evaluation_changes_nothing(trained: TrainState, mode: bool) -> None:
    trained.model.train(mode)
    before, generators = weights_of(trained), runtime.rng_states(CPU.device)
    predict(trained.model, VAL, CPU)
    assert_same_bits(before, weights_of(trained))
    assert_same_bits(generators, runtime.rng_states(CPU.device))
    assert trained.model.training is mode
    assert all(parameter.grad is None for parameter in trained.model.parameters())


def test_evaluation_restores_the_mode_after_an_error(
    trained: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probabilities(_: torch.Tensor) -> torch.Tensor:
        assert not trained.model.training
        raise RuntimeError("on purpose")

    trained.model.train()
    monkeypatch.setattr(trained.model, "probabilities", probabilities)
    with pytest.raises(RuntimeError, match="on purpose"):
        predict(trained.model, VAL, CPU)
    assert trained.model.training


def test_probabilities_that_are_not_finite_are_divergence(trained: TrainState) -> None:
    trained.model.state_dict()["layers.5.weight"].fill_(float("nan"))
    with pytest.raises(DivergedError, match="probabilities"):
        predict(trained.model, VAL, CPU)


def test_extra_scores_are_divided_by_all_images(trained: TrainState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        trained.model, "extra_scores", lambda images, _: {"count": torch.tensor(2.0 * len(images))}
    )
    assert predict(trained.model, VAL, CPU, 7).extra == {"count": 2.0}


class OverflowingToy(Toy):
    """Its activations can be made so large that batch norm's variance alone is not finite."""

    factor = 1.0

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        return super().normalise(images) * self.factor


def test_a_running_statistic_that_overflows_stops_the_run_though_the_loss_is_finite() -> None:
    config, model = toy_config(), OverflowingToy()
    state = toy_state(config, model)
    batch = next(
        training_batches(
            TRAIN,
            plan_epoch(TRAIN, config.data.augment, 0, 1, CPU.device),
            16,
            config.data.augment,
            CPU.device,
        )
    )
    model.train()
    train_step(state, batch, config, CPU)
    before = weights_of(state)
    model.factor = 1e30
    assert torch.isfinite(train_step(state, batch, config, CPU))
    assert state.guard.tripped()
    state.guard.restore_buffers()
    assert_same_bits(weights_of(state), before)
