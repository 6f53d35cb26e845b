"""A folder whose files say what a machine's would."""

from pathlib import Path


def machine(root: Path, files: dict[str, str]) -> Path:
    """Writes the files, by their paths below the root of the machine."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
