"""Runs docs/tutorial.ipynb from its beginning in an empty folder, and says how long it took.

usage: .venv/bin/python scripts/run_tutorial.py [--write]

Needs what ./scripts/install --all installs. With --write the notebook keeps what its cells show, without what
differs from run to run: progress, and the times at which cells ran.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def executed(folder: Path) -> Any:
    """The notebook with the outputs of all its cells; raises what a cell raises."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook


def without_progress(notebook: Any) -> Any:
    """What stays of a notebook for its readers."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main() -> int:
    """Runs it, and writes it if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="keep what the cells show in the notebook")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(Path(folder))
    print(f"tutorial: {len(notebook.cells)} cells in {time.monotonic() - start:.0f} s")
    if options.write:
        import nbformat

        nbformat.write(without_progress(notebook), NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
