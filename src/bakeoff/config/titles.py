"""How data are called where people read of them: tables, pictures, run directories. No torch here."""

from pathlib import Path

from bakeoff.config.schema import MOST_TITLE_CHARACTERS, DataConfig
from bakeoff.text import printable


def title_of(data: DataConfig) -> str:
    """`data.title`; where there is none, as in older runs, the folder of the pictures or the set's name."""
    return data.title or default_title(data.name, data.root)


def default_title(name: str, root: str, choice: str | None = None) -> str:
    """What data are called that have no title.

    Args:
        name: of the data set.
        root: where its files lie.
        choice: the file of `conf/data` that chose it.
    """
    if choice and choice != name:
        return printable(choice)[:MOST_TITLE_CHARACTERS]
    folder = Path(root).resolve().name if name == "image_folder" else ""
    return printable(folder)[:MOST_TITLE_CHARACTERS].strip() or name
