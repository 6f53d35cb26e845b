"""What a data set's files are: where they lie, what they must be, where they come from. No torch here."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.errors import DataError


class Archive(NamedTuple):
    """A file to fetch: one of a source's own, or one that holds some of them (`.gz`, `.tar.gz`)."""

    name: str
    md5: str
    urls: list[str]  # tried in turn
    most_bytes: int  # a limit well above its size


def mirrored(kind: Any, most_bytes: int) -> list[Archive]:
    """The archives of a torchvision class that lists its files and the mirrors of all of them."""
    return [
        Archive(file, md5, [f"{mirror}{file}" for mirror in kind.mirrors], most_bytes)
        for file, md5 in kind.resources
    ]


@dataclass(frozen=True)
class Source:
    """Where a data set's files lie below the data root, and what they must be."""

    title: str
    folder: str  # relative to the root
    files: dict[str, str]  # name -> hash, in hex; none for a set that needs no files
    algorithm: str = "md5"
    # What to fetch; a function, because torchvision knows the addresses and loads torch.
    archives: Callable[[], list[Archive]] = list
    may_be_altered: bool = False  # then nothing holds the files against their hashes

    def folder_in(self, root: str | Path) -> Path:
        """The folder of the files below a data root."""
        return Path(root) / self.folder

    def is_complete(self, root: str | Path) -> bool:
        """Whether all files are there; says nothing of their contents."""
        return all((self.folder_in(root) / name).is_file() for name in self.files)

    def check(self, path: Path, file: io.BufferedIOBase) -> None:
        """Holds an open file against its official hash and rewinds it, before anything reads it.

        Raises:
            DataError: another content.
        """
        found = hashlib.file_digest(file, self.algorithm).hexdigest()
        file.seek(0)
        if found != self.files[path.name]:
            raise DataError(
                f"{path}: {self.algorithm.upper()} {found}, not the official {self.files[path.name]}; "
                "damaged or altered: remove it, and the next run fetches it again"
            )
