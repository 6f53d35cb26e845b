"""How long each row of a table takes for one image, all taken under the same conditions. No torch here.

There are two sources, and they are never mixed: what `bakeoff measure` has stored beside the runs, and what
each run measured at its own end. The first counts if every row has it from the same machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import NamedTuple

from bakeoff.comparison.comparability import why_times_differ
from bakeoff.comparison.figures import MOST, RUN_FIGURES, number_at
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow
from bakeoff.runs.measurements import BAKEOFF, ENGINES, Measurement, read_measurements
from bakeoff.runs.reading import UnreadableFileError, moment

MEASURED, SUMMARY = "measured", "summary"
_MEDIAN = RUN_FIGURES["latency_ms_batch1"].in_summary or ""
_P95 = f"{_MEDIAN}_p95"


class Conditions(NamedTuple):
    """What latencies must have in common to be ranked."""

    host: str
    device: str  # the kind: cpu, cuda
    device_name: str
    threads: str
    engine: str  # who computed: bakeoff itself, or an exported file's runtime


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one image, of a row's runs the middle one: another process may have disturbed one."""

    median: float
    p95: float | None  # 95 of 100 calls take at most so long; None: not recorded


@dataclass(frozen=True)
class Latencies:
    """Of the rows that have one; `reason` says why they may not be ranked."""

    source: str  # MEASURED or SUMMARY
    of_row: Mapping[str, Latency]  # by setting
    conditions: Conditions | None
    reason: str | None
    damaged: tuple[str, ...]  # stored measurements that could not be read, with the reason
    num_measured: int  # rows that have measurements of some kind
    disturbed: bool = False  # whether something else ran when some of them were taken


_OfRow = dict[Conditions, dict[str, Measurement]]  # the newest one of each run, by the run's path


def latencies_of(rows: Sequence[SettingRow]) -> Latencies:
    """Latencies of rows that may be ranked, or the reason why there are none."""
    damaged: list[str] = []
    stored = {row.setting: _stored(row, damaged) for row in rows}
    num_measured = sum(bool(found) for found in stored.values())
    common = set.intersection(*(set(found) for found in stored.values())) if stored else set()
    if common:
        newest = max(common, key=lambda one: _preference(one, [found[one] for found in stored.values()]))
        of_row = {setting: _middle(found[newest].values()) for setting, found in stored.items()}
        disturbed = any(one.disturbed for found in stored.values() for one in found[newest].values())
        return Latencies(MEASURED, of_row, newest, None, tuple(damaged), num_measured, disturbed)
    known = {row.setting: latency for row in rows if (latency := _own(row)) is not None}
    runs = [run for row in rows if row.setting in known for run in row.members]
    reason = why_times_differ(runs) if runs else "no latency was measured"
    conditions = _of_run(runs[0]) if runs and not reason else None
    return Latencies(SUMMARY, known, conditions, reason, tuple(damaged), num_measured)


def _stored(row: SettingRow, damaged: list[str]) -> _OfRow:
    """What was measured again of a row's runs, at one image, by what it was measured with."""
    found: _OfRow = {}
    for run in row.members:
        try:
            measurements = read_measurements(run.path)
        except UnreadableFileError as error:
            damaged.append(f"{run.path.name}: {error}")
            continue
        of_one_image = [one for one in measurements if one.batch_size == 1]
        # The newest, of one time the last; but one that others disturbed only where there is no other.
        for one in sorted(of_one_image, key=lambda one: (not one.disturbed, _time(one))):
            found.setdefault(_of_measurement(one), {})[str(run.path)] = one
    return found


def _time(measurement: Measurement) -> datetime:
    found = moment(measurement.time)
    assert found is not None  # else it would not have been read
    return found


def _of_measurement(one: Measurement) -> Conditions:
    kind = one.device.partition(":")[0]
    return Conditions(one.host, kind, one.device_name, str(one.threads), one.engine)


def _preference(
    conditions: Conditions, of_rows: Sequence[Mapping[str, Measurement]]
) -> tuple[datetime, int, int]:
    """The newest conditions come first; of one time our own engine, and the fewest threads."""
    newest = [max(map(_time, of_row.values())) for of_row in of_rows]
    return min(newest), -ENGINES.index(conditions.engine), -int(conditions.threads)


def _middle(measurements: Iterable[Measurement]) -> Latency:
    found = list(measurements)
    return Latency(
        median(one.latency_ms_median for one in found), median(one.latency_ms_p95 for one in found)
    )


def _own(row: SettingRow) -> Latency | None:
    """What the runs of a row have measured themselves; what is no time at all was not measured."""
    of_runs = [value for run in row.members if (value := number_at(run.summary, _MEDIAN, MOST))]
    p95 = [value for run in row.members if (value := number_at(run.summary, _P95, MOST))]
    if not of_runs:
        return None
    return Latency(median(of_runs), median(p95) if len(p95) == len(of_runs) else None)


def _of_run(run: Run) -> Conditions:
    name = run.environment.get("device_name")
    return Conditions(run.host, run.device, str(name), run.threads, BAKEOFF)
