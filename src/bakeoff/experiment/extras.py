"""What a finished run has besides its result: speed, pictures, test images for reports.

All of it comes after the summary, and none of it can cost the result: what fails is named in a line and
in `run.log`, and the next thing is done. A signal ends it early.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from bakeoff.evaluation import cost, metrics
from bakeoff.evaluation.prediction import Predictions
from bakeoff.exits import kind_and_text
from bakeoff.experiment.gates import Prepared
from bakeoff.experiment.kept import keep_explanations, keep_test_images
from bakeoff.experiment.progress import say
from bakeoff.experiment.results import phase_times
from bakeoff.machine.signals import StopSignal, stopped_by
from bakeoff.machine.waiting import doing
from bakeoff.models.base import Classifier
from bakeoff.plots import canvas, figures, overlays, style
from bakeoff.runs.records import Summary
from bakeoff.runs.rundir import EXPLANATIONS, RunDir
from bakeoff.training.state import TrainState

_UNFINISHED = "the run is finished, some of its pictures or speeds are missing"


@dataclasses.dataclass
class Extras:
    """Measures, draws and stores; `summary` gains what was measured."""

    run: RunDir
    prepared: Prepared
    state: TrainState
    test: Predictions
    summary: Summary

    def make(self, stop: StopSignal, began: float) -> Summary:
        """Does all of it, and writes the summary again with the measured figures."""
        stop.last_words = lambda text: self.run.abandon(self.state.step, f"{text}; {_UNFINISHED}")
        for name, step in self._steps().items():
            if stop.name is not None:
                say(self.run, f"{stopped_by(stop.name)}; {_UNFINISHED}")
                break
            with doing(f"the result is saved; next: {name}"):
                attempt(self.run, name, step)
        self.summary = dataclasses.replace(self.summary, time=phase_times(self.state, began))
        attempt(self.run, "the last times in summary.json", self._write_summary)
        stop.last_words = lambda _: None
        return self.summary

    def _steps(self) -> dict[str, Callable[[], object]]:
        """What a step makes -> the step, in their order."""
        draw = self._pictures()
        shown = {EXPLANATIONS: self._saving(self._keep_explanations)} if self._explains else {}
        return {
            "the speed": self._measure_speed,
            "FLOPs": self._count_flops,
            "speed and FLOPs in summary.json": self._write_summary,
            "confusion.json": self._saving(lambda: self.run.write_confusion(self._names, self._counts)),
            **{f"plots/{name}": self._saving(partial(_in_own_style, step)) for name, step in draw.items()},
            "the test images for reports": self._saving(self._keep_test_images),
            **shown,
        }

    def _pictures(self) -> dict[str, Callable[[], object]]:
        title = f"{self.prepared.name} on {self.prepared.title}, seed {self.prepared.config.seed}"
        files = (self.prepared.data.files or {}).get("test")
        images = self.prepared.data.test
        drawn = figures.pictures(
            title,
            self.state.epochs,
            self._counts,
            self._names,
            images,
            self.test,
            files,
            self.summary.best_epoch,
        )
        steps: dict[str, Callable[[], object]] = {
            name: partial(_save, self.run, draw, name) for name, draw in drawn.items()
        }
        if self._explains:
            steps["explain.png"] = lambda: overlays.draw_explanations(
                self.run, title, self.state.model, images, self.test, self._names, self.prepared.runtime
            )
        return steps

    def _measure_speed(self) -> None:
        rate = self.summary.speed.train_images_per_second
        speed = cost.measure_speed(self.state.model, self.prepared.data.test, self.prepared.runtime, rate)
        self.summary = dataclasses.replace(self.summary, speed=speed)

    def _count_flops(self) -> None:
        flops = cost.count_flops(self.state.model, self.prepared.data.test, self.prepared.runtime)
        spent = dataclasses.replace(self.summary.cost, forward_flops_per_image=flops)
        self.summary = dataclasses.replace(self.summary, cost=spent)

    def _write_summary(self) -> None:
        self.run.write_summary(self.summary)

    def _keep_test_images(self) -> None:
        output_dir = Path(self.prepared.config.output_dir)
        if holds(output_dir, self.run.path):
            test_hash = self.summary.fingerprint.test_split
            keep_test_images(output_dir, test_hash, self.prepared.data.test, self.test)

    def _keep_explanations(self) -> None:
        keep_explanations(
            self.run, self.state.model, self.prepared.data.test, self.test, self.prepared.runtime
        )

    def _saving(self, step: Callable[[], object]) -> Callable[[], None]:
        """The step within the phase of saving."""

        def timed() -> None:
            with self.state.times.phase("save", self.prepared.runtime.synchronize):
                step()

        return timed

    @property
    def _explains(self) -> bool:
        """Whether the model has something to show; most have not."""
        return type(self.state.model).explain is not Classifier.explain

    @property
    def _names(self) -> tuple[str, ...]:
        return self.prepared.data.class_names

    @cached_property
    def _counts(self) -> np.ndarray:
        return metrics.confusion(self.test.label, metrics.answers(self.test.probabilities), len(self._names))


def holds(output_dir: Path, run: Path) -> bool:
    """Whether a run is where its config says; one that goes on may have been moved, or be somebody else's."""
    return output_dir.resolve() in run.resolve().parents


def attempt(run: RunDir, name: str, step: Callable[[], object]) -> None:
    """Does one thing; whatever is wrong with it becomes a line."""
    try:
        step()
    except Exception as error:  # noqa: BLE001 - a library may raise anything, and nothing here is worth a run
        say(run, f"note: without {name}: {kind_and_text(error)}")


def _in_own_style(draw: Callable[[], object]) -> None:
    with style.own_style():
        draw()


def _save(run: RunDir, draw: Callable[[], object], name: str) -> None:
    canvas.save(run, draw(), name)
