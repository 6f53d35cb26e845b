"""Which of several runs counts: one of each identity, one of each configuration and seed. No torch here.

Runs whose scores were checked against stored predictions win over runs without any. Of two that claim to be
the same run and have other results without a reason, neither can be told from a forgery: both are named, none
counts. Other bits on another machine, or on a GPU that was not asked for the same ones, are a reason: then it
is the same seed trained again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bakeoff.comparison.figures import value_at
from bakeoff.comparison.rows import by_row, by_table, parted
from bakeoff.comparison.run import UNKNOWN, Problem, Run
from bakeoff.runs import rundir
from bakeoff.runs.reading import UnreadableFileError, read_json

# What a repetition must give again, besides the predictions; times may differ.
_CONTENT = ("setting", "model", "data", "seed", "fingerprint.test_split", "cost.parameters")
# Of environment.json: with another one of these the same bits are not promised.
_BITS_DEPEND_ON = ("host", "device_name", "cpu_capability", "torch")
_SAME_RUN = "the same run as {}"
_CLAIM = "claims to be the same run as {}, with other results"
_SCORES = ("test.accuracy", "test.macro_f1", "test.nll")


def counted(runs: Sequence[Run]) -> tuple[list[Run], list[Problem]]:
    """The runs that enter a table, in their order, and why the others do not."""
    kept, problems = distinct(runs)
    left_out: list[Problem] = []
    for table in by_table(kept):
        for row in by_row(table.runs):
            left_out += _without_evidence(row.runs)
            left_out += _seeds_again([run for run in row.runs if run.has_predictions] or row.runs)
    out = {problem.path for problem in left_out}
    # A copy of a run that does not count is left out for the same reason.
    reasons = {_SAME_RUN.format(problem.path.name): problem.reason for problem in left_out}
    problems = [replace(item, reason=reasons.get(item.reason, item.reason)) for item in problems]
    return [run for run in kept if run.path not in out], problems + left_out


def distinct(runs: Sequence[Run]) -> tuple[list[Run], list[Problem]]:
    """One run of each identity: the first that finished, if all that claim to be it agree.

    What `auto` became is a part of it: a run on a GPU and one on a CPU are not the same run.
    """
    by_identity: dict[str, list[Run]] = {}
    for run in runs:
        identity = run.summary.get("identity")
        if isinstance(identity, str):
            by_identity.setdefault(identity, []).append(run)
    problems: list[Problem] = []
    for members in by_identity.values():
        if len(members) > 1:
            for twins in parted(members, lambda run: (run.device, run.precision, run.threads)).values():
                problems += _doubled(twins)
    out = {problem.path for problem in problems}
    return [run for run in runs if run.path not in out], problems


def _doubled(twins: Sequence[Run]) -> list[Problem]:
    """What is wrong with each run of one identity; nothing with the one that counts."""
    witnesses = [run for run in twins if run.has_predictions] or twins
    first, *others = sorted(witnesses, key=lambda run: (_finished(run) or _LATEST, str(run.path)))
    disputed = [run for run in others if _content(run) != _content(first)]
    if disputed and all(_may_differ(run, first) for run in disputed):
        return []
    if disputed:
        return [_named(run, disputed[0] if run is first else first) for run in twins]
    problems = []
    for run in twins:
        if run is first:
            continue
        if run in others or _scores(run) == _scores(first):
            problems.append(Problem(run.path, _SAME_RUN.format(first.path.name), harmless=True))
        else:
            told = f"{_CLAIM.format(first.path.name)} and no predictions to check them; remove it"
            problems.append(Problem(run.path, told))
    return problems


def _may_differ(run: Run, other: Run) -> bool:
    """Whether honest runs of one identity can have other results: the same bits were not promised."""
    if not (run.has_predictions and other.has_predictions):
        return False
    if any(value_at(run.summary, path) != value_at(other.summary, path) for path in _CONTENT):
        return False
    if _eval_batch(run) != _eval_batch(other):
        return True
    free = run.device not in ("cpu", UNKNOWN) and value_at(run.config, "trainer.deterministic") is not True
    return free or any(run.environment.get(key) != other.environment.get(key) for key in _BITS_DEPEND_ON)


def _eval_batch(run: Run) -> Any:
    """How many images were rated at once; older summaries have what was asked for alone."""
    return value_at(run.summary, "resolved.eval_batch_size") or value_at(
        run.config, "trainer.eval_batch_size"
    )


def _named(run: Run, other: Run) -> Problem:
    return Problem(run.path, f"{_CLAIM.format(other.path.name)}; neither counts, remove the wrong one")


def _content(run: Run) -> tuple[Any, ...]:
    seen = run.outcomes
    if seen is None:
        return _scores(run)
    return *(value_at(run.summary, path) for path in _CONTENT), seen.digest()


def _scores(run: Run) -> tuple[Any, ...]:
    return tuple(value_at(run.summary, path) for path in (*_CONTENT, *_SCORES))


def _without_evidence(runs: Sequence[Run]) -> list[Problem]:
    """The runs of a row without predictions that confirm their scores, beside others that have some."""
    if not any(run.has_predictions for run in runs):
        return []
    reason = "no predictions to check its scores, which the other runs of its configuration have"
    return [Problem(run.path, reason, harmless=True) for run in runs if not run.has_predictions]


def _seeds_again(runs: Iterable[Run]) -> list[Problem]:
    """Of one row: the same seed trained again is no other seed, so the newest run counts alone."""
    by_seed: dict[int, list[Run]] = {}
    for run in runs:
        by_seed.setdefault(run.summary["seed"], []).append(run)
    problems = []
    for members in by_seed.values():
        if len(members) > 1:
            newest = max(members, key=lambda run: (_finished(run) or _EARLIEST, str(run.path)))
            reason = f"seed {newest.summary['seed']} was trained again: {newest.path.name} counts"
            problems += [Problem(run.path, reason, harmless=True) for run in members if run is not newest]
    return problems


_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _finished(run: Run) -> datetime | None:
    """When a run ended, else when it began; None where that is not recorded, or has not come yet."""
    try:
        heartbeat = read_json(run.path / rundir.STATUS).get("heartbeat")
    except UnreadableFileError:
        heartbeat = None
    for text in (heartbeat, run.environment.get("started")):
        try:
            found = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        if found < datetime.now(UTC) + timedelta(days=1):
            return found
    return None
