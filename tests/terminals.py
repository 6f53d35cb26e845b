"""A terminal of some width for a test to write to, and what a person would then see."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

WIDTHS = (60, 80, 120)


def read_to_end(terminal: int, content: bytearray | None = None) -> bytes:
    """All that is written to a terminal until its last writer has closed it; closes the descriptor.

    `content` grows as it comes.
    """
    content = bytearray() if content is None else content
    try:
        while block := os.read(terminal, 65536):
            content += block
    except OSError:  # Linux reports the end of a terminal so
        pass
    os.close(terminal)
    return bytes(content)


class Terminal:
    """Standard output and error at once; `written` holds all that came, once it is closed."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._reading, writing = pty.openpty()
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream: TextIO = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        self.written = ""
        self._so_far = bytearray()
        self._reader = threading.Thread(target=self._read)  # a terminal's buffer is small
        self._reader.start()

    def _read(self) -> None:
        self.written = read_to_end(self._reading, self._so_far).decode()

    def so_far(self) -> str:
        """What was written until now; to the end of it if it is closed."""
        return self._so_far.decode(errors="ignore")

    def close(self) -> str:
        """Returns what was written."""
        self.stream.close()
        self._reader.join()
        return self.written

    def lines(self) -> list[str]:
        """What stays on the screen, a line each, without colours: what was written over is gone."""
        plain = re.sub(r"\033\[[\d;]*m", "", self.written)
        return [self._last(line) for line in plain.replace("\r\n", "\n").split("\n")]

    def drawn(self) -> list[str]:
        """All that ever stood in a line, what was written over too."""
        texts = re.split(r"\r\n|\n|\r", self.written.replace("\033[K", ""))
        return [text for text in texts if text.strip()]

    @staticmethod
    def _last(line: str) -> str:
        shown = ""
        for part in line.split("\r"):
            if part.startswith("\033[K"):
                shown = ""
            text = part.replace("\033[K", "")
            shown = text + shown[len(text) :]
        return shown.rstrip()


@contextmanager
def terminal(columns: int) -> Iterator[Terminal]:
    """Standard output and error of this process are a terminal."""
    it = Terminal(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        patch.setenv("TERM", "xterm")
        patch.setattr("sys.stdout", it.stream)
        patch.setattr("sys.stderr", it.stream)
        try:
            yield it
        finally:
            it.close()
