"""What races and studies have written of themselves into their sweep's folder. No torch here.

While one goes on its test images are closed: no command shows a test figure of its runs, so that nobody
decides by them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bakeoff.runs.folders import LEDGER
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.search_record import NO_FOLDERS, TuneRecord, searched

RACE, TUNE = "race.json", "tune.json"
_LONGEST_TEXT = 1000  # characters


@dataclass(frozen=True)
class RaceRecord:
    """What a race says of itself that matters to who compares its runs."""

    margin: float | None  # in the unit of its metric
    metric: str
    out_after: Mapping[str, int]  # by setting: seeds, of those that were dropped as surely worse
    failed_after: Mapping[str, int]  # of those with too few finished runs
    is_ended: bool
    looks: tuple[int, ...] = ()  # seeds of each that are trained when it decides
    seeds: int = 0  # at its last look; 0: there was none
    verdict: str = ""  # how it ended, in a sentence
    out: tuple[str, ...] = ()  # who is out, as "vit after 3 seeds"


def is_open(sweep: Path) -> bool:
    """Whether the folder is that of a race or a study that has not ended, or that cannot be read."""
    stamps = [(record, stamp) for record in (sweep / RACE, sweep / TUNE) if (stamp := _stamp(record))]
    if not stamps and (stamp := _stamp(sweep / LEDGER)):
        return _lacks_record(sweep / LEDGER, *stamp)
    return any(_is_open(record, *stamp) for record, stamp in stamps)


def is_sealed(run: Path) -> bool:
    """Whether a run belongs to one that has not ended: its test figures are nobody's business yet."""
    return is_open(sweep_of(run))


def is_search_trial(run: Path) -> bool:
    """Whether a search has trained a run to choose by it: its score is a chosen one."""
    sweep = sweep_of(run)
    record = tune_of(sweep)
    return record is not None and run_name(run) in record.search_runs


def sweep_of(run: Path) -> Path:
    """The folder that a run lies in, also of a run that is named by a link, by `.` or by `..`."""
    return _itself(run).parent


def run_name(run: Path) -> str:
    """The name of a run's folder, however it is named."""
    return _itself(run).name


def _itself(run: Path) -> Path:
    if run.name in NO_FOLDERS or run.is_symlink():
        return Path(os.path.realpath(run))
    return run


def race_of(sweep: Path) -> RaceRecord | None:
    """The race of a sweep's folder; None if there is none, or it cannot be read."""
    stamp = _stamp(sweep / RACE)
    return _race(sweep / RACE, *stamp) if stamp else None


@lru_cache(maxsize=256)
def _race(path: Path, _mtime_ns: int, _inode: int) -> RaceRecord | None:
    try:
        record = read_json(path, attempts=2)
    except UnreadableFileError:
        return None
    margin, metric, settings = record.get("margin"), record.get("metric"), record.get("settings")
    if not isinstance(margin, float | int | None) or not isinstance(metric, str):
        return None
    if not isinstance(settings, list) or not all(map(_is_setting, settings)):
        return None
    out = [one for one in settings if one["out_after"] is not None]
    return RaceRecord(
        None if margin is None else float(margin),
        metric,
        {one["setting"]: one["out_after"] for one in out if one["why"] == "worse"},
        {one["setting"]: one["out_after"] for one in out if one["why"] == "failed"},
        isinstance(record.get("ended"), str),
        tuple(seeds for seeds in _list(record.get("looks")) if type(seeds) is int),
        max(map(_seeds_of, _list(record.get("rounds"))), default=0),
        _sentence(record.get("verdict")),
        tuple(f"{one.get('name')!s:.80} after {one['out_after']} seeds" for one in out),
    )


def tune_of(sweep: Path) -> TuneRecord | None:
    """The search of a sweep's folder; None if there is none, or it cannot be read."""
    stamp = _stamp(sweep / TUNE)
    return _tune(sweep / TUNE, *stamp) if stamp else None


@lru_cache(maxsize=256)
def _tune(path: Path, _mtime_ns: int, _inode: int) -> TuneRecord | None:
    try:
        record = read_json(path, attempts=2)
    except UnreadableFileError:
        return None
    return searched(record)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _sentence(verdict: Any) -> str:
    said = verdict.get("sentence") if isinstance(verdict, dict) else None
    return said[:_LONGEST_TEXT] if isinstance(said, str) else ""


def _seeds_of(one: Any) -> int:
    seeds = one.get("seeds") if isinstance(one, dict) else None
    return seeds if type(seeds) is int else 0


def _is_setting(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("setting"), str) or "why" not in one:
        return False
    return "out_after" in one and (one["out_after"] is None or type(one["out_after"]) is int)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with each writing: a record is read once for all runs that ask."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=256)
def _lacks_record(ledger: Path, _mtime_ns: int, _inode: int) -> bool:
    """Whether a sweep is a race or a study whose record is gone, or not written yet."""
    try:
        return read_json(ledger, attempts=2).get("command") in ("race", "tune")
    except UnreadableFileError:
        return False


@lru_cache(maxsize=256)
def _is_open(path: Path, _mtime_ns: int, _inode: int) -> bool:
    try:
        record: dict[str, Any] = read_json(path, attempts=2)
    except UnreadableFileError:
        return True
    return not isinstance(record.get("ended"), str)
