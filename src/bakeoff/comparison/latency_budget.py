"""The best configuration that answers fast enough: `--max-latency`. No torch here.

"Best" is the highest mean accuracy among the rows within the budget. Which others within it are not proven
to be worse is said as well: one of those may be the better choice for another reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bakeoff.comparison.latencies import MEASURED, Conditions, Latencies, latencies_of
from bakeoff.comparison.tables import SettingRow, Table, best_first
from bakeoff.runs.measurements import BAKEOFF
from bakeoff.text import counted, cut, shortened

_MOST_NAMED = 10  # rows in a sentence
_LONGEST_NAME = 60  # characters of a machine's
BETTER, WORSE, OPEN = "better", "worse", "no proven difference"
_TWO_SOURCES = (
    "The column latency is what each run took at its end; these sentences use what bakeoff measure took."
)
_WORDS = {OPEN: "Not proven to be worse", WORSE: "Proven to be worse", None: "Not tested against it"}


@dataclass(frozen=True)
class BudgetRow:
    """How a row stands to a budget."""

    setting: str
    latency_ms: float | None  # None: not known
    latency_ms_p95: float | None
    is_within: bool | None
    against_chosen: (
        str | None
    )  # BETTER, WORSE or OPEN in accuracy; None: the chosen one itself, or not tested


@dataclass(frozen=True)
class LatencyBudget:
    """What `--max-latency` has found."""

    budget_ms: float
    chosen: str | None  # a setting; None: none is within the budget, or they may not be ranked
    reason: str | None  # why they may not be ranked
    source: str  # where the latencies come from
    conditions: Conditions | None  # what all have in common; None: they may not be ranked
    settings: tuple[BudgetRow, ...]
    says: tuple[str, ...]


def with_latency_budget(table: Table, budget_ms: float, *, has_column: bool = False) -> Table:
    """Adds which row is the most accurate one within a budget, or why that cannot be told.

    Args:
        table: with its pairs and intervals.
        budget_ms: milliseconds for one image, above 0.
        has_column: whether the latencies of the summaries stand in the table.
    """
    rows = best_first([row for row in table.settings if row.has_predictions])
    found = latencies_of(rows)
    if not rows:
        found = replace(found, reason="no row has predictions")
    within = [] if found.reason else [row for row in rows if _is_within(row, found, budget_ms)]
    chosen = within[0] if within else None
    stands = {row.setting: _against(row, chosen, table) for row in rows if chosen}
    says = [*_said(rows, chosen, stands, found, budget_ms), *_left_out(table, rows, found)]
    says += [] if found.reason else [_origin(found, len(rows))]
    if has_column and found.source == MEASURED:
        says.append(_TWO_SOURCES)
    says += [f"Stored latencies that cannot be read, so not used: {name}." for name in found.damaged]
    budget = LatencyBudget(
        budget_ms=budget_ms,
        chosen=chosen.setting if chosen else None,
        reason=found.reason,
        source=found.source,
        conditions=None if found.reason else found.conditions,
        settings=tuple(_budget_row(row, found, budget_ms, stands) for row in rows),
        says=tuple(says),
    )
    return replace(table, latency_budget=budget, verdict=[*table.verdict, *says])


def _is_within(row: SettingRow, found: Latencies, budget_ms: float) -> bool:
    latency = found.of_row.get(row.setting)
    return latency is not None and latency.median <= budget_ms


def _budget_row(
    row: SettingRow, found: Latencies, budget_ms: float, stands: dict[str, str | None]
) -> BudgetRow:
    latency = found.of_row.get(row.setting)
    is_within = None if latency is None or found.reason else latency.median <= budget_ms
    return BudgetRow(
        row.setting,
        latency.median if latency else None,
        latency.p95 if latency else None,
        is_within,
        stands.get(row.setting),
    )


def _against(row: SettingRow, chosen: SettingRow | None, table: Table) -> str | None:
    """How the accuracy of a row stands to that of the chosen one; None if the two were not tested."""
    if chosen is None:
        return None
    for pair in table.pairs:
        if pair.metric == "accuracy" and {pair.a, pair.b} == {row.setting, chosen.setting}:
            if not pair.differs:
                return OPEN
            return BETTER if (pair.result.difference > 0) == (pair.a == row.setting) else WORSE
    return None


def _said(
    rows: Sequence[SettingRow],
    chosen: SettingRow | None,
    stands: dict[str, str | None],
    found: Latencies,
    budget_ms: float,
) -> list[str]:
    """The answer, and what is over the budget."""
    budget = f"{_ms(budget_ms)} for one image"
    if found.reason:
        again = "To measure again on one machine: bakeoff measure SWEEP, or one run of each row."
        return [f"No choice within {budget}: {found.reason}. {again}"]
    fast = sorted((row for row in rows if row.setting in found.of_row), key=lambda row: _median(row, found))
    if chosen is None:
        return (
            [f"No configuration is within {budget}; the fastest is {_named(fast[0], found)}."] if fast else []
        )
    text = f"Within {budget}: {chosen.label} has the highest accuracy, "
    text += f"{_accuracy(chosen)}, and takes {_ms(_median(chosen, found))} (median)."
    p95 = found.of_row[chosen.setting].p95
    if p95 is not None and p95 > budget_ms:
        text += f" But 1 call in 20 takes longer than the budget: {_ms(p95)} or more."
    by_stand: dict[str | None, list[str]] = {}
    for row in fast:
        if row is not chosen and _is_within(row, found, budget_ms):
            by_stand.setdefault(stands[row.setting], []).append(_named(row, found))
    text += "" if by_stand else " It is the only one within the budget."
    for stand, words in _WORDS.items():
        text += f" {words}: {_list(by_stand[stand])}." if stand in by_stand else ""
    if None in by_stand:
        text += f" --baseline {chosen.number} tests each row against it."
    over = [row for row in fast if not _is_within(row, found, budget_ms)]
    told = [_named(row, found, " and proven to be better" * (stands[row.setting] == BETTER)) for row in over]
    return [text, *([f"Over the budget: {_list(told)}."] if told else [])]


def _left_out(table: Table, rows: Sequence[SettingRow], found: Latencies) -> list[str]:
    says = []
    if not found.reason and (unknown := [row.label for row in rows if row.setting not in found.of_row]):
        says.append(f"Latency not known, so left out: {_list(unknown)}; bakeoff measure RUN takes it.")
    if unchecked := [row.label for row in table.settings if not row.has_predictions]:
        says.append(f"Accuracy without predictions, so not chosen from: {_list(unchecked)}.")
    return says


def _origin(found: Latencies, num_rows: int) -> str:
    """Where and how the latencies were taken."""
    assert found.conditions is not None  # else they are not ranked
    host, _, name, threads, engine = found.conditions
    how = f"with {counted(int(threads), 'thread')}" if threads.isdecimal() else "with unknown threads"
    where = f"{cut(host, _LONGEST_NAME)} ({cut(name, _LONGEST_NAME)}), {how}"
    where += "" if engine == BAKEOFF else f", from exported files ({engine})"
    if found.source == MEASURED:
        busy = " Something else ran meanwhile, so they may be too long: measure again when nothing else runs."
        return f"These latencies were taken by bakeoff measure on {where}.{busy if found.disturbed else ''}"
    text = f"These latencies were taken at the end of each run on {where}; bakeoff measure takes them again."
    if found.num_measured == num_rows:
        text += " All rows were measured again, but not on one machine with as many threads: not used."
    elif found.num_measured:
        text += f" Only {found.num_measured} of {counted(num_rows, 'row')} were measured again: not used."
    return text


def _median(row: SettingRow, found: Latencies) -> float:
    return found.of_row[row.setting].median


def _named(row: SettingRow, found: Latencies, more: str = "") -> str:
    return f"{row.label} ({_ms(_median(row, found))}{more})"


def _list(names: Sequence[str]) -> str:
    return shortened(names, _MOST_NAMED)


def _accuracy(row: SettingRow) -> str:
    accuracy = row.metrics["accuracy"]
    assert accuracy is not None  # a run without one is in no table
    text = f"{accuracy.mean * 100:.2f} %"
    if accuracy.low is None or accuracy.high is None:
        return text
    return f"{text} (95 % interval: {accuracy.low * 100:.2f} to {accuracy.high * 100:.2f})"


def _ms(value: float) -> str:
    """Milliseconds with three digits: 0.412 ms, 1.59 ms, 2 ms, 1,280 ms."""
    return f"{value:,.0f} ms" if value >= 999.5 else f"{value:.3g} ms"
