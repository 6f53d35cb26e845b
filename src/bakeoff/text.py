"""Text that is safe and right to print, wherever it came from. No torch here."""

import unicodedata


def printable(text: str) -> str:
    """Replaces what a terminal would act on: control characters, and marks that turn the direction.

    Bytes that were no UTF-8 come as lone surrogates; they are shown as escapes.
    """
    return "".join(_shown(character) for character in text)


def one_line(text: object, most: int | None = 200) -> str:
    """An error, or what a library says of it, on one line, cut to `most` characters."""
    return " ".join(str(text).split())[:most]


def counted(count: int, noun: str) -> str:
    """Such as 1 thread, 2 threads."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _shown(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character


def p_text(p: float) -> str:
    """A p-value as it is printed; a p of 0 is only a small one."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.3g}"
