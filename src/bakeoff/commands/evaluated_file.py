"""`bakeoff evaluate RUN --onnx FILE`: what an exported model scores on the run's test images."""

from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.commands.score_table import print_scores
from bakeoff.comparison.run import Run
from bakeoff.errors import OK, SOME_RUNS_BAD, DataError
from bakeoff.evaluation import metrics
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import Bar, tell
from bakeoff.text import printable

if TYPE_CHECKING:
    import numpy as np

    from bakeoff.deploy.export.opened import Exported

# A probability may differ by 1e-4, and the NLL weighs small ones.
_SAME_FILE = {"accuracy": 1e-9, "macro_f1": 1e-9, "nll": 1e-4}
_IMAGES_AT_ONCE = 256


def evaluate_file(run: Run, file: Path, data_root: str | None) -> int:
    """Scores an exported file.

    Args:
        run: whose test images are taken; its own scores stand beside.
        file: ONNX or .pt2; it may be anybody's.
        data_root: folder of the data; None: where they are on this machine.

    Returns:
        0; 7 if the run was tested in fp32, as the file computes, and its scores are others.

    Raises:
        ConfigError: the extra is not installed.
        DataError: no such file, a model of other images or classes, or other data.
    """
    from bakeoff.deploy.export.opened import open_exported

    exported = open_exported(file)
    with loading_torch():
        from bakeoff.deploy.with_data import prepared_with_data

    data = prepared_with_data(run, "cpu", data_root).data
    if exported.class_names != data.class_names:
        raise DataError(
            f"{file}: it tells other classes apart than {run.path.name}; give the run it came from"
        )
    if exported.shape != data.image_shape:
        raise DataError(
            f"{file}: it takes images of {exported.shape} (channels, height, width), and those of "
            f"{run.path.name} are {data.image_shape}"
        )
    if exported.run_id != run.text("run_id"):
        tell(f"{file} was exported from another run: {printable(exported.run_id)}")
    images, labels = data.test.as_arrays()
    scores = metrics.score(labels, _rated(exported, images), data.class_names, {})
    judged = run.precision == "fp32"
    same = print_scores(run, scores, exported.format, _SAME_FILE if judged else None)
    if judged:
        print("equal to summary.json" if same else "not equal to summary.json")
        return OK if same else SOME_RUNS_BAD
    print(f"the run was tested in {run.precision}, the file computes in fp32: a little may differ")
    return OK


def _rated(exported: "Exported", images: "np.ndarray") -> "np.ndarray":
    """Probabilities of all images, with a bar for a person who waits."""
    import numpy as np

    parts = []
    with Bar("test", len(images)) as bar:
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            check_stop()
            parts.append(exported.probabilities(images[start : start + _IMAGES_AT_ONCE]))
            bar.move_to(min(start + _IMAGES_AT_ONCE, len(images)))
    return np.concatenate(parts)
