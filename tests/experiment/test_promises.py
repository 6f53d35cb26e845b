"""What the README promises of every run: judged with the chosen weights, and finished when its summary is there."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.job import Job
from bakeoff.evaluation.prediction import predict
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.train import train
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.records import ValidationScores

LINE = ["data=digits", "model=cnn_small", "model.channels=[4]", "trainer.epochs=3", "optim.lr=0.05"]


def job_of(output_dir: Path, *overrides: str) -> Job:
    return expand(parse_arguments([*LINE, f"output_dir={output_dir}", *overrides]))[0][0]


def accuracy_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first epoch looks best, whatever the weights are."""
    accuracies = iter([0.9, 0.5, 0.1] * 2)
    monkeypatch.setattr(
        "bakeoff.training.loop.validate", lambda *_: ValidationScores(next(accuracies), 0.5, 1.0)
    )


@pytest.mark.usefixtures("no_pictures")
def test_test_images_are_judged_with_the_chosen_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy_falls(monkeypatch)
    stored: dict[str, dict[str, np.ndarray]] = {}
    for select in ("best", "last"):
        job = job_of(tmp_path, f"trainer.select={select}")
        run = train(job, StopSignal())
        prepared = prepare(job.values)
        prepared.model.load_state_dict(load_file(run / "weights.safetensors"))
        # What the saved weights say of the test images is what was stored of them, and of validation.
        for split, images in (("", prepared.data.test), ("_val", prepared.data.val)):
            assert images is not None
            expected = predict(prepared.model, images, prepared.runtime).probabilities
            with np.load(run / f"predictions{split}.npz") as arrays:
                np.testing.assert_allclose(arrays["probabilities"], expected, atol=1e-5)
                stored.setdefault(select, {})[split] = arrays["probabilities"]
        summary = json.loads((run / "summary.json").read_text())
        assert summary["best_epoch"] == (1 if select == "best" else 3)
    for split in ("", "_val"):
        # Two epochs lie between: the same weights in both would be no choice at all.
        assert np.abs(stored["best"][split] - stored["last"][split]).max() > 0.05


def test_the_result_is_whole_when_the_summary_appears_and_the_rest_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appeared: list[str] = []
    replace = os.replace

    def noted(source: Any, target: Any) -> None:
        replace(source, target)
        appeared.append(Path(target).name)

    monkeypatch.setattr(os, "replace", noted)
    run = train(job_of(tmp_path), StopSignal())
    result = appeared.index("summary.json")
    assert {"config.json", "environment.json", "weights.safetensors"} < set(appeared[:result])
    assert {"predictions.npz", "predictions_val.npz"} < set(appeared[:result])
    extras = appeared[result + 1 : -1]
    assert {"confusion.json", "curves.png", "confusion.png", "mistakes.png", "reliability.png"} < set(extras)
    assert appeared[-1] == "summary.json"  # again, with the speed
    here = {path.name for path in run.rglob("*") if path.is_file()} - {"epochs.jsonl", "run.log"}
    assert here <= set(appeared)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_without_a_summary_yet_is_not_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakeoff.comparison.read import Problem, read_run
    from bakeoff.runs.rundir import RunDir

    seen: list[object] = []
    write = RunDir.write_summary

    def looked(self: RunDir, summary: Any) -> None:
        seen.append(read_run(self.path))
        write(self, summary)

    monkeypatch.setattr(RunDir, "write_summary", looked)
    run = train(job_of(tmp_path, "trainer.epochs=1"), StopSignal())
    assert isinstance(seen[0], Problem)
    assert not isinstance(read_run(run), Problem)


def test_the_first_weights_are_the_seeds_own(tmp_path: Path) -> None:
    def first_weights(seed: int) -> np.ndarray:
        model = prepare(job_of(tmp_path, f"seed={seed}").values).model
        return np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])

    assert np.array_equal(first_weights(1), first_weights(1))
    assert not np.array_equal(first_weights(1), first_weights(2))
