"""A finished run with its data: its model, and the very test images that it was tested on."""

from typing import Any

from bakeoff.comparison.group import class_names
from bakeoff.comparison.run import Run
from bakeoff.data.splits import DataSet, fingerprint
from bakeoff.deploy.finished import config_here, load_weights, stored_hash
from bakeoff.errors import DataError
from bakeoff.experiment.gates import Prepared, prepare
from bakeoff.runs.paths import data_root_here
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import FILES


def prepared_with_data(run: Run, device: str | None = None, data_root: str | None = None) -> Prepared:
    """Loads a run's data and its model, with the run's weights.

    Args:
        run: as `finished_run` gives it.
        device: instead of the run's.
        data_root: folder of the data; None: where they are on this machine.

    Raises:
        ConfigError: a config that does not pass the gates.
        DataError: the data are not here, or their test images are not those of the run.
        RunsDifferError: the weights cannot be read, or do not fit.
    """
    values: dict[str, Any] = config_here(run, device)
    data = values.get("data")
    if isinstance(data, dict):
        data["root"] = data_root or data_root_here(str(data.get("name")), str(data.get("root")))
    prepared = prepare(values, weights_follow=True)
    if fingerprint(prepared.data.test, prepared.data.class_names) != stored_hash(run, "test_split"):
        raise DataError(f"{values['data']['root']}: {_why_others(run, prepared.data)}")
    load_weights(prepared.model, run)
    return prepared


def _why_others(run: Run, data: DataSet) -> str:
    """Why the test images are not the run's: another folder, or the same pictures in another order."""
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
