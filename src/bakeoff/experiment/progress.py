"""What a person sees while a model trains: a bar on a terminal, plain lines in a pipe."""

import sys
import time

from torch import Tensor
from tqdm import tqdm

from bakeoff.runs.records import EpochRecord
from bakeoff.runs.rundir import RunDir
from bakeoff.training.state import TrainState

_SECONDS_BETWEEN_READS = 0.5


def say(run: RunDir, text: str) -> None:
    """A line for the person who waits, and for the run's log."""
    print(text, flush=True)
    run.log(text)


class ProgressReport:
    """Called by `fit` at every step and by its consumer at every epoch."""

    def __init__(self, num_images: int, epochs: int) -> None:
        self._num_images = num_images
        self._epochs = epochs
        self._bar: tqdm[None] | None = None
        self._shown_at = 0.0
        self._val_text = ""

    def __call__(self, state: TrainState, num_images: int, loss: Tensor) -> None:
        """Moves the bar. Reads the loss at most twice a second: the host waits for the device then."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            title = f"epoch {state.epoch}/{self._epochs}"
            self._bar = tqdm(
                total=self._num_images, desc=title, unit=" images", leave=False, dynamic_ncols=True
            )
        self._bar.update(num_images)
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS_BETWEEN_READS:
            self._shown_at = now
            self._bar.set_postfix_str(f"loss {loss.item():.4f}{self._val_text}", refresh=False)

    def end_epoch(self, record: EpochRecord) -> str:
        """Takes the bar away and returns the epoch's line."""
        self.close()
        number = f"{record.epoch:>{len(str(self._epochs))}}/{self._epochs}"
        text = f"epoch {number}  train_loss {record.train_loss:.4f}"
        if record.val:
            self._val_text = f", val accuracy {record.val.accuracy:.2%}"
            text += f"  val accuracy {record.val.accuracy:.2%}  nll {record.val.nll:.4f}"
        return (
            f"{text}  lr {record.lr:.2e}  {record.train_seconds:.1f} s  "
            f"{record.train_images_per_second:,.0f} images/s"
        )

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
