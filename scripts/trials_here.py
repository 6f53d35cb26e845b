"""Trials of a search, trained in this process one after the other; no program.

They are asked for, reported and told as `bakeoff tune` does; without directories and processes hundreds take
minutes.
"""

from dataclasses import dataclass

from bakeoff.config.compose import CommandLine
from bakeoff.config.job import Job
from bakeoff.config.studies import StudyPlan, job_of
from bakeoff.data.splits import DataSet
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.train import first_state
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.states import FINISHED, PRUNED
from bakeoff.sweeps.search.metrics import metrics_of
from bakeoff.sweeps.search.study import Rules, Study
from bakeoff.training.loop import fit


@dataclass(frozen=True)
class Searched:
    """What came of a study."""

    best: tuple[float, ...]  # the best validation accuracy after each trial
    epochs: int  # that were trained in all


class Searching:
    """Searches one space after the other, on data that are read once."""

    def __init__(self, line: CommandLine, plan: StudyPlan, trials: int) -> None:
        self._line, self._plan, self._trials = line, plan, trials
        self._data: DataSet | None = None

    def search(self, sampler: str, pruner: str, seed: int) -> Searched:
        """One study."""
        import optuna  # of the extra: a script shows its help without it

        job = job_of(self._line, self._plan, self._plan.space.first, seed, "bench")
        metrics = tuple(metrics_of("val.accuracy"))
        rules = Rules(metrics, sampler, pruner, seed, epochs=job.values["trainer"]["epochs"])
        study = Study(self._plan, rules, self._trials, optuna.storages.InMemoryStorage())
        best: list[float] = []
        epochs = 0
        for _ in range(self._trials):
            trial = study.ask().trial
            value, trained = self._train(
                job_of(self._line, self._plan, trial.params, seed, "bench"), study, trial.number
            )
            epochs += trained
            best.append(max([*best[-1:], *([] if value is None else [value])], default=0.0))
        return Searched(tuple(best), epochs)

    def _train(self, job: Job, study: Study, number: int) -> tuple[float | None, int]:
        """The best value of a trial, None if it was stopped early, and how many epochs it took."""
        prepared = prepare(job.values, self._data)
        self._data = prepared.data
        state, most = first_state(prepared), prepared.config.trainer.epochs
        events = fit(state, prepared.data.train, prepared.data.val, prepared.config, prepared.runtime)
        best = 0.0
        for event in events:
            if not isinstance(event, EpochRecord) or event.val is None:
                continue
            best = max(best, event.val.accuracy)
            study.report(number, event.epoch, best)
            if event.epoch < most and study.should_prune(number):
                study.tell(number, PRUNED, None, event.epoch)
                return None, event.epoch
        study.tell(number, FINISHED, (best,), most)
        return best, most
