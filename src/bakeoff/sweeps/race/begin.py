"""How a race begins or goes on: its entrants are checked, its plan is fixed. No torch here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bakeoff.comparison.statistics.race import Rules
from bakeoff.config.adaptive import RaceConfig
from bakeoff.config.job import Job
from bakeoff.errors import OK, ResumeError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.runs.folders import SWEEPS
from bakeoff.sweeps import ledger as ledgers
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.dry_run import show_plan
from bakeoff.sweeps.ledger import Entry, Ledger
from bakeoff.sweeps.naming import sweep_with
from bakeoff.sweeps.owner import owned
from bakeoff.sweeps.plan import Planned, plan, settle_stale
from bakeoff.sweeps.race.entrants import Entrant, check_data, entrants_of, first_seed, margin_of
from bakeoff.sweeps.race.record import Record, begun, plan_of, stored
from bakeoff.sweeps.race.rounds import Rounds
from bakeoff.sweeps.race.run import Race
from bakeoff.sweeps.run import checked
from bakeoff.text import counted

COMMAND = "race"


def run_race(
    jobs: Sequence[Job],
    rules: Rules,
    max_seconds: float | None,
    line: Sequence[str],
    dry_run: bool,
    stop: StopSignal,
) -> int:
    """Begins a race, or goes on with it.

    Args:
        jobs: of each configuration one, with the first seed.
        rules: of the race.
        max_seconds: of work, after which no other round begins; None: no limit.
        line: the words of the command line that make a difference.
        dry_run: whether to check and list the first round alone.
        stop: the signals that came.

    Returns:
        0, or 7 if a run failed.

    Raises:
        BakeoffError: before anything is created, if a job's config, data or folder is not right.
        InterruptedRunError: a signal; the race goes on with the same command.
    """
    seed = first_seed(jobs, rules)
    check_data(jobs)
    sweep = check_shared(jobs[0].values).sweep
    planned = settle_stale(plan(jobs, stop), sweep.stale, tell)
    entrants = entrants_of(planned)
    code, chosen = checked(planned, planned, sweep, stop)
    if code != OK:
        return code  # the child has said why
    folder = planned[0].folder.parent
    tell(_told(folder, entrants, rules, max_seconds, chosen))
    if not folder.exists() and (note := sweep_with(planned)):
        tell(note)
    if len({job.values["trainer"]["select"] for job in jobs}) > 1:
        tell(
            "caution: some choose their weights by validation scores (trainer.select=best) and others do "
            "not; a chosen score is a little too good"
        )
    if dry_run:
        _show(planned, entrants, rules, chosen, stop)
        return OK
    with owned(folder):
        ledger = ledgers.begun(folder, line, COMMAND)
        ledger.options = sweep
        record = begun(folder, plan_of(rules, seed), entrants)
        _set_budget(record, max_seconds)
        return Race(Rounds(rules, entrants, record, ledger), chosen, stop).run()


def rules_of(options: RaceConfig) -> Rules:
    """What the options fix.

    Raises:
        ConfigError: a margin that makes no sense.
    """
    return Rules(tuple(options.looks), options.metric, margin_of(options), options.hopeless)


def go_on(ledger: Ledger, job_of: Callable[[Entry], Job], stop: StopSignal) -> int:
    """Goes on with a race by what lies in its folder.

    Args:
        ledger: of its sweep.
        job_of: the job of a run, from its directory.
        stop: the signals that came.

    Returns:
        As `run_race`.

    Raises:
        ResumeError: its record cannot be read, or a configuration's first run is gone.
        BakeoffError: as in `run_race`.
    """
    values = stored(ledger.folder)
    rules = Rules(tuple(values["looks"]), values["metric"], values["margin"], values["hopeless"])
    first = {e.setting: e for e in ledger.entries.values() if e.seed == values["first_seed"]}
    if ledger.folder.parent.name != SWEEPS:
        raise ResumeError(
            f"{ledger.folder}: a race goes on in a folder {SWEEPS}; move it to {SWEEPS}/{ledger.name}"
        )
    jobs = []
    for one in values["settings"]:
        if one["setting"] not in first:
            raise ResumeError(
                f"{ledger.folder}: the first run of {one['name']} is gone; give the race's command"
            )
        job = job_of(first[one["setting"]])
        job.values["sweep"]["name"] = ledger.name
        jobs.append(job)
    return run_race(jobs, rules, values["max_seconds"], ledger.line, dry_run=False, stop=stop)


def _set_budget(record: Record, max_seconds: float | None) -> None:
    """A race whose time was over goes on with more of it; that the test images were opened is said."""
    record.max_seconds = max_seconds
    was_cut = bool(record.verdict and record.verdict.get("out_of_time"))
    if record.ended and was_cut and (max_seconds is None or max_seconds > record.seconds):
        record.ended = record.verdict = None
        tell(
            "caution: this race had ended, and its test images were opened; whoever adds seeds because of "
            "what they showed has looked once more than the levels allow"
        )


def _told(
    folder: Path,
    entrants: Sequence[Entrant],
    rules: Rules,
    max_seconds: float | None,
    chosen: Sequence[Slot],
) -> str:
    *first, last = map(str, rules.looks)
    looks = f"{', '.join(first)} and {last}" if first else last
    told = f"race {folder}: {counted(len(entrants), 'configuration')}, looks after {looks} seeds"
    if rules.margin is not None:
        told += f", equal within {rules.margin * 100:g} points"
    if max_seconds is not None:
        told += f", at most {max_seconds:g} s"
    return f"{told}, {len(chosen)} runs at once" if len(chosen) > 1 else told


def _show(
    planned: Sequence[Planned],
    entrants: Sequence[Entrant],
    rules: Rules,
    chosen: Sequence[Slot],
    stop: StopSignal,
) -> None:
    """The first round, and how many runs there can be."""
    seeds = range(planned[0].entry.seed, planned[0].entry.seed + rules.looks[0])
    show_plan(plan([one.with_seed(seed) for seed in seeds for one in entrants], stop), chosen)
    fewest, most = rules.looks[0] * len(entrants), rules.looks[-1] * len(entrants)
    tell(f"these are the runs of the first round; a race takes {fewest} to {most} runs")
