"""The end of a report: how numbers were computed, the runs, the commands, what failed. No torch here."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparison.figures import MOST, TRAIN_SECONDS, number_at
from bakeoff.comparison.output.render import problem_lines, relative
from bakeoff.comparison.run import Problem, Run
from bakeoff.comparison.tables import Table
from bakeoff.report.lab.document import Block, Code, Grid, Heading, Items, Paragraph
from bakeoff.report.lab.recorded import NOT_RECORDED
from bakeoff.runs.stored_overrides import stored_overrides
from bakeoff.text import printable

_MOST_RUNS = 100
# Where a run was put and what it was called: not what it was.
_PLACES = ("output_dir", "hydra.run.dir", "hydra.sweep.dir")
_RUN_TITLES = (
    "configuration", "run directory", "seed", "test accuracy %", "validation accuracy %", "tested epoch",
    "epochs", "train_seconds",
)  # fmt: skip
_HOW = (
    "accuracy: the share of the test images that were predicted right. No prediction counts as wrong.",
    ("macro_f1: the mean over the classes of F1 (the harmonic mean of precision and recall), as "
    "scikit-learn computes it."),
    ("nll (test loss): the mean of -log of the probability that was given to the true class; probabilities "
    "below 0.000001 count as that. It is the same quantity for all models, unlike the training loss."),
    ("A score of a configuration is the mean over its seeds. Its 95 % interval covers both sources of "
    "noise: other seeds and other test images. With one seed it covers other test images only."),
    ("Differences are tested on the same test images, image by image, with both sources of noise; p is "
    "corrected for the number of pairs (Holm). Configurations that share a letter in the column group have "
    "no proven difference."),
    "recall of a class: the share of its test images that were predicted right.",
    ("train_seconds: time of the training steps alone, without validation, test and saving; ± is the "
    "standard deviation over the seeds."),
    ("parameters: numbers of a network that training sets (or keeps frozen). Operations: counted in a "
    "forward pass of one image; a multiplication and an addition are two."),
    ("Layers: the network was built again from the stored configuration, without its weights; the table is "
    "shown only if its number of parameters equals the one that the runs recorded."),
    ("docs/statistics.md of bakeoff has the formulas; bakeoff compare shows the same table, and with "
    "--format json every number without rounding."),
)  # fmt: skip


def appendix_section(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> list[Block]:
    """All that a reader needs to check the report."""
    blocks: list[Block] = [
        Heading(2, "Appendix A. How each number was computed"),
        Items(_HOW),
        Heading(2, "Appendix B. The runs"),
    ]
    listed = [(row.label, run) for table in tables for row in table.settings for run in row.members]
    some = listed[:_MOST_RUNS]
    left = f" (the first {_MOST_RUNS} of {len(listed)})" if len(listed) > _MOST_RUNS else ""
    blocks.append(
        Grid(
            _RUN_TITLES,
            [(label, *_run_cells(run, root)) for label, run in some],
            f"the runs of this report{left}",
            texts=2,
        )
    )  # fmt: skip
    blocks += [
        Heading(2, "Appendix C. Commands"),
        Paragraph(
            "Each line trains one run again; on the same kind of machine and with the same versions the "
            f"numbers should be close to the above{left}. bakeoff evaluate RUN computes the test scores of "
            "a run again from its saved weights."
        ),
        Code([_command(run) for _, run in some]),
        Heading(2, "Appendix D. Runs that are not in the tables"),
    ]
    lines = problem_lines(problems, root)
    blocks.append(Items(lines) if lines else Paragraph("None: every run that was found is in the tables."))
    return blocks


def _run_cells(run: Run, root: Path) -> tuple[str, ...]:
    def percent(path: str) -> str:
        value = number_at(run.summary, path, 1.0)
        return NOT_RECORDED if value is None else f"{value * 100:.2f}"

    def count(name: str) -> str:
        value = run.summary.get(name)
        return f"{value:,}" if type(value) is int else NOT_RECORDED

    seconds = number_at(run.summary, TRAIN_SECONDS, MOST)
    return (
        relative(run.path, root),
        str(run.summary["seed"]),
        percent("test.accuracy"),
        percent("val.accuracy"),
        count("best_epoch"),
        count("epochs_run"),
        NOT_RECORDED if seconds is None else f"{seconds:,.1f}",
    )


def _command(run: Run) -> str:
    """The command line of a run, less the places that it named and what is of sweeps only."""
    words = stored_overrides(run.path)
    if not words:
        return f"# {printable(run.path.name)}: its command line is {NOT_RECORDED}"
    kept = [
        word
        for word in words
        if (key := word.lstrip("+~").partition("=")[0]) not in _PLACES and not key.startswith("sweep.")
    ]
    return printable(shlex.join(["bakeoff", "train", *kept]))
