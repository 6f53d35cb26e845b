"""bakeoff: compare vision architectures fairly.

The same as the commands, from Python or a notebook:

    import bakeoff

    run = bakeoff.train("model=cnn", "data=digits", seed=1)
    result = bakeoff.sweep("data=digits", model=["cnn", "vit"], seed=[0, 1, 2])
    result.table, result.pairs, result.verdict
    model = bakeoff.load(run)
    model.predict(["three.png"])[0].label

What goes wrong is raised as a `BakeoffError`, whose text is the line that the command prints.
"""

# Nothing else is imported here: the command line is this package, too, and has to start fast.
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError
from bakeoff.machine.version import __version__

if TYPE_CHECKING:
    import pandas

    from bakeoff.deploy.python.compared import Comparison
    from bakeoff.deploy.python.model import Model
    from bakeoff.deploy.python.run import FinishedRun

__all__ = ["BakeoffError", "__version__", "compare", "load", "load_runs", "predictions", "sweep", "train"]


def train(
    *overrides: str,
    config: "str | Path | None" = None,
    config_dir: "str | Path | None" = None,
    quiet: bool = False,
    **keys: Any,
) -> "FinishedRun":
    """Trains one model, as `bakeoff train` does: same config, checks, run directory and result.

    It trains in this process, on the main thread or another one, one model at a time. torch's settings
    (threads, random numbers, determinism) are afterwards as they were. Interrupting it saves the run, and
    `bakeoff resume` goes on with it.

    Args:
        *overrides: as on the command line, such as `"model=cnn"` or `"optim.lr=0.01"`.
        config: a YAML file with settings, or a run directory.
        config_dir: a folder of config files of your own.
        quiet: print no lines; a bar, and what is being done, still come and go.
        **keys: the same as overrides, with values of Python: `seed=1`, `optim={"lr": 0.01}`,
            `**{"model.channels": [16, 32]}`.

    Returns:
        The run: its `path`, `summary`, `accuracy`, `epochs`, and `load()`.

    Raises:
        BakeoffError: what the command would print as its error.

    >>> import bakeoff
    >>> run = bakeoff.train("data=digits", "model=cnn_small", seed=1, trainer={"epochs": 2}, quiet=True)
    >>> run.summary["model"], run.summary["seed"], run.summary["epochs_run"]
    ('cnn_small', 1, 2)
    >>> list(run.epochs["epoch"])
    [1, 2]
    >>> bakeoff.train("data=digits", "optim.lrr=0.1")
    Traceback (most recent call last):
    ...
    bakeoff.errors.ConfigError: optim.lrr=0.1: no such key; did you mean optim.lr?
    """
    from bakeoff.deploy.python import training

    return training.train(overrides, keys, config, config_dir, quiet=quiet)


def sweep(
    *overrides: str,
    config: "str | Path | None" = None,
    config_dir: "str | Path | None" = None,
    quiet: bool = False,
    **keys: Any,
) -> "Comparison":
    """Trains all combinations, as `bakeoff train --multirun` does, each in a process of its own.

    The same call again trains what is missing or failed, and nothing twice.

    Args:
        *overrides: as on the command line, such as `"model=cnn,vit"`.
        config: a YAML file with settings, or a run directory.
        config_dir: a folder of config files of your own.
        quiet: print no lines.
        **keys: the same with values of Python; a list is several values: `seed=[0, 1, 2]`. A value that is a
            list itself stands in one more: `**{"model.channels": [[8, 16], [16, 32]]}`.

    Returns:
        The comparison of its runs. Runs that failed are listed in its `problems`.

    Raises:
        BakeoffError: what the command would print as its error.

    >>> import bakeoff
    >>> result = bakeoff.sweep("data=digits", model=["cnn_small"], seed=[0, 1], **FEW_EPOCHS, quiet=True)
    >>> result.table[["name", "num_runs", "seeds"]].values.tolist()
    [['cnn_small', 2, [0, 1]]]
    """
    from bakeoff.deploy.python import training

    return training.sweep(overrides, keys, config, config_dir, quiet=quiet)


def compare(
    *paths: "str | Path",
    where: str | None = None,
    sort: str | None = None,
    top: int | None = None,
    baseline: str | None = None,
    cost: str | None = None,
    columns: "str | Sequence[str]" = (),
    max_latency_ms: float | None = None,
    statistics: bool = True,
) -> "Comparison":
    """Compares runs, as `bakeoff compare` does.

    Args:
        *paths: run directories, folders to search, sweeps or runs by their names; without one,
            `$BAKEOFF_OUTPUTS` or `./outputs`.
        where: an expression, such as `"optim.lr <= 0.01"`: only these runs.
        sort: a metric, best first, or a key.
        top: only the first rows.
        baseline: the configuration that the others are tested against.
        cost: such as `"train_seconds"`: marks the best trade-offs of accuracy and this cost.
        columns: names of the columns that are shown.
        max_latency_ms: milliseconds for one image: names the most accurate configuration that is as fast.
        statistics: whether to read predictions and test differences.

    Returns:
        `table` and `pairs` as pandas tables, `verdict` as sentences, `problems`; in a notebook it is shown as
        a table.

    Raises:
        BakeoffError: no run directory is found, or an argument that is not possible.

    >>> import bakeoff
    >>> result = bakeoff.compare(RUNS)
    >>> sorted(result.table["model"])
    ['cnn', 'vit']
    >>> result.pairs.query("metric == 'accuracy'")[["a", "b", "differs"]].values.tolist()
    [['cnn', 'vit', True]]
    """
    from bakeoff.deploy.python import compared

    options: dict[str, Any] = {"where": where, "sort": sort, "top": top, "baseline": baseline, "cost": cost}
    options["max_latency_ms"] = max_latency_ms
    return compared.compare(paths, options, columns, statistics=statistics)


def load(run: "str | Path | FinishedRun", device: str | None = None) -> "Model":
    """Opens a finished run as a model. It needs the run directory alone, not the data.

    Args:
        run: a directory, the beginning of a run's name, `"latest"`, or what `train` has given.
        device: `"cpu"`, `"cuda"` or `"cuda:1"`; None: a GPU if there is one.

    Returns:
        A model with `class_names` and `predict`.

    Raises:
        BakeoffError: no such run, it is not finished, or its weights cannot be read.

    >>> import bakeoff, numpy
    >>> model = bakeoff.load(RUN)
    >>> model.class_names[:3]
    ('0', '1', '2')
    >>> images = numpy.zeros((2, 8, 8), dtype=numpy.uint8)
    >>> model.predict(images).probabilities.shape
    (2, 10)
    """
    from bakeoff.deploy.python import model

    return model.load(run, device)


def predictions(run: "str | Path | FinishedRun", split: str = "test") -> "pandas.DataFrame":
    """The predictions that a run has stored, a row for each image.

    Args:
        run: a directory, the beginning of a run's name, `"latest"`, or what `train` has given.
        split: `"test"` or `"val"`.

    Returns:
        `index` (position in the split), `true` and `predicted` (names of classes, or `<NA>`: no prediction),
        `correct`, `probability` (of the predicted class), and `p(CLASS)` for each class.

    Raises:
        BakeoffError: no such run, or its predictions cannot be read.

    >>> import bakeoff
    >>> table = bakeoff.predictions(RUN)
    >>> bool((table["correct"].mean() == bakeoff.load_runs(RUN)["test.accuracy"]).all())
    True
    """
    from bakeoff.deploy.python.run import predictions as stored

    return stored(run, split)


def load_runs(path: "str | Path | None" = None) -> "pandas.DataFrame":
    """Reads the finished runs at and below a path into a table.

    Args:
        path: a run directory or a folder to search; without one, `$BAKEOFF_OUTPUTS` or `./outputs`.

    Returns:
        A row for each run: `run_id`, `path`, the fields of `summary.json` by their dotted names
        (`test.accuracy`, `time.train_seconds`), and the keys of the config (`optim.lr`).
        `attrs["problems"]` lists what is left out, with the reason.

    Raises:
        BakeoffError: there is no such folder.

    >>> import bakeoff
    >>> table = bakeoff.load_runs(RUNS)
    >>> table[["model", "seed"]].values.tolist()
    [['cnn', 0], ['cnn', 1], ['vit', 0], ['vit', 1]]
    """
    from bakeoff.comparison.output import frame

    return frame.load_runs(path)
