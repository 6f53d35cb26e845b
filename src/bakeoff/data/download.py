"""Fetches a data set's files, from its source's addresses, once and whole.

Everything arrives in a side folder and is moved in when it is complete and its hashes are right, so no
partial file ever has a final name, and a failed download leaves nothing. Of two processes that want
the same files, one fetches and the other waits, and says so.
"""

import fcntl
import gzip
import os
import shutil
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from bakeoff.data.fetching import fetch_file, side_folder
from bakeoff.data.layout import holds_class_folders
from bakeoff.data.sources import Archive, Source
from bakeoff.errors import DataError
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import tell
from bakeoff.text import one_line

_SECONDS_BETWEEN_TRIES = 0.2  # of a lock that another process holds
_FAILURES = (OSError, RuntimeError, EOFError, HTTPException, zlib.error, tarfile.TarError, KeyError)


def download(source: Source, root: str) -> None:
    """Brings the files of a data set that are not there.

    Raises:
        DataError: it cannot be had, or not kept; says which files to put where. Or the root is a folder of
            somebody's own pictures, which the files do not belong into.
    """
    place = Path(root)
    if not source.folder_in(place).exists() and holds_class_folders(place):
        raise DataError(
            f"data.root={root}: holds folders of pictures, and no {source.title}; for the pictures write "
            f"data=image_folder data.root={root}"
        )
    with _locked(place):
        if source.is_complete(place):
            return  # another process has fetched it meanwhile
        if not source.archives():
            raise DataError(_how_to_get(source, place, "nobody gives it away"))
        beside = place if place.is_dir() else place.resolve().parent
        with ExitStack() as stack:
            try:
                side = stack.enter_context(side_folder(beside))
            except OSError as error:
                raise DataError(_how_to_get(source, place, f"{beside} cannot be written")) from error
            try:
                for archive in source.archives():
                    _fetch(archive, side)
                    _unpack(archive, source, side)
                folder = source.folder_in(place)
                folder.mkdir(parents=True, exist_ok=True)
                for file_name in source.files:
                    if not (folder / file_name).exists():  # a file that the user put there stays
                        os.replace(side / file_name, folder / file_name)
            except _FAILURES as error:
                reason = f"the download failed ({one_line(error)})"
                raise DataError(_how_to_get(source, place, reason)) from error


def _fetch(archive: Archive, side: Path) -> None:
    """Tries the addresses in turn; raises the last one's error."""
    for number, url in enumerate(archive.urls, start=1):
        try:
            fetch_file(
                url, side / archive.name, algorithm="md5", digest=archive.md5, most_bytes=archive.most_bytes
            )
            return
        except _FAILURES as error:
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection of a refusing server
            if number == len(archive.urls):
                raise


def _unpack(archive: Archive, source: Source, side: Path) -> None:
    """Brings the source's own files out of an archive, by name and nothing else."""
    inside = archive.name.removesuffix(".gz")
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(side / archive.name) as members:
            for file_name in source.files:
                member = members.extractfile(f"{source.folder}/{file_name}")
                if member is None:
                    raise RuntimeError(f"{archive.name}: {file_name} is no file")
                with open(side / file_name, "xb") as file:
                    shutil.copyfileobj(member, file)
    elif inside != archive.name and inside in source.files:
        with gzip.open(side / archive.name) as packed, open(side / inside, "xb") as file:
            shutil.copyfileobj(packed, file)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Holds the folder above the data root, so that the lock itself leaves no file anywhere."""
    parent = root.resolve().parent
    try:
        descriptor = os.open(parent, os.O_RDONLY)
    except OSError:
        yield  # no such folder: the side folder says so
        return
    said = False
    try:
        while not _try_lock(descriptor):
            if not said:
                tell(f"waiting: another process downloads into {root} (it locks {parent})", sys.stderr)
                said = True
            check_stop()
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether the lock is ours, or cannot be had on this file system: moving in is atomic anyway."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _how_to_get(source: Source, root: Path, reason: str) -> str:
    kind = "SHA-256" if source.algorithm == "sha256" else "MD5"
    files = ", ".join(f"{name} ({kind} {digest})" for name, digest in source.files.items())
    fetched = {archive.name for archive in source.archives()}
    unpacked = ", unpacked," if all(f"{name}.gz" in fetched for name in source.files) else ""
    return (
        f"data.root={root}: {source.title} is not there and {reason}; put these files{unpacked} into "
        f"{source.folder_in(root)}: {files}; or use data=digits, which needs no download"
    )
