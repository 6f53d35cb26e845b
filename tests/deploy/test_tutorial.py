"""The tutorial: a notebook that runs from its beginning, in an empty folder, with what is embedded."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import run_tutorial  # noqa: E402


@pytest.fixture(scope="module")
def notebook(notebook_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tutorial")
    found = run_tutorial.executed(folder)
    assert len(list(folder.glob("outputs/20*/*"))) == 1
    assert len(list(folder.glob("outputs/sweeps/*/*/summary.json"))) == 6
    return found


def shown(cell: Any, kind: str) -> str:
    return "".join(one.data.get(kind, "") for one in cell.outputs if "data" in one)


@pytest.mark.slow
def test_it_runs_and_shows_what_it_says(notebook: Any) -> None:
    cells = {cell.source: cell for cell in notebook.cells if cell.cell_type == "code"}
    train = next(cell for source, cell in cells.items() if "bakeoff.train(" in source)
    assert "test accuracy" in "".join(one.text for one in train.outputs if one.get("name") == "stdout")
    sweep = next(cell for source, cell in cells.items() if "bakeoff.sweep(" in source)
    assert "<table>" in shown(sweep, "text/html")
    assert "image/png" in str(next(cell for source, cell in cells.items() if ".plot(" in source).outputs)
    drawn = next(cell for source, cell in cells.items() if "model.predict([paper])" in source)
    assert "inverted and centred" in shown(drawn, "text/html")


def test_what_is_kept_of_it_names_no_place() -> None:
    text = run_tutorial.NOTEBOOK.read_text()
    assert not re.search(r"/(home|root|work|tmp|usr)/", text)
    assert "Traceback" not in text
