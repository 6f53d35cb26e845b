"""What a person sees who waits at a terminal; in a pipe there is none of it. No torch here.

What is being done stands in one line that goes away (`doing`), or is a bar that moves (`Bar`). What
stays is printed by `tell`, broken at words where a terminal is narrower than the text.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO

from bakeoff.terminal import broken, painted, screen_width, wants_colour

if TYPE_CHECKING:
    from tqdm import tqdm

_ERASE = "\r\033[K"
# A line as wide as the terminal would move it up, and so would the "^C" that a terminal writes after it.
KEPT_FREE = 1 + len("^C")
# What is being done now, the innermost last.
_doing: list[str] = []
# A bar's text by the columns there are: the rate goes first, then what is said beside it.
_FORMATS = (
    (72, "{desc} {percentage:3.0f}%|{bar}| {remaining} left, {rate_fmt}{postfix}"),
    (48, "{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"),
    (0, "{desc} {percentage:3.0f}%|{bar}|"),
)


def tell(text: str, stream: TextIO | None = None, style: str = "") -> None:
    """Prints what stays, in a style such as "bold red" where there is colour."""
    stream = stream or sys.stdout
    if _doing:
        _write(_ERASE)
    with _above_bars(stream):
        shown = broken(text, screen_width(stream))
        print(painted(shown, style, wants_colour(stream)), file=stream, flush=True)
    _draw()


@contextmanager
def doing(text: str) -> Iterator[None]:
    """Shows, while something is done, what it is."""
    if _width() is None:
        yield
        return
    _doing.append(text)
    _draw()
    try:
        yield
    finally:
        _doing.pop()
        _write(_ERASE)
        _draw()


class Bar:
    """How much of something is done: a bar that moves, and goes away at the end."""

    def __init__(self, title: str, total: int, unit: str = "images", done: int = 0) -> None:
        """`done` is what of the total was done before, and says nothing of the speed."""
        self._bar = _drawn(title, total, unit, done)

    def move_to(self, done: int) -> None:
        """Shows that so much of the total is done."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def move_by(self, more: int) -> None:
        """Shows that so much more is done."""
        if self._bar is not None:
            self._bar.update(more)

    def say(self, text: str) -> None:
        """A text beside the bar, from its next move on."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bar_width() -> int | None:
    """Columns of a bar; None where there is no terminal, and no bar."""
    width = _width()
    return None if width is None else width - KEPT_FREE


def watched() -> bool:
    """Whether a person may be looking on at a terminal."""
    return _width() is not None


def _drawn(title: str, total: int, unit: str, done: int) -> "tqdm[None] | None":
    """A bar as wide as the terminal, or a notebook's own; None where there is neither."""
    room = bar_width()
    if room is None:
        return _drawn_in_notebook(title, total, unit, done) if _in_notebook() else None
    from tqdm import tqdm  # takes a while, and --help needs none

    form = next(form for least, form in _FORMATS if room >= least)
    return tqdm(
        total=total, initial=done, desc=title, unit=f" {unit}", leave=False, ncols=room, bar_format=form
    )


def _in_notebook() -> bool:
    """Whether a person sees what is printed in a notebook's cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _drawn_in_notebook(title: str, total: int, unit: str, done: int) -> "tqdm[None]":
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # without ipywidgets it is a bar of characters, and tqdm warns of that
        from tqdm.auto import tqdm

        return tqdm(total=total, initial=done, desc=title, unit=f" {unit}", leave=False)


def _above_bars(stream: TextIO) -> AbstractContextManager[None]:
    """Within it bars make room."""
    if "tqdm" not in sys.modules:
        return nullcontext()  # there can be none
    from tqdm import tqdm

    return tqdm.external_write_mode(file=stream, nolock=True)


def _width() -> int | None:
    """Columns for what goes away again; None where nothing can be taken back."""
    return None if os.environ.get("TERM") == "dumb" else screen_width(sys.stderr)


def _draw() -> None:
    """Shows what is being done, cut to the terminal's width."""
    width = bar_width()
    if _doing and width is not None:
        _write(f"{_ERASE}{_doing[-1]} ..."[: len(_ERASE) + width])


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
