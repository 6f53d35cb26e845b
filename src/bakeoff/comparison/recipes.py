"""Which of the keys that differ follow from the models' own recipes, and so need no column. No torch here."""

from bakeoff.comparison.group import shown
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.text import shortened

_MOST_KEYS = 8  # named in the note
_SEE = "; to see them: --columns "


def is_told(key: str, table: Table) -> bool:
    """Whether a changed key says more than the model's name: a model's recipe follows from it."""
    if key == "model.weights":  # has a column of its own
        return False
    if key == "trainer.max_seconds":  # part of no recipe: it is what the comparison is about
        return True
    values: dict[str, set[str]] = {}
    for row in table.settings:
        values.setdefault(row.model, set()).add(shown(row.changed.get(key)))
    if key == "model.arch" and any(_hides_arch(row) for row in table.settings):
        return True
    return any(len(of_model) > 1 for of_model in values.values())


def _hides_arch(row: SettingRow) -> bool:
    """Whether a name such as `finetune` does not say what network it stands for."""
    arch = shown(row.changed.get("model.arch", ""))
    return not row.model.startswith(arch.partition("_")[0])


def recipe_note(table: Table) -> list[str]:
    """What the models' own recipes differ in, which no column shows."""
    # A key that some runs do not have is younger than they are, and no part of a recipe.
    common = set.intersection(*(set(row.changed) for row in table.settings)) if table.settings else set()
    keys = sorted(key for key in common if not key.startswith("model."))
    varying = [key for key in keys if len({shown(row.changed.get(key)) for row in table.settings}) > 1]
    hidden = [key for key in varying if not is_told(key, table)]
    if not hidden:
        return []
    which, shows = shortened(hidden, _MOST_KEYS), ",".join(["accuracy", *hidden[:_MOST_KEYS]])
    own = "each model has its own training settings (its recipe)"
    return [f"{own}; they differ in {which}{_SEE}{shows}"]


def without_option(note: str) -> str:
    """A note as a report has it, which shows the keys itself."""
    return note.partition(_SEE)[0]
