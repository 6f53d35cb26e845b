"""After a search has ended: what it has chosen is shown, its trials are left out, and budgets are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from run_directories import make_run
from searched import ENDED, confirmed, trial, write_tune

from bakeoff.comparison.statistics.expected_best import expected_best
from bakeoff.comparison.tuning import trial_values
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.studies import tune_of

VALUES = [0.90, 0.95, 0.91, 0.97, 0.93, 0.92, 0.94, 0.96]


def write_search(
    folder: Path, study: str = "cnn", values: list[float] | None = None, *, again: bool = True, **more: Any
) -> list[dict[str, Any]]:
    """A search with a run for each trial; its best is trained again with two seeds."""
    values = VALUES if values is None else values
    results = []
    for number, value in enumerate(values):
        name = f"{study}-toy-{number}"
        make_run(
            folder / name, 0, f"{study}-{number}", model=study, changes={"optim.lr": 0.001 * (number + 1)}
        )
        results.append(trial(study, number, value, name))
    best = max(range(len(values)), key=lambda number: values[number])
    rows = []
    if again:
        names = [f"{study}-again-{seed}" for seed in (1, 2)]
        for seed, name in enumerate(names, 1):
            changes = {"optim.lr": 0.001 * (best + 1)}
            make_run(folder / name, seed, f"{study}-{best}", model=study, changes=changes)
        rows = [confirmed(study, 1, best, names, values[best], 0.9512)]
    write_tune(folder, results, again=rows, ended=ENDED, **more)
    return results


def as_json(bakeoff: Bakeoff, *words: str, code: int = 0) -> dict[str, Any]:
    found, out, error = bakeoff("compare", *words, "--format", "json")
    assert found == code, error
    return dict(json.loads(out))


def test_the_confirmed_ones_have_a_row_and_the_trials_none(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "s")
    found = as_json(bakeoff, str(tmp_path / "s"))
    (table,) = found["tables"]
    assert [row["runs"] for row in table["settings"]] == [["cnn-again-1", "cnn-again-2"]]
    assert {item["path"] for item in found["problems"]} == {f"cnn-toy-{number}" for number in range(8)}
    told = " ".join(bakeoff("compare", str(tmp_path / "s"))[1].split())
    assert "s: 8 trials of the search are left out: their scores are chosen ones; --all shows them" in told
    assert "cnn: its best trial had val.accuracy 97.00 % in the search, 95.12 % with new seeds" in told


def test_all_shows_the_trials_too(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "s")
    found = as_json(bakeoff, str(tmp_path / "s"), "--all")
    (table,) = found["tables"]
    assert len(table["settings"]) == 8
    assert found["problems"] == []
    assert "caution: 8 runs here are trials of a search, whose scores are chosen ones" in table["notes"]


def test_without_a_confirmation_the_best_of_each_study(bakeoff: Bakeoff, tmp_path: Path) -> None:
    results = write_search(tmp_path / "s", again=False)
    results += [
        one | {"study": "vit"} for one in write_search(tmp_path / "s", "vit", [0.5, 0.4], again=False)
    ]
    write_tune(tmp_path / "s", results, ended=ENDED, confirm=0)
    (table,) = as_json(bakeoff, str(tmp_path / "s"))["tables"]
    assert sorted(run for row in table["settings"] for run in row["runs"]) == ["cnn-toy-3", "vit-toy-0"]
    assert any("cnn: the best of 8 trials and never trained again" in note for note in table["notes"])


def test_what_fewer_trials_would_have_found(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "s")
    (table,) = as_json(bakeoff, str(tmp_path / "s"))["tables"]
    (study,) = table["tuning"]
    assert (study["study"], study["model"], study["sweep"], study["metric"]) == (
        "cnn",
        "cnn",
        "s",
        "val.accuracy",
    )
    assert [point["trials"] for point in study["expected_best"]] == [5, 8]
    wanted = expected_best(VALUES, [5, 8])
    assert [point["value"] for point in study["expected_best"]] == [one.value for one in wanted]
    assert study["settings"] == [table["settings"][0]["setting"]]
    for form in ("table", "markdown"):
        told = " ".join(bakeoff("compare", str(tmp_path / "s"), "--format", form)[1].split())
        assert "the best validation score that a search of so many trials would have found on average" in told
        assert f"cnn, val.accuracy (8 trials): {wanted[0].value * 100:.2f} % with 5; 97.00 % with 8" in told


def test_pruned_trials_count_with_their_best_and_failed_ones_as_the_worst(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    results = write_search(tmp_path / "s", values=[0.9, 0.8], again=False)
    for epoch, accuracy in enumerate([0.6, 0.85, 0.7], 1):
        val = ValidationScores(accuracy, accuracy, 0.5)
        record = EpochRecord(epoch, epoch, 0.1, 1.0, {}, val, 1.0, 1.0, 1.0)
        RunDir(tmp_path / "s" / "cnn-toy-1").append_epoch(record)
    results[1] |= {"state": "pruned", "values": None}
    results += [
        trial("cnn", 2, None),
        trial("cnn", 3, None, state="pruned"),
        trial("cnn", 4, None, state="running"),
    ]
    write_tune(tmp_path / "s", results, ended=ENDED)
    (table,) = as_json(bakeoff, str(tmp_path / "s"))["tables"]
    (study,) = table["tuning"]
    assert (study["num_trials"], study["num_pruned"], study["num_failed"]) == (4, 2, 1)
    (point,) = study["expected_best"]
    assert point["value"] == pytest.approx(0.9)
    told = " ".join(bakeoff("compare", str(tmp_path / "s"))[1].split())
    assert "cnn, val.accuracy (4 trials, 2 stopped early, 1 failed): 90.00 % with 4" in told


@pytest.mark.parametrize(("direction", "worst"), [("maximize", 0.8), ("minimize", 0.9)])
def test_the_value_of_a_failed_trial(tmp_path: Path, direction: str, worst: float) -> None:
    results = [trial("cnn", 0, 0.9), trial("cnn", 1, None), trial("cnn", 2, 0.8), trial("cnn", 3, 0.85)]
    results += [trial("cnn", 4, None, state="running"), trial("cnn", 5, None, "gone", state="pruned")]
    record = tune_of(write_tune(tmp_path, results, direction=direction))
    assert record is not None
    assert trial_values(tmp_path, record, record.results) == [0.9, worst, 0.8, 0.85, worst]
    assert trial_values(tmp_path, record, record.results[1:2]) == []


def test_different_budgets_are_named(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "a")
    write_search(tmp_path / "b", "vit", [0.8, 0.9])
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    (two,) = expected_best(VALUES, [2])
    assert (
        "caution: tuned with different numbers of trials: cnn with 8, vit with 2; expected best of 2: "
        f"cnn {two.value * 100:.2f} %; vit 90.00 %"
    ) in table["notes"]
    make_run(tmp_path / "free", 0, "mlp", model="mlp")
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    assert (
        "caution: some were tuned (cnn with 8 trials, vit with 2 trials), others were not: mlp"
        in table["notes"]
    )


def test_the_same_budgets_are_no_caution(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "a")
    write_search(tmp_path / "b", "vit")
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    assert not any("different numbers" in note or "others were not" in note for note in table["notes"])
    assert [study["study"] for study in table["tuning"]] == ["cnn", "vit"]


def test_studies_of_one_name_have_their_sweeps(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "a")
    write_search(tmp_path / "b", values=[0.5, 0.6])
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    assert sorted(study["study"] for study in table["tuning"]) == ["cnn (a)", "cnn (b)"]


def test_a_smaller_value_may_be_the_better(bakeoff: Bakeoff, tmp_path: Path) -> None:
    write_search(tmp_path / "s", metric="val.nll", direction="minimize")
    (table,) = as_json(bakeoff, str(tmp_path / "s"))["tables"]
    (study,) = table["tuning"]
    assert study["expected_best"][-1]["value"] == min(VALUES)


def test_names_of_studies_are_printed_safely(bakeoff: Bakeoff, tmp_path: Path) -> None:
    results = write_search(tmp_path / "s", again=False)
    write_tune(tmp_path / "s", [one | {"study": "\x1b[31mred|`"} for one in results], ended=ENDED)
    for form in ("table", "markdown", "json", "csv", "latex"):
        out = "".join(map(str, bakeoff("compare", str(tmp_path / "s"), "--format", form)))
        assert "\x1b" not in out
