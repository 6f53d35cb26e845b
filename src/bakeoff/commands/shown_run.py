"""What `bakeoff show RUN` says. No torch here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.commands.next_steps import Steps
from bakeoff.commands.row_table import STYLES, took, when
from bakeoff.commands.run_contents import Shown
from bakeoff.comparison.figures import is_number
from bakeoff.comparison.group import shown
from bakeoff.comparison.run import Run
from bakeoff.experiment.epoch_table import epoch_line, headings
from bakeoff.terminal import columns_of, painted, wrapped
from bakeoff.text import cut, percent, printable

_MOST_EPOCHS = 10  # of a history; of a longer one the first, the best and the last
_AT_THE_ENDS = 3
_LONGEST_VALUE = 120
_LONGEST_STATE = 40
_SPLITS = {"test": "test", "val": "validation"}
NOT_YET = "not shown until its race or search has ended"


def lines_of(found: Shown, width: int | None, colour: bool) -> list[str]:
    """What is printed of a run, safe to print."""
    row = found.row
    state = row.state.state
    lines = [headline(row.path, state, colour)]
    seed = "unknown" if row.seed is None else row.seed
    about = [f"{row.model or 'unknown model'} on {row.data or 'unknown data'}, seed {seed}"]
    about += [f"began {when(row.began, short=False)}"] if row.began else []
    about += [f"took {took(row.seconds)}"] if row.seconds is not None else []
    lines += wrapped(printable("; ".join(about)), width, "  ")
    lines += wrapped(printable(str(row.path)), width, "  ")
    sections: dict[str, list[str] | None] = {
        "why it has no result": _why(found, width),
        "result": _result(found.run, width, sealed=found.is_sealed) if found.run else None,
        _config_title(found): _config(found, width),
        "history": _history(found, width) or None,
        "pictures": [f"  {printable(str(picture))}" for picture in found.pictures] or None,
        "last lines of run.log": [
            line for text in found.log for line in wrapped(printable(text), width, "    ", "  ")
        ]
        or None,
        "next": steps_told(found.steps) or None,
    }
    for name, content in sections.items():
        if content is not None:
            lines += [
                "",
                *(painted(line, "bold", colour) for line in wrapped(printable(name), width)),
                *content,
            ]
    return lines


def headline(path: Path, state: str, colour: bool) -> str:
    """The name and the state of a run or a sweep."""
    name, told = printable(path.name), printable(cut(state, _LONGEST_STATE))
    return f"{painted(name, 'bold', colour)}  {painted(told, STYLES.get(state, ''), colour)}"


def _why(found: Shown, width: int | None) -> list[str] | None:
    return wrapped(printable(found.reason), width, "  ") if found.reason else None


def _result(run: Run, width: int | None, *, sealed: bool) -> list[str]:
    told = [f"{'test':10}  {NOT_YET}"] if sealed else []
    for split, name in _SPLITS.items():
        if sealed and split == "test":
            continue
        scores = run.summary.get(split)
        if isinstance(scores, dict) and is_number(scores.get("accuracy"), 0, 1):
            told.append(f"{name:10}  {_scores(scores)}")
    best, epochs = run.summary.get("best_epoch"), run.summary.get("epochs_run")
    if type(best) is int and type(epochs) is int:
        told.append(f"{'weights':10}  of epoch {best} of {epochs}")
    return [line for text in told for line in wrapped(text, width, " " * 14, "  ")]


def _scores(scores: Mapping[str, Any]) -> str:
    parts = [f"accuracy {percent(scores['accuracy'])}"]
    if is_number(scores.get("macro_f1"), 0, 1):
        parts.append(f"macro-F1 {percent(scores['macro_f1'])}")
    if is_number(scores.get("nll"), 0, 1e6):
        parts.append(f"loss (NLL) {scores['nll']:.4f}")
    if type(scores.get("num_images")) is int:
        parts.append(f"{scores['num_images']:,} images")
    return ", ".join(parts)


def _config_title(found: Shown) -> str:
    if found.usual is None:
        return "overrides"
    against = f"bakeoff train {' '.join(found.usual)}"
    return f"config, where it differs from {against}" if found.config else f"config: that of {against}"


def _config(found: Shown, width: int | None) -> list[str]:
    if found.usual is None:
        return [
            line
            for word in found.overrides
            for line in wrapped(printable(cut(word, _LONGEST_VALUE)), width, "    ", "  ")
        ]
    if not found.config:  # the title says it
        return []
    rows = {
        printable(key): [
            printable(cut("-" if value is None else shown(value), _LONGEST_VALUE)) for value in pair
        ]
        for key, pair in found.config.items()
    }
    wide = max(map(columns_of, rows))
    lines = []
    for key, (value, usual) in rows.items():
        start = f"  {key}{' ' * (wide - columns_of(key))}  "
        lines += wrapped(f"{value}  (default {usual})", width, "      ", start)
    return lines


def _history(found: Shown, width: int | None) -> list[str]:
    epochs = found.epochs
    if not epochs:
        return []
    inner = None if width is None else width - 2
    best = _best_epoch(found)
    shown_ones = epochs
    if len(epochs) > _MOST_EPOCHS:
        ends = [*epochs[:_AT_THE_ENDS], *epochs[-_AT_THE_ENDS:]]
        shown_ones = [record for record in epochs if record in ends or record.epoch == best]
    lines = headings(epochs[0], found.num_epochs, inner)
    before = None
    for record in shown_ones:
        if before is not None and record.epoch != before + 1 and len(shown_ones) < len(epochs):
            lines.append("...")
        lines.append(epoch_line(record, found.num_epochs, inner))
        before = record.epoch
    return [f"  {line}" for line in lines]


def _best_epoch(found: Shown) -> int | None:
    """The epoch of the chosen weights; of a run without a result the best by validation so far."""
    if found.run:
        best = found.run.summary.get("best_epoch")
        return best if type(best) is int else None
    rated = [(record.val.accuracy, -record.val.nll, record.epoch) for record in found.epochs if record.val]
    return max(rated)[2] if rated else None


def steps_told(steps: Steps) -> list[str]:
    """Commands to copy, each whole on one line."""
    wide = max(map(len, steps), default=0)
    return [printable(f"  {name:{wide}}  {command}") for name, command in steps.items()]


def as_json(found: Shown) -> dict[str, Any]:
    """The same for scripts, besides what a row of the list has."""
    scores: Sequence[str] = ("accuracy", "macro_f1", "nll")
    summary = found.run.summary if found.run else {}
    return {
        "reason": found.reason,
        "config": {key: list(pair) for key, pair in found.config.items()},
        "overrides": found.overrides,
        "scores": {
            split: {name: summary[split].get(name) for name in scores}
            for split in _SPLITS
            if not (found.is_sealed and split == "test") and isinstance(summary.get(split), dict)
        },
        "epochs_run": len(found.epochs),
        "pictures": [str(picture) for picture in found.pictures],
        "log": found.log,
        "next": found.steps,
    }
