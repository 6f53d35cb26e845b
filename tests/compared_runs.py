"""Run directories to compare, and the comparison as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.runs.records import Summary


def make_tree(root: Path) -> dict[str, list[Summary]]:
    """Two settings with three seeds and one, and a third on other test images."""
    made: dict[str, list[Summary]] = {"a": [], "b": [], "c": []}
    for seed in range(3):
        made["a"].append(
            make_run(root / "x" / f"a{seed}", seed, "a", error_rate=0.1, train_seconds=2.0 + seed)
        )
    made["b"].append(make_run(root / "b0", 5, "b", changes={"optim.lr": 0.25}, error_rate=0.4))
    made["c"].append(make_run(root / "c0", 0, "c", test_split="t1", count=50))
    return made


def refusal(bakeoff: Bakeoff, root: Path, *options: str) -> str:
    """The one line of a `compare` that asks for what cannot be."""
    code, out, error = bakeoff("compare", str(root), *options)
    assert (code, out, error.count("\n")) == (2, "", 1)
    return error


def as_json(bakeoff: Bakeoff, *arguments: str, code: int = 0) -> dict[str, Any]:
    found, out, _ = bakeoff("compare", *arguments, "--format", "json")
    assert found == code
    return dict(json.loads(out))


def only_table(bakeoff: Bakeoff, root: Path) -> dict[str, Any]:
    """The one table of a comparison in which all is well."""
    (table,) = as_json(bakeoff, str(root))["tables"]
    return dict(table)


def make_guessed_run(
    root: Path, model: str, seed: int, labels: np.ndarray, guesses: np.ndarray, num_classes: int
) -> None:
    """A run whose guesses are given, each with 91 %."""
    rows = np.full((len(labels), num_classes), 0.09 / (num_classes - 1), dtype=np.float32)
    rows[np.arange(len(labels)), guesses] = 0.91
    make_run(root / f"{model}{seed}", seed, model, model=model, stored=(labels, rows))


def edit_summary(run: Path, **changes: Any) -> None:
    path = run / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
