"""A finished run for Python and notebooks: its scores, its history, its predictions. No torch at import."""

import dataclasses
import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.read import Problem, read_run
from bakeoff.comparison.run import Run
from bakeoff.config.strict import dotted_keys
from bakeoff.deploy.finished import refuse_sealed
from bakeoff.deploy.python.borrowed import short_errors
from bakeoff.errors import ConfigError, RunsDifferError, nearest
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import PREDICTIONS
from bakeoff.runs.stored_predictions import read_predictions
from bakeoff.text import percent, printable

if TYPE_CHECKING:
    import pandas as pd

    from bakeoff.deploy.python.model import Model


@dataclass(frozen=True)
class FinishedRun:
    """A run directory, as `bakeoff.train` gives it.

    Attributes:
        path: the directory. A `FinishedRun` can be given wherever a path can.
    """

    path: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` says; docs/run-directory.md lists its fields."""
        return _read(self.path).summary

    @cached_property
    def config(self) -> dict[str, Any]:
        """What it was trained with."""
        return _read(self.path).config

    @property
    def accuracy(self) -> float:
        """On the test images, 0 to 1."""
        return float(self.summary["test"]["accuracy"])

    @property
    def epochs(self) -> "pd.DataFrame":
        """A row for each epoch, by the names of `epochs.jsonl`: `train_loss`, `val.accuracy`, ..."""
        import pandas as pd

        lines = EpochLines(self.path)
        lines.look()
        return pd.DataFrame([dotted_keys(dataclasses.asdict(record)) for record in lines.records])

    def predictions(self, split: str = "test") -> "pd.DataFrame":
        """See `bakeoff.predictions`."""
        return predictions(self.path, split)

    def load(self, device: str | None = None) -> "Model":
        """See `bakeoff.load`."""
        from bakeoff.deploy.python.model import load

        return load(self.path, device)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"{self._told}, {self.path}"

    def _repr_html_(self) -> str:
        return f"{html.escape(self._told)}<br><code>{html.escape(printable(str(self.path)))}</code>"

    @property
    def _told(self) -> str:
        run = _read(self.path)
        scores = run.summary["test"]
        return printable(
            f"{run.summary['model']} on {run.data_title}, seed {run.summary['seed']}: test accuracy "
            f"{percent(scores['accuracy'])}, test loss (NLL) {scores['nll']:.4f}, "
            f"{scores['num_images']:,} images"
        )


def run_path(run: "str | Path | FinishedRun") -> Path:
    """The directory of a run that is named as on a command line, or given.

    Raises:
        ConfigError: no such run, or several.
    """
    return run.path if isinstance(run, FinishedRun) else find_run(str(run), outputs_root())


def _read(path: Path) -> Run:
    found = read_run(path)
    if isinstance(found, Problem):
        raise RunsDifferError(f"{path}: {found.reason}")
    return found


@short_errors
def predictions(run: "str | Path | FinishedRun", split: str = "test") -> "pd.DataFrame":
    """See `bakeoff.predictions`."""
    import numpy as np
    import pandas as pd

    from bakeoff.comparison.group import class_names
    from bakeoff.evaluation.metrics import answers

    path = run_path(run)
    if not isinstance(split, str) or split not in PREDICTIONS:
        raise ConfigError(
            f'split="{split}": it must be {" or ".join(PREDICTIONS)}{nearest(str(split), list(PREDICTIONS))}'
        )
    if split == "test":
        refuse_sealed(path)
    names = class_names(_read(path))
    if len(set(names)) < len(names):
        raise RunsDifferError(f"{path}: its summary names a class twice")
    try:
        stored = read_predictions(path, split)
    except UnreadableFileError as error:
        raise RunsDifferError(f"{path}: {error}") from error
    rows, said = stored["probabilities"], answers(stored["probabilities"])
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise RunsDifferError(f"{path / PREDICTIONS[split]}: not the probabilities of {len(names)} classes")
    called = np.array([*names, None], dtype=object)  # the last one, by -1: no prediction
    frame = pd.DataFrame(
        {
            "index": stored["index"],
            "true": pd.array(called[stored["label"]], dtype="string"),
            "predicted": pd.array(called[said], dtype="string"),
            "correct": said == stored["label"],
            "probability": rows.max(axis=1),
        }
    )
    each = pd.DataFrame(rows, columns=[f"p({name})" for name in names])
    return pd.concat([frame, each], axis=1)
