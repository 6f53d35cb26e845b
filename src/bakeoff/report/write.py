"""A comparison as a page: the whole way from run directories to a file."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bakeoff.comparison.open_studies import as_told
from bakeoff.comparison.output.export import as_json
from bakeoff.comparison.output.printing import Compared, read_and_compare, write
from bakeoff.comparison.output.render import relative
from bakeoff.comparison.view import View
from bakeoff.errors import ConfigError
from bakeoff.runs.reading import open_regular

FILE = "report.html"  # its name where nobody gives another
_MARK = b'<meta name="generator" content="bakeoff">'


def write_report(
    paths: Sequence[Path],
    output: Path,
    view: View | None = None,
    *,
    strict: bool = False,
    reload_seconds: int | None = None,
) -> int:
    """Compares the runs at and below some paths, and puts the page in place of the one before, whole.

    Returns:
        0, or 7 if some runs failed or cannot be read, or if with `strict` rows are not comparable.

    Raises:
        ConfigError: no run directory is there, or an option that is not possible.
        ResourceError: the file cannot be written.
    """
    view = view or View()
    compared = read_and_compare(paths, view)
    text = page(compared, view, reload_seconds)
    write(text, output)
    return compared.exit_code(strict=strict)


def page(compared: Compared, view: View, reload_seconds: int | None = None) -> str:
    """A comparison as one HTML file.

    Args:
        compared: what was read, with its statistics.
        view: the options that it was made with.
        reload_seconds: how often an open page looks for a newer one; None: never.
    """
    from bakeoff.report.page.content import part_of
    from bakeoff.report.page.render import render
    from bakeoff.report.searches import searches_of
    from bakeoff.report.unfinished import unfinished_figure

    tables, problems, root = compared.tables, compared.problems, compared.root
    parts = [part_of(number, table, view, problems) for number, table in enumerate(tables, 1)]
    told = [(relative(one.path, root), one.reason, one.harmless) for one in as_told(problems)]
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    comparison = json.loads(as_json(tables, problems, root))
    searches = searches_of(tables, problems)
    return render(parts, comparison, told, unfinished_figure(problems), made, reload_seconds, searches)


def refuse_foreign(output: Path) -> None:
    """Refuses to put a page, whose name nobody has given, in place of somebody's own file.

    Raises:
        ConfigError: there is a file that is no report.
    """
    try:
        with open_regular(output) as file:
            is_report = _MARK in file.read(4096)
    except FileNotFoundError:
        return
    except OSError:
        is_report = False
    if not is_report:
        raise ConfigError(f"{output}: is there, and is no report of bakeoff; give another file with -o")
