"""Names of other people's in pictures: letters that some installed font has, at a length that fits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from bakeoff.text import printable

_OWN_FONT = "DejaVu Sans"  # comes with matplotlib
# Boxes for all letters; signs in the places of letters; colours, which cannot be drawn here.
_NO_LETTERS = ("Last Resort", "STIX", "cm", "DejaVu Math")
_POINTS_IN_AN_INCH = 72
_KEPT_SPACE = "\N{NO-BREAK SPACE}"
_UNIT = f"{_KEPT_SPACE}%"


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


def fitted(lines: Iterable[str], room_inches: float, size: float) -> str:
    """Lines below one another, broken where they are wider than their room: at spaces, else within a word.

    Args:
        lines: as they can be drawn.
        room_inches: width of a line.
        size: of the letters, in points.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)  # of the family of the style

    def fits(text: str) -> bool:
        width_points, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
        return bool(width_points <= room_inches * _POINTS_IN_AN_INCH)

    found: list[str] = []
    for line in lines:
        # A number stays with its unit.
        first, *words = (part.replace(_KEPT_SPACE, " ") for part in line.replace(" %", _UNIT).split(" "))
        found.append(first)
        for word in words:
            if fits(f"{found[-1]} {word}"):
                found[-1] += f" {word}"
            else:
                found.append(word)
    return "\n".join(piece for line in found for piece in _pieces(line, fits))


def _pieces(word: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """A line, in as few pieces as fit: signs without a font became long escapes."""
    while not fits(word):
        length = next((at for at in range(len(word) - 1, 1, -1) if fits(word[:at])), 1)
        if length == len(word):
            break
        yield word[:length]
        word = word[length:]
    yield word


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
