"""Where the scheduler gets its jobs from. No torch here."""

import math
import time
from collections.abc import Sequence
from typing import Protocol

from bakeoff.runs.states import RunState
from bakeoff.sweeps.ledger import Entry


class Source(Protocol):
    """Gives jobs one after the other, where what comes next depends on what became of those before."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will come any more."""

    def take(self) -> Entry | None:
        """The next job; None: none for now."""

    def ended(self, entry: Entry, state: RunState) -> None:
        """A job's process is gone."""

    def reason_to_stop(self, entry: Entry) -> str | None:
        """Why a job that runs is to be stopped and `pruned`; asked twice a second."""


class Listed:
    """The source of a list that is known."""

    def __init__(self, todo: Sequence[Entry], until: float = math.inf) -> None:
        """Begins a list.

        Args:
            todo: is started in its order.
            until: by `time.monotonic`; after that no other one is started.
        """
        self.waiting = list(todo)
        self._until = until

    @property
    def is_over(self) -> bool:
        """Whether all were started that will be."""
        return not self.waiting or time.monotonic() >= self._until

    def take(self) -> Entry | None:
        """The next one."""
        return None if self.is_over else self.waiting.pop(0)

    def ended(self, entry: Entry, state: RunState) -> None:
        """Changes nothing of what comes."""

    def reason_to_stop(self, entry: Entry) -> str | None:  # noqa: ARG002 - of the protocol
        """None is stopped."""
        return None
