"""Which runs can be used, and what of them fits this machine. No torch here.

A run directory may be somebody else's: its config passes the same gates as a command line, and of its weights
only tensors are read.
"""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.read import Problem, Run, read_run
from bakeoff.errors import ConfigError, RunsDifferError
from bakeoff.experiment.code import code_hash
from bakeoff.machine.load import most_threads
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import WEIGHTS
from bakeoff.runs.studies import is_sealed
from bakeoff.runs.weight_files import read_weights
from bakeoff.text import one_line

if TYPE_CHECKING:
    from bakeoff.models.base import Classifier


def finished_run(path: Path, purpose: str) -> Run:
    """A finished run that has its weights.

    Args:
        path: its directory.
        purpose: what it is for, as in "only a finished run can be <purpose>".

    Raises:
        RunsDifferError: it is not finished, cannot be read, or its weights were removed.
    """
    found = read_run(path)
    if isinstance(found, Problem):
        raise RunsDifferError(f"{path}: {found.reason}; only a finished run can be {purpose}")
    if not os.path.lexists(path / WEIGHTS):
        raise RunsDifferError(
            f"{path}: this run has no weights ({WEIGHTS}); bakeoff prune removes those that are not the best "
            "of their configuration: take the run that kept them, or train again"
        )
    return found


def refuse_sealed(path: Path) -> None:
    """While a race or a search goes on, nothing looks at test images with its models.

    Raises:
        ConfigError: this run's goes on.
    """
    if is_sealed(path):
        raise ConfigError(
            f"{path}: its race or search has not ended, and until then nobody looks at its test images; see "
            f"bakeoff show {shlex.quote(str(path))} for its validation scores"
        )


def config_here(run: Run, device: str | None = None, threads: int | None = None) -> dict[str, Any]:
    """A run's config for use on this machine, with the keys that are younger than the run.

    Args:
        run: it may come from elsewhere.
        device: instead of the run's.
        threads: of the CPU; None: the run's, if this machine can have as many.
    """
    values = {key: value for key, value in run.config.items() if key != "schema"}
    _add_later_keys(values)
    trainer = values.get("trainer")
    if isinstance(trainer, dict):
        trainer["device"] = device or trainer.get("device")
        own = trainer.get("threads")
        if isinstance(own, int) and own > most_threads():
            trainer["threads"] = None  # a larger machine's
        if threads is not None:
            trainer["threads"] = threads
    return values


def load_weights(model: "Classifier", run: Run) -> None:
    """Puts a run's chosen weights into its model, which was built from its config.

    Raises:
        RunsDifferError: they cannot be read, or do not fit.
    """
    path = run.path / WEIGHTS
    try:
        model.load_state_dict(read_weights(run.path))
    except UnreadableFileError as error:
        raise RunsDifferError(f"{path}: cannot be read ({error})") from error
    except RuntimeError as error:
        same_code = stored_hash(run, "code") == code_hash(run.config)
        hint = "" if same_code else "; another version of bakeoff trained it"
        raise RunsDifferError(
            f"{path}: these weights do not fit the run's model ({one_line(error)}){hint}"
        ) from error


def stored_hash(run: Run, name: str) -> Any:
    """One of its fingerprints; None where somebody else's summary has none."""
    prints = run.summary.get("fingerprint")
    return prints.get(name) if isinstance(prints, dict) else None


def _add_later_keys(values: dict[str, Any]) -> None:
    """Shared keys that are younger than the run mean what was done before there was a key."""
    # pydantic is slow to import, and --help asks this file.
    from bakeoff.config.schema import defaults
    from bakeoff.config.settled import add_later_meanings

    add_later_meanings(values)
    for section, keys in defaults().items():
        given = values.get(section)
        if isinstance(keys, dict) and isinstance(given, dict):
            values[section] = keys | given
