"""`bakeoff evaluate RUN`: computes a run's test scores again from its saved weights.

The config comes from a run directory that may be somebody else's, so it passes the same gates as a
command line; only tensors are loaded.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from bakeoff.arguments import Parser
from bakeoff.deploy.finished import finished_run, refuse_sealed
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, DataError
from bakeoff.evaluation import metrics
from bakeoff.machine.process import loading_torch
from bakeoff.machine.waiting import Bar, tell
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.paths import expanded
from bakeoff.runs.records import SplitScores
from bakeoff.text import percent, printable

USAGE = "evaluate RUN"
SUMMARY = "compute test scores again, from saved weights"
# Equal means equal up to what another machine or precision may change in the last bits of the NLL.
_TOLERANCE = {"accuracy": 1e-9, "macro_f1": 1e-9, "nll": 1e-6}
_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "nll": "test loss (NLL)"}
_WIDTH = max(map(len, _NAMES.values()))
_MOST_CLASSES_SHOWN = 30


def evaluate(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0 if all figures are equal to those of `summary.json`, else 7.

    Raises:
        ConfigError: no such run, one whose race or search goes on, or a config that does not pass the gates.
        DataError: the test images are not those of the run.
        RunsDifferError: the run is not finished or cannot be read.
    """
    options = parser().parse_args(words)
    path = find_run(options.run, outputs_root())
    refuse_sealed(path)
    found = finished_run(path, "evaluated")
    # torch loads here, after what can be refused without it.
    with loading_torch():
        from bakeoff.deploy.with_data import prepared_with_data
        from bakeoff.evaluation.batch_size import EvaluationBatch
        from bakeoff.evaluation.prediction import predict
        from bakeoff.experiment.outcome import torch_errors_explained

    with _options_named(options):
        prepared = prepared_with_data(found, options.device, options.data_root)
    names = prepared.data.class_names
    with (
        torch_errors_explained(prepared.config.trainer.batch_size),
        Bar("test", len(prepared.data.test)) as bar,
    ):
        batch_size = EvaluationBatch(prepared.config.trainer.eval_batch_size, tell)
        predictions = predict(
            prepared.model, prepared.data.test, prepared.runtime, batch_size, rated=bar.move_to
        )
    scores = metrics.score(predictions.label, predictions.probabilities, names, predictions.extra)
    tell(f"{path}: {scores.num_images:,} test images of {printable(found.data_title)}")
    print(f"{'':{_WIDTH}}{'summary.json':>14}{'now':>14}")
    same = True
    for key, tolerance in _TOLERANCE.items():
        stored, now = found.summary["test"][key], getattr(scores, key)
        differs = abs(stored - now) > tolerance
        same &= not differs
        print(f"{_NAMES[key]:{_WIDTH}}{stored:14.6f}{now:14.6f}{'  differs' if differs else ''}")
    _print_classes(scores)
    if same:
        print("equal to summary.json")
        return OK
    tell(
        f"not equal to summary.json; computed on {prepared.runtime.device} in {prepared.runtime.precision} "
        f"(see {path / 'environment.json'} for the run's)"
    )
    return SOME_RUNS_BAD


def _print_classes(scores: SplitScores) -> None:
    """A line for each class; of many classes those with the lowest F1."""
    classes = scores.per_class
    if len(classes) > _MOST_CLASSES_SHOWN:
        classes = sorted(classes, key=lambda item: item.f1)[:_MOST_CLASSES_SHOWN]
        print(f"\nthe {len(classes)} of {len(scores.per_class)} classes with the lowest F1")
    names = [printable(item.label) for item in classes]
    width = max(len("class"), *map(len, names))
    print(f"\n{'class':{width}}  precision    recall        F1  images")
    for name, item in zip(names, classes, strict=True):
        shares = f"{percent(item.precision):>9}  {percent(item.recall):>8}  {percent(item.f1):>8}"
        print(f"{name:{width}}  {shares}  {item.support:6,}")
    print()


@contextmanager
def _options_named(options: argparse.Namespace) -> Iterator[None]:
    """Says of an error in a key that an option has set the option's name.

    Raises:
        ConfigError: as it came, or with the option.
        DataError: the same.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        given = {
            "trainer.device": ("--device", options.device),
            "data.root": ("--data-root", options.data_root),
        }
        key, _, rest = str(error).partition("=")
        option, value = given.get(key, ("", None))
        if value is None:
            raise
        raise type(error)(f"{option} {value}: {rest.partition(': ')[2]}") from error


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff evaluate",
        description="Computes the test scores of a run again from its saved weights, and checks that they "
        "are the same.",
        epilog="exit codes: 0 equal; 7 not equal or not a finished run; 3 the data here are "
        "not the test images of the run",
    )
    parser.add_argument("run", metavar="RUN", help="a path, the beginning of a run's name, or latest")
    parser.add_argument(
        "--data-root", type=expanded, metavar="DIR", help="the folder of the data on this machine"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; default: the device of the run")
    return parser
