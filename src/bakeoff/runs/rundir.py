"""A run directory: the only place that knows the file names inside one. No torch at import.

Plain data only: nothing pickled, nothing that runs.
"""

import dataclasses
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ConfigError, ResourceError
from bakeoff.runs.liveness import process_start
from bakeoff.runs.paths import folder_word
from bakeoff.runs.records import SCHEMA, Environment, EpochRecord, Status, Summary
from bakeoff.runs.storage import (
    append_line,
    folder_being_made,
    make_folder,
    remove_temporaries,
    storage_errors,
    sync_folder,
    without_nan,
    write_atomically,
    write_json,
    write_json_in_place,
)
from bakeoff.runs.tensors import write_tensors

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

CONFIG = "config.json"
CONFIG_FOR_PEOPLE = "config.yaml"
OVERRIDES = "overrides.yaml"
SUMMARY = "summary.json"
STATUS = "status.json"
ENVIRONMENT = "environment.json"
EPOCHS = "epochs.jsonl"
PREDICTIONS = {"test": "predictions.npz", "val": "predictions_val.npz"}
CONFUSION = "confusion.json"
EXPLANATIONS = "explanations.npz"
FILES = "files.json"
SKIPPED_FILES = "skipped_files.json"
WEIGHTS = "weights.safetensors"
LAST_WEIGHTS = "weights_last.safetensors"
PLOTS = "plots"
LOG = "run.log"
DATASETS = "datasets"
# What a run consists of, beside folders.
RUN_FILES = {
    *(CONFIG, CONFIG_FOR_PEOPLE, OVERRIDES, SUMMARY, STATUS, ENVIRONMENT, EPOCHS, CONFUSION, EXPLANATIONS),
    *(FILES, SKIPPED_FILES, WEIGHTS, LAST_WEIGHTS, LOG),
    *PREDICTIONS.values(),
}
MAX_WEIGHT_BYTES = 2**36
_MAX_ERROR_CHARACTERS = 600  # 6 bytes each at most, so that a status stays within a disk's block of 4096
RUN_NAME = re.compile(r".+-.+-s\d+-([a-z]{4}|[0-9a-f]{8})")
MARKS = (SUMMARY, STATUS, CONFIG)  # a folder with one of these is a run directory


def single_run_folder(output_dir: str, model: str, data: str, seed: int) -> Path:
    """A new folder's name; four random letters keep runs of the same second apart.

    `RUN_NAME` fits it, and a sweep's folders.
    """
    letters = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4))
    name = f"{time.strftime('%H%M%S')}-{model}-{folder_word(data)}-s{seed}-{letters}"
    return Path(output_dir) / time.strftime("%Y-%m-%d") / name


def sweep_folder(output_dir: str, sweep: str) -> Path:
    """The folder that holds a sweep's runs."""
    return Path(output_dir) / "sweeps" / sweep


def sweep_run_folder(output_dir: str, sweep: str, model: str, data: str, seed: int, identity: str) -> Path:
    """The one folder of this identity in a sweep, so that making it is claiming the run."""
    return sweep_folder(output_dir, sweep) / f"{model}-{folder_word(data)}-s{seed}-{identity[:8]}"


def folder_beside(run: Path, model: str, data: str, seed: int, identity: str) -> Path:
    """For a run that goes on from another one: in its sweep, or in the folder of today beside its folder."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", run.parent.name):
        return single_run_folder(str(run.parent.parent), model, data, seed)
    return run.parent / f"{model}-{folder_word(data)}-s{seed}-{identity[:8]}"


class RunDir:
    """Writes one run. Every file appears whole; `summary.json` is written last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before_writing: Callable[[], None] = lambda: None  # may raise, and nothing is written

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """Claims a new folder: of two processes that want the same, one gets it.

        Raises:
            ConfigError: the folder is there already.
            ResourceError: the folder cannot be made.
        """
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with folder_being_made(path):
                    sync_folder(path.parent)
            except FileExistsError:
                raise ConfigError(f"{path}: there already; choose another sweep.name or remove it") from None
        return cls(path)

    @classmethod
    def create_named(cls, name: Callable[[], Path]) -> "RunDir":
        """Claims a new folder whose name may be another one each time: of 1,000 at once two are alike.

        Raises:
            ConfigError: the folder is there already, and its name is always the same.
            ResourceError: the folder cannot be made.
        """
        path, before = name(), None
        while True:
            try:
                return cls.create(path)
            except ConfigError:
                path, before = name(), path
                if path == before:
                    raise

    @property
    def run_id(self) -> str:
        """The folder's own name."""
        return self.path.name

    def plot_file(self, name: str) -> Path:
        """Where a picture belongs; makes the folder."""
        folder = self._place(PLOTS)
        make_folder(folder)
        return folder / name

    def write_config(self, values: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """Writes the resolved config for programs and for people, and what was overridden."""
        from omegaconf import OmegaConf

        write_json(self.path / CONFIG, {"schema": SCHEMA, **values})
        for name, content in ((CONFIG_FOR_PEOPLE, dict(values)), (OVERRIDES, list(overrides))):
            text = OmegaConf.to_yaml(OmegaConf.create(content))
            write_atomically(self.path / name, lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]

    def write_environment(self, environment: Environment) -> None:
        """Writes on what the run is made."""
        write_json(self.path / ENVIRONMENT, dataclasses.asdict(environment))

    def write_status(self, status: str, step: int, error: str | None = None) -> None:
        """Writes how far the run is, with the time as its heartbeat; on a full disk as well.

        Raises:
            ResourceError: it cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        error = error and error[:_MAX_ERROR_CHARACTERS]
        own = os.getpid()
        record = Status(status, step, error, socket.gethostname(), own, now, process_start(own))
        write_json_in_place(self._place(STATUS), dataclasses.asdict(record))

    def abandon(self, step: int, error: str) -> None:
        """What can be done when the process ends this moment: the status, and no half files left."""
        remove_temporaries()
        self.write_status("finished" if self.has_summary() else "interrupted", step, error)
        self.log(error)

    def append_epoch(self, record: EpochRecord) -> None:
        """Adds a line to the history."""
        append_line(self._place(EPOCHS), json.dumps(without_nan(dataclasses.asdict(record)), allow_nan=False))

    def rewrite_epochs(self, records: Sequence[EpochRecord]) -> None:
        """Puts the history back to where a checkpoint stands."""
        lines = [
            json.dumps(without_nan(dataclasses.asdict(record)), allow_nan=False) + "\n" for record in records
        ]
        content = "".join(lines).encode()
        write_atomically(self._place(EPOCHS), lambda file: file.write(content))

    def log(self, text: str) -> None:
        """Adds a line with the time to the log. What cannot be logged is lost, and nothing else with it."""
        with suppress(ResourceError):
            append_line(self._place(LOG), f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}")

    def write_predictions(
        self, split: str, index: "np.ndarray", label: "np.ndarray", probabilities: "np.ndarray"
    ) -> None:
        """Writes index int64 [n], label int64 [n], probabilities float32 [n, classes]."""
        self.write_arrays(PREDICTIONS[split], index=index, label=label, probabilities=probabilities)

    def write_arrays(self, name: str, **arrays: Any) -> None:
        """Writes NumPy arrays by their names as one file."""
        import numpy as np

        def write(file: Any) -> None:
            np.savez(file, **arrays)

        write_atomically(self._place(name), write)

    def write_confusion(self, class_names: Sequence[str], counts: "np.ndarray") -> None:
        """Writes counts int64 [classes, classes + 1]; the last column is "no answer"."""
        write_json(
            self._place(CONFUSION),
            {
                "class_names": list(class_names),
                "columns": [*class_names, "no answer"],
                "counts": counts.tolist(),
            },
        )

    def write_weights(self, tensors: Mapping[str, "Tensor"], *, finished: bool) -> None:
        """Writes weights: the chosen ones of a finished run, else the last good ones."""
        write_tensors(self._place(WEIGHTS if finished else LAST_WEIGHTS), tensors)

    def write_files(self, files: Mapping[str, Sequence[str]], skipped: Sequence[tuple[str, str]]) -> None:
        """Writes which pictures the splits hold, in their order, and which could not be read and why."""
        write_json(self.path / FILES, dict(files))
        if skipped:
            write_json(self.path / SKIPPED_FILES, dict(skipped))

    def has_summary(self) -> bool:
        """Whether the result is there."""
        return (self.path / SUMMARY).exists()

    def write_summary(self, summary: Summary) -> None:
        """Writes the result. From here on the run counts as finished."""
        write_json(self._place(SUMMARY), dataclasses.asdict(summary))

    def _place(self, name: str) -> Path:
        """Where a file is to be written, by a process that still may."""
        self.before_writing()
        return self.path / name
