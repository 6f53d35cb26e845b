"""The checkpoints of a run: whole or not there, each with the hashes of its files. No torch at import.

    checkpoints/step-00000840/   model, optimizer, average, best as .safetensors; state.json; manifest.json

A checkpoint is made in a hidden folder, its manifest written last, and renamed. Whatever folder has a
manifest that fits its files counts, hidden or not: at no moment is there none that was there before.
"""

import dataclasses
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.errors import ResumeError
from bakeoff.runs.reading import UnreadableFileError, opened, read_json, sha256_of
from bakeoff.runs.rundir import MAX_WEIGHT_BYTES
from bakeoff.runs.storage import folder_being_made, make_folder, storage_errors, sync_folder, write_json
from bakeoff.runs.tensors import write_tensors

FOLDER = "checkpoints"
_STATE, _MANIFEST, _BEST = "state.json", "manifest.json", "best"
_TENSORS = ("model", "optimizer", "average", _BEST)
_SUFFIX, _SCHEMA = ".safetensors", 1
MODEL_WEIGHTS, BEST_WEIGHTS = f"{_TENSORS[0]}{_SUFFIX}", f"{_BEST}{_SUFFIX}"
_MAX_STATE_BYTES = 2**28  # 400 bytes for each epoch that is done
_NAME = re.compile(r"\.?step-(\d{8,15})(?:\.\d+\.(?:tmp|old))?")


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
                path = self.path / f"{name}{_SUFFIX}"
                try:
                    with opened(path, MAX_WEIGHT_BYTES) as (descriptor, _):
                        parts[name] = load_file(f"/dev/fd/{descriptor}")
                except (UnreadableFileError, SafetensorError) as error:
                    raise ResumeError(f"{path}: cannot be read ({error})") from error
        return parts


class Checkpoints:
    """Writes, finds and removes the checkpoints of one run."""

    def __init__(self, run: Path, keep: int) -> None:
        self.folder = run / FOLDER
        self.keep = keep
        self._last: Checkpoint | None = None  # written or read; its best weights can be linked to

    def write(self, parts: Mapping[str, Any], check: Callable[[], None] = lambda: None) -> Checkpoint:
        """Writes what `TrainState.state_dict` gave, then removes all but the newest.

        Args:
            parts: the state.
            check: called when all is written; what it raises leaves what was there.

        Raises:
            ResourceError: no room or no permission; what was there is still there.
        """
        plain = parts["plain"]
        target = self.folder / f"step-{plain['step']:08d}"
        making = self.folder / f".{target.name}.{os.getpid()}.tmp"
        make_folder(self.folder)
        with storage_errors(target):
            _remove(making)
            try:
                with folder_being_made(making):
                    files = self._write_files(making, parts)
                check()
                self._put_in_place(making, target)
            except BaseException:
                _remove(making)
                raise
        self._last = Checkpoint(target, dict(plain), files)
        self._remove_old()
        return self._last

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest that is whole, and what is wrong with newer ones. Older ones are not read.

        Raises:
            ResumeError: a link or a file has the folder's name.
        """
        whole: list[Checkpoint] = []
        problems = []
        for name in sorted(self._names(), key=_step_of, reverse=True):
            if whole and _step_of(name) < whole[0].plain["step"]:
                break
            try:
                whole.append(_verified(self.folder / name))
            except UnreadableFileError as error:
                # A hidden one without a manifest has never been a checkpoint.
                if not name.startswith(".") or (self.folder / name / _MANIFEST).exists():
                    problems.append(f"{name}: {error}")
        self._last = max(whole, key=lambda each: each.order, default=None)
        if self._last is not None:  # a hidden one of the same step was being replaced
            step = self._last.plain["step"]
            problems = [text for text in problems if _step_of(text) > step or text[0] != "."]
        return self._last, problems

    def tidy(self) -> Checkpoint | None:
        """For the one process that goes on: only what is whole stays, under names that are not hidden.

        Returns:
            The newest that is whole.

        Raises:
            ResumeError: as `newest`.
            ResourceError: it cannot be renamed.
        """
        # Not read and hashed a second time: if somebody else had written since, the claim would have failed.
        found = self._last or self.newest()[0]
        if found is not None and found.path.name.startswith("."):
            target = self.folder / f"step-{found.plain['step']:08d}"
            with storage_errors(target):
                self._put_in_place(found.path, target)
            self._last = found = dataclasses.replace(found, path=target)
        for name in self._names():
            if name.startswith(".") or (found is not None and _step_of(name) > found.plain["step"]):
                _remove(self.folder / name)
        return found

    def remove(self) -> None:
        """Removes all of them: the run has finished. What else somebody has put there stays."""
        with suppress(ResumeError, OSError):
            for name in self._names():
                _remove(self.folder / name)
            self.folder.rmdir()

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
        _remove(old)
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            making.rename(target)
        except OSError:
            with suppress(OSError):
                old.rename(target)
            raise
        sync_folder(self.folder)
        _remove(old)

    def _remove_old(self) -> None:
        """Keeps the newest few by name; a folder that is being made belongs to nobody else."""
        with suppress(OSError):
            names = sorted(self._names(), key=_step_of)
            hidden = [name for name in names if name.startswith(".")]
            for name in (*[name for name in names if name[0] != "."][: -self.keep], *hidden):
                _remove(self.folder / name)

    def _names(self) -> list[str]:
        """Of our folders; whatever else is there is somebody else's."""
        try:
            if not stat.S_ISDIR(os.lstat(self.folder).st_mode):
                raise ResumeError(f"{self.folder}: a link or a file has the folder's name")
            with os.scandir(self.folder) as entries:
                folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            return [name for name in folders if _NAME.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ResumeError(f"{self.folder}: cannot be read ({error.strerror})") from error


def _step_of(name: str) -> int:
    found = _NAME.match(name)
    assert found is not None
    return int(found[1])


def _remove(path: Path) -> None:
    """Removes a folder, or what else has its name; what cannot be removed stays. Links are not followed."""
    if path.is_symlink():
        with suppress(OSError):
            path.unlink()
    # Without its manifest half of a folder is no damaged checkpoint, but none.
    with suppress(OSError):
        (path / _MANIFEST).unlink()
    shutil.rmtree(path, ignore_errors=True)


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
    plain = read_json(folder / _STATE, _MAX_STATE_BYTES)
    if plain.get("step") != _step_of(folder.name) or type(plain.get("epoch")) is not int:
        raise UnreadableFileError(f"{_STATE}: not of this step, or of no epoch")
    return Checkpoint(folder, plain, files)
