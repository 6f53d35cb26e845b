"""The live table of a sweep: a row for each run that is being trained, and where all stand. No torch here."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from bakeoff.machine.waiting import KEPT_FREE
from bakeoff.sweeps.standing import JobStanding, Standing
from bakeoff.terminal import columns_of, is_terminal, screen_width, wants_colour
from bakeoff.text import about, counted, duration, percent, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

_USUAL_HEIGHT = 24
_MOST_BEST = 3  # data sets whose best run is shown
# From how many columns on there is a bar, the best epoch beside the last one, and so on.
_WITH_BAR, _WITH_BEST, _WITH_LEFT, _WITH_ACCURACY = 56, 100, 34, 26
_BAR_SHARE, _WIDEST_BAR = 5, 40
_NARROWEST_NAME = 8
_ENDING = "ending"
_LIKELY_ACCURACY = "99.99 %"


class LiveTable:
    """Stands below all that is printed, and goes away at the end.

    The cursor stays visible, so that no end, however sudden, leaves a terminal without one.
    """

    def __init__(self) -> None:
        self._stream: TextIO = sys.stderr
        self._console = _console(self._stream)
        self._live: Live | None = None
        self._drawn: tuple[Standing, int, int] | None = None

    def draw(self, standing: Standing) -> None:
        """Shows it, if it is another one than before or the terminal has another size."""
        # A terminal that is gone keeps the size that it had.
        width = screen_width(self._stream) or self._console.width
        height = _height(self._stream)
        same = self._drawn is not None and self._drawn[0] is standing and self._drawn[1:] == (width, height)
        if self._live is not None and same:
            return
        self._drawn = standing, width, height
        self._console.width, self._console.height = width, height
        is_plain = not self._console.encoding.startswith("utf")
        content = rendered(standing, width - KEPT_FREE, height, is_plain=is_plain)
        if self._live is None:
            from rich.live import Live

            # What is printed to standard output, on the same terminal, has to go above the table.
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=is_terminal(sys.stdout),
                vertical_overflow="crop",
            )
            self._live.start()
        self._live.update(content, refresh=True)

    def clear(self) -> None:
        """Takes the table away; `draw` shows it again."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    class VisibleCursor(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - its signature
            return False

    return VisibleCursor(
        file=stream,
        force_terminal=True,
        force_interactive=True,
        no_color=not wants_colour(stream),
        width=screen_width(stream),
        height=_height(stream),
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _height(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).lines or _USUAL_HEIGHT
    except (OSError, ValueError):
        return _USUAL_HEIGHT


def rendered(standing: Standing, width: int, height: int, *, is_plain: bool = False) -> "RenderableType":
    """The table in so many columns and at most so many lines; no line is broken.

    Args:
        standing: where the sweep stands.
        width: columns.
        height: lines of the terminal.
        is_plain: for a terminal that has ASCII alone.
    """
    from rich.console import Group
    from rich.constrain import Constrain

    below = [_line(text, is_plain) for text in summary_lines(standing, width)]
    room = height - 1 - len(below)  # the line of the cursor may be one more
    running = standing.running
    if room < 2 or not running:
        return Constrain(Group(*below[: max(1, height - 1)]), width)
    most = room - 1  # the headings
    shown = running if len(running) <= most else running[: most - 1]
    more = len(running) - len(shown)
    rest = [_line(f"and {more:,} more that are running", is_plain)] if more else []
    return Constrain(Group(*([_rows(shown, width, is_plain)] if shown else []), *rest, *below), width)


def summary_lines(standing: Standing, width: int | None) -> list[str]:
    """Counts, the time left for all, and the best by validation, for so many columns."""
    counts = [f"{standing.done:,} of {len(standing.jobs) + standing.to_come:,} done"]
    counts += [f"{standing.failed:,} failed"] if standing.failed else []
    counts += [f"{len(standing.running):,} running"] if standing.running else []
    counts += [f"{standing.waiting:,} waiting"] if standing.waiting else []
    is_narrow = width is not None and width < _WITH_BAR
    if is_narrow and standing.running:  # their rows are seen
        counts = [text for text in counts if not text.endswith("running")]
    lines = [", ".join(counts)]
    if left := time_left(standing):
        if width is None or len(lines[0]) + 2 + len(left) <= width:
            lines[0] += f"; {left}"
        else:
            lines.append(left)
    for data, job in list(standing.best.items())[:_MOST_BEST]:
        where = f" on {printable(data)}" if len(standing.best) > 1 else ""
        how = "" if is_narrow else " by validation so far"
        lines.append(f"best{where}{how}: {percent(job.best or 0.0)} {name_of(job)}")
    if len(standing.best) > _MOST_BEST:
        lines[-1] += f" (and {counted(len(standing.best) - _MOST_BEST, 'data set')} more)"
    return lines


def time_left(standing: Standing) -> str:
    """An estimate as a text; an empty one if there is none."""
    if standing.left is None:
        return ""
    text = about(standing.left)
    return f"{text.replace('about', 'more than', 1) if standing.left_is_least else text} left"


def name_of(job: JobStanding) -> str:
    """What tells a run from the others of its sweep."""
    return printable(job.entry.shown or job.entry.folder)


def _line(text: str, is_plain: bool) -> "Text":
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="crop" if is_plain else "ellipsis")


def _rows(jobs: Sequence[JobStanding], width: int, is_plain: bool) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    cells: dict[str, list[str]] = {"epoch": [_epoch(job) for job in jobs]}
    accuracy = "validation" if width >= _WITH_BAR else "val."
    if width >= _WITH_ACCURACY:
        cells[accuracy] = [_accuracy(job.accuracy) for job in jobs]
    if width >= _WITH_BEST:
        cells["best"] = [_accuracy(job.best) for job in jobs]
    if width >= _WITH_LEFT:
        cells["left"] = [_left(job) for job in jobs]
    # As wide as most of its values will become, so that the columns stand still.
    likely = {"epoch": [_epoch(replace(job, epoch=job.epochs or 0)) for job in jobs], "left": [_ENDING]}
    widths = {
        title: max(map(columns_of, (title, *likely.get(title, [_LIKELY_ACCURACY]), *texts)))
        for title, texts in cells.items()
    }
    bar = min(_WIDEST_BAR, width // _BAR_SHARE) if width >= _WITH_BAR else 0
    room = width - sum(widths.values()) - 2 * len(widths) - (bar + 2 if bar else 0)
    room = max(_NARROWEST_NAME, room)
    names = [name_of(job) for job in jobs]
    name = min(room, max(map(columns_of, ("run", *names))))

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("run", width=name, no_wrap=True, overflow="crop")
    if bar:
        table.add_column("", width=bar, no_wrap=True)
    for title, most in widths.items():
        table.add_column(title, width=most, no_wrap=True, justify="right", overflow="crop")
    for row, job in enumerate(jobs):
        table.add_row(
            Text(fitted(names[row], name, is_plain)),
            *([_bar(job.share, bar)] if bar else []),
            *(Text(texts[row]) for texts in cells.values()),
        )
    return table


def fitted(name: str, width: int, is_plain: bool) -> str:
    """A name in so many columns: first without the sections of its keys, then without its middle."""
    if columns_of(name) <= width:
        return name
    words = (word.partition("=") for word in name.split(" "))
    name = " ".join(
        value if key in ("model", "data") else f"{key.rpartition('.')[2]}{equals}{value}"
        for key, equals, value in words
    )
    if columns_of(name) <= width:
        return name
    sign = ".." if is_plain else "…"
    end = (width - len(sign)) // 2  # what tells runs apart stands as often at the end as at the beginning
    return f"{name[: width - len(sign) - end]}{sign}{name[len(name) - end :]}"


def _bar(share: float, width: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar

    return ProgressBar(
        total=1.0, completed=share, width=width, complete_style="green", finished_style="green"
    )


def _epoch(job: JobStanding) -> str:
    if job.epochs is None:
        return "starting" if not job.epoch else f"{job.epoch:,}"
    return f"{job.epoch:,}/{job.epochs:,}"


def _left(job: JobStanding) -> str:
    if job.share >= 1:
        return _ENDING  # the test images, pictures and files are left
    return "" if job.left is None else duration(job.left)


def _accuracy(share: float | None) -> str:
    return "" if share is None else percent(share)
