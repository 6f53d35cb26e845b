"""`bakeoff evaluate RUN`: computes a run's test scores again from its saved weights.

The config comes from a run directory that may be somebody else's, so it passes the same gates as a
command line; only tensors are loaded.
"""

from bakeoff.arguments import Parser
from bakeoff.commands.evaluated_file import evaluate_file
from bakeoff.commands.places_here import options_named
from bakeoff.commands.score_table import SAME_MODEL, print_scores
from bakeoff.deploy.finished import finished_run, refuse_sealed
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.evaluation import metrics
from bakeoff.machine.process import loading_torch
from bakeoff.machine.waiting import Bar, tell
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.paths import expanded, home_path

USAGE = "evaluate RUN"
SUMMARY = "compute test scores again, from saved weights"


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
    if options.onnx is not None and options.device is not None:
        raise ConfigError("--device: an exported file (--onnx) runs on the CPU; leave one of them out")
    path = find_run(options.run, outputs_root())
    refuse_sealed(path)
    found = finished_run(path, "evaluated")
    if options.onnx is not None:
        with options_named(options):
            return evaluate_file(found, options.onnx, options.data_root)
    # torch loads here, after what can be refused without it.
    with loading_torch():
        from bakeoff.deploy.with_data import prepared_with_data
        from bakeoff.evaluation.batch_size import EvaluationBatch
        from bakeoff.evaluation.prediction import predict
        from bakeoff.experiment.outcome import torch_errors_explained

    with options_named(options):
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
    if print_scores(found, scores, "now", SAME_MODEL):
        print("equal to summary.json")
        return OK
    tell(
        f"not equal to summary.json; computed on {prepared.runtime.device} in {prepared.runtime.precision} "
        f"(see {path / 'environment.json'} for the run's)"
    )
    return SOME_RUNS_BAD


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
    parser.add_argument(
        "--onnx",
        type=home_path,
        metavar="FILE",
        help="score this file of bakeoff export (ONNX or pt2) instead of the run's own weights",
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; default: the device of the run")
    return parser
