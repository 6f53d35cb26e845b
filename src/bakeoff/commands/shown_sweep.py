"""What `bakeoff show SWEEP` says. No torch here."""

import shlex
from pathlib import Path

from bakeoff.commands.next_steps import of_sweep
from bakeoff.commands.row_table import counts_told, run_line, table, took, when
from bakeoff.commands.shown_run import headline, steps_told
from bakeoff.comparison.open_studies import metric_value
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.states import FINISHED, RUNNING
from bakeoff.runs.studies import race_of, tune_of
from bakeoff.sweeps.ledger import Ledger, command_of
from bakeoff.sweeps.rows import RunRow, SweepRow, sweep_and_runs
from bakeoff.terminal import painted, wrapped
from bakeoff.text import cut, printable

_LONGEST_REASON = 160  # characters, on a terminal; bakeoff show RUN has all of it


def read_sweep(path: Path) -> tuple[SweepRow, list[RunRow], Ledger | None]:
    """A sweep and its runs, those that it should have first, in the order of its command line."""
    return sweep_and_runs(path, find_run_dirs(path))


def lines_of(path: Path, width: int | None, colour: bool) -> list[str]:
    """What is printed of a sweep, safe to print."""
    row, rows, ledger = read_sweep(path)
    lines = [headline(path, row.state, colour)]
    about = [counts_told(row)]
    about += [f"began {when(row.began, short=False)}"] if row.began else []
    about += [f"its runs took {took(row.seconds)}"] if row.seconds else []
    lines += wrapped(printable("; ".join(about)), width, "  ")
    if ledger:
        lines += wrapped(printable(command_of(ledger)), width, "    ", "  ")
    lines += wrapped(printable(str(path)), width, "  ")
    of_study = [*_of_race(path), *_of_search(path)]
    lines += [line for told in of_study for line in wrapped(printable(told), width, "    ", "  ")]
    short = width is not None
    if rows:
        told = [run_line(each, short, _reason(each, short)) for each in rows]
        lines += ["", *table(told, width, colour)]
    if steps := steps_told(of_sweep(row, ledger)):
        lines += ["", painted("next", "bold", colour), *steps]
    return lines


def _of_race(path: Path) -> list[str]:
    """How a race stands, and who is out."""
    record = race_of(path)
    if record is None:
        return []
    out = [f"out of the race: {', '.join(record.out)}"] if record.out else []
    return [f"race: {record.verdict or 'goes on'}", *out]


def _of_search(path: Path) -> list[str]:
    """How a search stands, what it has found, and what trains that."""
    record = tune_of(path)
    if record is None:
        return []
    known = [one for one in record.results if one.state != RUNNING]
    planned = record.trials * len(record.studies)
    state = "has ended" if record.is_ended else "goes on"
    lines = [f"search: {state}; {len(known)} of {planned} trials are over"]
    for one in record.confirmed:
        if one.rank == 1 and one.search is not None and one.mean is not None:
            metric = record.metric[0]
            scores = f"{metric_value(metric, one.search)} in the search"
            again = f"{metric_value(metric, one.mean)} with new seeds"
            lines.append(f"best of {one.study}: trial {one.number}, {metric} {scores}, {again}")
    files = sorted((path / "experiment").glob("*.yaml")) if record.is_ended else []
    folder = shlex.quote(str(path))
    return lines + [f"train it: bakeoff train --config-dir {folder} experiment={file.stem}" for file in files]


def _reason(row: RunRow, short: bool) -> str:
    if row.state.state == FINISHED or not row.state.reason:
        return ""
    reason = " ".join(row.state.reason.split())
    return cut(reason, _LONGEST_REASON) if short else reason
