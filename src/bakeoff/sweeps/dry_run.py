"""What `--dry-run` of a sweep prints: each run with the time that it will take. No torch here."""

import sys
from collections.abc import Sequence

from bakeoff.experiment.earlier_runs import Share, estimates, told_of_all
from bakeoff.machine.waiting import tell
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.plan import Planned
from bakeoff.sweeps.table import fitted
from bakeoff.terminal import columns_of, padded, screen_width
from bakeoff.text import duration, printable

_UNKNOWN = "unknown"
_NARROWEST_NAME = 12


def show_plan(planned: Sequence[Planned], chosen: Sequence[Slot]) -> None:
    """Prints the list, and how long all that is to do will take.

    Args:
        planned: all runs of the sweep.
        chosen: what the runs that are trained at once have each; empty if there is nothing to do.
    """
    todo = [item.job.values for item in planned if not item.is_done]
    share = Share(chosen[0].threads, len(chosen)) if chosen else Share()
    seconds = estimates(todo, share)
    is_plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    for line in listing(planned, seconds, screen_width(sys.stdout), is_plain=is_plain):
        print(line)
    if todo:
        tell(told_of_all(todo, seconds, share))
    tell("everything is in order; not trained (--dry-run)")


def listing(
    planned: Sequence[Planned], seconds: Sequence[float | None], width: int | None, *, is_plain: bool = False
) -> list[str]:
    """A line for each run below a line of headings.

    Args:
        planned: all runs.
        seconds: estimates of those that are not done, in their order.
        width: columns; None for as many as it takes. Names of directories are shown where there is room.
        is_plain: for a terminal that has ASCII alone.
    """
    times = iter(seconds)
    rows = [("run", "state", "will take", "run directory")]
    for item in planned:
        time = "" if item.is_done else _time(next(times))
        name = printable(item.entry.shown or item.folder.name)
        rows.append((name, item.state.state, time, item.folder.name))
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    gaps = 2 * len(widths)  # before each column
    has_folder = width is None or sum(widths) + gaps <= width
    if not has_folder:
        assert width is not None
        room = width - sum(widths[1:3]) - 2 * 3
        widths[0] = max(_NARROWEST_NAME, min(widths[0], room))
    return [_line(row[: None if has_folder else 3], widths, is_plain) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], is_plain: bool) -> str:
    name, state, time, *folder = row
    cells = [
        padded(fitted(name, widths[0], is_plain), widths[0], right=False),
        padded(state, widths[1], right=False),
        padded(time, widths[2], right=True),
        *folder,
    ]
    return "".join(f"  {cell}" for cell in cells).rstrip()


def _time(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else duration(seconds)
