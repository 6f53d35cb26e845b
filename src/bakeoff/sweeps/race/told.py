"""What a person reads of a race: each look, what it costs to go on, and how it ended. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakeoff.comparison.statistics.few_images import ENOUGH, FEW_IMAGES
from bakeoff.comparison.statistics.planning import best_possible
from bakeoff.comparison.statistics.race import Contender, Drop, Look, Rules, margin_images, nearest
from bakeoff.runs.states import FAILED
from bakeoff.sweeps.table import fitted
from bakeoff.terminal import columns_of, padded
from bakeoff.text import counted, printable, shortened

_MOST_NAME = 40  # columns
BAD, GOOD = "bold red", "bold green"  # styles


@dataclass(frozen=True)
class Told:
    """What the sentences need of a race."""

    rules: Rules
    names: Mapping[str, str]  # by configuration
    num_val: int  # images
    num_test: int | None = None

    def amount(self, difference: float) -> str:
        """A difference of scores, without its sign."""
        size = abs(difference)
        return f"{size:.4f}" if self.rules.metric == "nll" else f"{size * 100:.2f} points"

    def score(self, mean: float) -> str:
        """A mean score of values for which larger is better."""
        return f"{-mean:.4f}" if self.rules.metric == "nll" else f"{mean * 100:.2f} %"

    def name(self, setting: str) -> str:
        """What a person calls a configuration."""
        return printable(self.names[setting])


def listing(
    look: Look, means: Mapping[str, float], told: Told, width: int | None
) -> list[tuple[str, str, str]]:
    """A line for each configuration that was in: its name, its score, and what the look says of it.

    Args:
        look: the round.
        means: validation score of each, by configuration; larger is better.
        told: the race.
        width: columns; names are cut so that scores stand below each other.

    Returns:
        The line up to the score, the sentence, and a style for the line, for each.
    """
    most = _MOST_NAME if width is None else max(12, min(_MOST_NAME, width // 2 - 12))
    of = {drop.setting: _of_drop(drop, look, told) for drop in look.drops}
    of |= {one.setting: _of_contender(one, look, told) for one in look.contenders}
    of |= dict.fromkeys(look.failed, "out: fewer than two of its runs have finished")
    if look.best is not None:
        of[look.best] = "best"
    order = sorted(of, key=lambda setting: (-means.get(setting, float("-inf")), setting != look.best))
    wide = max(min(most, columns_of(told.name(setting))) for setting in order)
    lines = []
    for setting in order:
        name = padded(fitted(told.name(setting), wide, is_plain=False), wide, right=False)
        score = told.score(means[setting]) if setting in means else FAILED
        style = GOOD if setting == look.best else "" if setting in look.survivors else BAD
        lines.append((f"  {name}  {score:>8}", of[setting], style))
    return lines


def _of_drop(drop: Drop, look: Look, told: Told) -> str:
    level = f"{look.level:.2g}"
    p = f"{drop.p_adjusted:.2g}" if drop.p_adjusted >= 1e-4 else "below 0.0001"
    return (
        f"out: {told.amount(drop.difference)} worse than {told.name(drop.by)} "
        f"(adjusted p {p}, needed below {level})"
    )


def _of_contender(one: Contender, look: Look, told: Told) -> str:
    behind = told.amount(one.pair.difference)
    if one.is_equal:
        return f"{behind} behind; equal within {told.amount(told.rules.margin or 0.0)}"
    if look.seeds == told.rules.looks[-1]:
        return f"{behind} behind; not proven (adjusted p {one.p_adjusted:.2g}, needed below {look.level:.2g})"
    chance = "under 1" if one.chance < 0.01 else f"{one.chance * 100:.0f}"
    return f"{behind} behind; more seeds decide it with a chance of {chance} %"


def heading(look: Look, number: int, told: Told) -> str:
    """Above a look's lines."""
    return (
        f"look {number + 1} of {len(told.rules.looks)}: {counted(look.seeds, 'seed')} each, "
        f"{told.rules.metric.replace('_', '-')} on {told.num_val:,} validation images"
    )


def first_warnings(look: Look, told: Told) -> list[str]:
    """What a person should know after the first look, and can still change something about."""
    lines = []
    if told.num_val < FEW_IMAGES:
        lines.append(f"only {told.num_val} validation images: nothing will be dropped")
    if look.contenders:
        closest = nearest(look.contenders)
        if closest.pair.effective_images < ENOUGH:
            both = f"{told.name(look.best or '')} and {told.name(closest.setting)}"
            lines.append(
                f"fewer than {ENOUGH:g} validation images tell {both} apart; neither will be dropped"
            )
        needed = margin_images(closest.pair, told.num_val, told.rules)
        if needed is not None:
            within = f"that two are equal within {told.amount(told.rules.margin or 0.0)}"
            lines.append(
                f"{told.num_val:,} validation images cannot show {within}, whatever the number of seeds; "
                f"about {needed:,} could"
            )
    return lines


def verdict_lines(found: Look | None, told: Told, trained: int, *, out_of_time: bool) -> list[str]:
    """How a race ended, in a sentence; what stood in its way; and what it has saved.

    Args:
        found: its last look; None if there was none.
        told: the race.
        trained: how many runs it took.
        out_of_time: whether `race.max_seconds` ended it.
    """
    whole = len(told.names) * told.rules.looks[-1]
    count = f"{trained} of {whole} runs trained"
    if not out_of_time and found is not None and found.best is not None:
        count += f", {whole - trained} saved ({(whole - trained) / whole * 100:.0f} %)"
    return [_verdict(found, told, out_of_time), *_what_would_help(found, told), count]


def _verdict(found: Look | None, told: Told, out_of_time: bool) -> str:
    if found is None:
        return "undecided: the time was over before the first look (race.max_seconds)"
    if found.best is None:
        return "nobody is left: of each configuration fewer than two runs have finished"
    best, after = told.name(found.best), f"after {counted(found.seeds, 'seed')}"
    if found.verdict == "winner":
        return f"winner {after}: {best}; all others are out"
    left = shortened([best, *(told.name(one.setting) for one in found.contenders)], 20)
    if found.verdict == "equal":
        return f"equal within {told.amount(told.rules.margin or 0.0)} {after}: {left}"
    if out_of_time:
        why = "the time is over, or would be before the next look (race.max_seconds)"
    elif found.verdict == "hopeless":
        why = f"up to {told.rules.looks[-1]} seeds would hardly decide it (a chance under 5 %)"
    else:
        why = f"all {counted(found.seeds, 'seed')} are trained"
    return f"undecided {after} between {left}: {why}"


def _what_would_help(found: Look | None, told: Told) -> list[str]:
    if found is None or found.bottleneck is None or found.verdict in ("winner", "equal"):
        return []
    if found.bottleneck == "seeds":
        return [
            "more seeds would help: most of the uncertainty comes from them; how many: bakeoff compare --plan"
        ]
    lines = ["more images would help: most of the uncertainty comes from them, and not from the seeds"]
    if told.num_test:
        pairs = len(found.survivors) * (len(found.survivors) - 1) // 2
        lasting = nearest(found.contenders).pair.variance_lasting * told.num_val / told.num_test
        least = told.amount(best_possible(lasting, pairs))
        lines.append(f"on the {told.num_test:,} test images no number of seeds could show less than {least}")
    return lines
