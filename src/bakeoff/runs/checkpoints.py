"""The checkpoints of a run: whole or not there, each with the hashes of its files. No torch at import.

    checkpoints/step-00000840/   model, optimizer, average, best as .safetensors; state.json; manifest.json

A checkpoint is made in a hidden folder, its manifest written last, and renamed. Whatever folder has a
manifest that its files bear out counts, hidden or not: at no moment is there none that was there before.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.errors import ResumeError
from bakeoff.runs.reading import UnreadableFileError, opened, read_json, sha256_of
from bakeoff.runs.rundir import MAX_WEIGHT_BYTES, write_tensors
from bakeoff.runs.storage import storage_errors, sync_folder, write_json

FOLDER = "checkpoints"
_STATE, _MANIFEST, _BEST = "state.json", "manifest.json", "best"
_TENSORS = ("model", "optimizer", "average", _BEST)
_SUFFIX = ".safetensors"
MODEL_WEIGHTS, BEST_WEIGHTS = f"{_TENSORS[0]}{_SUFFIX}", f"{_BEST}{_SUFFIX}"
_SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """One that is whole."""

    path: Path
    plain: dict[str, Any]  # `state.json`
    files: dict[str, dict[str, Any]]  # name -> bytes and sha256, as its manifest says

    @property
    def order(self) -> tuple[int, int]:
        """Later ones are larger: a validated epoch comes after its last step."""
        return self.plain["step"], self.plain["epoch"]

    def parts(self) -> dict[str, Any]:
        """What `TrainState.state_dict` gave.

        Raises:
            ResumeError: a file that has changed since it was checked.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        parts: dict[str, Any] = {"plain": self.plain}
        for name in _TENSORS:
            if f"{name}{_SUFFIX}" in self.files:
                try:
                    parts[name] = load_file(self.path / f"{name}{_SUFFIX}")
                except (OSError, SafetensorError) as error:
                    raise ResumeError(f"{self.path / name}{_SUFFIX}: cannot be read ({error})") from error
        return parts


class Checkpoints:
    """Writes, finds and removes the checkpoints of one run."""

    def __init__(self, run: Path, keep: int) -> None:
        self.folder = run / FOLDER
        self.keep = keep
        self._last: Checkpoint | None = None  # written or read; its best weights can be linked to

    def write(self, parts: Mapping[str, Any]) -> Checkpoint:
        """Writes what `TrainState.state_dict` gave, then removes all but the newest.

        Raises:
            ResourceError: no room or no permission; what was there is still there.
        """
        plain = parts["plain"]
        target = self.folder / f"step-{plain['step']:08d}"
        making = self.folder / f".{target.name}.{os.getpid()}.tmp"
        with storage_errors(target):
            self.folder.mkdir(exist_ok=True)
            shutil.rmtree(making, ignore_errors=True)
            try:
                making.mkdir()
                files = self._write_files(making, parts)
                self._put_in_place(making, target)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
        self._last = Checkpoint(target, dict(plain), files)
        self._remove_old()
        return self._last

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest that is whole, and what is wrong with newer ones."""
        whole, problems = [], []
        for folder in self._folders():
            try:
                whole.append(_verified(folder))
            except UnreadableFileError as error:
                problems.append(f"{folder.name}: {error}")
        self._last = max(whole, key=lambda each: each.order, default=None)
        return self._last, problems

    def remove(self) -> None:
        """Removes all of them: the run has finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_files(self, making: Path, parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        files: dict[str, dict[str, Any]] = {}
        for name in _TENSORS:
            if name not in parts:
                continue
            path = making / f"{name}{_SUFFIX}"
            if name != _BEST or not self._link_best(path, parts["plain"], files):
                write_tensors(path, parts[name])
                files[path.name] = _entry(path)
        write_json(making / _STATE, parts["plain"])
        files[_STATE] = _entry(making / _STATE)
        write_json(making / _MANIFEST, {"schema": _SCHEMA, "files": files})
        return files

    def _link_best(self, path: Path, plain: Mapping[str, Any], files: dict[str, dict[str, Any]]) -> bool:
        """Best weights that the last checkpoint has already are the same file, where the disk can do that."""
        last = self._last
        if last is None or path.name not in last.files or last.plain["best"] != plain["best"]:
            return False
        try:
            os.link(last.path / path.name, path)
        except OSError:
            return False
        files[path.name] = last.files[path.name]
        return True

    def _put_in_place(self, making: Path, target: Path) -> None:
        """Renames; where a checkpoint of the same step stands, it is hidden first and removed after."""
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        with suppress(FileNotFoundError):
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        making.rename(target)
        sync_folder(self.folder)
        shutil.rmtree(old, ignore_errors=True)

    def _remove_old(self) -> None:
        """Keeps the newest few by name; a folder that is being made belongs to nobody else."""
        with suppress(OSError):
            shown = sorted(path for path in self._folders() if not path.name.startswith("."))
            hidden = [path for path in self._folders() if path.name.startswith(".")]
            for path in (*shown[: -self.keep], *hidden):
                shutil.rmtree(path, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from sorted(
                Path(entry.path) for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)
            )


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _verified(folder: Path) -> Checkpoint:
    """Reads the manifest and checks every file that it names.

    Raises:
        UnreadableFileError: it is not whole.
    """
    manifest = read_json(folder / _MANIFEST)
    files = manifest.get("files")
    if manifest.get("schema") != _SCHEMA or not isinstance(files, dict) or _STATE not in files:
        raise UnreadableFileError(f"{_MANIFEST}: not one of this version")
    known = {_STATE, *(f"{name}{_SUFFIX}" for name in _TENSORS)}
    for name, entry in files.items():
        if name not in known or not isinstance(entry, dict):
            raise UnreadableFileError(f"{_MANIFEST}: names {json.dumps(name)[:80]}")
        with opened(folder / name, MAX_WEIGHT_BYTES) as (descriptor, size):
            if size != entry.get("bytes") or sha256_of(Path(f"/dev/fd/{descriptor}")) != entry.get("sha256"):
                raise UnreadableFileError(f"{name}: damaged")
    plain = read_json(folder / _STATE)
    if not all(type(plain.get(name)) is int for name in ("step", "epoch")):
        raise UnreadableFileError(f"{_STATE}: has no step and no epoch")
    return Checkpoint(folder, plain, files)
