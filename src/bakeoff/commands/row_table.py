"""Runs and sweeps as rows of a table, fitted into the width of a terminal. No torch here.

Names are never cut, because they are typed again; what has no room beside them goes, or stands below them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bakeoff.runs.states import DIVERGED, FAILED, FINISHED, INTERRUPTED, LOST, QUEUED, RUNNING, STATES
from bakeoff.sweeps.rows import GONE_STATE, UNFINISHED, RunRow, SweepRow
from bakeoff.terminal import columns_of, filled, padded, painted, wrapped
from bakeoff.text import counted, cut, duration, percent, printable, shortened

STYLES = {
    FINISHED: "green", FAILED: "red", DIVERGED: "red", LOST: "red", INTERRUPTED: "yellow",
    UNFINISHED: "yellow", RUNNING: "cyan", QUEUED: "dim",
}  # fmt: skip
# From left to right: the title, and whether figures stand at the right.
_COLUMNS = {
    "name": ("name", False),
    "model": ("model", False),
    "data": ("data", False),
    "seed": ("seed", True),
    "state": ("state", False),
    "validation": ("validation", True),
    "test": ("test", True),
    "when": ("began", False),
    "time": ("took", True),
}
# What goes first where a line does not hold all: a run's name says the first three as well.
_LEAST_WANTED = ("seed", "data", "model", "time", "when")
_GAP = "  "
_INDENT = "    "
_LONGEST_CELL = 30  # characters of a model's or a data set's name
_LONGEST_STATE = max(map(len, STATES))
_LONGEST_WORD, _LONGEST_DETAIL = 60, 300  # characters, on a terminal
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Line:
    """One row: what stands in its columns, and what may need more room than a column has."""

    cells: Mapping[str, str]  # by the names of `_COLUMNS`
    changed: Sequence[str] = ()
    style: str = ""  # of its state
    first: str = ""  # what is told before the changes
    is_known: bool = True  # what was changed

    @property
    def told(self) -> str:
        """What needs more room than a column, in one line."""
        return "; ".join(text for text in (self.first, " ".join(self.changed)) if text)


def run_line(row: RunRow, short: bool, first: str = "") -> Line:
    """A run's row.

    Args:
        row: what was read of it.
        short: whether times are told in few columns, for a terminal.
        first: what is told before what was changed.
    """
    cells = {
        "name": row.path.name,
        "model": row.model or "",
        "data": row.data or "",
        "seed": "" if row.seed is None else str(row.seed),
        "state": row.state.state,
        "validation": _percent(row.val_accuracy),
        "test": _percent(row.test_accuracy),
        "when": when(row.began, short),
        "time": "" if row.seconds is None else took(row.seconds),
    }
    style = STYLES.get(row.state.state, "")
    return Line(_safe(cells, short), _words(row, short), style, printable(first), row.state != GONE_STATE)


def sweep_line(row: SweepRow, short: bool) -> Line:
    """A sweep's row; below it, how many of its runs are how far."""
    cells = {
        "name": row.path.name,
        "model": _few(row.models, "model"),
        "data": _few(row.data, "data set"),
        "seed": _few(list(map(str, row.seeds)), "seed", most=1),
        "state": row.state,
        "validation": _percent(row.best.val_accuracy if row.best else None),
        "test": "",
        "when": when(row.began, short),
        "time": took(row.seconds) if row.seconds else "",
    }
    return Line(
        _safe(cells, short), _words(row, short), STYLES.get(row.state, ""), printable(counts_told(row))
    )


def _words(row: RunRow | SweepRow, short: bool) -> list[str]:
    """What was changed; on a terminal no word is so long that it hides the others."""
    return [printable(cut(word, _LONGEST_WORD) if short else word) for word in row.changed]


def counts_told(row: SweepRow) -> str:
    """Such as: sweep of 12 runs: 9 finished, 1 failed, 2 queued; best by validation: cnn-digits-s1."""
    states = ", ".join(f"{count:,} {state}" for state, count in row.counts.items())
    best = f"; best by validation: {row.best.path.name}" if row.best and row.num_runs > 1 else ""
    return f"sweep of {counted(row.num_runs, 'run')}: {states}{best}"


def table(lines: Sequence[Line], width: int | None, colour: bool) -> list[str]:
    """The lines of the table with a line of titles; a width of None has room for all."""
    lines, same = _without_what_is_the_same(lines)
    used = [name for name in _COLUMNS if any(line.cells[name] for line in lines)]
    columns = _fitting(lines, used, width)
    if columns is None:
        return [*_one_below_another(lines, used, width, colour), *_same_told(same, width, colour)]
    widths = _widths(lines, columns)
    total = sum(widths.values()) + len(_GAP) * (len(columns) - 1)
    has_room = width is None or all(
        total + len(_GAP) + columns_of(line.told) <= width for line in lines if line.told
    )
    titles = {name: _COLUMNS[name][0] for name in columns}
    last = "changed" if has_room and any(line.told for line in lines) else ""
    told = [painted(_row(titles, widths, last), "bold", colour)]
    for line in lines:
        row = _row(line.cells, widths, line.told if has_room else "")
        told.append(_with_state(row, line, widths, colour))
        if line.told and not has_room:
            told += [painted(each, "dim", colour) for each in _below(line, width)]
    return [*told, *_same_told(same, width, colour)]


def _without_what_is_the_same(lines: Sequence[Line]) -> tuple[Sequence[Line], Sequence[str]]:
    """What was changed in each row alike is told once."""
    known = [line for line in lines if line.is_known]
    same = [word for word in known[0].changed if all(word in line.changed for line in known)] if known else []
    if len(known) < 2 or not same:
        return lines, []
    rest = [[word for word in line.changed if word not in same] for line in lines]
    return [replace(line, changed=words) for line, words in zip(lines, rest, strict=True)], same


def _same_told(same: Sequence[str], width: int | None, colour: bool) -> list[str]:
    text = f"the same in every row: {', '.join(same)}"
    text = text if width is None else cut(text, _LONGEST_DETAIL)
    return [painted(line, "dim", colour) for line in wrapped(text, width)] if same else []


def _fitting(lines: Sequence[Line], used: Sequence[str], width: int | None) -> list[str] | None:
    """The columns that a width has room for; None if even the fewest are too wide."""
    columns = list(used)
    for least in ("", *_LEAST_WANTED):
        columns = [name for name in columns if name != least]
        widths = _widths(lines, columns)
        if width is None or sum(widths.values()) + len(_GAP) * (len(columns) - 1) <= width:
            return columns
    return None


def _one_below_another(
    lines: Sequence[Line], used: Sequence[str], width: int | None, colour: bool
) -> list[str]:
    """Each name alone on a line, and all figures below it."""
    told = []
    for line in lines:
        told.append(painted(line.cells["name"], "bold", colour))
        figures = [f"{_COLUMNS[name][0]} {line.cells[name]}" for name in used if line.cells[name]]
        parts = [f"{figure}," for figure in figures[1:-1]] + figures[1:][-1:]
        told += filled(parts, width, _INDENT)
        told += [painted(each, "dim", colour) for each in _below(line, width)] if line.told else []
    return told


def _below(line: Line, width: int | None) -> list[str]:
    return filled(cut(line.told, _LONGEST_DETAIL).split(" "), width, _INDENT)


def _widths(lines: Sequence[Line], columns: Sequence[str]) -> dict[str, int]:
    return {
        name: max(columns_of(_COLUMNS[name][0]), *(columns_of(line.cells[name]) for line in lines))
        for name in columns
    }


def _row(cells: Mapping[str, str], widths: Mapping[str, int], last: str) -> str:
    parts = [padded(cells[name], wide, right=_COLUMNS[name][1]) for name, wide in widths.items()]
    return _GAP.join([*parts, last]).rstrip()


def _with_state(row: str, line: Line, widths: Mapping[str, int], colour: bool) -> str:
    """The same with the state in its colour."""
    before = list(widths)[: list(widths).index("state")]
    start = sum(len(padded(line.cells[name], widths[name], right=False)) + len(_GAP) for name in before)
    state = line.cells["state"]
    return f"{row[:start]}{painted(state, line.style, colour)}{row[start + len(state) :]}"


def _safe(cells: Mapping[str, str], short: bool) -> dict[str, str]:
    # A name is typed again, so it is whole, as all is in a pipe.
    return {
        name: printable(text)
        if name == "name" or not short
        else cut(printable(text), _LONGEST_STATE if name == "state" else _LONGEST_CELL)
        for name, text in cells.items()
    }


def _few(names: Sequence[str], noun: str, most: int = 2) -> str:
    if len(names) > most:
        return counted(len(names), noun)
    return shortened(names, most)


def _percent(share: float | None) -> str:
    return "" if share is None else percent(share)


def when(moment: datetime | None, short: bool) -> str:
    """A time by the clock of here: 27 Nov 10:15, with the year instead of the hour where it is another one.

    Not `short`: 2026-11-27 10:15:00, which sorts.
    """
    if moment is None:
        return ""
    here = moment.astimezone()
    if not short:
        return f"{here:%Y-%m-%d %H:%M:%S}"
    day = f"{here.day:>2} {_MONTHS[here.month - 1]}"
    return f"{day} {here:%H:%M}" if here.year == datetime.now().astimezone().year else f"{day} {here.year}"


def took(seconds: float) -> str:
    """A duration in the unit that a person would use, with two digits or three."""
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)
