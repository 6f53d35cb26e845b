"""The runs and sweeps below some folders, the newest first, of which no more is read than is asked for.

No torch here.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from bakeoff.runs.folders import LEDGER, began_at, is_sweep_dir, last_work, sweep_dirs
from bakeoff.runs.locate import distinct_run_dirs, find_run_dirs
from bakeoff.runs.reading import UnreadableFileError, moment, read_bytes
from bakeoff.runs.rundir import ENVIRONMENT
from bakeoff.runs.states import state_or_lost
from bakeoff.sweeps.rows import RunRow, SweepRow, gone_row, ledger_of, run_row, sweep_row

_MOST_BYTES = 64 * 2**20  # of a ledger
# As the program writes them: the whole files are not needed here, and a ledger may be long.
_CREATED = re.compile(rb'^ "created": "([^"\\]{1,40})",?$', re.MULTILINE)
_STARTED = re.compile(rb'^ "started": "([^"\\]{1,40})",?$', re.MULTILINE)
_DAY, _TIME_OF_DAY = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"\d{6}(?=-)")


@dataclass(frozen=True)
class Wanted:
    """Which runs are asked for; where nothing is said, all."""

    states: Sequence[str] = ()
    models: Sequence[str] = ()  # names, or patterns such as vit*
    data: Sequence[str] = ()  # by the title in tables, or the name of the data set

    @property
    def is_everything(self) -> bool:
        """Whether nothing is asked for in particular."""
        return not (self.states or self.models or self.data)

    def fits(self, row: RunRow) -> bool:
        """Whether a run of a wanted state is of a wanted model and on wanted data."""
        return _fits((row.model,), self.models) and _fits((row.data, row.data_name), self.data)


@dataclass(frozen=True)
class Entry:
    """A run directory or a sweep's folder, of which nothing was read yet."""

    path: Path
    began: float  # seconds since 1970
    runs: tuple[Path, ...] | None = None  # of a sweep: its run directories
    row: RunRow | None = None  # of a run whose directory is gone


def entries(paths: Sequence[Path], *, folded: bool) -> list[Entry]:
    """What there is, the newest first.

    Args:
        paths: folders; of one that is a sweep's, the runs.
        folded: whether a sweep below a path is one entry, and not each of its runs.
    """
    found = find_run_dirs(paths[0]) if len(paths) == 1 else distinct_run_dirs(paths)
    is_sweep = cache(is_sweep_dir)
    sweeps: dict[Path, list[Path]] = {}
    if folded:
        below = [sweep for path in paths if not is_sweep(path) for sweep in sweep_dirs(path)]
        sweeps = {sweep: [] for sweep in below}
    listed = []
    for run in found:
        folder = run.parent
        if folded and folder not in paths and run not in paths and is_sweep(folder):
            sweeps.setdefault(folder, []).append(run)
        else:
            listed.append(Entry(run, _started(run)))
    known = set(found)
    for sweep in filter(is_sweep, paths):
        ledger = ledger_of(sweep)
        expected = {ledger.run(job): job for job in ledger.entries.values()} if ledger else {}
        gone = [gone_row(run, job) for run, job in expected.items() if run not in known]
        listed += [Entry(row.path, 0.0, row=row) for row in gone]
    listed += [Entry(sweep, _created(sweep), tuple(runs)) for sweep, runs in sweeps.items()]
    return sorted(listed, key=lambda entry: entry.began, reverse=True)


def rows(found: Sequence[Entry], wanted: Wanted) -> Iterator[RunRow | SweepRow]:
    """Reads one after another; what nobody takes is not read."""
    for entry in found:
        if entry.runs is not None:
            yield sweep_row(entry.path, entry.runs)
            continue
        state = entry.row.state if entry.row else state_or_lost(entry.path)
        if wanted.states and state.state not in wanted.states:
            continue
        row = entry.row or run_row(entry.path, state)
        if wanted.fits(row):
            yield row


def _fits(names: Sequence[str | None], patterns: Sequence[str]) -> bool:
    found = [name.lower() for name in names if name is not None]
    return not patterns or any(fnmatchcase(name, pattern.lower()) for name in found for pattern in patterns)


def _created(sweep: Path) -> float:
    """When a sweep was begun, in seconds since 1970."""
    return _time_in(sweep / LEDGER, _CREATED) or last_work(sweep)


def _started(run: Path) -> float:
    """When a run was begun: by its name, which costs nothing; one of a sweep has no time in it."""
    day, time_of_day = _DAY.fullmatch(run.parent.name), _TIME_OF_DAY.match(run.name)
    if day and time_of_day:
        with suppress(ValueError, OverflowError, OSError):
            return datetime.strptime(f"{day[0]} {time_of_day[0]}", "%Y-%m-%d %H%M%S").astimezone().timestamp()
    return _time_in(run / ENVIRONMENT, _STARTED) or began_at(run)


def _time_in(path: Path, pattern: re.Pattern[bytes]) -> float | None:
    with suppress(UnreadableFileError):
        match = pattern.search(read_bytes(path, _MOST_BYTES))
        found = moment(match[1].decode("ascii", "replace")) if match else None
        return found.timestamp() if found else None
    return None
