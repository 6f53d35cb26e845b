"""`bakeoff list`: runs and sweeps, the newest first, whatever their files hold."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from listed_runs import DAY, DEAD, edit_json, finished, ledger, sweep_of_all_states, unfinished

from bakeoff.runs.states import STATES
from bakeoff.sweeps import listing

OUTPUTS = Path("outputs")


@pytest.fixture(autouse=True)
def clock_of_here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two hours ahead of UTC, whatever machine this is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC-2")
        time.tzset()
        yield
    time.tzset()


def rows_of(bakeoff: Bakeoff, *words: str) -> list[dict[str, Any]]:
    code, out, error = bakeoff("list", "--json", *words)
    assert (code, error) == (0, "")
    result = json.loads(out)
    assert result["schema"] == 1
    return result["rows"]


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_runs_and_sweeps_the_newest_first(bakeoff: Bakeoff) -> None:
    finished(OUTPUTS / DAY / "100000-cnn-toy-s0-aaaa", began="2026-01-02T08:00:00+00:00")
    finished(OUTPUTS / "2026-01-01" / "235900-cnn-toy-s1-bbbb", 1, began="2026-01-01T21:59:00+00:00")
    finished(OUTPUTS / DAY / "120000-cnn-toy-s2-cccc", 2, began="2026-01-02T10:00:00+00:00")
    sweep_of_all_states(OUTPUTS)  # begun at 11:00 by the clock of here
    rows = rows_of(bakeoff)
    assert names(rows) == [
        "120000-cnn-toy-s2-cccc",
        "night",
        "100000-cnn-toy-s0-aaaa",
        "235900-cnn-toy-s1-bbbb",
    ]
    assert [row["kind"] for row in rows] == ["run", "sweep", "run", "run"]
    code, out, _ = bakeoff("list", "-n", "2")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["name", "120000-cnn-toy-s2-cccc", "night", "2"]
    assert out.splitlines()[-1] == "2 older not shown; more with -n NUMBER (-n 0: all)"
    assert "2026-01-02 12:00:00" in out  # by the clock of here
    assert "older" not in bakeoff("list", "-n", "4")[1]
    assert "older" not in bakeoff("list", "-n", "0")[1]


def test_a_run_of_a_sweep_is_placed_by_its_own_start(bakeoff: Bakeoff) -> None:
    for number, hour in enumerate((12, 10, 11)):
        path = OUTPUTS / "sweeps" / "s" / f"cnn-toy-s{number}-{number:08x}"
        finished(path, number, began=f"2026-01-02T{hour}:00:00+00:00")
        os.utime(path / "environment.json", (number, number))  # as a copy has it
    assert [row["seed"] for row in rows_of(bakeoff, "s")] == [0, 2, 1]
    assert [row["seed"] for row in rows_of(bakeoff, "--runs")] == [0, 2, 1]


def test_what_is_said_of_a_run(bakeoff: Bakeoff) -> None:
    finished(OUTPUTS / DAY / "100000-cnn-toy-s0-aaaa", 3, val=0.75, began="2026-01-02T08:00:00+00:00")
    (row,) = rows_of(bakeoff)
    summary = json.loads((OUTPUTS / DAY / "100000-cnn-toy-s0-aaaa" / "summary.json").read_text())
    assert row == {
        "kind": "run",
        "name": "100000-cnn-toy-s0-aaaa",
        "path": f"outputs/{DAY}/100000-cnn-toy-s0-aaaa",
        "began": "2026-01-02T08:00:00+00:00",
        "seconds": 7.0,
        "changed": [],
        "state": "finished",
        "reason": None,
        "step": None,
        "model": "cnn",
        "data": "toy",
        "seed": 3,
        "val_accuracy": 0.75,
        "test_accuracy": summary["test"]["accuracy"],
        "sweep": None,
    }
    titles, values = bakeoff("list")[1].splitlines()
    assert titles.split() == ["name", "model", "data", "seed", "state", "validation", "test", "began", "took"]
    test = f"{100 * summary['test']['accuracy']:.2f} %"
    told = (
        f"100000-cnn-toy-s0-aaaa  cnn    toy      3  finished     75.00 %  {test}  2026-01-02 10:00:00  7.0 s"
    )
    assert values == told


def test_test_accuracy_is_told_of_finished_runs_only(bakeoff: Bakeoff) -> None:
    run = unfinished(OUTPUTS / DAY / "100000-cnn-digits-s0-aaaa", "interrupted")
    edit_json(run / "environment.json", started="2026-01-02T08:00:00+00:00")
    edit_json(run / "status.json", test={"accuracy": 0.5}, heartbeat="2026-01-02T08:30:00+00:00")
    (row,) = rows_of(bakeoff)
    assert (row["state"], row["test_accuracy"], row["val_accuracy"]) == ("interrupted", None, None)
    assert (row["model"], row["data"], row["seed"], row["step"]) == ("cnn", "digits", 0, 7)
    assert row["changed"] == ["optim.lr=0.5"]
    assert row["seconds"] == 1800
    assert " test" not in bakeoff("list")[1].splitlines()[0]


EPOCH = '{"epoch": %d, "step": 1, "val": {"accuracy": %s}}\n'


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "diverged", "lost", "pruned"])
def test_validation_accuracy_of_a_run_without_a_result_is_the_best_so_far(
    bakeoff: Bakeoff, state: str
) -> None:
    run = unfinished(OUTPUTS / "sweeps" / "old" / "cnn-digits-s0-00000000", state)
    epochs = [0.25, 0.75, 0.5, "NaN", 7, '"x"']
    (run / "epochs.jsonl").write_text("".join(EPOCH % each for each in enumerate(epochs, start=1)))
    (row,) = rows_of(bakeoff, "old")
    assert (row["val_accuracy"], row["test_accuracy"]) == (0.75, None)
    assert " 75.00 %" in bakeoff("list", "old")[1].splitlines()[1]
    finished(run.with_name("cnn-digits-s1-11111111"), 1, val=0.5)
    (sweep,) = rows_of(bakeoff)  # of an older version, without sweep.json: each run is read
    assert sweep["best"] == {"name": "cnn-digits-s1-11111111", "val_accuracy": 0.5}  # it alone has a result


def test_nobody_waits_for_very_many_epochs(bakeoff: Bakeoff) -> None:
    run = unfinished(OUTPUTS / DAY / "100000-cnn-digits-s0-aaaa", "interrupted")
    for size, known in ((2**22, None), (1, 0.75)):
        (run / "epochs.jsonl").write_text(EPOCH % (1, 0.75) + "\n" * size)
        assert rows_of(bakeoff)[0]["val_accuracy"] == known


def test_nothing_is_cut_in_a_pipe(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 70
    for seed in (0, 1):
        run = finished(OUTPUTS / DAY / f"10000{seed}-cnn-toy-s{seed}-aaaa", seed, model=long)
        (run / "overrides.yaml").write_text(json.dumps([f"model.{name}={long}" for name in "abcdefg"]))
    asleep = unfinished(OUTPUTS / DAY / "100002-cnn-digits-s0-aaaa", "asleep for very long")
    (asleep / "overrides.yaml").write_text((run / "overrides.yaml").read_text())
    out = bakeoff("list")[1]
    assert out.count(long) == 2 + 7  # a model each, and what is the same in every row
    assert "asleep for very long" in out
    assert "…" not in out
    monkeypatch.setattr("bakeoff.commands.list.line_width", lambda stream: 100)
    out = bakeoff("list")[1]
    assert "…" in out
    assert "model.a=" in out
    assert "model.g=" not in out


def test_a_sweep_is_one_row_with_counts(bakeoff: Bakeoff) -> None:
    sweep_of_all_states(OUTPUTS)
    (row,) = rows_of(bakeoff)
    counts = dict.fromkeys(STATES, 1) | {"lost": 2}
    assert row["counts"] == counts
    assert list(row["counts"])[:3] == ["finished", "running", "queued"]
    assert (row["num_runs"], row["state"]) == (9, "unfinished")
    assert (row["models"], row["data"], row["seeds"]) == (["cnn"], ["digits", "toy"], list(range(9)))
    assert row["changed"] == ["optim.lr=0.5"]
    assert row["best"] == {"name": "cnn-digits-s0-finished", "val_accuracy": 0.75}
    line = bakeoff("list")[1].splitlines()[1]
    told = "sweep of 9 runs: 1 finished, 1 running, 1 queued, 1 interrupted, 1 failed, 1 diverged, 2 lost, 1 pruned"
    assert line.endswith(f"{told}; best by validation: cnn-digits-s0-finished; optim.lr=0.5")


def test_the_best_run_of_a_sweep_is_that_of_the_highest_validation_accuracy(bakeoff: Bakeoff) -> None:
    for seed, val in enumerate((0.5, 0.9, 0.7)):
        finished(OUTPUTS / "sweeps" / "s" / f"cnn-toy-s{seed}-{seed:08x}", seed, val=val)
    (row,) = rows_of(bakeoff)
    assert row["best"] == {"name": "cnn-toy-s1-00000001", "val_accuracy": 0.9}
    assert (row["state"], row["seconds"], row["num_runs"]) == ("finished", 21.0, 3)  # of an older version


def test_a_sweep_that_a_process_works_on_is_running(bakeoff: Bakeoff) -> None:
    ledger(OUTPUTS / "sweeps" / "s", ["cnn-digits-s0-00000000"], owned=True)
    unfinished(OUTPUTS / "sweeps" / "s" / "cnn-digits-s0-00000000", "queued")
    assert [row["state"] for row in rows_of(bakeoff)] == ["running"]
    parent = json.loads((OUTPUTS / "sweeps" / "s" / "sweep.json").read_text())["parent"]
    edit_json(OUTPUTS / "sweeps" / "s" / "sweep.json", parent=parent | DEAD)
    assert [row["state"] for row in rows_of(bakeoff)] == ["unfinished"]
    ledger(OUTPUTS / "sweeps" / "s", ["cnn-digits-s0-00000000"])
    assert [row["state"] for row in rows_of(bakeoff)] == ["unfinished"]


@pytest.mark.parametrize("word", ["night", "nig", "latest", "outputs/sweeps/night", "sweeps/night"])
def test_the_runs_of_a_sweep(bakeoff: Bakeoff, word: str) -> None:
    sweep_of_all_states(OUTPUTS)
    rows = rows_of(bakeoff, word)
    assert sorted(names(rows)) == sorted(f"cnn-digits-s{n}-{state}" for n, state in enumerate(
        ("finished", "queued", "interrupted", "failed", "diverged", "lost", "pruned", "running", "gone")
    ))  # fmt: skip
    states = {row["name"].rpartition("-")[2]: row["state"] for row in rows}
    assert states == {state: state for state in STATES} | {"gone": "lost"}
    (gone,) = [row for row in rows if row["name"].endswith("gone")]
    assert (gone["reason"], gone["model"], gone["seed"]) == ("its directory is gone", "cnn", 8)
    assert {row["sweep"] for row in rows} == {"night"}
    (queued,) = [row for row in rows if row["state"] == "queued"]
    assert (queued["began"], queued["seconds"]) == (None, None)


def test_filters_ask_each_run_those_of_sweeps_too(bakeoff: Bakeoff) -> None:
    sweep_of_all_states(OUTPUTS)
    finished(OUTPUTS / DAY / "100000-vit-toy-s0-aaaa", model="vit_tiny")
    for words, found in (
        (["--state", "failed,diverged"], {"cnn-digits-s3-failed", "cnn-digits-s4-diverged"}),
        (["--state=lost"], {"cnn-digits-s5-lost"}),
        (["--model", "VIT*"], {"100000-vit-toy-s0-aaaa"}),
        (["--model", "vit"], set()),
        (["--data", "toy"], {"100000-vit-toy-s0-aaaa", "cnn-digits-s0-finished"}),
        (["--data", "toy", "--model", "cnn,vgg16"], {"cnn-digits-s0-finished"}),
        (["--state", "queued", "--data", "toy"], set()),
    ):
        assert set(names(rows_of(bakeoff, *words))) == found, words
    assert bakeoff("list", "--model", "vgg16")[:2] == (0, "no run matches; there are 9 runs in outputs\n")
    assert len(rows_of(bakeoff, "--runs")) == 9
    out = bakeoff("list", "--state", "failed,lost", "-n", "1")[1]
    assert out.splitlines()[-1] == "the newest 1; more with -n NUMBER (-n 0: all)"


def test_no_more_is_read_than_is_shown(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        finished(OUTPUTS / DAY / f"10000{number}-cnn-toy-s{number}-aaaa", number)
    read = []
    whole = listing.run_row
    monkeypatch.setattr(listing, "run_row", lambda path, state: read.append(path.name) or whole(path, state))
    assert len(bakeoff("list", "-n", "2")[1].splitlines()) == 4
    assert read == ["100005-cnn-toy-s5-aaaa", "100004-cnn-toy-s4-aaaa"]


def test_without_runs(bakeoff: Bakeoff, tmp_path: Path) -> None:
    hint = "bakeoff train data=digits makes one"
    assert bakeoff("list")[:2] == (0, f"no runs in outputs yet; {hint}\n")
    assert bakeoff("list", str(tmp_path))[:2] == (0, f"no runs in {tmp_path} yet; {hint}\n")
    assert rows_of(bakeoff) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nigt"], "sweep nigt: no sweep of this name below outputs; see bakeoff list; did you mean night?"),
        (["no/such"], "sweep no/such: no such path"),
        (["--state", "faild"], "faild: no such state; there are queued, running, interrupted, failed"),
        (["-n", "some"], "some: a number of rows, or 0 for all"),
        (["-n", "-1"], "-1"),
    ],
)
def test_mistakes_are_one_line(bakeoff: Bakeoff, words: list[str], says: str) -> None:
    sweep_of_all_states(OUTPUTS)
    code, out, error = bakeoff("list", *words)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert says in error


def test_what_is_the_same_in_every_row_is_told_once(bakeoff: Bakeoff) -> None:
    sweep_of_all_states(OUTPUTS)
    out = bakeoff("list", "night", "--state", "failed,lost,interrupted")[1]
    assert out.count("optim.lr=0.5") == 1
    assert out.splitlines()[-1] == "the same in every row: optim.lr=0.5"
    edit = OUTPUTS / "sweeps" / "night" / "cnn-digits-s3-failed" / "overrides.yaml"
    edit.write_text("- optim.lr=0.25\n")
    out = bakeoff("list", "night", "--state", "failed,lost,interrupted")[1]
    assert (out.count("optim.lr=0.5"), out.count("optim.lr=0.25")) == (2, 1)


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_it_fits_a_terminal_and_names_stay_whole(
    bakeoff: Bakeoff, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_of_all_states(OUTPUTS)
    finished(OUTPUTS / DAY / "100000-faster_rcnn-fashion_mnist-s0-aaaa", val=0.5)
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in ([], ["--runs"]):
        lines = bakeoff("list", *words)[1].splitlines()
        wide = [line for line in lines if len(line) > max(columns, 44)]
        assert wide == []
        assert any("100000-faster_rcnn-fashion_mnist-s0-aaaa" in line for line in lines)
        assert lines[0].startswith("name ") == (columns >= 80)  # a row a run, where there is room


def test_what_anybody_has_written_neither_acts_nor_breaks(bakeoff: Bakeoff) -> None:
    evil = "\x1b[31mred\n\u202e"
    values: list[Any] = [evil, None, [], {}, 7, True, -1, 1e300, "x" * 9999, "9999-12-31T23:59:59-23:59"]
    for number, value in enumerate(values):
        run = finished(OUTPUTS / DAY / f"10000{number}-cnn-toy-s0-aaaa", began="2026-01-02T08:00:00+00:00")
        edit_json(run / "summary.json", model=value, data=value, data_title=value, seed=value)
        edit_json(run / "summary.json", test={"accuracy": value})
        edit_json(run / "summary.json", val={"accuracy": value}, time={"total_seconds": value})
        edit_json(run / "environment.json", started=value)
        (run / "overrides.yaml").write_text(json.dumps(value))
        other = unfinished(OUTPUTS / "2026-01-03" / f"10000{number}-cnn-toy-s0-aaaa", "failed")
        edit_json(other / "status.json", status=value, error=value, step=value, heartbeat=value)
        edit_json(other / "config.json", model=value, data={"name": value, "title": value}, seed=value)
        sweep = ledger(OUTPUTS / "sweeps" / f"s{number}", ["cnn-toy-s0-00000000"])
        edit_json(sweep.folder / "sweep.json", created=value, line=[value], parent={"pid": value})
        edit_json(sweep.folder / "sweep.json", **({"jobs": value} if number % 2 else {"jobs": [value]}))
        unfinished(sweep.folder / "cnn-toy-s0-00000000", "queued")
    finished(OUTPUTS / DAY / evil)
    rows = rows_of(bakeoff)
    assert len(rows) == 3 * len(values) + 1
    runs = [row for row in rows if row["kind"] == "run" and row["name"] != evil]
    assert {row["test_accuracy"] for row in runs} == {None}
    for words in (["list"], ["list", "--json"], ["list", "--runs", "--model", "*"], ["list", "s0"]):
        code, out, error = bakeoff(*words, *(["-n", "0"] if "s0" not in words else []))
        assert (code, error) == (0, "")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", out)


@pytest.mark.parametrize("content", ["[" * 5000, '{"a":' * 5000, "? " * 5000, "- a\n" * 2**17, "!!int x"])
def test_overrides_that_cannot_be_read_are_left_out(bakeoff: Bakeoff, content: str) -> None:
    """Nested deeper than the parser follows, so long that it would take a while, or not what they say."""
    run = finished(OUTPUTS / DAY / "100000-cnn-toy-s0-aaaa")
    (run / "overrides.yaml").write_text(content)
    finished(OUTPUTS / DAY / "110000-cnn-toy-s1-bbbb", 1)
    assert [row["changed"] for row in rows_of(bakeoff)] == [[], []]
    for words in (["list"], ["show", str(run)]):
        code, out, error = bakeoff(*words)
        assert (code, error) == (0, "")
        assert run.name in out


def test_a_broken_summary_is_told(bakeoff: Bakeoff) -> None:
    run = finished(OUTPUTS / DAY / "100000-cnn-toy-s0-aaaa")
    (run / "summary.json").write_text("{")
    (row,) = rows_of(bakeoff)
    assert (row["state"], row["model"], row["test_accuracy"]) == ("finished", "cnn", None)
    assert row["reason"].startswith("summary.json: no valid JSON")
