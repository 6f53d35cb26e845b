"""What a table says of the race that its runs come from. No torch here.

Who was dropped was dropped by the validation images, to spare seeds: that is a decision, and no finding. What
the test images show stands beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.comparison.statistics.classical import student_quantile
from bakeoff.comparison.tables import Pair, RaceFacts, SettingRow, Table
from bakeoff.runs.studies import RaceRecord, race_of
from bakeoff.text import counted, shortened


def with_race(table: Table) -> Table:
    """Marks who was dropped, and says who is equal within the race's margin; another table stays as it is."""
    sweeps = {run.path.parent for row in table.settings for run in row.members}
    record = race_of(sweeps.pop()) if len(sweeps) == 1 else None
    if record is None or not record.is_ended:
        return table
    rows = [replace(row, mark=_mark(row, record)) for row in table.settings]
    equal = () if record.margin is None else tuple(_equal_pairs(table.pairs, record.margin, record.metric))
    marked = replace(table, settings=rows)
    notes = [*_of_drops(marked, record), *_of_equality(marked, equal, record)]
    return replace(marked, race=RaceFacts(record.margin, record.metric, equal), notes=[*notes, *table.notes])


def _setting(row: SettingRow) -> str:
    """As the summaries have it: a row's key says also what `auto` became."""
    return str(row.members[0].summary["setting"])


def _mark(row: SettingRow, record: RaceRecord) -> str:
    seeds = {**record.out_after, **record.failed_after}.get(_setting(row))
    return "" if seeds is None else f"out after {seeds}"


def _equal_pairs(pairs: Sequence[Pair], margin: float, metric: str) -> list[tuple[str, str]]:
    """Pairs that are surely closer than the margin: two one-sided tests at 5 % (Schuirmann 1987)."""
    found = []
    for pair in pairs:
        result = pair.result
        if pair.metric == metric and result.df is not None:
            reach = student_quantile(0.95, result.df) * math.sqrt(result.variance)
            if abs(result.difference) + reach < margin:
                found.append((pair.a, pair.b))
    return found


def _of_drops(table: Table, record: RaceRecord) -> list[str]:
    lines = []
    tested = [pair for pair in table.pairs if pair.metric == "accuracy"]
    differing = {frozenset((pair.a, pair.b)) for pair in tested if pair.differs}
    shown: dict[int, list[str]] = {}
    for row in table.settings:
        seeds = record.out_after.get(_setting(row))
        if seeds is None:
            continue
        is_shown = table.reference is None or frozenset((row.setting, table.reference)) in differing
        if is_shown or record.metric != "accuracy":
            shown.setdefault(seeds, []).append(row.label)
        else:
            lines.append(
                f"{row.label}: out of the race by the validation images; not shown on the test images "
                f"({counted(row.num_runs, 'seed')})"
            )
    for seeds, labels in shown.items():
        lines.append(
            f"{shortened(labels, 20)}: out of the race after {counted(seeds, 'seed')}, as surely worse on "
            "the validation images"
        )
    return lines


def _of_equality(table: Table, equal: Sequence[tuple[str, str]], record: RaceRecord) -> list[str]:
    if record.margin is None:
        return []
    within = f"equal within {record.margin * 100:g} points on the test images"
    if not equal and all(pair.differs for pair in table.pairs if pair.metric == record.metric):
        return []
    if not equal:
        return [f"no two are shown to be {within}"]
    pairs = [f"{table.row(a).label} and {table.row(b).label}" for a, b in equal]
    return [f"{within}: {shortened(pairs, 10)}"]
