"""`bakeoff diff RUN RUN`: how two runs differ, to the images that only one has right. No torch here."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.arguments import Parser, add_colour
from bakeoff.comparison.differences import Sides, changed_config, changed_environment, changed_sources, sides
from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.figures import RUN_FIGURES, Figure
from bakeoff.comparison.group import class_names, shown
from bakeoff.comparison.read import Problem, Run, read_run
from bakeoff.errors import OK
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import without_nan
from bakeoff.runs.studies import is_sealed
from bakeoff.terminal import columns_of, filled, line_width, padded, painted, wants_colour, wrapped
from bakeoff.text import p_text, printable

USAGE = "diff RUN RUN"
SUMMARY = "show how two runs differ"
_MISSING = "-"
_SEALED = "a race or search of theirs has not ended, so their test scores are not shown"
_IN_WORDS = {"load_of_others": "load_of_others (cores in use by other programs)"}
_TITLE = 14  # columns of a section's title


def diff(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no such run.
        UnreadableFileError: a run that is not finished, or cannot be believed.
    """
    options = parser().parse_args(words)
    a = _read(options.a)
    b = a if options.b == options.a else _read(options.b)  # what is told of `latest` is told once
    if options.json:
        print(json.dumps(without_nan(_as_json(a, b)), indent=1, allow_nan=False))
    else:
        colour = wants_colour(sys.stdout, options.color)
        for line in _lines(a, b, options.images, line_width(sys.stdout)):
            title, space, rest = line.partition(" ")
            print(f"{painted(title, 'bold', colour)}{space}{rest}".rstrip())
    return OK


def _read(name: str) -> Run:
    path = find_run(name, outputs_root())
    run = read_run(path)
    if isinstance(run, Problem):
        raise UnreadableFileError(f"run {name}: {path}: {run.reason}")
    return run


def _lines(a: Run, b: Run, most_images: int, width: int | None) -> list[str]:
    """What is printed, safe to print; a title stands at the beginning of its line."""
    lines = [*wrapped(_title(a), width, "   ", "a  "), *wrapped(_title(b), width, "   ", "b  ")]
    config, environment = changed_config(a, b), changed_environment(a, b)
    lines += ["", *_table("config", {key: _texts(pair) for key, pair in config.items()}, width)]
    facts = {_IN_WORDS.get(key, key): _rounded(pair) for key, pair in environment.items()}
    lines += ["", *_table("environment", facts, width)]
    lines += ["", *wrapped(f"{'code':{_TITLE}} {_code(a, b)}", width, " " * (_TITLE + 1), "")]
    lines += ["", *_table("metrics", _metrics(a, b), width, ("a", "b", "a - b")), ""]
    return lines + _image_lines(a, b, most_images, width)


def _code(a: Run, b: Run) -> str:
    hashes = [run.text("fingerprint", "code") for run in (a, b)]
    if hashes[0] == hashes[1]:
        return "the same"
    sources = changed_sources(a, b)
    if sources is None:
        return " against ".join(text[:8] for text in hashes)
    # Runs of two families execute two families' files.
    return f"differs in {', '.join(sources)}" if sources else "equal in all source files that both runs use"


def _title(run: Run) -> str:
    summary = run.summary
    return printable(f"{run.path}  ({summary['model']} on {run.data_title}, seed {summary['seed']})")


def _texts(pair: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_MISSING if value is None else shown(value) for value in pair)


def _rounded(pair: Sequence[Any]) -> tuple[str, ...]:
    """Facts of a machine: of a measured number nobody wants ten digits."""
    return _texts([f"{value:.3g}" if isinstance(value, float) else value for value in pair])


def _table(
    title: str,
    rows: Mapping[str, tuple[str, ...]],
    width: int | None,
    titles: tuple[str, ...] = ("a", "b"),
) -> list[str]:
    """A row for each key; where a line does not hold that, the values stand below the key."""
    if not rows:
        return [f"{title:{_TITLE}} the same"]
    cells = [(title, *titles), *((f"  {key}", *values) for key, values in rows.items())]
    cells = [tuple(map(printable, row)) for row in cells]
    widths = [max(columns_of(row[place]) for row in cells) for place in range(len(titles) + 1)]
    if width is None or sum(widths) + 2 * len(titles) <= width:
        return [
            "  ".join(
                padded(cell, wide, right=False) for cell, wide in zip(row, widths, strict=True)
            ).rstrip()
            for row in cells
        ]
    lines = [title]
    for key, *values in cells[1:]:
        lines.append(key)
        for name, value in zip(titles, values, strict=True):
            lines += wrapped(value, width, " " * 11, f"    {name:5}  ")
    return lines


def _metrics(a: Run, b: Run) -> dict[str, tuple[str, ...]]:
    ours, theirs = (estimates([run]) for run in (a, b))
    rows: dict[str, tuple[str, ...]] = {}
    for name, figure in _figures(a, b).items():
        one, other = ours[name], theirs[name]
        if one and other:
            values = (_number(estimate.mean, figure) for estimate in (one, other))
            rows[figure.title] = (*values, _difference(one.mean, other.mean, figure))
    return rows


def _figures(a: Run, b: Run) -> dict[str, Figure]:
    """Those that are shown: none of test images while the race or the search of one goes on."""
    return {name: figure for name, figure in RUN_FIGURES.items() if figure.is_cost or not _are_sealed(a, b)}


def _are_sealed(a: Run, b: Run) -> bool:
    return is_sealed(a.path) or is_sealed(b.path)


def _sides(a: Run, b: Run) -> Sides | str:
    return _SEALED if _are_sealed(a, b) else sides(a, b)


def _number(value: float, figure: Figure) -> str:
    return f"{value * figure.factor:,.{figure.decimals}f}"


def _difference(a: float, b: float, figure: Figure) -> str:
    """Signed, of the numbers as they are shown; where these are equal, its size."""
    if a == b:
        return "0"
    one, other = (round(value * figure.factor, figure.decimals) for value in (a, b))
    text = f"{one - other:+,.{figure.decimals}f}"
    return text if text.strip("+-0.") else f"{(a - b) * figure.factor:+.1e}"


def _image_lines(a: Run, b: Run, most_images: int, width: int | None) -> list[str]:
    images = _sides(a, b)
    if isinstance(images, str):
        return wrapped(f"{'images':{_TITLE}} not compared: {images}", width, " " * (_TITLE + 1), "")
    assert a.outcomes
    assert b.outcomes
    counts = (
        f"{images.both_right:,} right in both, {images.both_wrong:,} wrong in both, "
        f"{len(images.only_a):,} right in a only, {len(images.only_b):,} right in b only"
    )
    low, high = images.low * 100, images.high * 100
    tested = (
        f"a - b = {images.difference * 100:.2f} points (95 % interval: {low:.2f} to {high:.2f}; "
        f"1 point: 1 % of the test images); McNemar's test: {p_text(images.mcnemar_mid_p)}"
    )
    whole = f"{'images':{_TITLE}} {images.num_images:,} test images: {counts}"
    lines = wrapped(whole, width, " " * (_TITLE + 1), "")
    lines += wrapped(f"accuracy of these two networks: {tested}", width, "    ", "  ")
    names = _class_names(a, a.outcomes.num_classes)
    for title, places in (("right in a only", images.only_a), ("right in b only", images.only_b)):
        told = [
            f"{place} ({names[a.outcomes.labels[place]]}: {names[a.outcomes.guesses[place]]} | "
            f"{names[b.outcomes.guesses[place]]})"
            for place in places[:most_images]
        ]
        more = [f"and {len(places) - most_images:,} more"] if len(places) > most_images else []
        if told:
            *others, last = map(printable, told + more)
            start = (f"{title},", "position (true class: predicted by a | by b):")
            parts = [*start, *(f"{text}," for text in others), last]
            lines += filled(parts, width, "    ", "  ")
    return lines


def _class_names(run: Run, num_classes: int) -> list[str]:
    """By number; the last one, reached by -1, is for no answer."""
    return [*(class_names(run) or map(str, range(num_classes))), "no prediction"]


def _as_json(a: Run, b: Run) -> dict[str, Any]:
    images = _sides(a, b)
    hashes = [run.text("fingerprint", "code") for run in (a, b)]
    ours, theirs = (estimates([run]) for run in (a, b))
    return {
        "schema": SCHEMA,
        "a": str(a.path),
        "b": str(b.path),
        "config": {key: list(pair) for key, pair in changed_config(a, b).items()},
        "environment": {key: list(pair) for key, pair in changed_environment(a, b).items()},
        "code": hashes if hashes[0] != hashes[1] else [],
        "code_files": changed_sources(a, b),
        "metrics": {
            name: [one.mean if one else None, other.mean if other else None]
            for name in _figures(a, b)
            for one, other in [(ours[name], theirs[name])]
        },
        "images": {"reason": images} if isinstance(images, str) else vars(images),
    }


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: a number of images, 0 or more")
    return int(text)


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff diff",
        description="Shows how two runs differ: config, environment, code, metrics, and the predictions for "
        "each image.",
        epilog="RUN is a path, the beginning of a run's name, or latest. exit codes: 0 done; 2 no such run; "
        "7 a run that is not finished or does not match its own predictions",
    )
    parser.add_argument("a", metavar="RUN")
    parser.add_argument("b", metavar="RUN")
    parser.add_argument(
        "--images",
        type=_count,
        default=10,
        metavar="N",
        help="list at most N images that only one run predicts correctly, for each run (default 10)",
    )
    parser.add_argument(
        "--json", action="store_true", help="write JSON, with all images that only one of the runs has right"
    )
    add_colour(parser)
    return parser
