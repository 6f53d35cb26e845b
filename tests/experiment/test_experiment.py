"""A whole run on digits: what it leaves, in which order, and that `evaluate` gives it again."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, f1_score, log_loss
from toy import CPU, toy_config, toy_split

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.splits import Split
from bakeoff.experiment import part
from bakeoff.experiment import train as experiment
from bakeoff.machine.signals import StopSignal
from bakeoff.runs import records

LINE = ["data=digits", "model.channels=[4,4]", "trainer.epochs=3", "trainer.deterministic=true"]


def train(output_dir: Path, *overrides: str) -> Path:
    (job,), _ = expand(parse_arguments([*LINE, f"output_dir={output_dir}", *overrides]))
    return experiment.train(job, StopSignal())


@pytest.fixture(scope="module")
def calls() -> list[tuple[str, int]]:
    """What went through the model, in order: (where, number of images)."""
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, int]]) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("experiment.part", "evaluation.prediction"):
            original = getattr(__import__(f"bakeoff.{module}", fromlist=["predict"]), "predict")  # noqa: B009

            def predict(
                model: Any, split: Split, *rest: Any, _name: str = module, _call: Any = original, **named: Any
            ) -> Any:
                calls.append((_name, len(split)))
                return _call(model, split, *rest, **named)

            patch.setattr(f"bakeoff.{module}.predict", predict)
        yield train(tmp_path_factory.mktemp("outputs"))
    torch.use_deterministic_algorithms(False)


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def test_the_test_images_go_through_once_after_training(run: Path, calls: list[tuple[str, int]]) -> None:
    assert run.is_dir()
    # Three validations by the loop, then the test images, then the validation images once more.
    assert calls == [("evaluation.prediction", 200)] * 3 + [
        ("experiment.part", 400),
        ("experiment.part", 200),
    ]


def test_all_files_are_there_and_nothing_else(run: Path) -> None:
    assert sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()) == [
        "attempts/0001/attempt.json", "config.json", "config.yaml", "confusion.json", "environment.json", "epochs.jsonl", "overrides.yaml",
        "plots/confusion.png", "plots/curves.png", "plots/mistakes.png", "plots/reliability.png", "predictions.npz",
        "predictions_val.npz",
        "run.log", "status.json", "summary.json", "weights.safetensors",
    ]  # fmt: skip
    for path in (run / "plots").iterdir():
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert 5_000 < path.stat().st_size < 500_000


def fields(kind: Any) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}


def test_records_have_their_fields(run: Path) -> None:
    summary = read(run, "summary.json")
    assert set(summary) == fields(records.Summary)
    assert set(summary["test"]) == set(summary["val"]) == fields(records.SplitScores)
    assert set(summary["time"]) == fields(records.Times)
    assert set(summary["speed"]) == fields(records.Speed)
    assert set(summary["cost"]) == fields(records.Cost)
    assert set(summary["fingerprint"]) == fields(records.Fingerprints)
    assert set(read(run, "environment.json")) == fields(records.Environment)
    assert set(read(run, "status.json")) == fields(records.Status)
    epochs = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    assert [set(epoch) for epoch in epochs] == [fields(records.EpochRecord)] * 3
    assert read(run, "config.json")["schema"] == 1
    assert summary["run_id"] == run.name
    assert summary["status"] == read(run, "status.json")["status"] == "finished"


def test_times_add_up(run: Path) -> None:
    times = read(run, "summary.json")["time"]
    epochs = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    assert times["train_seconds"] == pytest.approx(sum(epoch["train_seconds"] for epoch in epochs))
    assert times["first_epoch_seconds"] == epochs[0]["train_seconds"]
    parts = sum(times[f"{phase}_seconds"] for phase in ("setup", "train", "eval", "save"))
    assert 0 < parts <= times["total_seconds"]


def test_scores_are_scikit_learns_of_the_stored_predictions(run: Path) -> None:
    for split, name in (("test", "predictions.npz"), ("val", "predictions_val.npz")):
        stored = np.load(run / name, allow_pickle=False)
        labels, rows = stored["label"], stored["probabilities"]
        assert (stored["index"].dtype, labels.dtype, rows.dtype) == (np.int64, np.int64, np.float32)
        assert np.array_equal(stored["index"], np.arange(len(labels)))
        scores = read(run, "summary.json")[split]
        guesses = rows.argmax(axis=1)
        assert scores["accuracy"] == pytest.approx(accuracy_score(labels, guesses))
        options = {"labels": range(10), "average": "macro", "zero_division": 0}
        assert scores["macro_f1"] == pytest.approx(f1_score(labels, guesses, **options))
        exact = rows.astype(np.float64) / rows.sum(axis=1, keepdims=True, dtype=np.float64)
        assert scores["nll"] == pytest.approx(log_loss(labels, exact), abs=1e-5)
        assert scores["num_images"] == len(labels)


def test_the_confusion_matrix_counts_all_images(run: Path) -> None:
    stored = read(run, "confusion.json")
    counts = np.array(stored["counts"])
    assert counts.shape == (10, 11)
    assert counts.sum() == 400
    assert stored["columns"] == [*stored["class_names"], "no answer"]
    assert np.trace(counts) / 400 == pytest.approx(read(run, "summary.json")["test"]["accuracy"])


def test_the_chosen_weights_are_those_of_the_best_epoch(run: Path) -> None:
    epochs = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    best = max(epochs, key=lambda epoch: (epoch["val"]["accuracy"], -epoch["val"]["nll"]))
    summary = read(run, "summary.json")
    assert summary["best_epoch"] == best["epoch"]
    assert summary["val"]["accuracy"] == best["val"]["accuracy"]
    assert summary["val"]["nll"] == pytest.approx(best["val"]["nll"])


def test_the_test_images_are_kept_once_beside_the_runs(run: Path) -> None:
    (stored,) = (run.parents[1] / "datasets").iterdir()
    assert stored.stem == read(run, "summary.json")["fingerprint"]["test_split"]
    arrays = np.load(stored, allow_pickle=False)
    assert arrays["images"].shape == (400, 1, 8, 8)
    assert np.array_equal(arrays["labels"], np.load(run / "predictions.npz")["label"])


def without_times(run: Path) -> list[dict[str, Any]]:
    epochs = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in e.items() if "seconds" not in key and "per_second" not in key}
        for e in epochs
    ]


@pytest.mark.usefixtures("no_pictures")
def test_the_same_seed_gives_the_same_weights_history_and_identity(run: Path, tmp_path: Path) -> None:
    again = train(tmp_path)
    first, second = load_file(run / "weights.safetensors"), load_file(again / "weights.safetensors")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert without_times(run) == without_times(again)
    summaries = [read(path, "summary.json") for path in (run, again)]
    for key in ("identity", "setting", "fingerprint", "test", "val"):
        assert summaries[0][key] == summaries[1][key]
    other = read(train(tmp_path, "seed=1"), "summary.json")
    assert other["setting"] == summaries[0]["setting"]
    assert other["identity"] != summaries[0]["identity"]
    assert other["fingerprint"] == summaries[0]["fingerprint"]
    assert other["test"]["nll"] != summaries[0]["test"]["nll"]


@pytest.mark.usefixtures("no_pictures")
def test_early_stopping_ends_after_epochs_without_gain(tmp_path: Path) -> None:
    stopped = train(
        tmp_path,
        "trainer.early_stopping_patience_epochs=2",
        "optim.lr=1e-9",
        "trainer.epochs=30",
        "optim.warmup_epochs=0",
    )
    summary = read(stopped, "summary.json")
    assert summary["best_epoch"] + 2 == summary["epochs_run"] < 30
    assert "stopped early" in (stopped / "run.log").read_text()


@pytest.mark.usefixtures("pictures_if_slow")
def test_without_validation_the_last_weights_count(tmp_path: Path, tiny_mnist: str) -> None:
    overrides = ["data=mnist", f"data.root={tiny_mnist}", "data.val_fraction=0", "trainer.select=last"]
    found = train(tmp_path, *overrides)
    summary = read(found, "summary.json")
    assert (summary["val"], summary["best_epoch"]) == (None, 3)
    assert not (found / "predictions_val.npz").exists()
    assert "not the official files" in (found / "run.log").read_text()


def test_evaluate_gives_the_same_figures(run: Path, bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff("evaluate", str(run))
    assert code == 0
    assert out.endswith("equal to summary.json\n")
    assert bakeoff("compare", str(run))[0] == 0


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "copied")


def test_evaluate_sees_other_weights(copied: Path, bakeoff: Bakeoff) -> None:
    weights = load_file(copied / "weights.safetensors")
    weights["head.2.weight"] = weights["head.2.weight"].flip(0)
    save_file(weights, copied / "weights.safetensors")
    code, out, _ = bakeoff("evaluate", str(copied))
    assert code == 7
    assert "differs" in out
    assert "not equal to summary.json" in out


@pytest.mark.parametrize("damage", ["cut", "other shape", "missing", "pickle"])
def test_evaluate_refuses_weights_that_do_not_fit(copied: Path, bakeoff: Bakeoff, damage: str) -> None:
    path = copied / "weights.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "other shape":
        save_file({"blocks.0.weight": torch.zeros(3)}, path)
    elif damage == "pickle":
        torch.save({"a": torch.zeros(1)}, path)
    else:
        path.unlink()
    code, _, err = bakeoff("evaluate", str(copied))
    assert code == 7
    assert err.count("\n") == 1
    assert "weights.safetensors" in err


def test_evaluate_never_runs_code_from_a_config(copied: Path, bakeoff: Bakeoff) -> None:
    config = read(copied, "config.json")
    config["model"]["_target_"] = "os.system"
    (copied / "config.json").write_text(json.dumps(config))
    code, _, err = bakeoff("evaluate", str(copied))
    assert code == 2
    assert "model._target_" in err


@pytest.mark.usefixtures("no_pictures")
def test_evaluate_refuses_other_test_images(tmp_path: Path, tiny_mnist: str, bakeoff: Bakeoff) -> None:
    from conftest import write_mnist

    found = train(
        tmp_path, "data=mnist", f"data.root={tiny_mnist}", "trainer.epochs=1", "optim.warmup_epochs=0"
    )
    other = write_mnist(tmp_path / "other", num_test=64)
    code, _, err = bakeoff("evaluate", str(found), "--data-root", str(other))
    assert code == 3
    assert "not the test images of" in err
    assert bakeoff("evaluate", str(found))[0] == 0


def test_evaluate_wants_a_finished_run(copied: Path, bakeoff: Bakeoff) -> None:
    (copied / "summary.json").unlink()
    code, _, err = bakeoff("evaluate", str(copied))
    assert code == 7
    assert "only a finished run" in err


def test_the_csv_of_a_comparison_holds_the_runs_figures(run: Path, bakeoff: Bakeoff) -> None:
    out = bakeoff("compare", str(run), "--format", "csv")[1]
    (row,) = csv.DictReader(out.splitlines())
    assert float(row["accuracy_mean"]) == read(run, "summary.json")["test"]["accuracy"]


@pytest.mark.parametrize(
    ("residency", "free", "moves"),
    [
        ("auto", None, True),  # a CPU: the data are there already
        ("auto", 2 * 4 * 36 + 1, True),
        ("auto", 2 * 4 * 36, False),  # half of the free memory is left for the network
        ("device", 1, True),
        ("host", None, False),
    ],
)
def test_images_go_to_the_device_if_asked_for_or_if_they_leave_room(
    residency: str, free: int | None, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = toy_split(4)  # 4 images of 36 bytes
    monkeypatch.setattr(part, "free_memory_bytes", lambda _: free)
    meta = dataclasses.replace(CPU, device=torch.device("meta"))
    moved = part._resident(split, toy_config(data__residency=residency), meta)
    assert (moved.device.type == "meta") == moves
