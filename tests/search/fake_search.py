"""A search whose trials are made of nothing: an epoch each time the scheduler looks; no process, no Hydra."""

import copy
import json
import math
import os
import signal
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from search_server import patched

from bakeoff.config import studies
from bakeoff.config.job import Job
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps import child
from bakeoff.sweeps.child import Slot

NIGHT = Path("outputs/sweeps/night")
WORDS = ["model=cnn_small", "data=digits", "sweep.name=night", "trainer.epochs=8"]
RATE = "optim.lr=interval(1e-4,1e-1)"


def accuracy(config: Mapping[str, Any], epoch: int) -> float:
    """Best at a rate of 0.01."""
    top = 1 - abs(math.log10(config["optim"]["lr"]) + 2) / 3
    return max(0.1, top) * (1 - 0.6**epoch)


class Trial(child.Started):
    """A job that does an epoch at each look."""

    test_score = 0.5

    def __init__(self, run: Path, identity: str) -> None:
        super().__init__(run, Namespace(pid=os.getpid()))  # type: ignore[arg-type]
        self.config = json.loads((run / "config.json").read_text())
        self.identity, self.code = identity, None
        self.out = RunDir(run)
        path = run / "epochs.jsonl"
        self.epoch = len(path.read_text().splitlines()) if path.exists() else 0
        self.out.write_status("running", self.epoch)
        with (run / "began").open("a") as file:
            file.write("x")

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.work()
        return self.code

    def work(self) -> int | None:
        if self.config["optim"]["weight_decay"] == 0.5:
            self.out.write_status("diverged", self.epoch, "no finite loss")
            return 5
        self.epoch += 1
        good = accuracy(self.config, self.epoch)
        val = {"accuracy": good, "macro_f1": good, "nll": 1 - good}
        with (self.run / "epochs.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": self.epoch, "step": self.epoch, "val": val}) + "\n")
        if self.epoch < self.config["trainer"]["epochs"]:
            return None
        summary = {
            "identity": self.identity, "epochs_run": self.epoch, "val": val, "test": {"accuracy": self.test_score},
            "cost": {"parameters": 10}, "speed": {"latency_ms_batch1": self.config["optim"]["lr"]},
        }  # fmt: skip
        (self.run / "summary.json").write_text(json.dumps(summary))
        self.out.write_status("finished", self.epoch)
        return 0

    def send(self, number: signal.Signals) -> None:
        if self.code is None:
            self.out.write_status("interrupted", self.epoch, f"stopped by {number.name}")
            self.code = 75


def search_here(monkeypatch: pytest.MonkeyPatch, kind: type[Trial] = Trial) -> None:
    """Replaces what takes time."""
    patched(monkeypatch.setattr)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)

    def start(run: Path, identity: str, _slot: Slot, _pipe: int, _at_once: int, _root: str) -> Trial:
        return kind(run, identity)

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", start)
    monkeypatch.setattr("bakeoff.sweeps.scheduler._SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr("bakeoff.sweeps.scheduler._SECONDS_BETWEEN_QUESTIONS", -1)
    monkeypatch.setattr("bakeoff.sweeps.search.search._SECONDS_BETWEEN_QUESTIONS", 0)
    monkeypatch.setattr("bakeoff.sweeps.search.begin.job_of", _composed_once())
    monkeypatch.setattr("bakeoff.sweeps.search.begin.jobs_to_check", lambda *_: [])


def _composed_once() -> Callable[..., Job]:
    composed: dict[str, Job] = {}

    def job_of(
        line: Any, plan: studies.StudyPlan, params: Mapping[str, Any], seed: int | None, name: str
    ) -> Job:
        key = repr((plan.name, plan.fixed, sorted(plan.space.dimensions)))
        if key not in composed:
            composed[key] = studies.job_of(line, plan, plan.space.first, None, name)
        values = copy.deepcopy(composed[key].values)
        values["sweep"]["name"] = name
        values["seed"] = values["seed"] if seed is None else seed
        for dotted, value in params.items():
            section, _, leaf = dotted.partition(".")
            values[section][leaf] = value
        return Job(values, [*plan.fixed, *plan.space.words(params)])

    return job_of


def record(folder: Path = NIGHT) -> dict[str, Any]:
    return json.loads((folder / "tune.json").read_text())


def results(folder: Path = NIGHT) -> list[dict[str, Any]]:
    return record(folder)["results"]


def decisions(folder: Path = NIGHT) -> list[tuple[Any, ...]]:
    """What was tried and what came of it, without the names of directories."""
    return [(one["study"], one["params"], one["state"], one["values"]) for one in results(folder)]


def check_whole(trials: int, folder: Path = NIGHT) -> None:
    """The planned number of trials, none lost, doubled or orphaned."""
    own = results(folder)
    assert record(folder)["ended"] is not None
    assert [one["number"] for one in own] == list(range(trials))
    assert {one["state"] for one in own} <= {"finished", "pruned", "failed"}
    runs = [one["run"] for one in own if one["same_as"] is None]
    confirmed = {run for row in record(folder)["confirmed"] for run in row["runs"]}
    there = {path.name for path in folder.iterdir() if (path / "config.json").exists()}
    assert len(set(runs)) == len(runs)
    assert there == {*runs, *confirmed}
    ledger = json.loads((folder / "sweep.json").read_text())
    assert {job["folder"] for job in ledger["jobs"]} == there
    assert {job["state"] for job in ledger["jobs"]} <= {"finished", "pruned", "failed", "diverged"}
    assert (ledger["parent"], ledger.get("workers")) == (None, None)
