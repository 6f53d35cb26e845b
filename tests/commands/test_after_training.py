"""Commands and functions around finished runs: load_runs, preview; and the pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff
from PIL import Image
from run_directories import make_run

import bakeoff as package
from bakeoff.errors import ConfigError
from bakeoff.evaluation import metrics
from bakeoff.evaluation.prediction import Predictions
from bakeoff.plots import figures
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.text import percent

RNG = np.random.RandomState(0)


def write_run(path: Path, setting: str, seed: int = 0) -> Path:
    make_run(path, seed, setting)
    return path


# load_runs


@pytest.mark.usefixtures("no_pictures")
def test_a_row_for_each_run_with_its_types(bakeoff: Bakeoff) -> None:
    for seed in (0, 1):
        assert (
            bakeoff("train", "data=digits", "model.channels=[4]", "trainer.epochs=1", f"seed={seed}")[0] == 0
        )
    frame = package.load_runs("outputs")
    assert len(frame) == 2
    assert sorted(frame["seed"]) == [0, 1]
    for path, row in zip(frame["path"], frame.to_dict("records"), strict=True):
        summary = json.loads((Path(path) / "summary.json").read_text())
        assert row["run_id"] == summary["run_id"]
        assert row["test.accuracy"] == summary["test"]["accuracy"]
        assert row["val.nll"] == summary["val"]["nll"]
        assert row["time.train_seconds"] == summary["time"]["train_seconds"]
        assert row["cost.parameters"] == summary["cost"]["parameters"]
        assert row["optim.lr"] == 0.01
        assert row["model.channels"] == "[4]"
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert set(kinds.values()) <= {"string", "Int64", "Float64", "boolean"}
    expected = {
        "run_id": "string", "seed": "Int64", "test.accuracy": "Float64", "test.num_images": "Int64",
        "trainer.channels_last": "boolean", "optim.lr": "Float64", "optim.name": "string",
        "trainer.ema_decay": "Float64", "data.train_limit": "Int64", "trainer.threads": "Int64",
        "cost.forward_flops_per_image": "Int64", "fingerprint.val_split": "string",
    }  # fmt: skip
    assert {name: kinds[name] for name in expected} == expected
    assert frame["data.train_limit"].isna().all()
    assert frame.groupby("setting")["test.accuracy"].mean().shape == (1,)


def test_foreign_values_are_missing_and_problems_are_listed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    run = write_run(root / "a", "a")
    summary = json.loads((run / "summary.json").read_text())
    summary |= {"epochs_run": "many", "val": [1], "best_epoch": 10**30, "family": 3}
    (run / "summary.json").write_text(json.dumps(summary))
    write_run(root / "b", "b")
    (root / "b" / "summary.json").write_text("{")
    frame = package.load_runs(root)
    assert len(frame) == 1
    assert frame[["epochs_run", "best_epoch", "val.accuracy"]].isna().all(axis=None)
    assert frame["family"][0] == "3"
    (problem,) = frame.attrs["problems"]
    assert problem["path"].endswith("b")
    assert "no valid JSON" in problem["reason"]


def test_runs_are_loaded_from_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "outputs" / "a", "a")
    write_run(tmp_path / "elsewhere" / "b", "b")
    assert list(package.load_runs()["run_id"]) == ["a"]
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "elsewhere"))
    assert list(package.load_runs()["run_id"]) == ["b"]
    assert list(package.load_runs("outputs")["run_id"]) == ["a"]


def test_no_runs_is_an_empty_table_and_no_folder_an_error(tmp_path: Path) -> None:
    frame = package.load_runs(tmp_path)
    assert len(frame) == 0
    assert str(frame["test.accuracy"].dtype) == "Float64"
    with pytest.raises(ConfigError, match="no such folder"):
        package.load_runs(tmp_path / "none")


def test_the_package_imports_neither_pandas_nor_torch() -> None:
    code = "import bakeoff, sys; sys.exit(bool({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_load_runs_needs_no_torch(tmp_path: Path) -> None:
    code = f"import bakeoff, sys; bakeoff.load_runs({str(tmp_path)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# preview


def test_preview_writes_a_picture_of_stored_and_changed_images(bakeoff: Bakeoff, tiny_mnist: str) -> None:
    options = ["data=mnist", f"data.root={tiny_mnist}", "data.augment.rotate_degrees=30"]
    code, out, err = bakeoff("preview", *options)
    assert (code, err) == (0, "")
    assert out.endswith("\npreview-mnist.png\n")
    first = np.asarray(Image.open("preview-mnist.png").convert("L"))
    assert min(first.shape) > 500
    assert bakeoff("preview", *options, "-o", "again/x.png")[0] == 0
    assert np.array_equal(np.asarray(Image.open("again/x.png").convert("L")), first)
    assert bakeoff("preview", *options, "seed=1", "--output=other.png")[0] == 0
    assert not np.array_equal(np.asarray(Image.open("other.png").convert("L")), first)
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["data=mnits"], 2, "no such data"),
        (["data.augment.rotate=3"], 2, "did you mean"),
        (["--multirun", "seed=0,1"], 2, "preview shows one configuration"),
        (["data=mnist", "data.root=no/where"], 3, "MNIST is not there"),
        (["data=digits", "-o", "/proc/x.png"], 4, "/proc/x.png: cannot write"),
        (["data=digits", "-o"], 2, "expected one argument"),
        (["--cfg", "job"], 2, "preview shows one configuration"),
        (["data=digits", "--info", "config"], 2, "preview shows one configuration"),
    ],
)
def test_previews_mistakes(bakeoff: Bakeoff, arguments: list[str], code: int, error: str) -> None:
    found, _, err = bakeoff("preview", *arguments)
    assert found == code
    assert error in err


def test_previews_first_epoch_is_what_training_sees(tiny_mnist: str) -> None:
    """The picture's second column against the batches of the first epoch."""
    import torch

    from bakeoff import data
    from bakeoff.commands.preview import batch_picture
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.data.batches import plan_epoch, training_batches
    from bakeoff.experiment.first_gate import check_shared

    line = [f"data.root={tiny_mnist}", "data.augment.rotate_degrees=30", "data.augment.erase=1"]
    config = check_shared(expand(parse_arguments(line))[0][0].values)
    dataset = data.load(config.data)
    figure = batch_picture(dataset, config)
    cpu = torch.device("cpu")
    plan = plan_epoch(dataset.train, config.data.augment, config.seed, 1, cpu)
    batch = next(training_batches(dataset.train, plan, 8, config.data.augment, cpu))
    for row in range(8):
        stored, augmented = figure.axes[8 * row].images[0], figure.axes[8 * row + 1].images[0]
        assert np.array_equal(np.asarray(augmented.get_array()), batch.images[row, 0].numpy())
        original = dataset.train.images(batch.indices[row : row + 1])[0, 0].numpy()
        assert np.array_equal(np.asarray(stored.get_array()), original)


# pictures


def predictions(count: int = 300, classes: int = 4, no_answer: int = 5) -> Predictions:
    rows = RNG.dirichlet([0.3] * classes, count).astype(np.float32)
    rows[:no_answer] = 0
    return Predictions(np.arange(count), RNG.randint(0, classes, count), rows, {})


def test_calibration_bins_by_hand() -> None:
    rows = np.array([[1 / 15, 0], [0.0667, 0], [1, 0], [0, 0], [0.3, 0.31], [0, 0.99]])
    bins = metrics.calibration_bins(np.array([0, 1, 0, 0, 1, 0]), rows)
    expected = np.zeros(15)
    expected[[0, 1, 4, 14]] = [2, 1, 1, 2]  # (k/15, (k+1)/15]: 1/15 itself belongs to the first
    assert bins.num_images.tolist() == expected.tolist()
    assert bins.num_right[[0, 1, 4, 14]].tolist() == [1, 0, 1, 1]
    assert bins.confidence[14] == pytest.approx(1.99)
    total = abs(1 - 1 / 15) + 0.0667 + abs(1 - 0.31) + abs(1 - 1.99)
    assert metrics.expected_calibration_error(np.array([0, 1, 0, 0, 1, 0]), rows) == pytest.approx(total / 6)


def test_the_reliability_diagram_shows_the_bins() -> None:
    found = predictions()
    figure = figures.reliability_diagram(found, "title")
    bins = metrics.calibration_bins(found.label, found.probabilities)
    rates, counts = figure.axes
    filled = bins.num_images > 0
    heights = [patch.get_height() for patch in rates.patches]
    assert heights == pytest.approx((bins.num_right[filled] / bins.num_images[filled]).tolist())
    assert [patch.get_height() for patch in counts.patches] == bins.num_images.tolist()
    ece = metrics.expected_calibration_error(found.label, found.probabilities)
    assert percent(ece) in figure._suptitle.get_text()
    assert counts.get_yscale() == "log"
    assert "logarithmic" in counts.get_ylabel()
    assert [label.get_text() for label in counts.get_yticklabels()][:2] == ["1", "10"]


@pytest.mark.parametrize("names", [["a", "b", "c", "d"], ["x" * 80, "[x]", "$a_b$", "Zoë \U0001f600"]])
def test_pictures_survive_names_and_no_answers(names: list[str], tmp_path: Path) -> None:
    """`$` would be read as mathematics, and a long name must not push the rest out."""
    found = predictions()
    guesses = metrics.answers(found.probabilities)
    counts = metrics.confusion(found.label, guesses, 4)
    figures.confusion_matrix(counts, names, "t").savefig(tmp_path / "x.png")
    figures.reliability_diagram(found, "t").savefig(tmp_path / "y.png")
    labels = [
        text.get_text() for text in figures.confusion_matrix(counts, names, "t").axes[0].get_xticklabels()
    ]
    assert labels[-1] == "no prediction"
    assert max(map(len, labels)) <= 20


def test_curves_without_validation_images(tmp_path: Path) -> None:
    scores = ValidationScores(0.5, 0.4, 1.2)
    for val in (None, scores):
        records = [EpochRecord(n, n, 0.1, 1.0 / n, {}, val, 1.0, 0.1, 10.0) for n in (1, 2)]
        figures.learning_curves(records, "t", 2).savefig(tmp_path / "x.png")
        assert (tmp_path / "x.png").stat().st_size > 10_000


@pytest.mark.usefixtures("no_pictures")
def test_a_run_is_addressed_by_latest_and_by_prefix(bakeoff: Bakeoff) -> None:
    for seed in (0, 1):
        assert (
            bakeoff("train", "data=digits", "model.channels=[4]", "trainer.epochs=1", f"seed={seed}")[0] == 0
        )
    runs = sorted(Path("outputs").glob("*/*-cnn-digits-*"), key=lambda path: path.name)
    older = next(run for run in runs if "-s0-" in run.name)
    newer = next(run for run in runs if "-s1-" in run.name)
    os.utime(older / "config.json", (1, 1))
    assert str(newer) in bakeoff("evaluate", "latest")[1]
    assert str(older) in bakeoff("evaluate", older.name[:-2])[1]
    assert bakeoff("prune", "latest")[0] == 0
    assert bakeoff("compare", older.name)[0] == 0
