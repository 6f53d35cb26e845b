"""`bakeoff predict RUN PICTURE...`: what a trained model says of pictures of the user's own."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.arguments import Parser
from bakeoff.commands.places_here import options_named
from bakeoff.commands.predict_scores import evaluate_together
from bakeoff.commands.predict_words import check, runs_and_pictures
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import Bar, tell
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.paths import expanded
from bakeoff.terminal import line_width
from bakeoff.text import printable

if TYPE_CHECKING:
    from bakeoff.deploy.predict.answers import Answer, Form
    from bakeoff.deploy.predict.ensemble import Ensemble
    from bakeoff.deploy.predict.scoring import Tally

USAGE = "predict RUN PICTURE..."
SUMMARY = "what a trained model says of your pictures"
_BY_ENDING = {".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv"}


def predict(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if a picture could not be read.

    Raises:
        ConfigError: no such run, runs of different classes, or options that do not go together.
        DataError: no such picture, or with `--evaluate` no data.
        RunsDifferError: a run is not finished or cannot be read.
    """
    # Options may stand between a run and pictures.
    options = parser().parse_intermixed_args(words)
    if "" in (options.output, options.draw):
        raise ConfigError(f"{'-o' if options.output == '' else '--draw'}: its name is empty; give one")
    options.output, options.draw = (each and Path(each) for each in (options.output, options.draw))
    paths, pictures = runs_and_pictures([options.run, *options.pictures], outputs_root())
    check(options, pictures)
    with StopSignal().caught():
        return evaluate_together(paths, options) if options.evaluate else _predict(paths, pictures, options)


def _predict(paths: list[Path], pictures: list[str], options: argparse.Namespace) -> int:
    """Opens the runs, reads the pictures, and writes what is said of them."""
    # torch loads here, after what can be refused without it.
    with loading_torch():
        from bakeoff.deploy.predict.ensemble import open_ensemble
        from bakeoff.deploy.predict.predicting import Wishes, answers
        from bakeoff.deploy.predict.scoring import Tally
        from bakeoff.deploy.predict.sources import sources_of
        from bakeoff.runs.storage import storage_errors, write_where_told

    with options_named(options):
        ensemble = open_ensemble(paths, options.device)
    options.top = min(options.top, len(ensemble.class_names))
    sources = sources_of(pictures, ensemble.class_names)
    if options.draw is not None:
        with storage_errors(options.draw, "--draw"):
            options.draw.mkdir(parents=True, exist_ok=True)
    form = _form(options, ensemble, has_true=sources.are_scored)
    tally, given = Tally(), Wishes(options.top, options.as_is, _format(options) == "json", options.draw)
    # Beside lines for programs, what is said is no part of them.
    speaks_aside = options.output is None and _format(options) != "table"
    say = _aside if speaks_aside else tell
    for note in (_what_predicts(ensemble), *sources.notes):
        say(note)
    found = answers(ensemble, sources, given)
    if options.output is None:
        _write(form, found, tally, lambda text: print(text, end="", flush=True))
    else:
        with Bar("predicting", len(sources), "pictures") as bar:
            seen = _counted(found, bar)
            write_where_told(
                options.output,
                lambda file: _write(form, seen, tally, lambda text: file.write(text.encode())),
                "-o",
            )
        say(f"written: {options.output}")
    for line in tally.lines():
        say(line)
    if options.draw is not None:
        say(f"drawn: {options.draw}")
    return SOME_RUNS_BAD if tally.num_broken else OK


def _write(form: "Form", found: "Iterator[Answer]", tally: "Tally", write: Callable[[str], object]) -> None:
    if head := form.head():
        write(head)
    for answer in found:
        tally.add(answer)
        write(form.line(answer))
    if tail := form.tail():
        write(tail)


def _counted(found: "Iterator[Answer]", bar: Bar) -> "Iterator[Answer]":
    for answer in found:
        bar.move_by(1)
        yield answer


def _aside(text: str) -> None:
    tell(text, sys.stderr)


def _what_predicts(ensemble: "Ensemble") -> str:
    members = ensemble.members
    model = printable(str(members[0].run.summary["model"]))
    if len(members) == 1:
        return f"{members[0].run.path}: {model} trained on {printable(members[0].run.data_title)}"
    names = ", ".join(str(member.run.path) for member in members)
    return f"mean of the probabilities of {len(members)} runs: {names}"


def _format(options: argparse.Namespace) -> str:
    """By the options, else by how the name of the file ends."""
    if options.json or options.csv:
        return "json" if options.json else "csv"
    return _BY_ENDING.get(options.output.suffix.lower(), "table") if options.output is not None else "table"


def _form(options: argparse.Namespace, ensemble: "Ensemble", *, has_true: bool) -> "Form":
    from bakeoff.deploy.predict.answers import Csv, JsonLines, Table

    kind = _format(options)
    if kind == "json":
        return JsonLines(is_list=options.output is not None and options.output.suffix.lower() == ".json")
    if kind == "csv":
        return Csv(options.top)
    width = line_width(sys.stdout) if options.output is None else None
    return Table(ensemble.class_names, options.top, width, has_true)


def _top(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff predict",
        description="Says what a trained model sees in pictures of any size and colour. Several runs answer "
        "together, by the mean of their probabilities. Photographs of handwriting are prepared for a model "
        "of digits: dark ink on light paper is found, inverted, scaled and centred. Pictures in folders "
        "that are named as classes are scored.",
        epilog="exit codes: 0 done; 2 no such run; 3 no such picture; 7 a picture could not be read (the "
        "others are predicted), or a run cannot be used",
    )
    parser.add_argument(
        "run", metavar="RUN", help="a path, the beginning of a run's name, or latest; several answer together"
    )
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="files and folders, or - for a picture on standard input; more runs may stand before them",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write a JSON object a line")
    form.add_argument("--csv", action="store_true", help="write CSV")
    parser.add_argument(
        "-o",
        "--output",
        type=expanded,
        metavar="FILE",
        help="write into a file; .csv, .json and .jsonl choose the format",
    )
    parser.add_argument(
        "--top", type=_top, default=1, metavar="N", help="the N most probable classes; default: 1"
    )
    parser.add_argument(
        "--draw",
        type=expanded,
        metavar="DIR",
        help="draw each picture with its prediction, the box of a detector or where the model looks",
    )
    parser.add_argument("--as-is", action="store_true", help="do not prepare photographs of handwriting")
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="score the runs, alone and together, on the test images of their data set",
    )
    parser.add_argument(
        "--data-root", type=expanded, metavar="DIR", help="with --evaluate: the folder of the data here"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; default: auto")
    return parser
