"""What comes after the result can fail, or be cut short, and costs nothing but itself."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import LINE, read

from bakeoff.comparison.read import Run, read_run
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.experiment.extras import holds
from bakeoff.experiment.train import train
from bakeoff.machine.signals import StopSignal

# What fails -> what the line says is missing.
PARTS = {
    "bakeoff.evaluation.cost.measure_speed": "the speed",
    "bakeoff.evaluation.cost.count_flops": "FLOPs",
    "bakeoff.runs.rundir.RunDir.write_confusion": "confusion.json",
    "bakeoff.plots.figures.worst_mistakes": "plots/mistakes.png",
    "bakeoff.plots.overlays.draw_explanations": "plots/explain.png",
    "bakeoff.experiment.extras.keep_test_images": "the test images for reports",
    "bakeoff.experiment.extras.keep_explanations": "explanations.npz",
}


def run_with(tmp_path: Path, stop: StopSignal | None = None, *overrides: str) -> Path:
    (job,), _ = expand(parse_arguments([*LINE, f"output_dir={tmp_path}", *overrides]))
    return train(job, stop or StopSignal())


def breaks(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize("error", [RuntimeError("set_text(): no such\nglyph"), MemoryError()])
def test_whatever_fails_is_named_and_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    for part in PARTS:
        monkeypatch.setattr(part, breaks(error))
    monkeypatch.setattr("bakeoff.models.cnn.Cnn.explain", lambda *_: [], raising=False)
    run = run_with(tmp_path)
    out, log = capsys.readouterr().out, (run / "run.log").read_text()
    for name in PARTS.values():
        line = f"note: without {name}: {type(error).__name__}: {' '.join(str(error).split())}\n"
        assert line in out
        assert line in log
    assert (run / "plots" / "curves.png").is_file()  # the others are there
    assert read(run, "status.json")["status"] == "finished"
    summary = read(run, "summary.json")
    assert (summary["speed"]["latency_ms_batch1"], summary["cost"]["forward_flops_per_image"]) == (None, None)
    assert summary["speed"]["train_images_per_second"] > 0
    assert isinstance(read_run(run), Run)


def test_a_model_that_explains_nothing_has_no_such_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.plots.overlays.draw_explanations", breaks(RuntimeError()))
    assert "explain" not in (run_with(tmp_path) / "run.log").read_text()


def test_a_drawing_library_that_cannot_draw_is_named_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.plots.style.check", breaks(ValueError("no fonts")))
    log = (run_with(tmp_path) / "run.log").read_text()
    assert log.index("without pictures: ValueError: no fonts") < log.index("epoch 1/1")


def test_datasets_of_somebody_else_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "datasets").write_text("no folder")
    run = run_with(tmp_path)
    assert isinstance(read_run(run), Run)
    assert "without the test images for reports" in (run / "run.log").read_text()


def test_beside_a_run_that_was_moved_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output directory in a config of somebody else's is no place to write to."""
    run = tmp_path / "outputs" / "2026-01-01" / "run"
    run.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert holds(Path("outputs"), run)
    assert holds(tmp_path / "outputs", Path("outputs/2026-01-01/run"))
    assert not holds(tmp_path / "elsewhere", run)
    assert not holds(Path("outputs/2026"), run)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("after", ["weights.safetensors", "predictions.npz", "summary.json"])
def test_a_signal_while_results_are_written_throws_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: str
) -> None:
    import os

    replace = os.replace

    def then_signal(source: Any, target: Any) -> None:
        replace(source, target)
        if Path(target).name == after and stop.name is None:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "replace", then_signal)
    stop = StopSignal()
    with stop.caught():
        run = run_with(tmp_path, stop)
    assert isinstance(read_run(run), Run)
    assert read(run, "status.json")["status"] == "finished"
    told = "stopped by SIGTERM; the run is finished, some of its pictures or speeds are missing"
    assert told in capsys.readouterr().out
    assert told in (run / "run.log").read_text()
    assert not (run / "confusion.json").exists()
    with np.load(run / "predictions.npz") as arrays:
        assert len(arrays["label"]) == 400
    assert json.loads((run / "summary.json").read_text())["time"]["total_seconds"] > 0
