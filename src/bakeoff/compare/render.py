"""Tables -> text for a terminal, Markdown, CSV or JSON. No torch here.

Names and values come from other people's directories: control characters never reach a terminal,
rich markup is off, Markdown's bars are escaped, and no cell of a CSV is a formula.
"""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bakeoff.compare.group import Estimate, Table, shown
from bakeoff.compare.read import Problem
from bakeoff.records import SCHEMA
from bakeoff.storage import without_nan
from bakeoff.text import printable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Column title, metric, factor, decimals.
_COLUMNS = (
    ("accuracy %", "accuracy", 100, 2),
    ("macro-F1 %", "macro_f1", 100, 2),
    ("NLL", "nll", 1, 4),
    ("train s", "train_seconds", 1, 1),
)
_MISSING = "unknown"
_MOST_KEY_COLUMNS = 4


def render(tables: Sequence[Table], problems: Sequence[Problem], kind: str, root: Path) -> str:
    """The whole comparison as text.

    Args:
        tables: one for each test set.
        problems: what is not in a table.
        kind: table, markdown, csv or json.
        root: paths of problems are shown relative to it.
    """
    makers: dict[str, Callable[[Sequence[Table], Sequence[Problem], Path], str]] = {
        "table": _terminal,
        "markdown": _markdown,
        "csv": _csv,
        "json": _json,
    }
    return makers[kind](tables, problems, root)


def relative(path: Path, root: Path) -> str:
    """A run's path as seen from the searched root."""
    try:
        inside = path.relative_to(root)
    except ValueError:
        return str(path)
    return str(inside) if inside.parts else path.name


def _caption(table: Table) -> str:
    classes = f", {table.num_classes} classes" if table.num_classes else ""
    return printable(
        f"{table.data}: {table.num_images:,} test images{classes}; "
        "test scores, mean ± standard deviation over n seeds"
    )


def _rows(table: Table) -> tuple[list[str], list[list[str]]]:
    """Titles and cells. A few changed keys get columns of their own, many share one."""
    keys = sorted({key for row in table.settings for key in row.changed if _is_told(key, table)})
    titles = ["setting", "weights", "n", *(title for title, *_ in _COLUMNS), "parameters"]
    titles += keys if len(keys) <= _MOST_KEY_COLUMNS else ["differs in"]
    cells = []
    for row in table.settings:
        values = {key: shown(row.changed[key]) if key in row.changed else "" for key in keys}
        if len(keys) > _MOST_KEY_COLUMNS:
            values = {"": " ".join(f"{key}={value}" for key, value in values.items() if value)}
        figures = [_cell(row.metrics[metric], factor, decimals) for _, metric, factor, decimals in _COLUMNS]
        figures.append(_cell(row.metrics["parameters"], 1, 0))
        told = [row.model, row.weights, str(row.num_runs), *figures, *values.values()]
        cells.append([printable(cell) for cell in told])
    return [printable(title) for title in titles], cells


def _is_told(key: str, table: Table) -> bool:
    """Whether a changed key says more than the model's name: a model's own keys follow from it."""
    if key == "model.weights":  # has a column of its own
        return False
    if key == "model.arch":  # what network a name such as `finetune` stands for
        return any(not row.model.startswith(shown(row.changed.get(key, ""))) for row in table.settings)
    if not key.startswith("model."):
        return True
    values: dict[str, set[str]] = {}
    for row in table.settings:
        values.setdefault(row.model, set()).add(shown(row.changed.get(key)))
    return any(len(found) > 1 for found in values.values())


def _cell(estimate: Estimate | None, factor: float, decimals: int) -> str:
    if estimate is None:
        return _MISSING
    text = f"{estimate.mean * factor:,.{decimals}f}"
    # Parameters do not scatter; a deviation of 0 would only be noise in the table.
    return text if not estimate.std else f"{text} ± {estimate.std * factor:.{decimals}f}"


def _problem_lines(problems: Sequence[Problem], root: Path) -> list[str]:
    return [printable(f"{relative(problem.path, root)}: {problem.reason}") for problem in problems]


def _terminal(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    text = io.StringIO()
    terminal = sys.stdout.isatty()
    # A pipe has no width: rich would cut at 80 columns there.
    console = Console(file=text, force_terminal=False, width=None if terminal else 10_000)
    for table in tables:
        titles, rows = _rows(table)
        console.print(Text(_caption(table)))
        grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, title in enumerate(titles):
            grid.add_column(Text(title), justify="left" if place == 0 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*(Text(cell) for cell in row))
        console.print(grid)
    if problems:
        console.print(Text("not in the table:"), soft_wrap=True)
        for line in _problem_lines(problems, root):
            console.print(Text(f"  {line}"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _markdown(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> str:
    lines: list[str] = []
    for table in tables:
        titles, rows = _rows(table)
        lines += [_escaped(_caption(table)), ""]
        lines.append("| " + " | ".join(_escaped(title) for title in titles) + " |")
        lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(titles) - 1)) + "|")
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
        lines.append("")
    if problems:
        lines += ["Not in the table:", ""]
        lines += [f"* {_escaped(line)}" for line in _problem_lines(problems, root)]
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    for character in "\\|`<[*":
        text = text.replace(character, f"\\{character}")
    return text


def _csv(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> str:
    keys = sorted({key for table in tables for row in table.settings for key in row.changed})
    metrics = list(tables[0].settings[0].metrics) if tables else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    titles = [
        "data",
        "test_fingerprint",
        "num_test_images",
        "setting",
        "name",
        "model",
        "weights",
        "num_runs",
        "seeds",
    ]
    titles += [f"{metric}_{part}" for metric in metrics for part in ("mean", "std")]
    writer.writerow(_safe(title) for title in titles + keys)
    for table in tables:
        for row in table.settings:
            figures = [figure for metric in metrics for figure in _figures(row.metrics[metric])]
            values = [table.data, table.test_fingerprint, table.num_images, row.setting, row.name, row.model]
            values += [row.weights, row.num_runs, " ".join(map(str, row.seeds)), *figures]
            values += [_csv_value(row.changed.get(key, "")) for key in keys]
            writer.writerow(_safe(value) if isinstance(value, str) else value for value in values)
    for line in _problem_lines(problems, root):
        print(f"not in the table: {line}", file=sys.stderr)
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    is_plain_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_plain_number else shown(value)


def _figures(estimate: Estimate | None) -> tuple[float | str, float | str]:
    if estimate is None:
        return "", ""
    return estimate.mean, "" if estimate.std is None else estimate.std


def _safe(text: str) -> str:
    """A spreadsheet would run a text that begins like a formula; numbers are left as they are."""
    return f"'{printable(text)}" if text.startswith(_FORMULA_STARTS) else printable(text)


def _json(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> str:
    content = {
        "schema": SCHEMA,
        "problems": [{"path": relative(item.path, root), "reason": item.reason} for item in problems],
        "tables": [dataclasses.asdict(table) for table in tables],
    }
    # ASCII, so that nothing in a name can act on a terminal.
    return json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n"
