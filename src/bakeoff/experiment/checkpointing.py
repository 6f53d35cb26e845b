"""When a run's state is saved: now and then, and when it is stopped; and whose run it is."""

import time
from contextlib import suppress

from bakeoff.config.schema import TrainerConfig
from bakeoff.errors import ResourceError, ResumeError
from bakeoff.experiment.progress import say
from bakeoff.runs.attempts import Attempt
from bakeoff.runs.checkpoints import BEST_WEIGHTS, MODEL_WEIGHTS, Checkpoints
from bakeoff.runs.rundir import LAST_WEIGHTS, RunDir
from bakeoff.text import about, one_line
from bakeoff.training.state import TrainState

_LARGEST_SHARE = 0.02  # of the time that passes, spent on saving
_BYTES_PER_SECOND = 150e6  # that a save writes and hashes, before one has been timed: a slow one
_MANY_BYTES = 500e6  # of a checkpoint: worth a line


class TakenOverError(ResumeError):
    """Another process goes on with the run: this one must not write any more."""


class Keeper:
    """Saves one run's state at the borders that its consumer names."""

    def __init__(
        self,
        run: RunDir,
        state: TrainState,
        trainer: TrainerConfig,
        began: float,
        attempt: Attempt | None = None,
    ) -> None:
        """`began` is by `time.perf_counter`, moved back by what earlier parts of the run took."""
        self.attempt = attempt  # of this process; None before the run is claimed
        self.checkpoints = Checkpoints(run.path, trainer.keep_checkpoints)
        self._run, self._state, self._began = run, state, began
        run.before_writing = self.check_owner
        self._every = trainer.checkpoint_every_seconds
        self._expected_seconds = _num_bytes(state) / _BYTES_PER_SECOND  # of the next save
        self._saved_at = time.monotonic()
        self._best_comes = trainer.select == "best"
        self._told = state.step > 0  # by an earlier part
        self._problem: str | None = None  # with the last save

    def check_owner(self) -> None:
        """Whether the run is still this process's.

        Raises:
            TakenOverError: a newer attempt is there.
        """
        if self.attempt and not self.attempt.is_newest():
            raise TakenOverError(f"{self._run.path}: another process goes on with this run; this one ends")

    def forget(self) -> None:
        """Removes what a finished run does not need to go on; what cannot be removed stays."""
        if self.attempt and self.attempt.is_newest():
            self.checkpoints.remove()
            with suppress(OSError):
                (self._run.path / LAST_WEIGHTS).unlink(missing_ok=True)

    @property
    def is_due(self) -> bool:
        """Whether the interval is over."""
        return self._every is not None and time.monotonic() - self._saved_at >= self._interval

    @property
    def _interval(self) -> float:
        # Each save is paid off before the next one begins, so that their sum is.
        return max(self._every or 0.0, self._expected_seconds / _LARGEST_SHARE)

    def save_or_say(self) -> None:
        """Saves the state; what cannot be saved is said once, since the run can go on from an older one.

        Raises:
            TakenOverError: the run belongs to another process.
        """
        try:
            self.save()
        except TakenOverError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on without
            problem = one_line(error)
            if problem != self._problem:
                say(self._run, f"note: step {self._state.step} could not be saved: {problem}")
            self._problem = problem

    def save(self) -> None:
        """Saves the state as it stands, at a step border; the next time not before that has paid off.

        Raises:
            ResourceError: it cannot be written; older checkpoints are whole.
            TakenOverError: the run belongs to another process.
        """
        self.check_owner()
        start = time.monotonic()
        self._state.total_seconds = time.perf_counter() - self._began
        try:
            checkpoint = self.checkpoints.write(self._state.state_dict(), self.check_owner)
        except ResourceError:
            self.check_owner()  # the next owner removes what is half written
            raise
        finally:
            self._saved_at = time.monotonic()
            self._expected_seconds = self._saved_at - start
        sizes = {name: entry["bytes"] for name, entry in checkpoint.files.items()}
        if self._best_comes and BEST_WEIGHTS not in sizes:  # with the first validation
            sizes[BEST_WEIGHTS] = sizes[MODEL_WEIGHTS]
        self._problem = None
        self._tell(sum(sizes.values()))

    def _tell(self, num_bytes: int) -> None:
        """Once a run, of checkpoints that are large or slow."""
        stretched = self._every is not None and self._interval > self._every
        if self._told or not (stretched or num_bytes >= _MANY_BYTES):
            return
        self._told = True
        size = f"{num_bytes / 1e9:.2f} GB" if num_bytes >= _MANY_BYTES else f"{num_bytes / 1e6:.1f} MB"
        often = "only when the run is stopped"
        if self._every is not None:
            often = about(self._interval).replace("about", "about every", 1)
        if stretched:
            often += f", so that saving takes at most {_LARGEST_SHARE:.0%} of the time"
        keep = self.checkpoints.keep
        kept = "the newest is" if keep == 1 else f"the newest {keep} are"
        say(
            self._run,
            f"note: a checkpoint takes {size} and {self._expected_seconds:.1f} s; one is saved {often}; "
            f"{kept} kept until the run has finished",
        )


def _num_bytes(state: TrainState) -> int:
    """About what a checkpoint holds: weights, two values of the optimizer for each, and the best weights."""
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in state.model.state_dict().values())
    return weights * (5 if state.ema else 4)
