"""One tiny run against the letter of the design.

Field names stand here in full: a renamed field of a record must fail although writer and reader agree.
"""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import files_below
from safetensors.torch import load_file
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from tiny_run import LINE, read, train

from bakeoff.data.batches import Batch
from bakeoff.data.splits import Split
from bakeoff.experiment import part as experiment
from bakeoff.models.base import LogitsClassifier
from bakeoff.runs.liveness import process_start

# (kind, number of images, hashes of the images), in the order of the calls
Events = list[tuple[str, int, set[int]]]


@pytest.fixture(scope="module")
def events() -> Events:
    return []


def hashes(images: torch.Tensor) -> set[int]:
    return {hash(image.cpu().numpy().tobytes()) for image in images}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, events: Events) -> Iterator[Path]:
    """A finished run, and in `events` all that went through its model."""
    taught, rated, predicted = LogitsClassifier.losses, LogitsClassifier.probabilities, experiment.predict

    def losses(self: LogitsClassifier, batch: Batch) -> Any:
        events.append(("losses", len(batch.images), set()))
        return taught(self, batch)

    def probabilities(self: LogitsClassifier, images: torch.Tensor) -> Any:
        events.append(("probabilities", len(images), hashes(images)))
        return rated(self, images)

    def predict(model: Any, split: Split, *rest: Any, **named: Any) -> Any:
        events.append(("predict", len(split), set()))
        found = predicted(model, split, *rest, **named)
        events.append(("predicted", len(split), set()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogitsClassifier, "losses", losses)
        patch.setattr(LogitsClassifier, "probabilities", probabilities)
        patch.setattr(experiment, "predict", predict)
        yield train(tmp_path_factory.mktemp("outputs"))


SCORES = {"accuracy", "macro_f1", "nll", "ece", "num_images", "num_no_answer", "per_class", "extra"}


def test_the_summary_has_the_fields_of_the_design(run: Path) -> None:
    summary = read(run, "summary.json")
    assert set(summary) == {
        "schema", "run_id", "identity", "setting", "status", "model", "family", "weights", "data", "seed",
        "epochs_run", "best_epoch", "test", "val", "train_loss_final", "time", "speed", "cost", "fingerprint",
        "num_skipped_pictures", "resolved", "data_title", "parts", "resumed_from", "input",
            "planned_steps", "steps_run",
    }  # fmt: skip
    for split, count in (("test", 400), ("val", 200)):
        assert set(summary[split]) == SCORES
        assert [set(scores) for scores in summary[split]["per_class"]] == [
            {"label", "precision", "recall", "f1", "support"}
        ] * 10
        assert sum(scores["support"] for scores in summary[split]["per_class"]) == count
    assert set(summary["time"]) == {
        "setup_seconds", "train_seconds", "first_epoch_seconds", "eval_seconds", "save_seconds", "total_seconds",
    }  # fmt: skip
    assert set(summary["speed"]) == {
        "train_images_per_second",
        "latency_ms_batch1",
        "images_per_second_batch256",
        "latency_ms_batch1_p95",
        "latency_batch_size",
        "threads",
        "load_average",
    }
    assert set(summary["cost"]) == {
        "parameters", "trainable_parameters", "forward_flops_per_image", "peak_memory_bytes",
        "peak_train_memory_bytes", "peak_eval_memory_bytes",
    }  # fmt: skip
    assert set(summary["fingerprint"]) == {"train_split", "val_split", "test_split", "code"}
    assert all(len(value) == 64 for value in summary["fingerprint"].values())
    assert len(set(summary["fingerprint"].values())) == 4


def test_the_summary_has_the_values_of_the_run(run: Path) -> None:
    summary = read(run, "summary.json")
    known = {
        "schema": 1, "run_id": run.name, "status": "finished", "model": "cnn", "family": "cnn", "weights": "none",
        "data": "digits", "seed": 0, "epochs_run": 1, "best_epoch": 1,
    }  # fmt: skip
    assert {key: summary[key] for key in known} == known
    assert (len(summary["identity"]), len(summary["setting"])) == (64, 64)
    (epoch,) = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    assert summary["train_loss_final"] == epoch["train_loss"]
    weights = load_file(run / "weights.safetensors")
    trained = sum(weights[name].numel() for name in weights if name.endswith(("weight", "bias")))
    assert summary["cost"]["parameters"] == summary["cost"]["trainable_parameters"] == trained
    # A 3x3 convolution of 8x8 images to 4 channels, and a layer of 4 x 10; a product and a sum each.
    assert summary["cost"]["forward_flops_per_image"] == 2 * (9 * 4 * 64 + 40)
    assert summary["cost"]["peak_memory_bytes"] > 50 * 2**20
    assert 50 * 2**20 < summary["cost"]["peak_train_memory_bytes"] <= summary["cost"]["peak_memory_bytes"]
    assert 50 * 2**20 < summary["cost"]["peak_eval_memory_bytes"] <= summary["cost"]["peak_memory_bytes"]
    assert summary["speed"].pop("load_average") >= 0
    assert summary["resolved"] == {
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "precision": read(run, "environment.json")["precision"],  # the config says auto
        "threads": torch.get_num_threads(),
        "eval_batch_size": 512,
    }
    assert all(value > 0 for value in summary["speed"].values())
    assert all(value > 0 for value in summary["time"].values())


def test_epochs_status_and_environment_have_the_fields_of_the_design(run: Path) -> None:
    (epoch,) = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    assert set(epoch) == {
        "epoch", "step", "lr", "train_loss", "train_loss_parts", "val", "train_seconds", "eval_seconds",
        "train_images_per_second",
    }  # fmt: skip
    assert set(epoch["val"]) == {"accuracy", "macro_f1", "nll"}
    assert (epoch["epoch"], epoch["step"]) == (1, 10)
    assert epoch["train_loss"] == pytest.approx(sum(epoch["train_loss_parts"].values()))
    assert epoch["train_images_per_second"] == pytest.approx(1197 / epoch["train_seconds"])
    status = read(run, "status.json")
    assert set(status) == {"status", "step", "error", "host", "pid", "heartbeat", "process_started"}
    assert status["process_started"] == process_start(os.getpid())
    assert (status["status"], status["step"], status["error"]) == ("finished", 10, None)
    assert status["heartbeat"].endswith("+00:00")
    environment = read(run, "environment.json")
    assert set(environment) >= {
        "device", "device_name", "torch", "torchvision", "cuda", "driver", "cpu", "threads", "precision", "host",
        "git_commit", "git_dirty", "argv", "packages", "fp32", "cores", "load_average", "load_of_others",
        "cpu_capability", "weights_sha256",
    }  # fmt: skip
    assert environment["torch"] == torch.__version__
    assert environment["weights_sha256"] is None  # from scratch
    assert environment["threads"] == torch.get_num_threads()
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["precision"] in ("fp32", "bf16", "fp16")


def test_the_config_is_stored_alike_for_programs_and_people(run: Path) -> None:
    config = read(run, "config.json")
    assert config.pop("schema") == 1
    assert yaml.safe_load((run / "config.yaml").read_text()) == config
    assert "${" not in (run / "config.json").read_text()
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == [
        *LINE,
        f"output_dir={run.parents[1]}",
    ]
    assert (config["model"]["channels"], config["trainer"]["device"]) == ([4], "auto")


def test_confusion_and_scores_per_class_are_scikit_learns(run: Path) -> None:
    stored = np.load(run / "predictions.npz", allow_pickle=False)
    assert sorted(stored.files) == ["index", "label", "probabilities"]
    labels, guesses = stored["label"], stored["probabilities"].argmax(axis=1)
    counts = np.array(read(run, "confusion.json")["counts"])
    assert counts.shape == (10, 11)
    assert np.array_equal(counts[:, :10], confusion_matrix(labels, guesses, labels=range(10)))
    assert counts[:, 10].tolist() == [0] * 10
    expected = precision_recall_fscore_support(labels, guesses, labels=range(10), zero_division=0)
    found = read(run, "summary.json")["test"]["per_class"]
    for key, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [scores[key] for scores in found] == pytest.approx(values.tolist())
    assert [scores["label"] for scores in found] == [str(digit) for digit in range(10)]


def test_plots_are_pictures_of_a_size_to_look_at(run: Path) -> None:
    pictures = sorted((run / "plots").iterdir())
    assert [path.name for path in pictures] == [
        "confusion.png",
        "curves.png",
        "mistakes.png",
        "reliability.png",
    ]
    for path in pictures:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert content[-8:-4] == b"IEND"
        width, height = struct.unpack(">II", content[16:24])
        assert 300 <= width <= 4000
        assert 200 <= height <= 4000


def test_no_test_image_is_rated_before_training_ends_and_each_is_predicted_once(
    run: Path, events: Events
) -> None:
    (stored,) = (run.parents[1] / "datasets").iterdir()
    test_images = hashes(torch.from_numpy(np.load(stored)["images"]))
    last_step = max(place for place, (kind, *_) in enumerate(events) if kind == "losses")
    assert sum(count for kind, count, _ in events if kind == "losses") == 1197
    rated_before = [seen for kind, _, seen in events[:last_step] if kind == "probabilities"]
    assert not any(seen & test_images for seen in rated_before)
    calls = [(place, count) for place, (kind, count, _) in enumerate(events) if kind == "predict"]
    assert [count for _, count in calls] == [400, 200]
    first = calls[0][0]
    assert first > last_step
    # Up to the prediction of the test split, its images were never rated: not for a choice either.
    between = [seen for kind, _, seen in events[last_step:first] if kind == "probabilities"]
    assert between
    assert not any(seen & test_images for seen in between)
    end = next(place for place, (kind, *_) in enumerate(events) if kind == "predicted")
    assert sum(count for kind, count, _ in events[first:end] if kind == "probabilities") == 400


@pytest.mark.usefixtures("no_pictures")
def test_test_images_are_written_once_for_several_runs(run: Path) -> None:
    (stored,) = (run.parents[1] / "datasets").iterdir()
    before = stored.stat()
    second = train(run.parents[1], "seed=1")
    assert second != run
    assert files_below(stored.parent) == [stored.name]
    assert (stored.stat().st_mtime_ns, stored.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
