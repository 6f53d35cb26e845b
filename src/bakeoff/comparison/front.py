"""The Pareto front of accuracy against a cost. No torch here."""

import dataclasses
from collections.abc import Sequence

from bakeoff.comparison.comparability import why_times_differ
from bakeoff.comparison.figures import RUN_FIGURES
from bakeoff.comparison.tables import Pair, SettingRow, Table
from bakeoff.text import shortened


def with_front(table: Table, cost: str) -> Table:
    """Marks the settings that no other dominates, and says so, or why it cannot be told."""
    title = RUN_FIGURES[cost].short
    checked = [row for row in table.settings if row.has_predictions]  # the others cannot be tested
    if reason := _why_no_front(checked or table.settings, table.pairs, cost):
        sentence = f"No best trade-off of accuracy against {title}: {reason}."
        return dataclasses.replace(table, verdict=[*table.verdict, sentence])
    best = front(checked, table.pairs, cost)
    names = ", ".join(row.label for row in table.settings if row.setting in best)
    sentence = (
        f"Best trade-off of accuracy against {title} (Pareto front): {names}; "
        "no configuration that costs the same or less is proven to be more accurate."
    )
    if unchecked := [row.label for row in table.settings if not row.has_predictions]:
        sentence += f" Without predictions, so left out: {shortened(unchecked)}."
    rows = [dataclasses.replace(row, on_front=row.setting in best) for row in table.settings]
    return dataclasses.replace(table, settings=rows, verdict=[*table.verdict, sentence])


def _why_no_front(rows: Sequence[SettingRow], pairs: Sequence[Pair], cost: str) -> str | None:
    if len(rows) > 1 and len({(pair.a, pair.b) for pair in pairs}) < len(rows) * (len(rows) - 1) // 2:
        return "it needs all pairs tested"
    if all(row.mean(cost) is None for row in rows):
        return "it was not measured"
    if RUN_FIGURES[cost].is_time:
        return why_times_differ([run for row in rows for run in row.members])
    return None


def front(rows: Sequence[SettingRow], pairs: Sequence[Pair], cost: str) -> set[str]:
    """Settings that no other dominates: none is significantly more accurate at the same cost or less.

    A setting whose cost was not measured is on no front and dominates nothing.
    """
    worse: dict[str, set[str]] = {}
    for pair in pairs:
        if pair.metric == "accuracy" and pair.differs:
            better, other = (pair.a, pair.b) if pair.result.difference > 0 else (pair.b, pair.a)
            worse.setdefault(other, set()).add(better)
    sign = -1 if RUN_FIGURES[cost].better == "larger" else 1
    costs = {row.setting: sign * value for row in rows if (value := row.mean(cost)) is not None}
    return {
        setting
        for setting, own in costs.items()
        if not any(costs[better] <= own for better in worse.get(setting, ()) if better in costs)
    }
