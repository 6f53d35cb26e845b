"""Every sentence that `bakeoff compare` can print below a table is quoted in docs/statistics.md.

The sentences' fixed parts are read from the sources, so that a new or reworded one cannot be forgotten.
"""

import ast
import re
from pathlib import Path

import pytest
from command_lines import PROJECT

SOURCES = (
    "verdict.py",
    "front.py",
    "latency_budget.py",
    "notes.py",
    "recipes.py",
    "guessing.py",
    "planned.py",
    "races.py",
    "tuning.py",
    "output/captions.py",
)
FEWEST_WORDS = 3  # of a part that belongs to one sentence alone
# Parts that are not explained there, each with the reason.
NOT_EXPLAINED = {
    "the scores are as the runs claim them: without statistics no predictions are read": "with "
    "--no-statistics no notes are made",
}


def fixed_parts(source: Path) -> set[str]:
    """Texts of a module, also those between the values of an f-string, without docstrings."""
    parts = set()
    module = ast.parse(source.read_text())
    docstrings = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            parts.add(" ".join(node.value.split()))
    return {part for part in parts if len(re.findall(r"[A-Za-z]+", part)) >= FEWEST_WORDS}


@pytest.mark.parametrize("name", SOURCES)
def test_each_sentence_is_quoted_where_it_is_explained(name: str) -> None:
    parts = fixed_parts(PROJECT / "src" / "bakeoff" / "comparison" / name)
    explained = " ".join((PROJECT / "docs" / "statistics.md").read_text().split())
    assert parts
    assert sorted(part for part in parts - set(NOT_EXPLAINED) if part not in explained) == []
