"""What races and searches say of themselves is read with distrust, and what is open is sealed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from searched import ENDED, confirmed, trial, write_race, write_tune

from bakeoff.runs.studies import is_open, is_sealed, is_search_trial, race_of, tune_of


def test_runs_are_sealed_until_the_end(tmp_path: Path) -> None:
    for name, write in (
        ("race", write_race),
        ("tune", lambda folder, **more: write_tune(folder, [], **more)),
    ):
        folder = tmp_path / name
        write(folder)
        assert is_open(folder)
        assert is_sealed(folder / "cnn-s0")
        write(folder, ended=ENDED)
        assert not is_sealed(folder / "cnn-s0")
    assert not is_sealed(tmp_path / "another" / "cnn-s0")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ended": 3}', "{}"])
def test_what_cannot_be_read_is_sealed(tmp_path: Path, content: str) -> None:
    for name in ("race.json", "tune.json"):
        (tmp_path / name).write_text(content)
        assert is_sealed(tmp_path / "run")
        (tmp_path / name).unlink()
    assert not is_sealed(tmp_path / "run")


def test_a_link_to_a_record_that_has_ended_opens_nothing(tmp_path: Path) -> None:
    write_race(tmp_path / "old", ended=ENDED)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "race.json").symlink_to(tmp_path / "old" / "race.json")
    assert is_sealed(tmp_path / "new" / "run")


def test_however_a_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = write_tune(tmp_path / "sweep", [trial("cnn", 0, 0.9, "run")])
    (sweep / "run" / "plots").mkdir(parents=True)
    (tmp_path / "link").symlink_to(sweep / "run")
    monkeypatch.chdir(sweep / "run")
    for name in (".", "plots/..", str(tmp_path / "link"), str(sweep / "run"), "../run"):
        assert is_sealed(Path(name)), name
        assert is_search_trial(Path(name)), name


def test_a_record_is_read_again_when_it_was_written_again(tmp_path: Path) -> None:
    write_race(tmp_path)
    assert is_sealed(tmp_path / "run")
    write_race(tmp_path / "other", ended=ENDED)
    os.replace(tmp_path / "other" / "race.json", tmp_path / "race.json")
    assert not is_sealed(tmp_path / "run")


def test_which_runs_are_trials_of_the_search(tmp_path: Path) -> None:
    again = [confirmed("cnn", 1, 1, ["again-0", "both"])]
    write_tune(tmp_path, [trial("cnn", 0, 0.9, "a"), trial("cnn", 1, 0.9, "both")], again=again, ended=ENDED)
    assert [is_search_trial(tmp_path / name) for name in ("a", "both", "again-0", "other")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert not is_search_trial(tmp_path / "elsewhere" / "a")


def test_the_best_of_a_study(tmp_path: Path) -> None:
    results = [trial("cnn", 2, 0.9), trial("cnn", 1, 0.9), trial("cnn", 0, 0.1), trial("vit", 0, 0.99),
               trial("cnn", 3, None), trial("cnn", 4, 0.97, state="pruned")]  # fmt: skip
    for direction, number in (("maximize", 1), ("minimize", 0)):
        write_tune(tmp_path / direction, results, direction=direction)
        record = tune_of(tmp_path / direction)
        assert record is not None
        best = record.best_of("cnn")
        assert best is not None
        assert best.number == number
        assert record.best_of("other") is None


def test_the_looks_of_a_race(tmp_path: Path) -> None:
    write_race(tmp_path, seeds=5, out={"b": 3})
    record = race_of(tmp_path)
    assert record is not None
    assert (record.looks, record.seeds, record.out_after, record.is_ended) == (
        (3, 5, 8, 12),
        5,
        {"b": 3},
        False,
    )
    write_race(tmp_path / "new", seeds=0)
    record = race_of(tmp_path / "new")
    assert record is not None
    assert record.seeds == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": []}, {"metric": "val.accuracy"}, {"metric": [3]}, {"directions": []},
        {"directions": ["up"]}, {"directions": None}, {"results": {}}, {"confirmed": None}, {"studies": 3},
    ],
)  # fmt: skip
def test_no_search(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_tune(tmp_path, [trial("cnn", 0, 0.9)])
    assert tune_of(tmp_path) is not None
    path = tmp_path / "tune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert tune_of(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True), ({"state": "lost"}, False), ({"number": -1}, False), ({"number": True}, False),
        ({"study": None}, False), ({"values": ["0.9"]}, None), ({"values": [True]}, None),
        ({"values": [0.9, 0.9]}, None), ({"values": [1e400]}, None), ({"values": 3}, None),
    ],
)  # fmt: skip
def test_results_that_are_wrong_are_left_out(
    tmp_path: Path, changes: dict[str, Any], kept: bool | None
) -> None:
    one = trial("cnn", 0, 0.9) | changes
    write_tune(tmp_path, [trial("cnn", 1, 0.5)])
    path = tmp_path / "tune.json"
    values = json.loads(path.read_text())
    values["results"] += [3, None, one]
    path.write_text(json.dumps(values).replace("Infinity", "1e400"))
    record = tune_of(tmp_path)
    assert record is not None
    assert len(record.results) == (1 if kept is False else 2)
    if kept is not False:
        assert record.results[1].values == ((0.9,) if kept else None)


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/b", "", ".", 3, "a\0b"])
def test_a_run_is_a_folder_of_the_sweep(tmp_path: Path, name: Any) -> None:
    write_tune(tmp_path, [trial("cnn", 0, 0.9, name)], again=[confirmed("cnn", 1, 0, [name, "run"])])
    record = tune_of(tmp_path)
    assert record is not None
    assert record.results[0].run is None
    assert record.confirmed[0].runs == ("run",)
