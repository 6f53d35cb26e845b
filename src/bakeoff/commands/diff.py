"""`bakeoff diff RUN RUN`: what tells two runs apart, down to the images that changed sides. No torch here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.arguments import Parser
from bakeoff.comparison.differences import changed_config, changed_environment, changed_sources, sides
from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.figures import RUN_FIGURES
from bakeoff.comparison.group import class_names, shown
from bakeoff.comparison.read import Problem, Run, read_run
from bakeoff.errors import OK
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import without_nan
from bakeoff.text import p_text, printable

USAGE = "diff RUN RUN"
SUMMARY = "what tells two runs apart"
_MISSING = "-"


def diff(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no such run.
        UnreadableFileError: a run that is not finished, or cannot be believed.
    """
    options = parser().parse_args(words)
    a, b = (_read(name) for name in (options.a, options.b))
    if options.json:
        print(json.dumps(without_nan(_as_json(a, b)), indent=1, allow_nan=False))
    else:
        print("\n".join(printable(line).rstrip() for line in _lines(a, b, options.images)))
    return OK


def _read(name: str) -> Run:
    path = find_run(name, outputs_root())
    run = read_run(path)
    if isinstance(run, Problem):
        raise UnreadableFileError(f"run {name}: {path}: {run.reason}")
    return run


def _lines(a: Run, b: Run, most_images: int) -> list[str]:
    lines = [f"{name}  {_title(run)}" for name, run in (("a", a), ("b", b))]
    config, environment = changed_config(a, b), changed_environment(a, b)
    lines += ["", *_table("config", {key: _texts(pair) for key, pair in config.items()})]
    lines += ["", *_table("environment", {key: _texts(pair) for key, pair in environment.items()})]
    lines += ["", f"code           {_code(a, b)}"]
    lines += ["", *_table("metrics", _metrics(a, b), ("a", "b", "a - b")), ""]
    return lines + _image_lines(a, b, most_images)


def _code(a: Run, b: Run) -> str:
    hashes = [run.text("fingerprint", "code") for run in (a, b)]
    if hashes[0] == hashes[1]:
        return "the same"
    sources = changed_sources(a, b)
    if sources is None:
        return " against ".join(text[:8] for text in hashes)
    # Runs of two families execute two families' files.
    return f"differs in {', '.join(sources)}" if sources else "the same in all files that both run"


def _title(run: Run) -> str:
    return f"{run.path}  ({run.summary['model']} on {run.summary['data']}, seed {run.summary['seed']})"


def _texts(pair: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_MISSING if value is None else shown(value) for value in pair)


def _table(
    title: str, rows: Mapping[str, tuple[str, ...]], titles: tuple[str, ...] = ("a", "b")
) -> list[str]:
    if not rows:
        return [f"{title:14} the same"]
    cells = [(title, *titles), *((f"  {key}", *values) for key, values in rows.items())]
    widths = [max(len(printable(row[place])) for row in cells) for place in range(len(titles) + 1)]
    return [
        "  ".join(f"{printable(cell):{width}}" for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]


def _metrics(a: Run, b: Run) -> dict[str, tuple[str, ...]]:
    ours, theirs = (estimates([run]) for run in (a, b))
    rows: dict[str, tuple[str, ...]] = {}
    for name in RUN_FIGURES:
        one, other = ours[name], theirs[name]
        if one and other:
            rows[name] = (_number(one.mean), _number(other.mean), _number(one.mean - other.mean, "+"))
    return rows


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign},.0f}" if abs(value) >= 1e5 else f"{value:{sign}.6g}"


def _image_lines(a: Run, b: Run, most_images: int) -> list[str]:
    images = sides(a, b)
    if isinstance(images, str):
        return [f"images         not compared: {images}"]
    assert a.outcomes
    assert b.outcomes
    counts = (
        f"{images.both_right:,} right in both, {images.both_wrong:,} wrong in both, "
        f"{len(images.only_a):,} right in a only, {len(images.only_b):,} right in b only"
    )
    low, high = images.low * 100, images.high * 100
    tested = (
        f"a - b = {images.difference * 100:.2f} points (95 %: {low:.2f} to {high:.2f}); "
        f"McNemar's {p_text(images.mcnemar_mid_p)}"
    )
    lines = [
        f"images         {images.num_images:,} test images: {counts}",
        f"  accuracy of these two networks: {tested}",
    ]
    names = _class_names(a, a.outcomes.num_classes)
    for title, places in (("right in a only", images.only_a), ("right in b only", images.only_b)):
        told = [
            f"{place} ({names[a.outcomes.labels[place]]}: {names[a.outcomes.guesses[place]]} | "
            f"{names[b.outcomes.guesses[place]]})"
            for place in places[:most_images]
        ]
        more = f", and {len(places) - most_images:,} more" if len(places) > most_images else ""
        if told:
            lines.append(f"  {title}, image (label: a | b): {', '.join(told)}{more}")
    return lines


def _class_names(run: Run, num_classes: int) -> list[str]:
    """By number; the last one, reached by -1, is for no answer."""
    return [*(class_names(run) or map(str, range(num_classes))), "no prediction"]


def _as_json(a: Run, b: Run) -> dict[str, Any]:
    images = sides(a, b)
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
            for name in RUN_FIGURES
            for one, other in [(ours[name], theirs[name])]
        },
        "images": {"reason": images} if isinstance(images, str) else vars(images),
    }


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff diff",
        description="What tells two runs apart: config, environment, code, metrics, changed images.",
        epilog="RUN is a path, the beginning of a run's name, or latest. exit codes: 0 done; 2 no such run; "
        "7 a run that is not finished or does not match its own predictions",
    )
    parser.add_argument("a", metavar="RUN")
    parser.add_argument("b", metavar="RUN")
    parser.add_argument(
        "--images", type=int, default=10, metavar="N", help="list at most N images a side (10)"
    )
    parser.add_argument("--json", action="store_true", help="for scripts; all images that changed sides")
    return parser
