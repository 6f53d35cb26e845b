"""What a reader must know before believing a table. No torch here."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.comparison.comparability import HASHES, facts, mixed_facts, other_code, why_times_differ
from bakeoff.comparison.figures import TRAIN_SECONDS, value_at
from bakeoff.comparison.guessing import guessing_note
from bakeoff.comparison.run import Run
from bakeoff.comparison.statistics.few_images import FEW_IMAGES
from bakeoff.comparison.statistics.pairs import MIN_CLASS_IMAGES
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.config.canonical import MAY_CHANGE
from bakeoff.text import shortened

_USED = 0.9  # of a budget: less is worth a word
_IN_WORDS = {"precision": "number format (precision)"}  # a class has another precision
_NONE_IN_WORDS = {"first weights": "from scratch", "time for training": "no limit"}


def listed(names: Sequence[str], most: int = 10) -> str:
    """Classes by their names."""
    return f"{'class' if len(names) == 1 else 'classes'} {shortened(names, most)}"


def notes(table: Table) -> list[str]:
    """Lines for below a table."""
    rows = table.settings
    mixed = {row.label: mixed_facts(row.members) for row in rows}
    lines = _together(
        {name: [f"its runs differ in {', '.join(told)}"] for name, told in mixed.items() if told}
    )
    of_code = {row.label: [told] for row in rows if (told := other_code(row.members))}
    of_times = {row.label: [told] for row in rows if (told := _of_times(row.members))}
    lines += [f"caution: {line}" for line in _together(of_code) + _together(of_times)]
    lines += _continued(rows)
    lines += _not_alike(rows)
    lines += _of_budgets(rows)
    if len(rows) > 1 and (reason := why_times_differ([run for row in rows for run in row.members])):
        lines.append(f"times not ranked: {reason}")
    elif len(at_once := {run.jobs_at_once for row in rows for run in row.members}) == 1 and max(at_once) > 1:
        lines.append(f"times are of {max(at_once)} runs at once; compare them only with such times")
    single = [row.label for row in rows if row.num_runs == 1]
    if single and len(rows) > 1:
        lines.append(f"only one run each, too few to judge an architecture: {shortened(single)}")
    if not table.is_tested and any(row.has_predictions for row in rows):
        lines.append("the scores are as the runs claim them: without statistics no predictions are read")
    if table.num_images < FEW_IMAGES:
        lines.append(f"few test images: {table.num_images}")
    return lines + _of_outcomes(table)


def _together(of_rows: Mapping[str, Sequence[str]]) -> list[str]:
    """What holds of several rows is said once."""
    names: dict[str, list[str]] = {}
    for name, texts in of_rows.items():
        for text in texts:
            names.setdefault(text, []).append(name)
    return [f"{shortened(of_text)}: {text}" for text, of_text in names.items()]


def _of_times(runs: Sequence[Run]) -> str | None:
    """That the runs of one setting had other parts of the machine; None if not."""
    at_once = sorted({run.jobs_at_once for run in runs})
    if len(at_once) < 2:
        return None
    return f"its times are of {' and '.join(map(str, at_once))} runs at once, and their mean is of neither"


def _continued(rows: Sequence[SettingRow]) -> list[str]:
    """Rows whose runs began with another config than the one that they are shown with."""
    names: dict[str, list[str]] = {}
    for row in rows:
        origins = [
            origin for run in row.members if isinstance(origin := run.summary.get("resumed_from"), dict)
        ]
        changed = [origin["changed"] for origin in origins if isinstance(origin.get("changed"), dict)]
        keys = {key for one in changed for key in one} & {*MAY_CHANGE}
        if origins:
            names.setdefault(" and ".join(sorted(keys)) or "configuration", []).append(row.label)
    return [
        f"caution: {shortened(labels)}: began with another {which} and was resumed with this one"
        for which, labels in names.items()
    ]


def _not_alike(rows: Sequence[SettingRow]) -> list[str]:
    """What tells the settings apart besides their config's own keys, with who has what."""
    by_row = {row.label: facts(row.members) for row in rows}
    lines = []
    for fact in next(iter(by_row.values()), {}):
        groups: dict[str, list[str]] = {}
        for name, own in by_row.items():
            groups.setdefault(", ".join(own[fact]), []).append(name)
        if len(groups) > 1:
            hidden = fact in HASHES  # a hash says nothing to a person
            said = _NONE_IN_WORDS.get(fact, "none")
            told = [
                ("" if hidden else f"{said if value == 'none' else value} in ") + shortened(names, 3)
                for value, names in groups.items()
            ]
            lines.append(f"caution: the rows also differ in {_IN_WORDS.get(fact, fact)}: {'; '.join(told)}")
    return lines


def _of_budgets(rows: Sequence[SettingRow]) -> list[str]:
    """What runs of equal time say and do not say, and whose time was not used."""
    lines = []
    budgets = {run.max_seconds for row in rows for run in row.members}
    if len(rows) > 1 and len(budgets) == 1 and None not in budgets:
        lines.append(
            f"equal time: each run had {budgets.pop():g} s for training (a step that has begun is finished), "
            "so compare scores; train_seconds and the number of epochs say nothing about a model"
        )
        if reason := why_times_differ([run for row in rows for run in row.members]):
            lines.append(f"caution: an equal time is not a fair one here: {reason}")
    return lines + _together({row.label: _of_plan(row) for row in rows})


def _of_plan(row: SettingRow) -> list[str]:
    """That much of a budget was not used, or that the learning rate was not done with its schedule."""
    lines = []
    for run in row.members:
        trained = value_at(run.summary, TRAIN_SECONDS)
        done, planned = run.steps
        if run.max_seconds is None or not isinstance(trained, int | float):
            continue
        if planned is not None and done < _USED * planned:
            lines.append(
                f"only {done:,} of {planned:,} planned steps were done, as the steps became slower or it "
                "stopped early: its learning rate had not fallen to the end"
            )
        elif done and planned is None and trained >= run.max_seconds:
            lines.append(
                "the time was over before the number of steps was planned, so its learning rate followed "
                "trainer.epochs"
            )
        elif trained < _USED * run.max_seconds:
            used = f"trained for only {trained:.3g} of {run.max_seconds:g} s"
            if done == planned and run.summary.get("epochs_run") != value_at(run.config, "trainer.epochs"):
                lines.append(f"{used}: its steps became faster than when their number was planned")
            else:
                lines.append(
                    f"{used}: trainer.epochs or early stopping ended it; with more epochs it would use "
                    "its time"
                )
    return lines[:1]  # one run is an example enough


def _of_outcomes(table: Table) -> list[str]:
    said = {
        row.setting: Counter(run.outcomes.digest() for run in row.members if run.outcomes)
        for row in table.settings
    }
    lines = _together(
        {row.label: _of_row(row, said[row.setting], table.class_names) for row in table.settings}
    )
    lines += _copies(table.settings, said)
    labels = next(
        (run.outcomes.labels for row in table.settings for run in row.members if run.outcomes), None
    )
    if labels is None or not table.class_names:
        return lines
    counts = np.bincount(labels, minlength=len(table.class_names)).tolist()
    by_class = list(zip(table.class_names, counts, strict=False))
    if absent := [name for name, count in by_class if count == 0]:
        lines.append(f"no test image of {listed(absent)}")
    if few := [name for name, count in by_class if 0 < count < MIN_CLASS_IMAGES]:
        lines.append(f"under {MIN_CLASS_IMAGES} test images, so recall is not tested: {listed(few)}")
    return lines


def _copies(rows: Sequence[SettingRow], said: Mapping[str, Counter[bytes]]) -> list[str]:
    """Settings whose runs said the same of every image, which no two trained networks do."""
    holders: dict[bytes, list[SettingRow]] = {}
    for row in rows:
        for digest in said[row.setting]:
            holders.setdefault(digest, []).append(row)
    groups = {tuple(row.setting for row in group): group for group in holders.values() if len(group) > 1}
    lines = []
    for group in groups.values():
        names = shortened([row.label for row in group])
        alike = all(said[row.setting] == said[group[0].setting] for row in group)
        which = "the same predictions" if alike else "the same predictions in some of their runs"
        lines.append(f"{names}: {which}: a copy, or a key without effect")
    return lines


def _of_row(row: SettingRow, distinct: Counter[bytes], class_names: Sequence[str]) -> list[str]:
    lines = []
    known = [run.outcomes for run in row.members if run.outcomes]
    if len(known) < row.num_runs:
        missing = row.num_runs - len(known)
        lines.append(f"not tested, {missing} of its {row.num_runs} runs have no predictions")
    if len(known) > 1 and len(distinct) == 1:
        lines.append("the seed changes nothing, all runs gave the same predictions")
    elif len(distinct) < len(known):
        lines.append("some runs of different seeds gave the same predictions")
    unanswered = float(np.mean([(one.guesses < 0).mean() for one in known])) if known else 0.0
    if unanswered:
        lines.append(f"no prediction for {unanswered * 100:.2f} % of the images, counted wrong")
    return lines + guessing_note(row, class_names)
