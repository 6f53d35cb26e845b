"""The child that passes all jobs of a sweep through the gates: what it does once, and what it tells."""

import copy
import io
import json
import os
import tempfile
from typing import Any

import pytest

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.job import Job
from bakeoff.errors import ConfigError
from bakeoff.experiment import gates
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import torch_gates
from bakeoff.sweeps.gates_child import check_with_torch
from bakeoff.sweeps.slots import Size

DIGITS = Size(3842, 8, 1197, 1797 * 64, "cpu")


def jobs(*words: str) -> list[Job]:
    line = ["--multirun", "model=cnn_small", "data=digits", "trainer.device=cpu", *words]
    return expand(parse_arguments(line))[0]


def sizes_of(some: list[Job], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """As the child does it, in this process."""
    with tempfile.TemporaryFile() as file:
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([job.values for job in some])))
        assert torch_gates._check(os.dup(file.fileno())) == 0
        file.seek(0)
        found: list[dict[str, Any]] = json.load(file)
        return found


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The data set of each network that is made, and whether it was read for that."""
    made: list[tuple[str, bool]] = []
    prepare = gates.prepare

    def counts(values: dict[str, Any], dataset: Any = None) -> gates.Prepared:
        made.append((values["data"]["name"], dataset is None))
        return prepare(values, dataset)

    monkeypatch.setattr(gates, "prepare", counts)
    return made


def many(seeds: int, **optim: float) -> list[Job]:
    """Composing takes longer than checking."""
    (job,) = jobs("seed=0")
    made = []
    for seed in range(seeds):
        values = copy.deepcopy(job.values) | {"seed": seed}
        values["optim"].update(optim)
        made.append(Job(values, job.overrides))
    return made


def test_a_network_is_made_once_for_all_jobs_that_differ_in_luck_or_optimizer(
    prepared: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sizes_of(many(40) + many(2, lr=0.5), monkeypatch) == [DIGITS.__dict__] * 42
    assert prepared == [("digits", True)]


def test_data_are_read_once_though_the_jobs_take_turns(
    prepared: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch, tiny_mnist: str
) -> None:
    some = jobs("model=cnn_small,cnn", f"data.root={tiny_mnist}", "data=digits,mnist")
    found = sizes_of(some, monkeypatch)
    assert prepared == [("digits", True), ("digits", False), ("mnist", True), ("mnist", False)]
    # In the order of the jobs: the data vary fastest.
    assert [size["side"] for size in found] == [8, 28, 8, 28]
    assert found[0]["parameters"] < found[2]["parameters"]
    assert found[1]["train_images"] == 461


@pytest.mark.parametrize(
    ("section", "key", "value", "error"),
    [
        ("optim", "lr", -1.0, "optim.lr=-1.0"),
        ("model", "pools", 9, "model.pools: the pooling of layer 1"),
        ("trainer", "label_smoothing", 2.0, "trainer.label_smoothing=2.0"),
    ],
)
def test_every_job_is_checked(
    section: str, key: str, value: float, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = many(5)
    some[3].values[section][key] = value
    with pytest.raises(ConfigError, match=error):
        sizes_of(some, monkeypatch)


def test_gate_2_of_a_job_whose_network_is_known_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a family refuses of the shared keys, the optimizer's too."""
    some = many(2)
    some[1].values["optim"]["momentum"] = 0.5
    monkeypatch.setattr("bakeoff.models.cnn.REFUSES", ("optim.momentum",))
    with pytest.raises(ConfigError, match=r"optim\.momentum=0\.5: cnn_small has no use for it"):
        sizes_of(some, monkeypatch)


def test_each_note_is_told_once_whatever_its_figures_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = many(3) + many(3, warmup=0.1, warmup_epochs=1.0) + many(2, warmup=0.2, warmup_epochs=1.0)
    some[2].values["trainer"]["overfit_batches"] = 1
    some[4].values["trainer"]["overfit_batches"] = 2
    sizes_of(some, monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert sum("trainer.overfit_batches: trains" in line for line in lines) == 1
    assert sum("optim.warmup=0.1 counts" in line for line in lines) == 1
    assert len(lines) == 2


@pytest.mark.slow
def test_the_child_itself_tells_sizes_to_its_parent_and_mistakes_to_a_person(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stop = StopSignal()
    with stop.caught():
        assert check_with_torch(many(300), stop) == (0, [DIGITS] * 300)
        assert check_with_torch(many(2, lr=-1.0), stop) == (2, [])
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: optim.lr=-1.0: must be")
