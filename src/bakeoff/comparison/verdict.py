"""What the statistics of a table say, in plain words. No torch here.

"Tied" never means equal: each such sentence says what could not be excluded.
"""

from collections.abc import Sequence

from bakeoff.comparison.notes import listed, shortened
from bakeoff.comparison.significance import MOST_SETTINGS
from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.tables import Pair, SettingRow, Table

_CLEAR = 0.005  # a p that a little optimism does not turn
_FEW_DIFFERING_IMAGES = 5.0  # effective: half of the degrees of freedom


def verdict(table: Table, baseline: str | None) -> list[str]:
    """A sentence for each setting beside the best one, or the baseline."""
    rows = table.settings
    if len(rows) == 1:
        return [_alone(rows[0], table)]
    pairs = [pair for pair in table.pairs if pair.metric == "accuracy"]
    if not pairs:
        return [_untested(rows)]
    tested = {setting for pair in pairs for setting in (pair.a, pair.b)}
    best_first = sorted(
        (row for row in rows if row.setting in tested), key=lambda row: -(row.mean("accuracy") or 0.0)
    )
    reference = baseline or best_first[0].setting
    return [
        _sentence(pair, row, table.row(reference), len(pairs))
        for row in best_first
        for pair in pairs
        if row.setting != reference and {pair.a, pair.b} == {row.setting, reference}
    ]


def _sentence(pair: Pair, row: SettingRow, other: SettingRow, num_pairs: int) -> str:
    """How `row` stands to `other`."""
    result = pair.result
    sign = 1 if pair.a == row.setting else -1
    low, high = sorted((sign * result.low, sign * result.high))
    difference = sign * result.difference
    one, two = _subject(row), _subject(other)
    if result.df is None and result.difference == 0:
        text = (
            f"{one} and {two} are tied: no image tells them apart, which leaves up to {_points(high)} open."
        )
    elif pair.differs:
        how = "better" if difference > 0 else "worse"
        near, far = sorted((abs(low), abs(high)))
        text = f"{one} is {how} than {two} by {_points(abs(difference))}"
        text += f" (95 %: {near * 100:.2f} to {far * 100:.2f})."
    else:
        text = f"{one} and {two} are tied: {one} could be {_could_be(low, high)}"
        if low > 0 or high < 0:
            text += f", which does not hold after correction for {num_pairs} pairs"
        if pair.smallest_detectable_difference is not None:
            seen = _points(pair.smallest_detectable_difference)
            text += f"; a difference of {seen} would probably have been seen"
        text += "."
        if advice := _advice(pair, row, other):
            text += f" {advice}"
    if pair.mcnemar_mid_p is not None:
        text += f" McNemar's test of the two networks: p = {pair.mcnemar_mid_p:.3g}."
    classes = [item.label for item in pair.classes if item.p_adjusted < ALPHA]
    if classes:
        text += f" Their recall differs in {listed(classes)}."
    if pair.noisy_side and pair.differs and pair.p_adjusted > _CLEAR:
        text += " Few runs on the noisier side: a p near 0.05 is optimistic."
    if text.startswith("one network"):
        text = text.replace("one", "One", 1)
    if 0 < result.effective_images < _FEW_DIFFERING_IMAGES:
        text += " Too few images differ."
    return text


def _could_be(low: float, high: float) -> str:
    better, worse = _points(max(high, 0.0)), _points(max(-low, 0.0))
    if low > 0:
        return f"better by {low * 100:.2f} to {high * 100:.2f} pp"
    if high < 0:
        return f"worse by {-high * 100:.2f} to {-low * 100:.2f} pp"
    return f"better by up to {better} or worse by up to {worse}"


def _advice(pair: Pair, row: SettingRow, other: SettingRow) -> str:
    if min(row.num_runs, other.num_runs) == 1:
        return "Run 3 seeds or more."
    share = f"{pair.result.seed_share:.0%}".replace("%", " %")
    what = "add seeds, not images" if pair.result.wants_seeds else "more images would help more than seeds"
    text = f"{share} of the uncertainty comes from the seed: {what}."
    return f"{text} 2 seeds say little." if min(row.num_runs, other.num_runs) == 2 else text


def _subject(row: SettingRow) -> str:
    return f"one network of {row.name}" if row.num_runs == 1 else row.name


def _points(share: float) -> str:
    return f"{share * 100:.2f} pp"


def _alone(row: SettingRow, table: Table) -> str:
    accuracy = row.metrics["accuracy"]
    if accuracy is None or accuracy.low is None or accuracy.high is None:
        return f"{row.name} has no interval: some of its runs have no predictions."
    if row.num_runs == 1:
        of = "one trained network, not the architecture: run 3 seeds or more"
    else:
        of = f"{row.num_runs} seeds"
    return (
        f"{row.name}: {accuracy.mean * 100:.2f} % (95 %: {accuracy.low * 100:.2f} to "
        f"{accuracy.high * 100:.2f}), from {table.num_images:,} test images and {of}."
    )


def _untested(rows: Sequence[SettingRow]) -> str:
    without = [row.name for row in rows if not all(run.outcomes for run in row.members)]
    if len(rows) - len(without) > MOST_SETTINGS:
        pairs = len(rows) * (len(rows) - 1) // 2
        return (
            f"{len(rows)} settings: no pair is tested, since {pairs:,} pairs leave little power to any; "
            "give --baseline NAME, or show fewer with --where or --top."
        )
    return f"No pair is tested: no predictions of {shortened(without)}."
