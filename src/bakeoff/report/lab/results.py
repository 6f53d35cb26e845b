"""The section on the results: the table of `compare`, pairs, classes and figures. No torch here."""

from collections.abc import Sequence

import numpy as np

from bakeoff.comparison.output.captions import captions
from bakeoff.comparison.output.columns import make_grid
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table, best_first
from bakeoff.comparison.view import View
from bakeoff.evaluation.metrics import confusion, precision_recall_f1
from bakeoff.report.lab import charts
from bakeoff.report.lab.document import Block, Grid, Heading, Paragraph, Picture
from bakeoff.report.lab.recorded import NOT_RECORDED
from bakeoff.text import p_text

_MOST_CLASSES, _MOST_COLUMNS, _MOST_PAIRS = 30, 8, 45
_PAGE_PIXELS = 760


def results_section(tables: Sequence[Table]) -> list[Block]:
    """For each test set."""
    blocks: list[Block] = [Heading(2, "5. Results")]
    for number, table in enumerate(tables, 1):
        if len(tables) > 1:
            blocks.append(Heading(3, f"5.{number} {table.title}"))
        blocks += [_scores(table), *_accuracies(table, number), *_pairs(table)]
        blocks += [*_recalls(table), *_curves(table, number), *_confusion(table, number)]
    return blocks


def middle_run(row: SettingRow) -> Run:
    """The run of a row whose accuracy lies in the middle; of two in the middle the lower one."""
    in_order = sorted(row.members, key=lambda run: (run.summary["test"]["accuracy"], run.summary["seed"]))
    return in_order[(len(in_order) - 1) // 2]


def class_recalls(row: SettingRow, num_classes: int) -> np.ndarray | None:
    """Mean over the runs of each class's recall, float64 [classes]; None without all predictions."""
    outcomes = [run.outcomes for run in row.members]
    found = [
        precision_recall_f1(confusion(one.labels, one.guesses, one.num_classes))[1]
        for one in outcomes
        if one is not None and one.num_classes == num_classes
    ]
    return np.mean(found, axis=0) if len(found) == len(outcomes) else None


def _scores(table: Table) -> Grid:
    """The table of `bakeoff compare`, as it is."""
    grid = make_grid(table, View())
    texts = next(place for place, column in enumerate(grid.columns) if column.name == "configuration") + 1
    keys = [f"{name}: {' '.join(own)}" for name, own in zip(grid.names, grid.keys, strict=True) if own]
    told = f"; {'; '.join(keys)}" if keys else ""
    return Grid(grid.titles, grid.rows, f"{'; '.join(captions(table, grid.columns))}{told}", texts=texts)


def _accuracies(table: Table, number: int) -> list[Block]:
    png = charts.accuracies(table)
    if png is None:
        return []
    caption = (
        "test accuracy. Filled: the mean; line: its 95 % interval (luck of seeds and of test images; with "
        "one seed, of test images only); open: each run"
    )
    if len(table.settings) > charts.MOST_ROWS:
        caption += f"; the first {charts.MOST_ROWS} of {len(table.settings)} rows"
    said = ", ".join(f"{row.label} {(row.mean('accuracy') or 0) * 100:.2f} %" for row in table.settings[:10])
    return [Picture(f"accuracy-{number}", png, f"{caption}.", f"Mean test accuracies: {said}", _PAGE_PIXELS)]


def _pairs(table: Table) -> list[Block]:
    pairs = [pair for pair in table.pairs if pair.metric == "accuracy"]
    if not pairs:
        return []
    names = {row.setting: row.label for row in table.settings}
    rows = [
        (
            names[pair.a],
            names[pair.b],
            f"{pair.result.difference * 100:+.2f}",
            f"{pair.result.low * 100:+.2f} to {pair.result.high * 100:+.2f}",
            p_text(pair.p_adjusted).removeprefix("p ").removeprefix("= "),
            "yes" if pair.differs else "no",
        )
        for pair in pairs[:_MOST_PAIRS]
    ]
    left = f"; the first {_MOST_PAIRS} of {len(pairs)} pairs" if len(pairs) > _MOST_PAIRS else ""
    return [
        Grid(
            ("A", "B", "A minus B (points)", "95 % interval (points)", "p (Holm)", "proven"),
            rows,
            "differences of test accuracy in points (1 point: 1 % of the test images). p is corrected for "
            f"all pairs of this table (Holm); proven: p below 0.05; the intervals are not corrected{left}",
            texts=2,
        )
    ]


def _recalls(table: Table) -> list[Block]:
    names = table.class_names
    rows = table.settings[:_MOST_COLUMNS]
    found = [class_recalls(row, len(names)) for row in rows]
    if not names or all(one is None for one in found):
        return []
    labels = next(run.outcomes.labels for row in rows for run in row.members if run.outcomes)
    support = np.bincount(labels, minlength=len(names))
    order = list(range(len(names)))
    first = next(one for one in found if one is not None)
    caption = "recall of each class (% of its test images that were predicted right), mean over the seeds"
    if len(names) > _MOST_CLASSES:
        order = np.argsort(first, kind="stable")[:_MOST_CLASSES].tolist()
        caption += (
            f"; the {_MOST_CLASSES} of {len(names)} classes with the lowest recall of the first configuration"
        )
    if len(table.settings) > len(rows):
        caption += f"; the first {len(rows)} of {len(table.settings)} configurations"
    cells = [
        (
            names[place],
            f"{support[place]:,}",
            *(
                NOT_RECORDED if one is None else f"{one[place] * 100:.2f}" if support[place] else "-"
                for one in found
            ),
        )
        for place in order
    ]
    return [Grid(("class", "test images", *(row.label for row in rows)), cells, caption)]


def _curves(table: Table, number: int) -> list[Block]:
    png = charts.curves(table)
    if png is None:
        return [Paragraph("No learning curves: no validation scores are recorded.")]
    caption = (
        "learning curves on the validation images. Line: mean over the seeds; band: lowest to highest seed"
    )
    if len(table.settings) > charts.MOST_CURVES:
        caption += f"; the first {charts.MOST_CURVES} of {len(table.settings)} rows"
    described = "Validation accuracy and validation loss by epoch, a line for each configuration"
    return [Picture(f"curves-{number}", png, f"{caption}.", described, _PAGE_PIXELS)]


def _confusion(table: Table, number: int) -> list[Block]:
    row = best_first(table.settings)[0]
    run = middle_run(row)
    png = charts.confusions(run, table.class_names, f"{row.label}, seed {run.summary['seed']}")
    if png is None:
        return []
    which = f"seed {run.summary['seed']}"
    if row.num_runs > 1:
        which += f", the run in the middle of its {row.num_runs} by accuracy"
    best = "the configuration with the highest mean accuracy, " if len(table.settings) > 1 else ""
    caption = f"confusion matrix of {best}{row.label} ({which}): true class by row, predicted class by column"
    described = f"Confusion matrix of {row.label}: counts of test images by true and predicted class"
    width = min(_PAGE_PIXELS, 300 + 24 * len(table.class_names))
    return [Picture(f"confusion-{number}", png, f"{caption}.", described, width)]
