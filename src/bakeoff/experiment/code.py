"""The sources that training executes, by name: a change in them makes another run. No torch here.

Of the families and of the data sets only the run's own count: a file and what it imports from
its own room. A change in a command, a picture, a comparison or another family changes no identity.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bakeoff.runs.reading import sha256_of

PACKAGE = Path(__file__).resolve().parents[1]
# What every run executes and what may change its result.
EVERY_RUN = (
    "config/schema.py",
    "config/strict.py",
    "data/__init__.py",
    "data/augment.py",
    "data/batches.py",
    "data/few.py",
    "data/selection.py",
    "data/sets/__init__.py",
    "data/splits.py",
    "evaluation/batch_size.py",
    "evaluation/cost.py",
    "evaluation/metrics.py",
    "evaluation/prediction.py",
    "experiment/gates.py",
    "experiment/part.py",
    "experiment/results.py",
    "experiment/train.py",
    "machine/eager.py",
    "machine/environment.py",
    "machine/limits.py",
    "machine/load.py",
    "machine/memory.py",
    "machine/runtime.py",
    "machine/timing.py",
    "models/__init__.py",
    "models/base.py",
    "training/budget.py",
    "training/ema.py",
    "training/given.py",
    "training/guard.py",
    "training/loop.py",
    "training/optim.py",
    "training/restoring.py",
    "training/scaling.py",
    "training/state.py",
)
# What a run executes as well, and what cannot change its result: what is said and drawn, composed and stored.
# A test holds both lists against what trainings import, so that a new file is in one of them.
LEFT_OUT = (
    "__init__.py",
    "__main__.py",
    "arguments.py",
    "cli.py",
    "errors.py",
    "exits.py",
    "terminal.py",
    "text.py",
    "commands/",
    "comparison/",
    "config/__init__.py",
    "config/canonical.py",
    "config/compose.py",
    "config/config_file.py",
    "config/explain.py",
    "config/job.py",
    "config/meanings.py",
    "config/overrides.py",
    "config/own_files.py",
    "config/settled.py",
    "config/slips.py",
    "config/titles.py",
    "data/download.py",
    "data/fetching.py",
    "data/fingerprint.py",
    "deploy/",
    "evaluation/__init__.py",
    "experiment/__init__.py",
    "experiment/beginning.py",
    "experiment/checkpointing.py",
    "experiment/code.py",
    "experiment/earlier_runs.py",
    "experiment/epoch_table.py",
    "experiment/extras.py",
    "experiment/first_gate.py",
    "experiment/identity.py",
    "experiment/kept.py",
    "experiment/outcome.py",
    "experiment/progress.py",
    "experiment/resume.py",
    "experiment/stopped.py",
    "machine/__init__.py",
    "machine/process.py",
    "machine/signals.py",
    "machine/streams.py",
    "machine/version.py",
    "machine/waiting.py",
    "plots/",
    "report/",
    "runs/",
    "sweeps/",
    "training/__init__.py",
)


def code_files(values: dict[str, Any]) -> dict[str, str]:
    """Name, relative to the package -> SHA-256 (hex) of each source that training with a config executes.

    A family or a data set that there is not adds nothing: the gates refuse it.
    """
    model, data = values.get("model"), values.get("data")
    family = model.get("family") if isinstance(model, dict) else None
    data_set = data.get("name") if isinstance(data, dict) else None
    names = {*EVERY_RUN, *_closure("models", str(family)), *_closure("data/sets", str(data_set))}
    # What a set stores beside its file, as the split of the digits.
    stored = [
        path for path in (PACKAGE / "data" / "sets").glob("*.txt") if path.stem.startswith(f"{data_set}_")
    ]
    names |= {f"data/sets/{path.name}" for path in stored}
    return {name: _hash(name) for name in sorted(names)}


def changed_files(before: Mapping[str, Any], values: dict[str, Any]) -> list[str]:
    """The sources that a training executes now, or executed when `before` was recorded, and that differ.

    Args:
        before: name -> SHA-256 (hex), as `code_files` gave it then; it may be anybody's.
        values: the config.
    """
    now = code_files(values)
    return sorted(name for name in {**before, **now} if before.get(name) != now.get(name))


def code_hash(values: dict[str, Any]) -> str:
    """SHA-256 (hex) over names and contents of `code_files`."""
    digest = hashlib.sha256()
    for name, content in code_files(values).items():
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


@cache
def _hash(name: str) -> str:
    return sha256_of(PACKAGE / name)


@cache
def _closure(folder: str, module: str) -> frozenset[str]:
    """A file and all that it imports from its own room, directly or not."""
    room = folder.partition("/")[0]
    found: set[str] = set()
    # The name comes from a config that may be somebody else's: only what the folder holds is read.
    todo = [f"{folder}/{path.name}" for path in (PACKAGE / folder).glob("*.py") if path.stem == module]
    while todo:
        current = todo.pop()
        # What every run executes chooses among families and data sets: it is not followed to all of them.
        if current in found or current in (*EVERY_RUN, *LEFT_OUT) or not (PACKAGE / current).is_file():
            continue
        found.add(current)
        # A package runs before its modules do.
        todo += [f"{parent}/__init__.py" for parent in Path(current).parents if parent != Path()]
        todo += [file for file in _imported(current) if file.startswith(f"{room}/")]
    return frozenset(found)


def _imported(name: str) -> Iterator[str]:
    """The files of bakeoff that a file imports, in functions too; what is for types alone is not run."""
    todo: list[ast.AST] = [ast.parse((PACKAGE / name).read_bytes())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "bakeoff":
            base = "/".join((node.module or "").split(".")[1:])
            modules = [base, *(f"{base}/{alias.name}".lstrip("/") for alias in node.names)]
            files = (f"{module}{end}" for module in modules for end in (".py", "/__init__.py"))
            yield from (file for file in files if (PACKAGE / file).is_file())
