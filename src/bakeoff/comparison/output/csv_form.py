"""How a CSV is written for the program that reads it. No torch here."""

from dataclasses import dataclass

from bakeoff.text import printable

_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}


# A spreadsheet would run a cell that begins like a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(text: str) -> str:
    """Text that no spreadsheet runs, and no terminal; numbers are left as they are."""
    return f"'{printable(text)}" if text.startswith(_FORMULA_STARTS) else printable(text)


@dataclass(frozen=True)
class CsvForm:
    """Delimiter, sign before the decimals, and whether the file begins with a byte order mark."""

    delimiter: str = ","
    decimal: str = "."
    bom: bool = False


def delimiter(text: str) -> str:
    """What an option's text stands for.

    Raises:
        ValueError: what would make a file that cannot be read again.
    """
    sign = _NAMES.get(text, text)
    if len(sign) != 1 or sign.isalnum() or sign in '"\r\n.-+ ':
        raise ValueError(f"{text!r} parts no cells; write ';', ',', '|' or tab")
    return sign
