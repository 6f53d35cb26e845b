"""What a person sees of a sweep while it runs (for now: lines)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bakeoff.machine.waiting import tell
from bakeoff.runs.states import RunState
from bakeoff.sweeps.ledger import Entry, Ledger


class Lines:
    def __init__(self, ledger: Ledger, todo: Sequence[Entry]) -> None:
        self._ledger, self._numbers = ledger, {entry.folder: n for n, entry in enumerate(todo, start=1)}

    def started(self, entry: Entry) -> None:
        tell(f"[{self._numbers[entry.folder]}/{len(self._numbers)}] {entry.shown}: started")

    def ended(self, entry: Entry, state: RunState) -> None:
        reason = f" ({state.reason})" if state.reason else ""
        tell(f"[{self._numbers[entry.folder]}/{len(self._numbers)}] {entry.shown}: {state.state}{reason}")

    def tick(self) -> None: ...

    def pause(self) -> None: ...

    def go_on(self) -> None: ...


@contextmanager
def make_view(ledger: Ledger, todo: Sequence[Entry]) -> Iterator[Lines]:
    yield Lines(ledger, todo)
