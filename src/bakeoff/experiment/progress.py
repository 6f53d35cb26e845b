"""What a person sees while a model trains: bars on a terminal, and lines that stay, there and in a pipe."""

import math
import sys
import time

from torch import Tensor

from bakeoff.experiment.epoch_table import epoch_line, headings
from bakeoff.machine.waiting import Bar, tell, watched
from bakeoff.runs.records import EpochRecord, Summary
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.studies import is_sealed
from bakeoff.terminal import screen_width
from bakeoff.text import about, counted, percent
from bakeoff.training.state import TrainState

_SECONDS_BETWEEN_READS = 0.5
_SHORT_SECONDS = 10.0  # what is over by then is not foretold
_NEAR_THE_END = 0.9  # of the steps after a plan: fewer are worth a word
_FAR_OFF = 1.5  # by this factor an estimate is wrong enough to be put right


def say(run: RunDir, text: str, shown: str | None = None) -> None:
    """A line for the person who waits (`shown`, where that is another), and for the run's log."""
    tell(text if shown is None else shown)
    run.log(text)


class ProgressReport:
    """Called by `fit` at every step and for every rated batch, and by its consumer at every epoch."""

    def __init__(self, num_images: int, num_val_images: int, epochs: int) -> None:
        self._num_images = num_images
        self._num_val_images = num_val_images
        self._limit = self._epochs = epochs
        self._planned_epochs: float = epochs
        # Of a budget: the planned steps, and the step with which the time was over.
        self._told: tuple[int | None, int | None] = (None, None)
        self._bar: Bar | None = None
        self._val_bar: Bar | None = None
        self._epoch = 1
        self._shown_at = 0.0
        self._has_headings = False

    def __call__(self, state: TrainState, num_images: int, loss: Tensor) -> None:
        """Moves the bar. Reads the loss at most twice a second: the host waits for the device then."""
        if not watched():
            return
        if self._bar is None:
            self.begin_epoch(state.epoch)
        assert self._bar is not None
        self._bar.move_by(num_images)
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS_BETWEEN_READS:
            self._shown_at = now
            self._bar.say(f"loss {loss.item():.4g}")

    def begin_epoch(self, epoch: int, num_done: int = 0) -> None:
        """Shows an epoch's bar, before its first step, which may take long. There may be no such epoch.

        `num_done` is the number of images that an earlier part of the run has trained on.
        """
        if epoch <= self._epochs:
            self._epoch = epoch
            share = min(1.0, self._planned_epochs - (epoch - 1))
            self._bar = Bar(f"epoch {epoch}/{self._epochs}", round(share * self._num_images), done=num_done)

    def has_news(self, state: TrainState) -> bool:
        """Whether a plan has been made, or the time is over, and nobody was told of it."""
        return self._told != (state.planned_steps, state.out_of_time_at_step)

    def tell_plan(self, run: RunDir, state: TrainState, steps_per_epoch: int) -> None:
        """Says what is news of a budget; lines and bars count the epochs of its plan from now on."""
        told_steps, told_end = self._told
        self._told = planned, end = state.planned_steps, state.out_of_time_at_step
        if planned is not None and planned != told_steps:
            self._planned_epochs = planned / steps_per_epoch
            self._epochs = math.ceil(self._planned_epochs)
            much = f"{planned:,} steps ({self._planned_epochs:.1f} of at most {self._limit:,} epochs)"
            say(run, f"plan: {much} fit into the time for training")
            if self._bar is not None:
                self.close()
                self.begin_epoch(state.epoch, round(state.step_in_epoch / steps_per_epoch * self._num_images))
        if end is not None and end != told_end:
            of_plan = f" of {planned:,} planned" if planned is not None else "; there was no time for a plan"
            far, start = "", state.planned_at_step or 0
            if planned is not None and end - start < _NEAR_THE_END * (planned - start):
                far = "; the steps became slower, so the learning rate has not fallen to its end"
            say(run, f"the time for training is over after step {end:,}{of_plan}{far}")

    def rated(self, done: int) -> None:
        """Moves the bar of a validation, which takes the place of the epoch's."""
        if not watched():
            return
        if self._val_bar is None:
            self.close()
            self._val_bar = Bar(f"validation {self._epoch}/{self._epochs}", self._num_val_images)
        self._val_bar.move_to(done)

    def end_epoch(self, run: RunDir, record: EpochRecord) -> None:
        """Takes the bars away and says the epoch's line, below the headings if it is the first here."""
        self.close()
        width = screen_width(sys.stdout)
        lines = [epoch_line(record, self._limit, None, self._epochs)]
        shown = [epoch_line(record, self._limit, width, self._epochs)]
        if not self._has_headings:
            self._has_headings = True
            lines = [*headings(record, self._limit, None), *lines]
            shown = [*headings(record, self._limit, width), *shown]
        for line, short in zip(lines, shown, strict=True):
            say(run, line, short)

    def close(self) -> None:
        """Takes the bars away."""
        for bar in (self._bar, self._val_bar):
            if bar is not None:
                bar.close()
        self._bar = self._val_bar = None


class Pace:
    """How long the rest of a training takes, by the clock on the wall, validations and files included."""

    def __init__(self, epochs: int, patience: int | None, now: float, first: int = 1) -> None:
        """`first` is the first whole epoch: a run that was resumed may begin within one."""
        self._epochs = epochs
        self._epochs_before = first - 1
        self._patience = patience
        self._before = now
        self._first = 0.0

    def after(self, epoch: int, now: float, most_left: float = math.inf) -> str | None:
        """A line after the first epoch; a second one if the next shows that the first was no measure.

        The first epoch may compile, or keep the features of frozen layers for the others.

        Args:
            epoch: the one that is over.
            now: seconds, by the clock of the start.
            most_left: epochs that a budget leaves, see `epochs_left`.
        """
        seconds, self._before = now - self._before, now
        left = min(self._epochs - epoch, most_left)
        number = epoch - self._epochs_before
        if not 1 <= number <= 2:
            return None
        if number == 2 and 1 / _FAR_OFF < seconds / max(self._first, 1e-9) < _FAR_OFF:
            return None
        told = max(seconds, self._first) * left >= _SHORT_SECONDS
        self._first = seconds
        if not told:
            return None
        start = "corrected: " if number == 2 else ""
        early = ", or less if it stops early" if self._patience else ""
        rest = counted(math.ceil(left), "epoch")
        return f"{start}{about(left * seconds)} for the remaining {rest}{early}"


def epochs_left(state: TrainState, record: EpochRecord, max_seconds: float | None) -> float:
    """The most epochs, whole or not, that a budget leaves after one that is over."""
    if max_seconds is None:
        return math.inf
    left = max(0.0, max_seconds - state.times["train"]) / max(record.train_seconds, 1e-9)
    if state.planned_steps is not None:
        left = min(left, (state.planned_steps - record.step) * record.epoch / record.step)
    return left


def conclude(run: RunDir, summary: Summary) -> None:
    """The last lines: its result on the test images, or while its race or search goes on, on others."""
    is_closed = is_sealed(run.path)
    scores, name = (summary.val, "validation") if is_closed else (summary.test, "test")
    facts = f"weights of epoch {summary.best_epoch}; {summary.time.train_seconds:,.1f} s of training"
    if scores is None:
        say(run, f"finished ({facts})")
    else:
        no_answer = f", {scores.num_no_answer} without a prediction" if scores.num_no_answer else ""
        say(
            run,
            f"{name} accuracy {percent(scores.accuracy)}, macro-F1 {percent(scores.macro_f1)}, "
            f"{name} loss (NLL) {scores.nll:.4f} ({scores.num_images:,} images{no_answer}; {facts})",
        )
    # Not broken at spaces: they are copied.
    print(f"run directory  {run.path}")
    print(f"next           bakeoff compare {run.path.parent}")
