"""The verdict in a few sentences: who wins, what was compared, what could not be seen, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.comparison.run import Problem
from bakeoff.comparison.statistics.few_images import ENOUGH
from bakeoff.comparison.tables import Pair, SettingRow, Table, best_first
from bakeoff.text import counted, percent, shortened

_MANY_SHARE = 0.55  # of the uncertainty, above which one source of it is worth naming


@dataclass(frozen=True)
class Headline:
    """What stands above everything else; each text is a sentence or a few."""

    winner: str
    compared: str
    unseen: str
    next_steps: tuple[str, ...]


def headline(table: Table, problems: Sequence[Problem]) -> Headline:
    """Of one table, and of the runs that are in none."""
    rows = best_first(table.settings)
    pairs = [pair for pair in table.pairs if pair.metric == "accuracy"]
    in_pairs = {setting for pair in pairs for setting in (pair.a, pair.b)}
    tested = [row for row in rows if row.setting in in_pairs] or rows
    is_whole = len(pairs) in (0, len(tested) * (len(tested) - 1) // 2)  # else each is with a baseline
    told = _winner(tested, pairs) if is_whole else _against(table.row(table.reference or ""), tested, pairs)
    if untested := [row.label for row in rows if pairs and row.setting not in in_pairs]:
        told += f" Not tested: {shortened(untested)}."
    return Headline(
        told,
        _compared(table),
        _unseen(rows, pairs),
        tuple(_next_steps(rows, pairs, problems)),
    )


def _against(baseline: SettingRow, rows: Sequence[SettingRow], pairs: Sequence[Pair]) -> str:
    """What is better and worse than a baseline, where nothing else is tested."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "not proven to differ": []}
    for row in rows:
        pair = next((pair for pair in pairs if {pair.a, pair.b} == {row.setting, baseline.setting}), None)
        if pair is not None:
            is_better = (pair.result.difference > 0) == (pair.a == row.setting)
            which = "not proven to differ" if not pair.differs else "better" if is_better else "worse"
            groups[which].append(row.label)
    told = "; ".join(f"{which}: {shortened(labels)}" for which, labels in groups.items() if labels)
    return f"Against {baseline.label}, {_accuracy(baseline)}: {told}. Other pairs are not tested."


def _winner(rows: Sequence[SettingRow], pairs: Sequence[Pair]) -> str:
    best = rows[0]
    score = _accuracy(best)
    if len(rows) == 1:
        return f"{best.label} is right about {score} of the test images."
    if not pairs:
        return f"{best.label} has the highest mean accuracy, {score}; no difference was tested."
    equal = [row.label for row in rows[1:] if not _is_worse(row, best, pairs)]
    if not equal:
        return f"{best.label} is the most accurate: {score}. Every other row is proven to be worse."
    if len(equal) == len(rows) - 1:
        return (
            f"No winner: {best.label} has the highest mean accuracy, {score}, and none of the others "
            "is proven to be worse."
        )
    return (
        f"{best.label} has the highest mean accuracy, {score}. Not proven to be worse: {shortened(equal)}. "
        "All others are proven to be worse."
    )


def _is_worse(row: SettingRow, best: SettingRow, pairs: Sequence[Pair]) -> bool:
    return any(pair.differs for pair in pairs if {pair.a, pair.b} == {row.setting, best.setting})


def _accuracy(row: SettingRow) -> str:
    estimate = row.metrics["accuracy"]
    if estimate is None:
        return "unknown"
    if estimate.low is None or estimate.high is None:
        return percent(estimate.mean)
    return f"{percent(estimate.mean)} (95 % interval: {estimate.low * 100:.2f} to {estimate.high * 100:.2f})"


def _compared(table: Table) -> str:
    counts = sorted({row.num_runs for row in table.settings})
    seeds = counted(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    classes = f" in {len(table.class_names)} classes" if table.class_names else ""
    rows = counted(len(table.settings), "configuration")
    each = " each" if len(table.settings) > 1 else ""
    the = "the same" if len(table.settings) > 1 or counts[-1] > 1 else "the"
    return (
        f"{rows}, {seeds}{each}, tested on {the} {table.num_images:,} images of {table.title}{classes}. "
        "The test images took no part in training and in no decision."
    )


def _unseen(rows: Sequence[SettingRow], pairs: Sequence[Pair]) -> str:
    open_pairs = [pair for pair in pairs if not pair.differs] or pairs
    found = [pair.smallest_detectable_difference for pair in open_pairs]
    known = [smallest for smallest in found if smallest is not None]
    if not pairs:
        return "Nothing was tested, so no difference is excluded and none is proven." if len(rows) > 1 else (
            "One configuration alone says nothing about others."
        )  # fmt: skip
    if not known:
        return "How small a difference could have been seen cannot be told from these images."
    least, most = min(known) * 100, max(known) * 100
    span = f"{least:.2g}" if f"{least:.2g}" == f"{most:.2g}" else f"{least:.2g} to {most:.2g}"
    by_pair = " (it depends on the pair)" if " to " in span else ""
    return (
        f"A difference of about {span} points{by_pair} is found in 80 of 100 such comparisons; smaller ones "
        "are often missed. “No proven difference” never means “equal”."
    )


def _next_steps(rows: Sequence[SettingRow], pairs: Sequence[Pair], problems: Sequence[Problem]) -> list[str]:
    steps = []
    if may_go_on := sum(problem.may_go_on for problem in problems):
        steps.append(f"{counted(may_go_on, 'run')} stopped before the end: bakeoff resume RUN goes on.")
    if bad := sum(not problem.harmless and not problem.may_go_on for problem in problems):
        steps.append(f"{counted(bad, 'run')} could not be used: see the reasons below, and train again.")
    few = [row.label for row in rows if row.num_runs < 3]
    if few:
        steps.append(f"Train 3 seeds or more of {shortened(few)}: seed=0,1,2 with --multirun.")
    if len(rows) > 1 and not pairs:
        steps.append("Test the rows against one of them: --baseline NUMBER.")
    steps += _more_of_what(pairs)
    if not steps:
        steps.append(_all_told(rows))
    return steps


def _all_told(rows: Sequence[SettingRow]) -> str:
    """What is left to do where no test is open."""
    if len(rows) == 1:
        return "Train other configurations on the same data, to compare it with."
    return (
        "Every tested difference is proven. Look at the learning curves: where one still rises at the end, "
        "more epochs may change the result. For smaller differences, add seeds and test images."
    )


def _more_of_what(pairs: Sequence[Pair]) -> list[str]:
    """Seeds or images: what the undecided pairs lack most."""
    undecided = [pair for pair in pairs if not pair.differs]
    shares = [pair.result.seed_share for pair in undecided if pair.result.seed_share is not None]
    if not undecided:
        return []
    which = counted(len(undecided), "pair")
    if not shares or all(pair.result.effective_images < ENOUGH for pair in undecided):
        return [f"{which} without a proven difference: more test images would help."]
    share = sum(shares) / len(shares)
    if share > _MANY_SHARE:
        what = "add seeds; more images would help less"
    elif share < 1 - _MANY_SHARE:
        what = "more test images would help more than seeds"
    else:
        what = "more seeds and more images would both help"
    return [
        f"{which} without a proven difference: {what} ({share * 100:.0f} % of the uncertainty is the seed's)."
    ]
