"""One Optuna study: the trials that are stored, a new one, and what came of each. No torch here.

Nothing outside of this room's `study.py`, `sampling.py`, `pruning.py`, `storage.py` and `patience.py` knows
Optuna.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.config.studies import StudyPlan
from bakeoff.errors import ConfigError
from bakeoff.runs.states import FAILED, FINISHED, PRUNED, RUNNING
from bakeoff.sweeps.search.metrics import Metric
from bakeoff.sweeps.search.pruning import make_pruner
from bakeoff.sweeps.search.sampling import GRID, distributions, make_sampler, values_of
from bakeoff.sweeps.search.trial import OVER, Trial

if TYPE_CHECKING:
    import optuna

# Attributes of a stored trial.
_RUN, _WORKER, _SAME_AS, _EPOCHS = "run", "worker", "same_as", "epochs"
_RULES = "rules"  # of a study: what it was begun with
_TRIES_ALL = "tries_all"  # of a study: whether each combination is tried once


@dataclass(frozen=True)
class Rules:
    """What decides, the same for all studies of a search."""

    metrics: tuple[Metric, ...]
    sampler: str
    pruner: str
    seed: int
    epochs: int  # the most of a trial

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Of the metrics."""
        return [metric.direction for metric in self.metrics]


@dataclass(frozen=True)
class Stored:
    """A trial with what only the search itself asks of it."""

    trial: Trial
    worker: str | None  # the token of the process that works on it
    reported: Mapping[int, float]  # the values that the pruner knows, by epoch


class Study:
    """One study of a search."""

    def __init__(
        self,
        plan: StudyPlan,
        rules: Rules,
        trials: int,
        storage: "optuna.storages.BaseStorage",
        setting: str = "",
    ) -> None:
        """Opens it, or makes it: by the one process that holds the lock.

        Args:
            plan: what it searches.
            rules: how.
            trials: how many it may have.
            storage: where it is kept.
            setting: a hash of what all its trials have alike, the data among it.

        Raises:
            ConfigError: it was begun with another space or other rules.
        """
        import optuna

        self.plan, self.rules = plan, rules
        self._distributions = distributions(plan.space)
        self._study = optuna.create_study(
            storage=storage,
            pruner=make_pruner(rules.pruner, rules.epochs),
            study_name=plan.name,
            directions=rules.directions,
            load_if_exists=True,
        )
        self._check_rules(setting)
        size = plan.space.size if self._tries_all(trials) else None
        self.is_smaller = size is not None and size < trials
        self.budget = trials if size is None else min(trials, size)
        sampler = rules.sampler if size is None else GRID
        self._study.sampler = make_sampler(sampler, rules.seed, plan.name, plan.space)

    def _tries_all(self, trials: int) -> bool:
        """Whether each combination is tried once: where there are no more of them than trials, all samplers
        would only repeat them. What it began as a study stays.
        """
        stored = self._study.user_attrs.get(_TRIES_ALL)
        if stored is None:
            size = self.plan.space.size
            stored = self.rules.sampler == GRID or (size is not None and size <= trials)
            self._study.set_user_attr(_TRIES_ALL, stored)
        return bool(stored)

    def _check_rules(self, setting: str) -> None:
        """A study cannot change what it searches: its earlier trials would mean something else."""
        now = {
            "metric": [metric.name for metric in self.rules.metrics],
            "sampler": self.rules.sampler,
            "pruner": self.rules.pruner,
            "seed": self.rules.seed,
            "space": self.plan.space.told(),
            "setting": setting,
        }
        before = self._study.user_attrs.get(_RULES)
        if before is None:
            self._study.set_user_attr(_RULES, now)
            return
        for name, value in now.items():
            if (was := before.get(name)) != value:
                told = f"another {name} ({_text(was)} instead of {_text(value)})"
                told = "another configuration, or other data" if name == "setting" else told
                raise ConfigError(
                    f"study {self.plan.name}: begun with {told}; give that again, or begin another search "
                    "with sweep.name=new"
                )

    @property
    def name(self) -> str:
        """The study's."""
        return self.plan.name

    def stored(self) -> list[Stored]:
        """All trials, by their number; what another program has put into the study is not of it."""
        trials = self._study.get_trials(deepcopy=False)
        return [self._stored(trial) for trial in trials if not _is_foreign(trial)]

    def get(self, number: int) -> Stored:
        """One trial as it is stored now."""
        return self._stored(self._frozen(number))

    def ask(self) -> Stored:
        """A new trial: to be called by the one process that holds the lock."""
        self._drop_enqueued()
        return self._with_values(self._study.ask())

    def _drop_enqueued(self) -> None:
        """Values that another program wants to be tried may be none of the space."""
        import optuna

        for trial in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            state = optuna.trial.TrialState.FAIL
            self._study._storage.set_trial_state_values(trial._trial_id, state=state)

    def completed(self, number: int) -> Stored:
        """The same trial, with the values that a process did not come to store which was killed."""
        import optuna

        return self._with_values(optuna.Trial(self._study, self._id(number)))

    def _with_values(self, trial: "optuna.Trial") -> Stored:
        for key, kind in self._distributions.items():
            trial._suggest(key, kind)
        return self.get(trial.number)

    def claim(self, number: int, run: str | None, worker: str) -> None:
        """Notes who works on a trial, and where."""
        self._note(number, _WORKER, worker)
        if run is not None:
            self._note(number, _RUN, run)

    def release(self, number: int) -> None:
        """Nobody works on it now."""
        self._note(number, _WORKER, "")

    def note_same(self, number: int, other: int) -> None:
        """It has the run of another trial."""
        self._note(number, _SAME_AS, other)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Notes how good a trial is after an epoch, for the pruner."""
        self._study._storage.set_trial_intermediate_value(self._id(number), epoch, value)

    def should_prune(self, number: int) -> bool:
        """Whether it is stopped by what was reported until now."""
        return self._study.pruner.prune(self._study, self._frozen(number))

    def tell(self, number: int, state: str, values: Sequence[float] | None, epochs: int) -> None:
        """Notes what came of a trial; nothing if that is known already."""
        import optuna

        if self._frozen(number).state.is_finished():
            return
        self._note(number, _EPOCHS, epochs)
        states = optuna.trial.TrialState
        if state == FINISHED:
            assert values is not None
            self._study.tell(number, list(values), skip_if_finished=True)
        else:
            told = states.PRUNED if state == PRUNED else states.FAIL
            self._study.tell(number, state=told, skip_if_finished=True)

    def _id(self, number: int) -> int:
        return self._study._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def _frozen(self, number: int) -> "optuna.trial.FrozenTrial":
        return self._study._storage.get_trial(self._id(number))

    def _note(self, number: int, name: str, value: Any) -> None:
        self._study._storage.set_trial_user_attr(self._id(number), name, value)

    def _stored(self, trial: "optuna.trial.FrozenTrial") -> Stored:
        noted = trial.user_attrs
        state = {"COMPLETE": FINISHED, "PRUNED": PRUNED, "FAIL": FAILED}.get(trial.state.name, RUNNING)
        found = Trial(
            self.name,
            trial.number,
            noted.get(_RUN),
            state,
            values_of(self.plan.space, trial.params),
            tuple(trial.values) if state == FINISHED else None,
            noted.get(_EPOCHS, max(trial.intermediate_values, default=0)),
            noted.get(_SAME_AS),
        )
        return Stored(found, noted.get(_WORKER) or None, dict(trial.intermediate_values))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_foreign(trial: "optuna.trial.FrozenTrial") -> bool:
    """Whether a trial was ended, or is to be begun, by another program than this one."""
    return trial.state.name == "WAITING" or (trial.state.is_finished() and _EPOCHS not in trial.user_attrs)


def first_values(plan: StudyPlan, rules: Rules, trials: int) -> dict[str, Any]:
    """What the first trial of a study will be, known before anything is made."""
    import optuna

    return Study(plan, rules, trials, optuna.storages.InMemoryStorage()).ask().trial.params


def is_over(stored: Stored) -> bool:
    """Whether a trial has ended."""
    return stored.trial.state in OVER
