"""Standard output and standard error that cannot fail what is done: what is lost is remembered.

A reader that went away (`| head`), a full disk below a log file or a closed terminal must not end a
training. While a command runs, writing to `sys.stdout` and `sys.stderr` never raises for such a reason;
whether it did all it should, the exit code says.
"""

import errno
import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from bakeoff.errors import OK, ResourceError
from bakeoff.exits import fail, run_reporting_errors

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class _Guarded(io.RawIOBase):
    """Writes to a descriptor; keeps the first error in place of raising it."""

    def __init__(self, descriptor: int, closed: bool) -> None:
        self._descriptor = descriptor
        self._closed = closed  # by the caller, as in `2>&-`
        self.lost: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        try:
            if not self._closed:
                return self._write(data)
            error = OSError(errno.EBADF, "closed")
        except OSError as raised:
            error = raised
        self.lost = self.lost or error
        return len(data)

    def _write(self, data: "bytes | memoryview") -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # whoever shares the descriptor set it so; nothing is lost by waiting
                select.select([], [self._descriptor], [])


def run_command(command: Callable[[], int], debug: bool, *, only_shows: bool, colour: str = "auto") -> int:
    """Calls a command; an error becomes one line and its exit code, and lost output is not success.

    A reader that went away is no error of a command that `only_shows` something, as in `| head`.
    """
    with _guarded() as output:
        code = run_reporting_errors(command, debug, colour)
        with suppress(ValueError):  # closed by the command itself
            sys.stdout.flush()
        lost = output.lost if output else None
        if lost is None or code != OK or (only_shows and lost.errno == errno.EPIPE):
            return code
        what = "some of the text is lost" if only_shows else "only the printed text is lost, the work is done"
        why = " (its reader went away, as in `| head`)" if lost.errno == errno.EPIPE else ""
        return fail(
            ResourceError(f"standard output: {lost.strerror}{why}; {what}"), debug=False, colour=colour
        )


@contextmanager
def _guarded() -> Iterator[_Guarded | None]:
    """Guards both streams; gives standard output's guard.

    A stream without a descriptor, as in a notebook, stays as it is; all do off the main thread, since they
    belong to the whole process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    closed = _fill_closed_descriptors()
    before = {name: getattr(sys, name) for name in _DESCRIPTORS}
    guards: dict[str, _Guarded] = {}
    for name, stream in before.items():
        descriptor = _descriptor(name, stream)
        if descriptor is None:
            continue
        guards[name] = _Guarded(descriptor, descriptor in closed)
        setattr(sys, name, _text_stream(guards[name], stream))
    try:
        yield guards.get("stdout")
    finally:
        for name, stream in before.items():
            with suppress(OSError, ValueError):
                getattr(sys, name).flush()
            setattr(sys, name, stream)


def _fill_closed_descriptors() -> set[int]:
    """The next file to be opened would get a closed 1 or 2, and a library's warning would go into it."""
    closed = set()
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - its signature
            closed.add(descriptor)
    return closed


def _descriptor(name: str, stream: TextIO | None) -> int | None:
    if stream is None:  # closed when Python started
        return _DESCRIPTORS[name]
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return None
    return descriptor


def _text_stream(guard: _Guarded, stream: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(guard),  # type: ignore[type-var]
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",  # a terminal that has no such sign fails nothing
        line_buffering=True,
    )
