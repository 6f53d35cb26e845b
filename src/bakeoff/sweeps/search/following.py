"""A running trial as the pruner sees it: its epochs are reported as they come. No torch here."""

from pathlib import Path

from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.sweeps.search.pruning import HYPERBAND, NONE, best_so_far
from bakeoff.sweeps.search.study import Stored, Study
from bakeoff.text import percent


class Following:
    """Reports the epochs of one trial, each once, whichever processes worked on it."""

    def __init__(self, study: Study, stored: Stored, run: Path) -> None:
        self._study, self._number = study, stored.trial.number
        self._reported = dict(stored.reported)
        self._lines = EpochLines(run)
        self._is_used = study.rules.pruner != NONE
        # A process that was killed may have reported an epoch without asking what it means.
        self._asks_again = bool(self._reported)

    def look(self) -> str | None:
        """Reports what is new, epoch by epoch; why the trial is to be stopped, if it is."""
        if not self._is_used:
            return None
        if self._asks_again:
            self._asks_again = False
            if self._study.should_prune(self._number):
                return self._reason(max(self._reported))
        self._lines.look()
        for epoch, value in best_so_far(self._lines.records, self._study.rules.metrics[0]).items():
            if epoch in self._reported:
                continue
            self._report(epoch, value)
            # The last epoch is over: there is nothing to save.
            if epoch < self._study.rules.epochs and self._study.should_prune(self._number):
                return self._reason(epoch)
        return None

    def report_rest(self) -> None:
        """Reports what is left of a trial that has ended: those after it are compared with it."""
        if not self._is_used:
            return
        self._lines.look()
        last = max(self._reported, default=0)
        for epoch, value in best_so_far(self._lines.records, self._study.rules.metrics[0]).items():
            if epoch > last:
                self._report(epoch, value)

    def _report(self, epoch: int, value: float) -> None:
        self._study.report(self._number, epoch, value)
        self._reported[epoch] = value

    def _reason(self, epoch: int) -> str:
        metric, value = self._study.rules.metrics[0], self._reported[epoch]
        shown = percent(value) if metric.is_larger_better else f"{value:.4f}"
        others = "Hyperband keeps others" if self._study.rules.pruner == HYPERBAND else "below the median"
        if others == "below the median" and not metric.is_larger_better:
            others = "above the median"
        return f"stopped early after epoch {epoch}: best {metric.name} {shown}, {others}"
