"""The sentences around a table: what its numbers are, what is compared with what. No torch here."""

from collections.abc import Sequence

from bakeoff.comparison.open_studies import metric_value
from bakeoff.comparison.output.grid import Column
from bakeoff.comparison.tables import StudyCurve, Table
from bakeoff.text import counted, printable

_MORE_THAN_A_PAIR = 3  # rows


def captions(table: Table, columns: Sequence[Column]) -> list[str]:
    """What was tested, and what the numbers of a table are; nothing of a column that is not there."""
    names = {column.name for column in columns}
    classes = f", {len(table.class_names)} classes" if table.class_names else ""
    parts = [_scores(table, columns)]
    if "group" in names and any(row.tie_group for row in table.settings):
        parts.append("group: no proven difference between rows with the same letter")
    if "front" in names:
        parts.append("an asterisk (*) in column front: a best trade-off")
    if any(" points" in sentence for sentence in table.verdict):
        parts.append("1 point: 1 % of the test images")
    title = f"{table.title}: {counted(table.num_images, 'test image')}{classes}{_weights(table)}"
    return [printable(title), printable("; ".join(parts))]


def _weights(table: Table) -> str:
    """What all rows began with; where they differ, a column says it."""
    weights = {row.weights for row in table.settings}
    if len(weights) > 1:
        return ""
    (value,) = weights
    return ", trained from scratch" if value == "none" else f", weights: {value}"


def _scores(table: Table, columns: Sequence[Column]) -> str:
    """Of what a mean is, and what stands beside it."""
    spreads = {cell.spread[:1] for column in columns for cell in column.cells if cell.spread}
    counts = {row.num_runs for row in table.settings}
    if "n" in {column.name for column in columns}:
        seeds = "n seeds"
    elif len(counts) == 1:
        seeds = "1 seed" if counts == {1} else f"{min(counts)} seeds"
    else:
        seeds = f"{min(counts)} to {max(counts)} seeds"
    text = f"test scores, mean over {seeds}"
    if "[" in spreads:
        if counts == {1}:
            text += " [95 % interval: luck of test images, not of seeds]"
        else:
            text += " [95 % interval: luck of seeds and of test images]"
    return text + ("; ±: standard deviation over the seeds" if "±" in spreads else "")


def compared_with(table: Table) -> str:
    """Which of many pairs the sentences are of; empty where there is no choice."""
    if len(table.settings) < _MORE_THAN_A_PAIR or table.reference is None or not table.pairs:
        return ""
    num_pairs = sum(pair.metric == "accuracy" for pair in table.pairs)
    others = "" if num_pairs < len(table.settings) else f"; --format json has all {num_pairs} pairs"
    against = table.row(table.reference).label
    return printable(f"Each row against {against} (--baseline NUMBER takes another row{others}):")


def planned(table: Table) -> tuple[str, list[str]]:
    """A heading and a sentence for each pair; an empty heading if no plan was asked for."""
    if table.plan is None:
        return "", []
    heading = (
        f"To show a true difference of {table.plan.points:g} points in 80 of 100 comparisons (estimates from "
        "the runs at hand; the truth may be half or twice as many):"
    )
    lines = [printable(need.says) for need in table.plan.needs]
    return heading, lines or ["no pair is tested, so none can be planned"]


def tuned(table: Table) -> tuple[str, list[str]]:
    """A heading and a line for each study that rows come from; an empty heading if there is none."""
    if not table.tuning:
        return "", []
    heading = (
        "Fair tuning: the best validation score that a search of so many trials would have found on average"
    )
    known = [point.low for curve in table.tuning for point in curve.points]
    heading += " [95 % interval]:" if any(low is not None for low in known) else ":"
    return heading, [printable(_tuned(curve)) for curve in table.tuning]


def _tuned(curve: StudyCurve) -> str:
    told = [f"{counted(curve.num_trials, 'trial')}"]
    told += [f"{curve.num_pruned:,} stopped early"] if curve.num_pruned else []
    told += [f"{curve.num_failed:,} failed"] if curve.num_failed else []
    points = []
    for point in curve.points:
        text = f"{metric_value(curve.metric, point.value)} with {point.trials:,}"
        if point.low is not None and point.high is not None:
            text += f" [{', '.join(metric_value(curve.metric, end) for end in (point.low, point.high))}]"
        points.append(text)
    return f"{curve.study}, {curve.metric} ({', '.join(told)}): {'; '.join(points)}"


def remarks(table: Table) -> tuple[Sequence[str], Sequence[str]]:
    """Verdict and notes, safe to print."""
    return [printable(text) for text in table.verdict], [printable(text) for text in table.notes]
