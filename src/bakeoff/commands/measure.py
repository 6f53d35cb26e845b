"""`bakeoff measure`: time and memory of runs and exported files, taken on this machine. No torch here."""

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.arguments import Parser, add_colour
from bakeoff.deploy.measure.named import named
from bakeoff.errors import OK, SOME_RUNS_BAD, InterruptedRunError
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.measurements import MEASUREMENTS
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import without_nan
from bakeoff.terminal import broken, line_width, wants_colour
from bakeoff.text import printable

if TYPE_CHECKING:
    from bakeoff.deploy.measure.take import Outcome

USAGE = "measure RUN|SWEEP|FILE ..."
SUMMARY = "take latency, images/s and memory again, here"
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_BATCH_SIZES = (1, 256)
Kept = list[tuple[Path | None, str]]


def measure(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if something could not be measured, or not be stored beside its run.

    Raises:
        ConfigError: no such run or file, a device that is not there, or more threads than a process can have.
        BakeoffError: of the first one, if nothing at all can be measured.
        InterruptedRunError: a signal came; nothing is stored then.
    """
    options = parser().parse_intermixed_args(words)
    found = named(options.words, outputs_root())
    with loading_torch():
        from bakeoff.deploy.measure.keep import keep
        from bakeoff.deploy.measure.kinds import Asked
        from bakeoff.deploy.measure.subjects import Subject
        from bakeoff.deploy.measure.take import take

    subjects = [Subject(path, is_file) for path, is_file in found]
    asked = Asked(options.threads, options.batch_sizes, options.device)
    with StopSignal().caught():
        try:
            outcome = take(subjects, asked)
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{error}; nothing was stored") from error
        first = next((one.error for one in outcome.taken if one.error), None)
        if first and not any(one.measurements for one in outcome.taken):
            raise first
        kept = keep(outcome.taken, outputs_root())
    if options.format == "json":
        print(_as_json(outcome, kept))
    else:
        _print_table(outcome, kept, options.color)
    return _told(outcome, kept)


def _print_table(outcome: "Outcome", kept: Kept, color: str) -> None:
    from bakeoff.deploy.measure.told import against_runs, caption, table

    width = line_width(sys.stdout)
    lines = table(outcome.taken, width, colour=wants_colour(sys.stdout, color))
    if not lines:
        return
    print(broken(caption(outcome.taken), width), "", *lines, "", sep="\n")
    for text in against_runs(outcome.taken):
        print(broken(text, width))
    runs = list(dict.fromkeys(run for run, _ in kept if run))
    if runs:
        where = str(runs[0] / MEASUREMENTS) if len(runs) == 1 else f"{MEASUREMENTS} of each run"
        print(broken(f"stored in {printable(where)}", width))


def _told(outcome: "Outcome", kept: Kept) -> int:
    """Says on standard error what a reader must know; returns the exit code."""
    for text in outcome.cautions:
        tell(f"caution: {text}", sys.stderr, "yellow")
    bad = []
    for one, (_, reason) in zip(outcome.taken, kept, strict=True):
        bad += [str(one.error)] if one.error else []
        bad += [f"{one.subject.name}: {problem}" for problem in one.problems]
        if reason and one.subject.is_file:  # all that its reader misses is a file beside a run
            tell(f"note: {printable(one.subject.name)}: measured, and stored nowhere: {reason}", sys.stderr)
        elif reason:
            bad.append(f"{one.subject.name}: measured, but stored nowhere: {reason}")
    for text in bad:
        tell(f"problem: {printable(text)}", sys.stderr, "red")
    return SOME_RUNS_BAD if bad else OK


def _as_json(outcome: "Outcome", kept: Kept) -> str:
    measurements: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    for one, (run, reason) in zip(outcome.taken, kept, strict=True):
        about = {"name": one.subject.name, "run_id": one.run_id, "stored": str(run) if run else None}
        measurements += [about | asdict(each) for each in one.measurements]
        texts = [str(one.error)] if one.error else [*one.problems, *([reason] if reason else [])]
        problems += [{"name": one.subject.name, "reason": text} for text in texts]
    content = {
        "schema": SCHEMA,
        "measurements": measurements,
        "problems": problems,
        "cautions": outcome.cautions,
    }
    return json.dumps(without_nan(content), indent=1, allow_nan=False)


def _numbers(text: str) -> tuple[int, ...]:
    """Such as 1,256; each once, in their order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"0*[1-9]\d{0,8}", part, re.ASCII) for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is no list of whole numbers above 0, such as 1,256")
    return tuple(dict.fromkeys(map(int, parts)))


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is no device; give auto, cpu, cuda or cuda:N")
    return text


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff measure",
        description="Takes the time of trained models and of exported files on this machine, in turn, and "
        "stores it in measurements.json beside each run. The run's summary stays as it was. "
        "bakeoff compare --max-latency uses what is stored.",
        epilog="""examples:
  bakeoff measure latest
  bakeoff measure outputs/sweeps/NAME model.onnx
  bakeoff measure latest --threads 1,2 --batch-sizes 1,32

exit codes: 0 done; 2 no such run, or an option that is not possible; 7 something could not be
            measured or stored (listed); 75 stopped by Ctrl-C, with nothing stored""",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="RUN|SWEEP|FILE",
        help="a run (a path, the beginning of its name, or latest), a sweep or a folder (one run of each of "
        "its configurations), or a file written by bakeoff export",
    )
    parser.add_argument(
        "--batch-sizes",
        type=_numbers,
        default=_BATCH_SIZES,
        metavar="N,...",
        help="images in a call (default: 1,256)",
    )
    parser.add_argument(
        "--threads",
        type=_numbers,
        default=(),
        metavar="N,...",
        help="CPU threads of a call (default: one for each core, or $OMP_NUM_THREADS)",
    )
    parser.add_argument(
        "--device",
        type=_device,
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda or cuda:N, for runs; exported files use the CPU (default: auto)",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_colour(parser)
    return parser
