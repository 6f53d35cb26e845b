"""What the statistics of a table say, in plain words. No torch here.

"No proven difference" never means equal: each such sentence says what could not be excluded.
"""

from collections.abc import Sequence

from bakeoff.comparison.notes import listed
from bakeoff.comparison.significance import MOST_SETTINGS
from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.statistics.few_images import ENOUGH
from bakeoff.comparison.tables import Pair, SettingRow, Table, best_first
from bakeoff.text import p_text, shortened

_EVEN_PERCENT = 5  # on either side of half, where the estimate says nothing
_CLEAR = 0.005  # a p that a little optimism does not turn


def reference(table: Table) -> str | None:
    """The configuration that the others are compared with if no baseline is given: the most accurate one."""
    tested = {setting for pair in table.pairs for setting in (pair.a, pair.b)}
    return next((row.setting for row in best_first(table.settings) if row.setting in tested), None)


def verdict(table: Table) -> list[str]:
    """A sentence for each setting beside the table's reference."""
    rows = table.settings
    if len(rows) == 1:
        return [_alone(rows[0], table)]
    pairs = [pair for pair in table.pairs if pair.metric == "accuracy"]
    if not pairs or table.reference is None:
        return [_untested(rows)]
    return [
        _sentence(pair, row, table.row(table.reference), len(pairs))
        for row in best_first(table.settings)
        for pair in pairs
        if row.setting != table.reference and {pair.a, pair.b} == {row.setting, table.reference}
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
            f"{one} and {two}: no proven difference; no test image tells them apart, "
            f"yet on other images they could differ by up to {_points(high)}."
        )
    elif pair.differs:
        how = "better" if difference > 0 else "worse"
        text = (
            f"{one} is {how} than {two} by {_points(abs(difference))} (95 % interval: {_from_to(low, high)})."
        )
    else:
        if low > 0 or high < 0:
            how = "better" if low > 0 else "worse"
            text = f"{one} against {two}: probably {how}, by {_from_to(low, high)} points"
            text += f"; not certain once all {num_pairs} pairs are counted"
        else:
            text = f"{one} and {two}: no proven difference; {one} could be {_either(low, high)}"
        if pair.smallest_detectable_difference is not None:
            smallest = _about(pair.smallest_detectable_difference * 100)
            # A power of 80 %, in words.
            text += f"; only differences above about {smallest} points would have been found"
            text += " (in 80 of 100 such comparisons)"
        text += f". {_advice(pair, row, other)}"
    if pair.mcnemar_mid_p is not None:
        text += f" McNemar's test of the two networks: {p_text(pair.mcnemar_mid_p)}."
    classes = [item.label for item in pair.classes if item.p_adjusted < ALPHA]
    if classes:
        only = "" if pair.differs else "Single classes do differ in recall: "
        text += (
            f" {only}{shortened(classes, 10)}." if only else f" Their recall differs in {listed(classes)}."
        )
    if pair.noisy_side and pair.differs and pair.p_adjusted > _CLEAR:
        text += " The noisier of the two has few runs, so this is less certain than it looks."
    if text.startswith(("one network", "row ")):
        text = text[0].upper() + text[1:]
    if 0 < result.effective_images < ENOUGH:
        text += " Only few images decide this." if pair.differs else " They differ on too few images."
    return text


def _either(low: float, high: float) -> str:
    """How far an interval that holds 0 goes to both sides."""
    better, worse = f"{high * 100:.2f}", f"{-low * 100:.2f}"
    if better == worse:
        return f"up to {better} points better or worse"
    return f"up to {better} points better or up to {worse} points worse"


def _from_to(low: float, high: float) -> str:
    near, far = sorted((abs(low), abs(high)))
    return f"{near * 100:.2f} to {far * 100:.2f}"


def _about(points: float) -> str:
    """Two digits, or what is beyond the comma of two."""
    return f"{points:.{0 if points >= 10 else 1 if points >= 1 else 2}f}"


def _advice(pair: Pair, row: SettingRow, other: SettingRow) -> str:
    if min(row.num_runs, other.num_runs) == 1:
        return "Run 3 seeds or more."
    if pair.result.effective_images < ENOUGH or pair.result.seed_share is None:
        return "More images would help."
    share = round(pair.result.seed_share * 100)
    if abs(share - 50) <= _EVEN_PERCENT:
        text = (
            "About half of the uncertainty comes from the seed: more seeds and more images would both help."
        )
    else:
        what = (
            "add seeds, not images" if pair.result.wants_seeds else "more images would help more than seeds"
        )
        text = f"{share} % of the uncertainty comes from the seed: {what}."
    return f"{text} Two seeds are few: run 3 or more." if min(row.num_runs, other.num_runs) == 2 else text


def _subject(row: SettingRow) -> str:
    return f"one network of {row.label}" if row.num_runs == 1 else row.label


def _points(share: float) -> str:
    return f"{share * 100:.2f} points"


def _alone(row: SettingRow, table: Table) -> str:
    accuracy = row.metrics["accuracy"]
    if accuracy is None or accuracy.low is None or accuracy.high is None:
        return f"{row.label} has no interval: some of its runs have no predictions."
    if row.num_runs == 1:
        of = "one trained network; other seeds may differ: run 3 or more"
    else:
        of = f"{row.num_runs} seeds"
    return (
        f"{row.label}: {accuracy.mean * 100:.2f} % (95 % interval: {accuracy.low * 100:.2f} to "
        f"{accuracy.high * 100:.2f}), from {table.num_images:,} test images and {of}."
    )


def _untested(rows: Sequence[SettingRow]) -> str:
    without = [row.label for row in rows if not all(run.outcomes for run in row.members)]
    if len(rows) - len(without) > MOST_SETTINGS:
        pairs = len(rows) * (len(rows) - 1) // 2
        return (
            f"{len(rows)} configurations: no pair is tested, since {pairs:,} pairs are too many to find "
            "differences; give --baseline NAME, or show fewer with --where or --top."
        )
    return f"No pair is tested: no predictions of {shortened(without)}."
