"""Names of other people's in pictures: letters that some installed font has, at a length that fits."""

from collections.abc import Sequence
from functools import cache

from bakeoff.text import printable

_OWN_FONT = "DejaVu Sans"  # comes with matplotlib
# Boxes for all letters; signs in the places of letters; colours, which cannot be drawn here.
_NO_LETTERS = ("Last Resort", "STIX", "cm", "DejaVu Math")


def drawable(text: str) -> str:
    """Text that can be drawn: no control characters, no formula, each letter in some installed font.

    Fonts that are needed join the family of the style; a letter that none has is shown as an escape.
    """
    text = printable(text)
    shown = "".join(letter if _has_font(letter) else _escape(letter) for letter in text)
    return shown.replace("$", r"\$")


def short(text: str, longest: int = 14) -> str:
    """A name, cut in its middle to so many characters: what tells names apart stands at both ends."""
    return drawable(_cut(printable(text), longest))


def short_names(names: Sequence[str], longest: int = 14) -> list[str]:
    """Names of classes; `class 3` where no font has the letters, or where a cut leaves two names alike."""
    cut = [_cut(printable(name), longest) for name in names]
    return [
        drawable(text) if all(map(_has_font, text)) and cut.count(text) == 1 else f"class {number}"
        for number, text in enumerate(cut)
    ]


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[-end:]}"


def _has_font(letter: str) -> bool:
    """Whether a font of the style's family has it, or one that joins the family now."""
    import matplotlib

    family: list[str] = matplotlib.rcParams["font.family"]
    if letter.isspace() or letter in _letters(_OWN_FONT):
        return True
    found = _font_with(letter)
    if found and found not in family:
        own = [_OWN_FONT if name == "sans-serif" else name for name in family]
        matplotlib.rcParams["font.family"] = [*own, found]
    return found is not None


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@cache
def _font_with(letter: str) -> str | None:
    return next((font for font in _fonts() if letter in _letters(font)), None)


@cache
def _fonts() -> dict[str, str]:
    """Family -> file of its plain face, of what is installed; others would be asked for with a warning."""
    from matplotlib.font_manager import fontManager, weight_dict

    return {
        entry.name: entry.fname
        for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname))
        if entry.weight in ("normal", weight_dict["normal"])
        and (entry.style, entry.stretch) == ("normal", "normal")
        and not entry.name.startswith(_NO_LETTERS)
        and "Emoji" not in entry.name
    }


@cache
def _letters(font: str) -> frozenset[str]:
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(_fonts()[font]).get_charmap()))
    except (OSError, RuntimeError, ValueError, KeyError):  # gone since the list was made, or unreadable
        return frozenset()
