"""Parts -> one HTML file that runs nothing but its own scripts and asks the network for nothing.

Names and values come from other people's directories. Jinja escapes whatever is text, control characters
and marks that turn the direction are shown as escapes, data stand in a JSON block in which no tag can begin,
and the policy names the hash of each script and style.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.machine.version import __version__
from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import Figure
from bakeoff.report.page.content import Part
from bakeoff.report.searches import Searches
from bakeoff.report.unfinished import KEY as UNFINISHED
from bakeoff.runs.storage import without_nan
from bakeoff.text import counted, duration, p_text, percent, printable

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent
_TEMPLATE = "page.html.j2"


def render(
    parts: Sequence[Part],
    comparison: dict[str, Any],
    problems: Sequence[tuple[str, str, bool]],
    unfinished: Figure | None,
    made: str,
    reload_seconds: int | None = None,
    searches: Searches | None = None,
) -> str:
    """The page.

    Args:
        parts: one for each table.
        comparison: what `compare --format json` writes of the same runs.
        problems: path, reason and whether it is harmless, of what is in no table.
        unfinished: the learning curves of runs without a result.
        made: when, for people.
        reload_seconds: after which an open page looks for a newer one; None: never.
        searches: figures of the searches that runs come from.
    """
    style, vega, script = _style(), _vega(), _script()
    figures = {f"{part.key}-{figure.key}": figure for part in parts for figure in part.figures}
    if unfinished:
        figures[f"{UNFINISHED}-{unfinished.key}"] = unfinished
    figures |= searches.figures if searches else {}
    data = {
        "comparison": comparison,
        "figures": {key: _figure(figure) for key, figure in figures.items()},
        "rows": {part.key: list(part.labels) for part in parts},
        "files": _file_words([part.table.title for part in parts]),
        "most_shown": theme.MOST_SHOWN,
        "colours": {f"--{name}": value for name, value in theme.LIGHT.items()},
        "reload_seconds": reload_seconds,
    }
    return _environment().get_template(_TEMPLATE).render(
        parts=parts,
        problems=problems,
        unfinished=unfinished,
        searches=searches,
        made=made,
        version=__version__,
        data=_json(data),
        style=style,
        vega=vega,
        script=script,
        policy=_policy(style, vega, script),
    )  # fmt: skip


def _file_words(titles: Sequence[str]) -> dict[str, str]:
    """Part -> a word for the names of files that are taken from it: the data's title in plain letters."""
    words = [re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] for title in titles]
    keys = [f"t{number}" for number in range(1, len(titles) + 1)]
    return {
        key: word if word and words.count(word) == 1 else f"{word}-{key}".strip("-")
        for key, word in zip(keys, words, strict=True)
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "columns": list(figure.columns),
        "rows": [list(row) for row in figure.rows],
        "variants": [
            {"label": one.label, "about": printable(one.about), "spec": one.spec} for one in figure.variants
        ],
    }


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        """Of every text that is put into the page, whoever wrote it."""
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": duration, "p_text": p_text}
    environment.globals |= {"counted": counted}
    return environment


def _json(value: Any) -> Any:
    """JSON in which neither a tag nor a comment can begin or end."""
    from markupsafe import Markup

    text = json.dumps(without_nan(value), allow_nan=False, separators=(",", ":"))
    # ASCII alone, and each sign that HTML knows as an escape: nothing in it is HTML.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files and the library's bundle, and nothing of a run


@cache
def _vega() -> Any:
    """Vega, Vega-Lite and its embedding, from the library that Altair uses: nothing is fetched."""
    import vl_convert

    # In a function of its own: its names would be global ones. A tag that ends a script must not stand in it.
    # Its stub does not know that the one argument has a default.
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return _markup("(()=>{" + bundle.replace("</script", "<\\/script") + "})();")


@cache
def _script() -> Any:
    files = [(_FOLDER / name).read_text(encoding="utf-8") for name in ("figures.js", "table.js")]
    return _markup('"use strict";\n(() => {\n' + "\n".join(files) + "})();\n")


@cache
def _style() -> Any:
    def colours(palette: dict[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in palette.items())

    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{colours(theme.DARK)}}}}}"
    text = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return _markup(f":root{{{colours(theme.LIGHT)}}}{dark}\n{text}")


def _policy(style: str, *scripts: str) -> str:
    """Nothing from anywhere, no script and no style but these."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
