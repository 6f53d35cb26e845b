"""What a person reads of a search: its studies, each trial, and what was found. No torch here."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.comparison.figures import EPOCH_FIGURES, NAMED_FIGURES, Figure
from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.search_space import word
from bakeoff.config.studies import StudyPlan
from bakeoff.runs.states import FAILED, FINISHED, PRUNED, RunState
from bakeoff.sweeps.search.best import command, experiments
from bakeoff.sweeps.search.metrics import METRICS
from bakeoff.sweeps.search.trial import OVER, Trial
from bakeoff.text import counted, one_line, percent, printable

GOOD, BAD, QUIET = "bold green", "bold red", "dim"  # styles
_DIGITS = 2  # of a number in a line of a trial; tune.json has all of them
_TITLES = {
    "val.accuracy": "validation accuracy", "val.macro_f1": "validation macro-F1",
    "val.nll": "validation loss (NLL)",
}  # fmt: skip


def heading_lines(
    folder: Path, plans: Sequence[StudyPlan], options: TuneConfig, pruner: str, at_once: int
) -> list[str]:
    """Before the first trial: a line of the search, and one of each study's space."""
    several = f"{counted(len(plans), 'study').replace('studys', 'studies')} of " if len(plans) > 1 else ""
    each = " each" if len(plans) > 1 else ""
    names = [options.metric] if isinstance(options.metric, str) else options.metric
    told = [
        f"search {folder}: {several}{counted(options.trials, 'trial')}{each}",
        f"sampler {options.sampler}",
        "no pruning" if pruner == "none" else f"pruner {pruner}",
        f"by {' and '.join(map(title, names))}",
        *([f"{at_once} runs at once"] if at_once > 1 else []),
    ]
    spaces = ["; ".join(f"{key} {one}" for key, one in plan.space.told().items()) for plan in plans]
    return [", ".join(told), *(f"{plan.name}: {space}" for plan, space in zip(plans, spaces, strict=True))]


def title(metric: str) -> str:
    """A metric in words."""
    return _TITLES.get(metric, metric)


def scored(metric: str, value: float) -> str:
    """A value of a metric with its unit."""
    figure: Figure | None = EPOCH_FIGURES.get(metric) or NAMED_FIGURES.get(metric)
    if figure is None:
        return f"{value:,.6g}"
    if figure.is_share:
        return percent(value)
    unit = figure.title.rpartition("(")[2].rstrip(")") if "(" in figure.title and figure.is_time else ""
    return f"{value * figure.factor:,.{figure.decimals}f}{f' {unit}' if unit else ''}"


def scores(metrics: Sequence[str], values: Sequence[float]) -> str:
    """The values of all metrics; of one alone without its name."""
    if len(metrics) == 1:
        return scored(metrics[0], values[0])
    return ", ".join(f"{name} {scored(name, value)}" for name, value in zip(metrics, values, strict=True))


def shown(params: Mapping[str, Any]) -> str:
    """The values of a trial in few columns: the last part of each key, numbers rounded."""
    lasts = [key.rpartition(".")[2] for key in params]
    names = [last if lasts.count(last) == 1 else key for key, last in zip(params, lasts, strict=True)]
    return " ".join(f"{name}={_rounded(value)}" for name, value in zip(names, params.values(), strict=True))


def _rounded(value: Any) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else printable(word(value))


def called(trial: Trial, *, several: bool) -> str:
    """What tells a trial from the others; of several studies with its study."""
    return f"{printable(trial.study)} trial {trial.number}" if several else f"trial {trial.number}"


def trial_line(
    trial: Trial,
    trials: Sequence[Trial],
    budget: int,
    metrics: Sequence[str],
    state: RunState,
    *,
    several: bool = False,
) -> tuple[str, str]:
    """How a trial has ended, and a style for it.

    Args:
        trial: it.
        trials: all that are known, of all studies.
        budget: how many there will be.
        metrics: of the search.
        state: what its run says, with the reason.
        several: whether the search has several studies.
    """
    done = sum(one.state in OVER for one in trials)
    own = [one for one in trials if one.study == trial.study]
    name = called(trial, several=several)
    style = ""
    if trial.values is not None:
        says = scores(metrics, trial.values)
        if len(metrics) == 1 and _is_best(trial, own, metrics[0]):
            says, style = f"{says}, the best so far", GOOD
    elif trial.state == PRUNED:
        why = one_line(state.reason, most=None) if state.reason else ""
        says, style = printable(why) or f"stopped early after {counted(trial.epochs, 'epoch')}", QUIET
    else:
        reason = printable(one_line(state.reason, most=None)) if state.reason else ""
        says, style = f"{state.state}: {reason}" if reason else state.state, BAD
    if trial.same_as is not None:
        says += f" (the values of trial {trial.same_as})"
    return f"[{done}/{budget}] {name}: {says}; {shown(trial.params)}", style


def _is_best(trial: Trial, trials: Sequence[Trial], metric: str) -> bool:
    """Whether no other trial that has finished is as good."""
    assert trial.values is not None
    others = [one.values[0] for one in trials if one.values is not None and one.number != trial.number]
    sign = 1 if METRICS[metric].is_larger_better else -1
    return all(sign * trial.values[0] > sign * value for value in others)


def end_lines(
    trials: Sequence[Trial], plans: Sequence[StudyPlan], metrics: Sequence[str]
) -> list[tuple[str, str]]:
    """After the last trial: of each study a line of its trials, and one of the best; with their styles."""
    lines: list[tuple[str, str]] = []
    for plan in plans:
        own = [trial for trial in trials if trial.study == plan.name]
        states = [trial.state for trial in own]
        told = f"{plan.name}: {counted(len(own), 'trial')}, {states.count(FINISHED)} finished"
        told += f", {states.count(PRUNED)} stopped early" if PRUNED in states else ""
        told += f", {states.count(FAILED)} failed" if FAILED in states else ""
        lines.append((f"{told}{_saved(own)}", "bold"))
        done = [trial for trial in own if trial.values is not None]
        if not done:
            lines.append(("  no trial has finished; bakeoff show says why", BAD))
            continue
        sign = 1 if METRICS[metrics[0]].is_larger_better else -1
        best = max(done, key=lambda trial: (sign * (trial.values or (0.0,))[0], -trial.number))
        assert best.values is not None
        by = f" by {metrics[0]}" if len(metrics) > 1 else ""
        lines.append(
            (f"  best{by}: trial {best.number}, {scores(metrics, best.values)}; {shown(best.params)}", "")
        )
    return lines


def _saved(trials: Sequence[Trial]) -> str:
    """How many epochs were not trained because trials were stopped early."""
    own = [trial for trial in trials if trial.same_as is None]
    whole = max((trial.epochs for trial in own if trial.state == FINISHED), default=0)
    saved = sum(max(0, whole - trial.epochs) for trial in own if trial.state == PRUNED)
    total = saved + sum(trial.epochs for trial in own)
    return f"; that saved {saved:,} of {total:,} epochs ({100 * saved / total:.0f} %)" if saved else ""


def confirmed_lines(
    rows: Sequence[Mapping[str, Any]], trials: Sequence[Trial], metric: str
) -> list[tuple[str, str]]:
    """What new seeds say of the best configurations: how much of their score was luck; with styles."""
    lines: list[tuple[str, str]] = []
    for study in dict.fromkeys(row["study"] for row in rows):
        own = [row for row in rows if row["study"] == study]
        lines.append((f"{study}: its best configurations with new seeds ({title(metric)})", "bold"))
        known = [row for row in own if row["mean"] is not None]
        sign = 1 if METRICS[metric].is_larger_better else -1
        best = max(known, key=lambda row: (sign * row["mean"], -row["rank"]), default=None)
        for row in own:
            style = GOOD if row is best else ""
            lines.append((f"  trial {row['number']}: {_confirmation(row, metric)}", style))
        if own[0] in known:
            lines.append((_luck(own[0], sum(one.study == study for one in trials), metric), ""))
    return lines


def result_line(best: Trial, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> str:
    """The scores of the best trial of a study."""
    assert best.values is not None
    for row in rows:
        if (row["study"], row["number"]) == (best.study, best.number) and row["mean"] is not None:
            return f"{title(metrics[0])}: {_confirmation(row, metrics[0])}"
    names = " and ".join(map(title, metrics))
    return f"{names} in the search: {scores(metrics, best.values)}, a chosen score"


def best_lines(folder: Path) -> list[str]:
    """The files of the best configurations of a search that has ended, and what trains them."""
    found = experiments(folder)
    return [
        line
        for path in found
        for line in (f"best           {path}", f"train it       {shlex.join(command(path))}")
    ]


def _confirmation(row: Mapping[str, Any], metric: str) -> str:
    search = f"search {scored(metric, row['search'])}"
    if row["mean"] is None:
        return f"{search}, none of its new runs has finished"
    interval = ""
    if row["low"] is not None:
        interval = f" [{_bare(metric, row['low'])}, {_bare(metric, row['high'])}]"
    return f"{search}, {counted(len(row['runs']), 'new seed')} {scored(metric, row['mean'])}{interval}"


def _bare(metric: str, value: float) -> str:
    return scored(metric, value).removesuffix(" %")


def _luck(row: Mapping[str, Any], trials: int, metric: str) -> str:
    """How much the search's best score was too good."""
    difference = row["search"] - row["mean"]
    larger_better = METRICS[metric].is_larger_better
    figure = EPOCH_FIGURES.get(metric)
    is_share = figure is not None and figure.is_share
    size = f"{abs(difference) * 100:.2f} points" if is_share else scored(metric, abs(difference))
    if (difference > 0) is not larger_better or difference == 0:
        return f"  the best of {counted(trials, 'trial')} has kept its score with new seeds"
    low, high = row["low"], row["high"]
    if low is None or high is None or low <= row["search"] <= high:
        return (
            f"  the best of {counted(trials, 'trial')} did {size} worse with new seeds; too few seeds to say "
            "how much of that was luck"
        )
    return f"  the best of {counted(trials, 'trial')} was lucky: its score in the search was {size} too good"
