"""Title and objective of a report: what the runs ask, by what differs among them. No torch here."""

from collections.abc import Sequence

from bakeoff.comparison.output.grid import value_cell
from bakeoff.comparison.recipes import is_told
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.config.meanings import meanings
from bakeoff.machine.version import __version__
from bakeoff.report.lab.document import Block, Heading, Items, Paragraph, ToDo
from bakeoff.report.lab.recorded import NOT_RECORDED, runs_of
from bakeoff.text import counted, printable, shortened

_MOST_NAMES = 6


def title(tables: Sequence[Table]) -> str:
    """Of the whole report."""
    names = list(dict.fromkeys(row.model for table in tables for row in table.settings))
    data = shortened([table.title for table in tables], 3)
    what = f"{len(names)} models" if len(names) > 1 else names[0]
    rows = max(len(table.settings) for table in tables)
    return printable(f"Lab report: {what}{' compared' if rows > 1 else ''} on {data}")


def objective(tables: Sequence[Table]) -> list[Block]:
    """Who wrote it, and what it asks."""
    runs = runs_of(row for table in tables for row in table.settings)
    dates = sorted(date[:10] for run in runs if (date := run.date))
    days = NOT_RECORDED if not dates else dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    blocks: list[Block] = [
        ToDo("your name, group, course and date."),
        Paragraph(
            f"Made by bakeoff {__version__} from {counted(len(runs), 'finished run')}; trained: {days}. "
            "Every number below is from these runs; what they did not record reads “not recorded”."
        ),
        Heading(2, "1. Objective"),
    ]
    for table in tables:
        blocks += [Paragraph(question(table)), *_details(table)]
    blocks.append(
        ToDo(
            "your hypothesis. What did you expect before you saw the results, and why? (One or two "
            "sentences, with a reason from the lecture or from a paper.)"
        )
    )
    return blocks


def question(table: Table) -> str:
    """What a table answers, in one sentence."""
    rows = table.settings
    models = list(dict.fromkeys(row.model for row in rows))
    keys = telling_keys(table)
    data = f"the images of {table.title}"
    if len(rows) == 1:
        return f"How accurately does {models[0]} classify {data}?"
    if len(models) == 1:
        what = _listed(keys) or "its configuration"
        return f"How does the accuracy of {models[0]} on {data} change with {what}?"
    if not keys:
        names = _listed(models)
        return f"Which of these {len(models)} models classifies {data} best: {names}?"
    return (
        f"Which of these {len(rows)} configurations of {len(models)} models ({_listed(models)}) classifies "
        f"{data} best? They also differ in {_listed(keys)}."
    )


def telling_keys(table: Table) -> list[str]:
    """The keys that were varied on purpose: a model's own recipe is none."""
    changed = sorted({key for row in table.settings for key in row.changed})
    keys = [key for key in changed if is_told(key, table)]
    return [*keys, "model.weights"] if len({row.weights for row in table.settings}) > 1 else keys


def _details(table: Table) -> list[Block]:
    """What each varied key means and which values it had; what follows from the models' recipes."""
    rows, keys = table.settings, telling_keys(table)
    family = {row.members[0].text("family") for row in rows}
    said = meanings(next(iter(family)) if len(family) == 1 else None)
    items = []
    for key in keys:
        values = shortened(list(dict.fromkeys(_value(row, key) for row in rows)), 8)
        meaning = f" ({said[key]})" if said.get(key) else ""
        items.append(f"{key}{meaning}: {values}")
    blocks: list[Block] = [Items(items)] if items else []
    recipe = {key for row in rows for key in row.changed if key.startswith(("optim.", "trainer."))} - set(
        keys
    )
    if len({row.model for row in rows}) > 1 and recipe:
        blocks.append(
            Paragraph(
                "Each model was trained with settings of its own (its recipe): the question is about "
                f"models together with their recipes. They differ in {_listed(sorted(recipe))}."
            )
        )
    return blocks


def _value(row: SettingRow, key: str) -> str:
    return row.weights if key == "model.weights" else value_cell(row.changed.get(key)).text


def _listed(names: Sequence[str]) -> str:
    """Such as a, b and c."""
    if len(names) > _MOST_NAMES or len(names) < 2:
        return shortened(names, _MOST_NAMES)
    return f"{', '.join(names[:-1])} and {names[-1]}"
