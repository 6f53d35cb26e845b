"""A budget of training time (`trainer.max_seconds`): how many steps fit, and when training is over.

The number of steps that fit is predicted once, and the rest of the schedule is passed through so much
faster that it ends with them. Whether a training has ended is a function of its state alone, so that no
part of a run trains beyond what an earlier one has ended. No torch here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.training.state import TrainState

STEPS_BEFORE_PLAN = 50
SECONDS_BEFORE_PLAN = 2.0
# The first steps of a process compile, tune and fill caches: they are no measure of the others.
_WARM_UP_STEPS = 10
_LARGEST_WARM_UP = 0.5  # share of the planned steps that a warm-up given in epochs may keep


class Budget:
    """Watches the clock during one part of a run.

    A part that begins before the plan measures anew, since its own first steps are slow again: it plans
    after 50 steps of its own at the earliest.
    """

    def __init__(self, max_seconds: float | None, most_steps: int, synchronize: Callable[[], None]) -> None:
        """`most_steps` are those of `trainer.epochs`; `synchronize` waits for the device."""
        self._max_seconds, self._most_steps, self._synchronize = max_seconds, most_steps, synchronize
        self._steps = 0  # of this part, slow epochs left out
        self._from_step, self._from_seconds = 0, 0.0

    def look(self, state: "TrainState") -> None:
        """To be called before an epoch: finds out whether the time is over."""
        if self._max_seconds is None or self.is_over(state):
            return
        if state.times.until_now("train") >= self._max_seconds:
            state.out_of_time_at_step = state.step

    def stepped(self, state: "TrainState") -> None:
        """To be called after each step: makes the plan when it is time to, and looks at the clock."""
        if self._max_seconds is None:
            return
        if state.planned_steps is None and state.epoch > state.model.slow_epochs:
            self._measure(state, self._max_seconds)
        self.look(state)

    def _measure(self, state: "TrainState", max_seconds: float) -> None:
        self._steps += 1
        if self._steps == _WARM_UP_STEPS:
            # The host runs ahead of the device: it waits here and at the plan, and in no other step.
            self._synchronize()
            self._from_step, self._from_seconds = state.step, state.times.until_now("train")
        if self._steps < STEPS_BEFORE_PLAN or state.times.until_now("train") < SECONDS_BEFORE_PLAN:
            return
        self._synchronize()
        seconds = state.times.until_now("train")
        pace = (seconds - self._from_seconds) / (state.step - self._from_step)
        state.planned_steps = predicted_steps(state.step, max_seconds - seconds, pace, self._most_steps)
        state.planned_at_step = state.step

    def last_step(self, state: "TrainState") -> int:
        """The number of steps with which the training ends, as far as is known."""
        known = (self._most_steps, state.planned_steps, state.out_of_time_at_step)
        return min(steps for steps in known if steps is not None)

    def is_over(self, state: "TrainState") -> bool:
        """Whether no step is left."""
        return state.step >= self.last_step(state)


def predicted_steps(step: int, seconds_left: float, seconds_per_step: float, most_steps: int) -> int:
    """Steps in all that fit: those done, and the whole ones that the rest of the time is enough for."""
    if seconds_left <= 0:
        return min(step, most_steps)
    more = seconds_left / seconds_per_step if seconds_per_step > 0 else float("inf")
    return step + int(min(more, most_steps - step))


def schedule_step(
    step: int, planned_at_step: int | None, planned_steps: int | None, total: int, warmup: int
) -> float:
    """Where in a schedule of `total` steps a step of a planned run stands.

    From the plan on, or from the end of a warm-up that keeps its length, the rest of the schedule is passed
    through evenly, so that its end and that of the run are the same and no rate jumps.

    Args:
        step: counted from 0.
        planned_at_step: the first step after the plan; None: there is no plan.
        planned_steps: steps of the run in all.
        total: steps of the schedule without the plan, at least `planned_steps`.
        warmup: steps of a warm-up that keeps its length; 0: it is a share of the run.
    """
    if planned_at_step is None or planned_steps is None:
        return step
    start = max(planned_at_step, warmup if warmup <= _LARGEST_WARM_UP * planned_steps else 0)
    if step <= start:
        return step
    return start + (step - start) * (total - start) / (planned_steps - start)
