"""Text that is safe and right to print, wherever it came from. No torch here."""

import re
import unicodedata
from collections.abc import Sequence

_HIDDEN = "***"
_PASSWORDS = (
    # Up to the last @: a password that was not encoded may hold one.
    (re.compile(r"(://[^:/@\s]*):\S*(?=@)"), rf"\1:{_HIDDEN}"),
    (re.compile(r"([=\s'\"][\w.-]+):[^\s:/@'\"]+(?=@[\w.-])"), rf"\1:{_HIDDEN}"),  # without a scheme
    (re.compile(r"\b((?:password|passwd|pwd)=)[^&\s'\"]*", re.IGNORECASE), rf"\1{_HIDDEN}"),
)


def printable(text: str) -> str:
    """Replaces what a terminal would act on: control characters, and marks that turn the direction.

    Bytes that were no UTF-8 come as lone surrogates; they are shown as escapes.
    """
    return "".join(_shown(character) for character in text)


def without_passwords(text: str) -> str:
    """A text in which no URL has its password, however it was typed."""
    for pattern, shown in _PASSWORDS:
        text = pattern.sub(shown, text)
    return text


def one_line(text: object, most: int | None = 200) -> str:
    """An error, or what a library says of it, on one line, cut to `most` characters."""
    return " ".join(str(text).split())[:most]


def counted(count: int, noun: str) -> str:
    """Such as 1 thread, 2 threads."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float, decimals: int = 2) -> str:
    """A share of 1 as 90.50 %."""
    return f"{share * 100:.{decimals}f} %"


def without_numbers(text: str) -> str:
    """What two lines share that differ in their figures alone."""
    return re.sub(r"\d[\d.,]*", "#", text)


def about(seconds: float) -> str:
    """A duration that is an estimate, in the unit that a person would use: about 12 minutes."""
    if seconds < 10:
        return f"about {counted(max(1, round(seconds)), 'second')}"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    if seconds < 36 * 3600:
        return f"about {seconds / 3600:.2g} hours"
    return f"about {seconds / 86400:,.{1 if seconds < 10 * 86400 else 0}f} days"


def duration(seconds: float) -> str:
    """A time in few characters, in the unit that a person would use: 42 s, 12 min, 3.5 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.1f} days"


def shortened(names: Sequence[str], most: int = 5) -> str:
    """Names in a sentence, not all of very many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def cut(text: str, most: int) -> str:
    """A text of at most so many characters; an ellipsis says that something is left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shown(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character


def p_text(p: float) -> str:
    """A p-value as it is printed; a p of 0 is only a small one."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.3g}"
