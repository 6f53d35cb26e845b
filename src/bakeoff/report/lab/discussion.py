"""Discussion and conclusion: what follows from the statistics, what a person must add. No torch here."""

from collections import Counter
from collections.abc import Sequence

from bakeoff.comparison.output.captions import compared_with
from bakeoff.comparison.recipes import without_option
from bakeoff.comparison.tables import SettingRow, Table, best_first
from bakeoff.report.lab.document import Block, Heading, Items, Paragraph, ToDo
from bakeoff.text import counted

_CAUTION = "caution: "
_MOST_CONFUSIONS, _MOST_TIED = 3, 6


def discussion_section(tables: Sequence[Table]) -> list[Block]:
    """What the numbers say and do not say."""
    blocks: list[Block] = [Heading(2, "6. Discussion")]
    for number, table in enumerate(tables, 1):
        if len(tables) > 1:
            blocks.append(Heading(3, f"6.{number} {table.title}"))
        blocks += _of_table(table)
    blocks += [
        ToDo("compare these sentences with your hypothesis. Which part was right, which was not?"),
        ToDo(
            "look at the mistakes (plots/mistakes.png in a run's directory). What do the wrong images have "
            "in common, and which property of the model explains them?"
        ),
        ToDo(
            f"explain the {'differences' if _compares(tables) else 'result'} above by the "
            f"{'models' if _compares(tables) else 'model'}. Say which of your explanations these runs prove, "
            "and which not."
        ),
        ToDo(
            "look at the learning curves. Where one still rises at the end, more epochs may change the "
            "result: say for which models."
        ),
    ]
    return blocks


def _compares(tables: Sequence[Table]) -> bool:
    """Whether there is anything beside which a configuration stands."""
    return any(len(table.settings) > 1 for table in tables)


def conclusion_section(tables: Sequence[Table]) -> list[Block]:
    """For a person to write."""
    equal = " Where there is “no proven difference”, say so: it does not mean that the models are equal."
    return [
        Heading(2, "7. Conclusion"),
        ToDo(
            "answer the question of the objective in two or three sentences, with the numbers that support "
            f"the answer.{equal if _compares(tables) else ''}"
        ),
        ToDo("name one experiment that would answer what is still open."),
        Heading(2, "8. References"),
        ToDo(
            "list the papers, books and pages that you used, and the software: bakeoff, PyTorch, the data "
            "set."
        ),
    ]


def _of_table(table: Table) -> list[Block]:
    blocks: list[Block] = []
    if table.verdict:
        reference = next((row.label for row in table.settings if row.setting == table.reference), None)
        several = bool(compared_with(table)) and reference is not None
        head = "What the tests say" + (f", each configuration against {reference}:" if several else ":")
        blocks += [Paragraph(head), Items(table.verdict)]
    else:
        blocks.append(Paragraph("No statistics were computed, so no difference is proven."))
    if unseen := _unseen(table):
        blocks += [Paragraph("What these runs could not have shown:"), Items(unseen)]
    if confused := _confusions(table):
        blocks.append(Paragraph(confused))
    if costs := _costs(table):
        blocks.append(Paragraph(costs))
    cautions = [note.removeprefix(_CAUTION) for note in table.notes if note.startswith(_CAUTION)]
    others = [without_option(note) for note in table.notes if not note.startswith(_CAUTION)]
    if cautions:
        blocks += [Paragraph("Cautions:"), Items(cautions)]
    if others:
        blocks += [Paragraph("Notes:"), Items(others)]
    return blocks


def _unseen(table: Table) -> list[str]:
    """Differences that are too small for so few seeds and images."""
    names = {row.setting: row.label for row in table.settings}
    found = [
        (pair.smallest_detectable_difference * 100, f"{names[pair.a]} and {names[pair.b]}")
        for pair in table.pairs
        if pair.metric == "accuracy" and pair.smallest_detectable_difference is not None and not pair.differs
    ]
    if not found:
        return []
    least, most = min(found), max(found)
    reach = (
        f"about {least[0]:.2f} points"
        if len(found) == 1
        else f"about {least[0]:.2f} points ({least[1]}) to {most[0]:.2f} points ({most[1]})"
    )
    texts = [
        (
            f"A smaller difference than {reach} would probably have been missed between configurations "
            "without a proven difference: 80 of 100 such comparisons find one of that size."
        )
    ]
    if single := [row.label for row in table.settings if row.num_runs == 1]:
        texts.append(
            f"Of {counted(len(single), 'configuration')} one network was trained: nothing is known of other "
            "seeds."
        )
    return texts


def _confusions(table: Table) -> str:
    """What the best row takes for what most often, over all of its runs."""
    row = best_first(table.settings)[0]
    counts: Counter[tuple[int, int]] = Counter()
    for run in row.members:
        if run.outcomes is None:
            return ""
        wrong = run.outcomes.guesses != run.outcomes.labels
        counts.update(
            zip(run.outcomes.labels[wrong].tolist(), run.outcomes.guesses[wrong].tolist(), strict=True)
        )
    if not counts or not table.class_names:
        return ""
    names = table.class_names
    # By count, then by class, so that two reports of the same runs are the same.
    often = _most_often(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    said = "; ".join(
        f"{names[true]} as {names[guess] if guess >= 0 else 'nothing (no prediction)'} "
        f"({counted(count, 'time')})"
        for (true, guess), count in often
    )
    total, images = sum(counts.values()), table.num_images * row.num_runs
    over = f" over its {row.num_runs} runs" if row.num_runs > 1 else ""
    text = f"{row.label} predicted {total:,} of {images:,} test images wrongly{over}."
    return f"{text} Most often it took {said}." if often else f"{text} No confusion stands out by its number."


def _most_often(ranked: Sequence[tuple[tuple[int, int], int]]) -> Sequence[tuple[tuple[int, int], int]]:
    """The first few, and no one of those that are equally frequent without the others."""
    least = ranked[:_MOST_CONFUSIONS][-1][1]
    tied = [item for item in ranked if item[1] >= least]
    return tied if len(tied) <= _MOST_TIED else [item for item in ranked if item[1] > least]


def _costs(table: Table) -> str:
    """Which row is smallest and largest, and fastest and slowest where times may be compared."""
    parts = []
    if told := _range(table, "parameters", "has the fewest parameters", ",.0f"):
        parts.append(told)
    if not any("times not ranked" in note for note in table.notes) and (
        told := _range(table, "train_seconds", "trained fastest", ",.1f", " s")
    ):
        parts.append(f"{told}, on average over its seeds")
    return f"Cost: {'; '.join(parts)}." if parts else ""


def _range(table: Table, metric: str, what: str, form: str, unit: str = "") -> str:
    known: list[tuple[float, SettingRow]] = [
        (value, row) for row in table.settings if (value := row.mean(metric)) is not None
    ]
    if len({value for value, _ in known}) < 2:
        return ""
    (least, small), (most, large) = min(known, key=lambda item: item[0]), max(known, key=lambda item: item[0])
    return (
        f"{small.label} {what} ({least:{form}}{unit}), {large.label} the most ({most:{form}}{unit})".replace(
            "the most" if metric == "train_seconds" else "\0", "slowest"
        )
    )
