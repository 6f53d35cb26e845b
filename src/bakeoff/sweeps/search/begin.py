"""How a search begins or goes on: its studies are checked before anything is made. No torch here."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import CommandLine
from bakeoff.config.job import Job
from bakeoff.config.schema import Config, SweepConfig
from bakeoff.config.studies import StudyPlan, job_of, jobs_to_check, studies_of
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.sets import find_set
from bakeoff.errors import OK, ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import setting
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.rundir import sweep_folder
from bakeoff.runs.states import DIVERGED
from bakeoff.runs.studies import tune_of
from bakeoff.sweeps import ledger as ledgers
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.gates_child import check_with_torch
from bakeoff.sweeps.ledger import Ledger
from bakeoff.sweeps.search.extra import check_installed
from bakeoff.sweeps.search.metrics import Metric, metrics_of
from bakeoff.sweeps.search.patience import Patience
from bakeoff.sweeps.search.pruning import pruner_of
from bakeoff.sweeps.search.record import Record
from bakeoff.sweeps.search.sampling import check_sampler
from bakeoff.sweeps.search.storage import be_quiet, open_storage
from bakeoff.sweeps.search.study import Rules, Study, first_values
from bakeoff.sweeps.search.url import is_masked, masked_words
from bakeoff.sweeps.search.workers import LOCK, FolderLock, SharedLedger, open_ledger
from bakeoff.sweeps.slots import slots
from bakeoff.text import shortened

COMMAND = "tune"
_ANY_NAME = "search"  # a valid one, until its own is known


@dataclass(frozen=True)
class Checked:
    """A search whose studies have passed all gates; nothing of it is made yet."""

    line: CommandLine
    options: TuneConfig
    plans: list[StudyPlan]
    rules: Rules
    sweep: SweepConfig
    folder: Path
    models: dict[str, str]  # by the study
    settings: dict[str, str]  # by the study: a hash of what its trials have alike
    slots: list[Slot]

    def job(self, plan: StudyPlan, params: Mapping[str, Any], seed: int | None = None) -> Job:
        """The run of some values; without a seed, with the search's own."""
        return job_of(self.line, plan, params, seed, self.folder.name)


def check(
    line: CommandLine,
    options: TuneConfig,
    named: Callable[[str, str | None], str],
    stop: StopSignal,
) -> tuple[int, Checked | None]:
    """Checks all of a search.

    Returns:
        The exit code of the process that checked the networks, and the search if it is 0.

    Raises:
        BakeoffError: something is not right.
    """
    check_installed()
    metrics = metrics_of(options.metric)
    pruner = pruner_of(options.pruner, metrics)
    if is_masked(options.storage):
        raise ConfigError(
            f"tune.storage={options.storage}: its password is not stored; give the command of this search "
            "again, with the whole URL"
        )
    plans = studies_of(line, options)
    for plan in plans:
        check_sampler(options.sampler, plan.space, len(metrics))
    be_quiet()
    jobs = [job_of(line, plan, plan.space.first, None, _ANY_NAME) for plan in plans]
    configs = [check_shared(job.values) for job in jobs]
    _check_data(configs[0], metrics)
    given = _given_name(line)
    name = named(configs[0].output_dir, given)
    singles = []
    for plan in plans:
        stop.check()
        with doing(f"checking the values of {plan.name}"):
            singles += jobs_to_check(line, plan, name)
    epochs = max(check_shared(job.values).trainer.epochs for job in (*singles, *jobs))
    rules = Rules(tuple(metrics), options.sampler, pruner, configs[0].seed, epochs)
    first = [job_of(line, plan, first_values(plan, rules, options.trials), None, name) for plan in plans]
    for job in first:
        check_shared(job.values)
    code, sizes = check_with_torch(first, stop, singles)
    if code != OK:
        return code, None
    sweep = replace(_sweep(configs[0]), name=name)
    folder = sweep_folder(configs[0].output_dir, name)
    models = {plan.name: str(c.model["name"]) for plan, c in zip(plans, configs, strict=True)}
    settings = {plan.name: _setting(job) for plan, job in zip(plans, jobs, strict=True)}
    chosen = slots(sweep.jobs, sizes)
    return OK, Checked(line, options, plans, rules, sweep, folder, models, settings, chosen)


def _check_data(config: Config, metrics: Sequence[Metric]) -> None:
    """Whether there will be validation images, if they decide."""
    needs = [metric.name for metric in metrics if metric.in_epoch is not None]
    if needs and config.data.val_fraction == 0 and not find_set(config.data.name).TRAITS.may_bring_val:
        raise ConfigError(f"data.val_fraction=0: {needs[0]} needs validation images; leave it at 0.1")


def _setting(job: Job) -> str:
    data = job.values["data"]
    return setting(job.values, data_fingerprint(data["name"], data["root"]))


def _sweep(config: Config) -> SweepConfig:
    if config.sweep.retry == DIVERGED:
        raise ConfigError(
            f"sweep.retry={config.sweep.retry}: a trial that diverged is a result of the search; leave it out"
        )
    return config.sweep


def _given_name(line: CommandLine) -> str | None:
    names = [word.partition("=")[2] for word in line.overrides if word.lstrip("+").startswith("sweep.name=")]
    return names[-1] if names and names[-1] != "null" else None


@dataclass
class Opened:
    """A search that this process works on."""

    checked: Checked
    studies: list[Study]
    record: Record
    ledger: SharedLedger
    patience: Patience


def opened(checked: Checked, words: Sequence[str]) -> Opened:
    """Makes or opens what a search is stored in: to be called while the sweep's folder is shared.

    Raises:
        ConfigError: the folder is another command's, or the search was begun with something else.
        ResourceError: its storage cannot be opened.
    """
    folder, options, patience = checked.folder, checked.options, Patience()
    _check_studies(checked)
    lock = FolderLock(folder / LOCK)
    with lock.held():
        ledger = open_ledger(_ledger(folder, masked_words(words)), lock)
        ledger.options = checked.sweep
        ledger.jobs_at_once, ledger.threads_per_job = len(checked.slots), checked.slots[0].threads
        storage = open_storage(folder, options.storage, patience)
        studies = [
            Study(plan, checked.rules, options.trials, storage, checked.settings[plan.name])
            for plan in checked.plans
        ]
        record = Record(folder, options, checked.rules, checked.plans, lock, checked.models)
        record.read()
        if record.ended and any(len(study.stored()) < study.budget for study in studies):
            record.confirmed, record.best, record.ended = [], None, None  # it has got more trials
            tell(
                "caution: this search had ended, and its test images were opened; whoever adds trials "
                "because of what they showed has chosen by the test images"
            )
            record.write(studies, ends=True)
        elif record.ended is None:
            record.write(studies)
        if not ledger.refresh():
            with suppress(FileNotFoundError):
                (folder / ledgers.CANCEL).unlink()  # it was meant for processes that are gone
        ledger.write(owned=True)
    return Opened(checked, studies, record, ledger, patience)


def _check_studies(checked: Checked) -> None:
    """A folder has one search: its record and its end would forget studies that are not named any more.

    Raises:
        ConfigError: such a study is stored there.
    """
    record = tune_of(checked.folder)
    names = {plan.name for plan in checked.plans}
    gone = [] if record is None else [study.name for study in record.studies if study.name not in names]
    if gone:
        raise ConfigError(
            f"sweep.name={checked.folder.name}: there is a search of {shortened(gone)}; give those models, "
            "too, or another sweep.name"
        )


def _ledger(folder: Path, line: Sequence[str]) -> Ledger:
    ledger = ledgers.begun(folder, line, COMMAND)
    if ledger.entries and ledger.command != COMMAND:
        raise ConfigError(f"{folder}: a sweep of bakeoff {ledger.command}; give another sweep.name")
    ledger.command = COMMAND
    return ledger
