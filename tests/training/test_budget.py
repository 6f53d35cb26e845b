"""Training for a given time: the plan by hand, and whole trainings by a clock that only steps move on."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import CPU, FailingToy, Toy, assert_same_bits, toy_config, toy_split, toy_state, weights_of

from bakeoff.config.schema import Config
from bakeoff.errors import DivergedError, InterruptedRunError, ResumeError
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.training import loop
from bakeoff.training.budget import Budget, predicted_steps, schedule_step
from bakeoff.training.guard import StepGuard
from bakeoff.training.loop import SavePoint, fit, train_step
from bakeoff.training.optim import learning_rate
from bakeoff.training.state import TrainState

TRAIN, VAL = toy_split(100), toy_split(40, seed=1)  # 7 steps of 16 images an epoch, the last one of 4
PER_EPOCH = 7
SIXTEENTH = 1 / 16  # of a second: exact in binary, so that the counts below are


@pytest.mark.parametrize(
    ("step", "left", "pace", "most", "planned"),
    [
        (50, 8.0, 0.05, 1000, 210),
        (50, 8.04, 0.05, 1000, 210),  # the next one would not be done in time
        (50, 8.0, 0.05, 210, 210),
        (50, 8.0, 0.05, 100, 100),  # epochs are the limit
        (50, 0.04, 0.05, 1000, 50),
        (50, 0.0, 0.05, 1000, 50),
        (50, -1.0, 0.05, 1000, 50),
        (50, 1e9, 1e-300, 1000, 1000),
        (50, 8.0, 0.0, 1000, 1000),
    ],
)
def test_as_many_steps_as_the_rest_of_the_time_is_enough_for(
    step: int, left: float, pace: float, most: int, planned: int
) -> None:
    assert predicted_steps(step, left, pace, most) == planned


def places(at: int, planned: int, total: int, warmup: int = 0) -> list[float]:
    return [schedule_step(step, at, planned, total, warmup) for step in range(planned)]


def test_the_rest_of_a_schedule_is_passed_through_evenly() -> None:
    # After 4 of 10 steps, 6 steps for what is left of 100: 16 at a time.
    assert places(4, 10, 100) == [0, 1, 2, 3, 4, 20, 36, 52, 68, 84]
    assert places(4, 100, 100) == list(range(100))  # nothing is to be hurried
    assert [schedule_step(step, None, None, 100, 0) for step in range(100)] == list(range(100))


def test_a_warm_up_in_epochs_keeps_its_length_unless_it_is_most_of_the_run() -> None:
    assert places(2, 10, 60, warmup=5) == [0, 1, 2, 3, 4, 5, 16, 27, 38, 49]
    assert places(2, 10, 60, warmup=6) == places(2, 10, 60)
    assert places(7, 10, 60, warmup=5) == places(7, 10, 60)  # it was over before


SCHEDULES: dict[str, dict[str, Any]] = {
    "one_cycle": {"optim__warmup_epochs": 10.0},  # beyond the plan
    "one_cycle, a share": {"optim__warmup": 0.1},
    "cosine": {"optim__schedule": "cosine"},
    "cosine, a share": {"optim__schedule": "cosine", "optim__warmup": 0.1},
    "step": {"optim__schedule": "step"},
    "step, in epochs": {"optim__schedule": "step", "optim__step_epochs": 4.0, "optim__warmup_epochs": 0.0},
    "constant": {"optim__schedule": "constant", "optim__warmup": 0.2},
}


GOES_ON_QUICK = {("one_cycle, a share", True)}


class Clock:
    """Stands still but in a step."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the phases; a step takes `seconds_of` it, by its number."""
    clock = Clock()
    monkeypatch.setattr("bakeoff.machine.timing.time.perf_counter", clock)
    return clock


def steps_take(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: Callable[[int], float] = lambda _: SIXTEENTH,
    *,
    learning: bool = False,
) -> list[float]:
    """Lets a step take so many seconds by its number from 1; returns a list to which go the rates of steps.

    Unless it is to learn, steps and validations compute nothing.
    """
    take, rates = train_step, []

    def step(state: TrainState, *rest: Any) -> Any:
        clock.now += seconds(state.step + 1)
        rates.append(state.optimizer.param_groups[0]["lr"])
        return take(state, *rest) if learning else torch.zeros(())

    monkeypatch.setattr(loop, "train_step", step)
    if not learning:
        monkeypatch.setattr(loop, "validate", lambda *_: ValidationScores(0.5, 0.5, 1.0))
    return rates


def budgeted(max_seconds: float | None, epochs: int = 1000, **changes: Any) -> Config:
    return toy_config(trainer__max_seconds=max_seconds, trainer__epochs=epochs, **changes)


def finished(state: TrainState, config: Config, **options: Any) -> TrainState:
    for _ in fit(state, TRAIN, VAL, config, CPU, **options):
        pass
    return state


def ends(state: TrainState) -> tuple[int, int | None, int | None, int | None]:
    return state.step, state.planned_steps, state.planned_at_step, state.out_of_time_at_step


def plan_seen(config: Config) -> TrainState:
    """A state at the step of its plan."""
    state = toy_state(config)
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.planned_steps is not None):
        if isinstance(event, SavePoint):
            return state
    raise AssertionError("no plan was made")


@pytest.mark.parametrize(
    ("seconds", "max_seconds", "epochs", "expected"),
    [
        # 50 steps of 1/16 s are 3.1 s: the plan is made with the 50th.
        (lambda _: SIXTEENTH, 8.0, 1000, (128, 128, 50, None)),
        (lambda _: SIXTEENTH, 8.03, 1000, (128, 128, 50, None)),
        (lambda _: SIXTEENTH, 8.0, 11, (77, 77, 50, None)),  # epochs are the limit
        # 50 steps of 1/64 s are 0.8 s: it is made after 2 s.
        (lambda _: SIXTEENTH / 4, 4.0, 1000, (256, 256, 128, None)),
        # The first ten steps compile, for 65 s: they are no measure, but they count.
        (lambda step: 6.5 if step <= 10 else SIXTEENTH, 71.5, 1000, (114, 114, 50, None)),
        # No plan: the time is over before.
        (lambda _: SIXTEENTH, 1.0, 1000, (16, None, None, 16)),
        (lambda _: SIXTEENTH, 3.0, 1000, (48, None, None, 48)),
        (lambda _: SIXTEENTH, 0.01, 1000, (1, None, None, 1)),
        # It becomes slower after the plan: the time ends it, 50 of 1/16 s and 39 of 1/8 s.
        (lambda step: SIXTEENTH * (1 + (step > 50)), 8.0, 1000, (89, 128, 50, 89)),
        # It becomes faster: the plan ends it.
        (lambda step: SIXTEENTH / (1 + (step > 50)), 8.0, 1000, (128, 128, 50, None)),
        # The 50th step alone takes longer than there is.
        (lambda step: 100.0 if step == 50 else SIXTEENTH, 8.0, 1000, (50, 50, 50, None)),
    ],
)
def test_when_the_plan_is_made_and_what_ends_a_training(
    seconds: Callable[[int], float],
    max_seconds: float,
    epochs: int,
    expected: tuple[int, int | None, int | None, int | None],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps_take(clock, monkeypatch, seconds)
    config = budgeted(max_seconds, epochs)
    assert ends(finished(toy_state(config), config)) == expected


def test_without_a_budget_there_is_no_plan(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(clock, monkeypatch)
    config = budgeted(None, 10)
    assert ends(finished(toy_state(config), config)) == (70, None, None, None)


def test_validation_does_not_count(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(clock, monkeypatch)
    validate = loop.validate

    def slow(*arguments: Any) -> Any:
        clock.now += 100
        return validate(*arguments)

    monkeypatch.setattr(loop, "validate", slow)
    config = budgeted(8.0)
    state = toy_state(config)
    for _ in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step % 3 == 0):
        clock.now += 10  # neither does saving
    assert ends(state) == (128, 128, 50, None)
    assert state.times["train"] == 8.0


def test_an_epoch_that_ends_early_is_validated_and_its_figures_are_of_its_own_images(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps_take(clock, monkeypatch, learning=True)
    seen: list[tuple[int, int, float]] = []
    config = budgeted(8.0)
    state = finished(
        toy_state(config),
        config,
        progress=lambda state, count, loss: seen.append((state.epoch, count, loss.item())),
    )
    records = state.epochs
    assert [record.epoch for record in records] == list(range(1, 20))
    assert [record.step for record in records] == [*range(7, 127, 7), 128]  # 18 whole ones and 2 steps
    last = [(count, loss) for epoch, count, loss in seen if epoch == 19]
    assert [count for count, _ in last] == [16, 16]
    assert records[-1].train_loss == pytest.approx(sum(count * loss for count, loss in last) / 32, rel=1e-5)
    assert records[-1].train_seconds == 2 * SIXTEENTH
    assert records[-1].train_images_per_second == 32 / (2 * SIXTEENTH)
    assert records[0].train_images_per_second == 100 / (7 * SIXTEENTH)
    assert all(record.val for record in records)
    assert state.best is not None
    assert state.best.epoch in range(1, 20)
    assert (state.epoch, state.step_in_epoch) == (20, 0)


def test_the_only_epoch_may_be_a_part_of_one(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(clock, monkeypatch)
    config = budgeted(0.25)
    state = finished(toy_state(config), config)
    assert [(record.epoch, record.step) for record in state.epochs] == [(1, 4)]
    assert state.best is not None
    assert state.first_epoch_seconds == 0.25


def test_an_epoch_is_not_begun_when_the_time_is_over(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The device is waited for after an epoch's last step, which takes half a second."""
    steps_take(clock, monkeypatch)

    def slow(_: Any) -> bool:
        clock.now += 0.5
        return False

    monkeypatch.setattr(StepGuard, "tripped", slow)
    config = budgeted(7 * SIXTEENTH + 0.25)
    state = toy_state(config)
    for number, event in enumerate(fit(state, TRAIN, VAL, config, CPU)):
        assert isinstance(event, EpochRecord)
        folder = tmp_path / str(number)
        folder.mkdir()
        # A part that begins here finds the same.
        assert ends(finished(through_disk(state, config, folder), config)) == (7, None, None, 7)
    assert [(record.epoch, record.step) for record in state.epochs] == [(1, 7)]


def test_the_guard_is_asked_at_the_last_step(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(clock, monkeypatch, learning=True)
    config = budgeted(0.25)
    with pytest.raises(DivergedError, match="not finite in step 4"):
        finished(toy_state(config, FailingToy(bad_call=4)), config)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_the_rate_jumps_nowhere_and_ends_where_a_whole_schedule_ends(
    schedule: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = steps_take(clock, monkeypatch)
    config = budgeted(10.0, 1000, **SCHEDULES[schedule])
    state = finished(toy_state(config), config)
    assert ends(state) == (160, 160, 50, None)
    peak = config.optim.lr
    whole = [learning_rate(step, config.optim, PER_EPOCH, 1000) for step in range(7000)]
    unchanged = 70 if schedule == "one_cycle" else 50
    assert rates[:unchanged] == whole[:unchanged]
    assert rates == [state_rate for state_rate in rates if 0 < state_rate <= peak]
    assert max(rates) == pytest.approx(peak, rel=1e-3)
    steps = [after / before for before, after in itertools.pairwise(rates)]
    if not schedule.startswith("step"):
        assert rates[-1] == pytest.approx(whole[-1], abs=3e-4 * peak)
    if "step" not in schedule:
        # As in a run of 110 steps, but for the warm-up's slow beginning.
        differences = [abs(after - before) for before, after in itertools.pairwise(rates)]
        alone = [learning_rate(step, config.optim, 1, 110) for step in range(110)]
        if config.optim.warmup is None:
            alone = [learning_rate(step, config.optim, PER_EPOCH, 16) for step in range(112)]
        steepest = max(abs(after - before) for before, after in itertools.pairwise(alone))
        assert max(differences) <= 1.2 * steepest
    else:
        reductions = [place for place, ratio in enumerate(steps, start=1) if ratio < 0.99]
        every = 28 if schedule == "step, in epochs" else (160 - 50) / 3
        assert len(reductions) == (5 if schedule == "step, in epochs" else 2)
        assert reductions[1] - reductions[0] == pytest.approx(every, abs=1)


def test_an_epochs_record_has_the_rate_that_was_used(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = steps_take(clock, monkeypatch, lambda step: SIXTEENTH * (1 + (step > 50)))
    config = budgeted(8.0)
    state = finished(toy_state(config), config)
    assert [record.lr for record in state.epochs] == [rates[record.step - 1] for record in state.epochs]


def through_disk(state: TrainState, config: Config, folder: Path) -> TrainState:
    Checkpoints(folder, keep=1).write(state.state_dict())
    found, _ = Checkpoints(folder, keep=1).newest()
    assert found is not None
    fresh = toy_state(config)
    fresh.load_state_dict(found.parts())
    return fresh


def assert_same(state: TrainState, other: TrainState) -> None:
    assert ends(state) == ends(other)
    assert [dataclasses.asdict(record) for record in state.epochs] == [
        dataclasses.asdict(record) for record in other.epochs
    ]
    assert_same_bits(weights_of(state), weights_of(other))
    assert state.best is not None
    assert other.best is not None
    assert (state.best.epoch, state.best.scores) == (other.best.epoch, other.best.scores)


@pytest.mark.parametrize(
    ("schedule", "cut"),
    [
        pytest.param(schedule, cut, marks=() if (schedule, cut) in GOES_ON_QUICK else pytest.mark.slow)
        for schedule in SCHEDULES
        for cut in (False, True)
    ],
)
def test_a_run_that_goes_on_keeps_the_plan_and_has_the_same_bits(
    schedule: str, *, cut: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps_take(clock, monkeypatch, lambda step: SIXTEENTH * (1 + (cut and step > 50)), learning=True)
    config = budgeted(5.0, **SCHEDULES[schedule])
    straight = finished(toy_state(config), config)
    last = straight.step
    assert ends(straight) == ((65, 80, 50, 65) if cut else (80, 80, 50, None))
    borders = []
    state = toy_state(config)
    for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step >= 50):
        if state.step < 50:
            continue
        folder = tmp_path / f"{len(borders)}"
        folder.mkdir()
        stored = through_disk(copy.deepcopy(state), config, folder)
        borders.append((state.step, isinstance(event, EpochRecord)))
        clock.now += 1000  # between the parts
        assert_same(finished(stored, config), straight)
    assert [step for step, validated in borders if not validated] == list(range(50, last + 1))
    assert borders[-1] == (last, True)  # all is over, and is not trained again
    assert_same(state, straight)


def no_step(*_: Any) -> None:
    raise AssertionError("it trains")


def test_a_run_that_was_stopped_in_its_last_validation_goes_straight_to_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps_take(clock, monkeypatch, learning=True)
    for name, max_seconds in (("clock", 1.0), ("plan", 4.0)):
        config = budgeted(max_seconds)
        straight = finished(toy_state(config), config)
        state = toy_state(config)
        validate, number = loop.validate, itertools.count(1)

        def stopped(*arguments: Any) -> Any:
            if next(number) == len(straight.epochs):  # noqa: B023 - called within this turn
                raise InterruptedRunError("stopped")
            return validate(*arguments)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(loop, "validate", stopped)
            with pytest.raises(InterruptedRunError):
                finished(state, config)
        assert (state.step, state.step_in_epoch) == (straight.step, straight.step % PER_EPOCH)
        folder = tmp_path / name
        folder.mkdir()
        stored = through_disk(state, config, folder)
        assert_same(finished(stored, config, progress=no_step), straight)


def test_a_part_that_begins_before_the_plan_measures_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first steps compile again, for 6.5 s each."""
    config = budgeted(71.0)
    for border in (5, 10, 30, 49):
        slow = {*range(border + 1, border + 11)}
        steps_take(clock, monkeypatch, lambda step, slow=slow: 6.5 if step in slow else SIXTEENTH)
        state = toy_state(config)
        for event in fit(state, TRAIN, VAL, config, CPU, pause=lambda: state.step == border):  # noqa: B023
            if isinstance(event, SavePoint):
                break
        folder = tmp_path / str(border)
        folder.mkdir()
        stored = finished(through_disk(state, config, folder), config)
        # Ten slow ones are 65 s; 6 s are 96 others. It plans with the 50th of its own steps.
        assert ends(stored) == (106, 106, border + 50, None)
        monkeypatch.undo()
        monkeypatch.setattr("bakeoff.machine.timing.time.perf_counter", clock)


def test_epochs_that_keep_features_are_no_measure(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two epochs are ten times as slow."""
    steps_take(clock, monkeypatch, lambda step: SIXTEENTH * (10 if step <= 14 else 1))
    config = budgeted(20.0)
    model = Toy()
    model.slow_epochs = 2
    # 14 slow steps are 8.75 s; 11.25 s are 180 others.
    assert ends(finished(toy_state(config, model), config)) == (194, 194, 64, None)


def test_early_stopping_ends_a_run_before_its_plan(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(clock, monkeypatch)
    config = budgeted(20.0, trainer__early_stopping_patience_epochs=2)
    state = toy_state(config)
    for event in fit(state, TRAIN, VAL, config, CPU):
        if isinstance(event, EpochRecord) and state.epochs_without_gain >= 2:
            break
    assert state.step < 320
    assert state.step_in_epoch == 0


def test_the_device_is_waited_for_twice_and_by_the_plan_alone(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the borders of phases, which wait already."""
    waits: list[int] = []
    config = budgeted(8.0)
    state = toy_state(config)
    budget = Budget(8.0, 7000, lambda: waits.append(state.step))
    monkeypatch.setattr(loop.Given, "budget", budget)
    steps_take(clock, monkeypatch)
    finished(state, config)
    assert ends(state) == (128, 128, 50, None)
    assert waits == [10, 50]


def test_a_plan_is_not_defaulted() -> None:
    config = budgeted(8.0, 3)
    for name in ("planned_steps", "planned_at_step", "out_of_time_at_step"):
        parts = toy_state(config).state_dict()
        del parts["plain"][name]
        with pytest.raises(ResumeError, match=name):
            toy_state(config).load_state_dict(parts)


def test_the_time_of_a_running_phase(clock: Clock) -> None:
    times = toy_state(toy_config()).times
    with times.phase("train", lambda: None):
        clock.now += 2
    assert times.until_now("train") == 2
    with times.phase("eval", lambda: None):
        clock.now += 3
        assert (times.until_now("train"), times.until_now("eval")) == (2, 3)
    with times.phase("train", lambda: None):
        clock.now += 4
        assert (times.until_now("train"), times["train"]) == (6, 2)
    assert math.isclose(times.until_now("train"), 6)
