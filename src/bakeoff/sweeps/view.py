"""What a person sees of a sweep while it runs: lines that stay, and a live table. No torch here."""

import math
import os
import select
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from bakeoff.machine.waiting import watched
from bakeoff.runs.states import BAD, DONE, FINISHED, INTERRUPTED, PRUNED, QUEUED, RunState
from bakeoff.sweeps.ledger import Entry, Ledger
from bakeoff.sweeps.standing import JobStanding, Looks
from bakeoff.sweeps.table import LiveTable
from bakeoff.terminal import broken, is_terminal, painted, screen_width, wants_colour
from bakeoff.text import duration, one_line, percent, printable

_SECONDS_OF_A_PIPE = 0.2  # after which a line that went into one (`| tee log`) stands on the terminal


class SweepView:
    """Says when a job ends, in a pipe also when it starts; and draws the table.

    Nothing here waits for a terminal that takes no text (Ctrl-S, a slow line): the sweep goes on, and what
    there is to say is said when it can be.
    """

    def __init__(self, looks: Looks, todo: Sequence[Entry]) -> None:
        self._looks = looks
        self._numbers = {entry.folder: number for number, entry in enumerate(todo, start=1)}
        self._table = LiveTable() if watched() else None
        self._says_starts = self._table is None or not is_terminal(sys.stdout)
        self._unsaid: list[tuple[str, str, bool]] = []  # with its style; whether it is for a person alone
        self._draws_from = -math.inf  # by `time.monotonic`

    def started(self, entry: Entry) -> None:
        """A job's process has begun."""
        if self._says_starts:
            self._say_of(entry, "started")

    def ended(self, entry: Entry, state: RunState) -> None:
        """A job's process is gone."""
        style = "bold red" if state.state in BAD else ""
        self._say_of(entry, ending(self._looks.of(entry.folder), state), style)

    def say(self, text: str, style: str = "") -> None:
        """Prints what stays, where a person sees it: above the table, wherever standard output goes."""
        self._unsaid.append((text, style, self._table is not None and not is_terminal(sys.stdout)))
        self._say_what_can_be()

    def tick(self) -> None:
        """A moment has passed."""
        self._say_what_can_be()
        if self._table is None or time.monotonic() < self._draws_from:
            return
        if _takes_text(sys.stderr):
            self._table.draw(self._looks.look())

    def pause(self) -> None:
        """This process is about to stand still (Ctrl-Z): a shell writes where the table was."""
        if self._table is not None and _takes_text(sys.stderr):
            self._table.clear()

    def go_on(self) -> None:
        """It goes on."""
        self.tick()

    def close(self) -> None:
        """Takes the table away; all is said."""
        if self._table is not None:
            self._table.clear()
        self._say_what_can_be(wait=True)

    def _say_of(self, entry: Entry, text: str, style: str = "") -> None:
        number = self._numbers.get(entry.folder)
        place = f"[{number}/{len(self._numbers)}] " if number else ""
        self._unsaid.append((f"{place}{printable(entry.shown or entry.folder)}: {text}", style, False))
        self._say_what_can_be()

    def _say_what_can_be(self, wait: bool = False) -> None:
        while self._unsaid:
            text, style, is_for_person = self._unsaid[0]
            stream = sys.stderr if is_for_person else sys.stdout
            if not wait and not _takes_text(stream):
                return
            del self._unsaid[0]
            if _is_pipe(stream):
                self._make_room()
            shown = broken(text, screen_width(stream))
            print(painted(shown, style, wants_colour(stream)), file=stream, flush=True)

    def _make_room(self) -> None:
        """What goes into a pipe may come out on the same terminal: it must not meet the table there."""
        self.pause()
        self._draws_from = time.monotonic() + _SECONDS_OF_A_PIPE


def ending(job: JobStanding, state: RunState) -> str:
    """How a job ended, for its line."""
    took = "" if job.seconds is None else f" in {duration(job.seconds)}"
    if state.state in DONE:
        scored = f"{percent(job.best)} validation accuracy" if job.best is not None else FINISHED
        return f"{scored}{took}" if state.state == FINISHED else f"{PRUNED}, {scored}{took}"
    if state.state == INTERRUPTED:
        return f"stopped and saved at step {state.step or 0:,}"
    if state.state == QUEUED:
        return "stopped before its first step"
    return f"{state.state}: {printable(one_line(state.reason, most=None))}" if state.reason else state.state


@contextmanager
def make_view(ledger: Ledger, todo: Sequence[Entry], looks: Looks | None = None) -> Iterator[SweepView]:
    """What is shown of a sweep, for the block; the table goes away at its end.

    Args:
        ledger: of the sweep; what is noted in it is seen.
        todo: the runs that are to be done, which the lines count.
        looks: what looks at the ledger, if somebody else does, too.
    """
    view = SweepView(looks or Looks(ledger), todo)
    try:
        yield view
    finally:
        view.close()


def _is_pipe(stream: TextIO) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _takes_text(stream: TextIO) -> bool:
    """Whether a stream takes some text now; one that cannot be asked does."""
    try:
        return bool(select.select([], [stream.fileno()], [], 0)[1])
    except (OSError, ValueError):
        return True
