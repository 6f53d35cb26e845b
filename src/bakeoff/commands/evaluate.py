"""`bakeoff evaluate RUN`: computes a run's test scores again from its saved weights.

The config comes from a run directory that may be somebody else's, so it passes the same gates as a
command line; only tensors are loaded.
"""

import argparse
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bakeoff.arguments import Parser
from bakeoff.comparison.read import Problem, Run, read_run
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, DataError, RunsDifferError
from bakeoff.evaluation import metrics
from bakeoff.experiment.code import code_hash
from bakeoff.machine.load import most_threads
from bakeoff.machine.process import loading_torch
from bakeoff.machine.waiting import Bar, tell
from bakeoff.models.weights.origin import NONE
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.paths import data_root_here, expanded
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.records import SplitScores
from bakeoff.runs.rundir import FILES, WEIGHTS
from bakeoff.runs.studies import is_sealed
from bakeoff.runs.weight_files import read_weights
from bakeoff.text import one_line, percent, printable

if TYPE_CHECKING:
    from bakeoff.data.splits import DataSet
    from bakeoff.models.base import Classifier

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
    if is_sealed(path):
        raise ConfigError(
            f"{path}: its race or search has not ended, and until then nobody looks at its test images; see "
            f"bakeoff show {shlex.quote(str(path))} for its validation scores"
        )
    found = read_run(path)
    if isinstance(found, Problem):
        raise RunsDifferError(f"{path}: {found.reason}; only a finished run can be evaluated")
    if not os.path.lexists(path / WEIGHTS):
        raise RunsDifferError(
            f"{path}: this run has no weights ({WEIGHTS}); bakeoff prune removes those that are not the best "
            "of their configuration: evaluate the run that kept them, or train again"
        )
    values = {key: value for key, value in found.config.items() if key != "schema"}
    _add_later_keys(values)
    _apply_options(values, options)
    # torch loads here, after what can be refused without it.
    with loading_torch():
        from bakeoff.data.splits import fingerprint
        from bakeoff.evaluation.batch_size import EvaluationBatch
        from bakeoff.evaluation.prediction import predict
        from bakeoff.experiment.gates import prepare
        from bakeoff.experiment.outcome import torch_errors_explained

    with _options_named(options):
        prepared = prepare(values)
    names = prepared.data.class_names
    if fingerprint(prepared.data.test, names) != _print(found, "test_split"):
        raise DataError(f"{values['data']['root']}: {_why_others(found, prepared.data)}")
    _load_weights(prepared.model, found)
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


def _add_later_keys(values: dict[str, Any]) -> None:
    """Shared keys that are younger than the run mean what was done before there was a key."""
    # pydantic is slow to import, and --help asks this file.
    from bakeoff.config.schema import defaults
    from bakeoff.config.settled import add_later_meanings

    add_later_meanings(values)
    for section, keys in defaults().items():
        given = values.get(section)
        if isinstance(keys, dict) and isinstance(given, dict):
            values[section] = keys | given


def _why_others(run: Run, data: "DataSet") -> str:
    """Why the test images are not the run's: another folder, or the same pictures in another order."""
    from bakeoff.comparison.group import class_names  # slow to import, too

    other = f"not the test images of {run.path.name}; give --data-root DIR"
    try:
        stored = read_json(run.path / FILES)
        then = {name for names in stored.values() for name in names}
        test_then = set(stored["test"])
    except (UnreadableFileError, KeyError, TypeError, AttributeError):
        return other
    files = data.files or {}
    if then != {name for names in files.values() for name in names}:
        return other
    if test_then != set(files["test"]):
        how = "splits this folder differently"
    elif class_names(run) != data.class_names:
        how = "orders these classes differently"
    else:
        return f"the test images of {run.path.name} have changed; give --data-root DIR, a folder as it was"
    return (
        f"the pictures of {run.path.name} are all there, but it was trained by another version of bakeoff, "
        f"and this one {how}: evaluate it with that version, or train again"
    )


def _apply_options(values: dict[str, Any], options: argparse.Namespace) -> None:
    """Puts this machine's places in; a run from elsewhere names folders that are not here."""
    data, trainer, model = (values.get(name) for name in ("data", "trainer", "model"))
    if isinstance(data, dict):
        data["root"] = options.data_root or data_root_here(str(data.get("name")), str(data.get("root")))
    if isinstance(trainer, dict) and options.device:
        trainer["device"] = options.device
    if (
        isinstance(trainer, dict)
        and isinstance(threads := trainer.get("threads"), int)
        and threads > most_threads()
    ):
        trainer["threads"] = None  # a larger machine's
    if isinstance(model, dict) and "weights" in model:
        model["weights"] = NONE  # the run's own weights take the place of those it began with


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


def _load_weights(model: "Classifier", run: Run) -> None:
    path = run.path / WEIGHTS
    try:
        model.load_state_dict(read_weights(run.path))
    except UnreadableFileError as error:
        raise RunsDifferError(f"{path}: cannot be read ({error})") from error
    except RuntimeError as error:
        same_code = _print(run, "code") == code_hash(run.config)
        hint = "" if same_code else "; another version of bakeoff trained it"
        raise RunsDifferError(
            f"{path}: these weights do not fit the run's model ({one_line(error)}){hint}"
        ) from error


def _print(run: Run, name: str) -> Any:
    """A stored hash; None where somebody else's summary has none."""
    prints = run.summary.get("fingerprint")
    return prints.get(name) if isinstance(prints, dict) else None


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
