"""From run directories to verdicts: the JSON's pairs, sentences, notes, and what is not compared."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from run_directories import make_run
from worked_example import LABELS, RUNS, probabilities_of

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.view import View
from bakeoff.runs.storage import write_json

ENVIRONMENT = {
    "host": "one", "device": "cpu", "device_name": "chip", "precision": "fp32", "threads": 2, "torch": "2.14",
    "torchvision": "0.29", "started": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


def compared(bakeoff: Bakeoff, root: Path, *options: str, code: int = 0) -> dict[str, Any]:
    found, out, _ = bakeoff("compare", str(root), "--format", "json", *options)
    assert found == code
    (table,) = json.loads(out)["tables"]
    return dict(table)


MINUTES = itertools.count()  # runs of these tests follow one another


def made(path: Path, seed: int, setting: str, right: np.ndarray, **options: Any) -> None:
    """A run that has some images right and the others wrong, among 3 classes."""
    labels = np.arange(len(right)) % 3
    rows = np.full((len(right), 3), 0.05, dtype=np.float32)
    rows[np.arange(len(right)), np.where(right, labels, (labels + 1) % 3)] = 0.9
    make_run(path, seed, setting, model=options.pop("model", setting), stored=(labels, rows), **options)
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=next(MINUTES))
    write_json(path / "environment.json", ENVIRONMENT | {"started": started.isoformat()})


def some_right(share: float, count: int, seed: int, ease: np.ndarray | None = None) -> np.ndarray:
    random = np.random.default_rng(seed)
    ease = random.random(count) if ease is None else ease
    return np.asarray(ease + 0.05 * random.normal(size=count) < share)


def test_the_worked_example_through_run_directories(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, (_, num_runs, _) in RUNS.items():
        for run in range(num_runs):
            rows = probabilities_of(name, run).astype(np.float32)
            make_run(tmp_path / f"{name}{run}", run, name, model=name, stored=(LABELS, rows))
    table = compared(bakeoff, tmp_path)
    assert {row["name"]: row["tie_group"] for row in table["settings"]} == dict(
        zip("ABCD", "aaba", strict=True)
    )
    pairs = {(pair["a"], pair["b"], pair["metric"]): pair for pair in table["pairs"]}
    assert len(pairs) == 6 * 3
    pair = pairs["A", "C", "accuracy"]
    assert pair["difference"] == pytest.approx(0.121777777778, rel=1e-9)
    assert pair["p_adjusted"] == pytest.approx(2.82966956507e-05, rel=1e-9)
    assert (pair["low"], pair["high"]) == (pytest.approx(0.078283631574), pytest.approx(0.165271923982))
    assert pair["smallest_detectable_difference"] == pytest.approx(0.0820609890644, rel=1e-9)
    assert pair["variance_images"] == pytest.approx(0.000251058425203, rel=1e-9)
    assert pair["variance_seeds"] == pytest.approx(0.000196427313007, rel=1e-9)
    by_class = {item["label"]: item["p_adjusted"] for item in pair["classes"]}
    assert by_class["6"] == pytest.approx(0.0106729984339, rel=1e-9)
    assert len(by_class) == 10
    # Stored in float32, so the NLL's digits end sooner.
    assert pairs["A", "C", "nll"]["difference"] == pytest.approx(-0.278596833823, rel=1e-6)
    own = {row["name"]: row["metrics"] for row in table["settings"]}
    assert own["A"]["accuracy"]["low"] == pytest.approx(0.937650652668, rel=1e-9)
    assert own["D"]["accuracy"]["high"] == pytest.approx(0.979404694837, rel=1e-9)


def test_the_guard_sees_what_is_not_shown_and_holm_does_not(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, (_, num_runs, _) in RUNS.items():
        for run in range(num_runs):
            rows = probabilities_of(name, run).astype(np.float32)
            make_run(tmp_path / f"{name}{run}", run, name, model=name, stored=(LABELS, rows))
    table = compared(bakeoff, tmp_path, "--where", 'model in ["A", "B"]')
    (pair,) = (pair for pair in table["pairs"] if pair["metric"] == "accuracy")
    assert (
        pair["p_adjusted"] == pair["p"] == pytest.approx(0.765288273122, rel=1e-9)
    )  # not 0.6896 of two alone


def test_a_real_difference_and_a_tie_in_words(bakeoff: Bakeoff, tmp_path: Path) -> None:
    ease = np.random.default_rng(0).random(3_000)
    for seed in range(3):
        made(tmp_path / f"good{seed}", seed, "good", some_right(0.95, 3_000, seed, ease))
        made(tmp_path / f"alike{seed}", seed, "alike", some_right(0.949, 3_000, 10 + seed, ease))
        made(tmp_path / f"bad{seed}", seed, "bad", some_right(0.8, 3_000, 20 + seed, ease))
    table = compared(bakeoff, tmp_path)
    tied, worse = table["verdict"]
    best, second = (row["name"] for row in table["settings"][:2])
    assert tied.startswith(f"{second} and {best}: no proven difference; {second} could be up to ")
    assert " points better or up to " in tied
    assert (
        "; only differences above about 1.5 points would have been found (in 80 of 100 such comparisons). "
        in tied
    )
    assert tied.endswith(" % of the uncertainty comes from the seed: add seeds, not images.")
    pair = next(p for p in table["pairs"] if {p["a"], p["b"]} == {"bad", best} and p["metric"] == "accuracy")
    near, far = sorted((abs(pair["low"]), abs(pair["high"])))
    assert worse == (
        f"bad is worse than {best} by {abs(pair['difference']) * 100:.2f} points "
        f"(95 % interval: {near * 100:.2f} to {far * 100:.2f}). Their recall differs in classes 0, 1, 2."
    )
    assert table["notes"] == []
    assert [row["tie_group"] for row in table["settings"]] == ["a", "a", "b"]


def test_one_run_speaks_of_one_network(bakeoff: Bakeoff, tmp_path: Path) -> None:
    ease = np.random.default_rng(0).random(900)
    made(tmp_path / "a", 0, "a", some_right(0.9, 900, 1, ease))
    made(tmp_path / "b", 1, "b", some_right(0.6, 900, 2, ease))
    table = compared(bakeoff, tmp_path)
    (sentence,) = table["verdict"]
    assert sentence.startswith("One network of b is worse than one network of a by ")
    assert "McNemar's test of the two networks: p < 0.0001." in sentence
    assert "only one run each, too few to judge an architecture: a, b" in table["notes"]
    alone = compared(bakeoff, tmp_path / "a")
    (sentence,) = alone["verdict"]
    assert sentence.endswith(
        "from 900 test images and one trained network; other seeds may differ: run 3 or more."
    )


def test_mcnemars_test_is_of_two_single_networks_only(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("a", 1), ("b", 0), ("c", 0)):
        made(tmp_path / f"{name}{seed}", seed, name, some_right(0.9, 300, ord(name) + seed))
    for pair in compared(bakeoff, tmp_path)["pairs"]:
        is_of_two = {pair["a"], pair["b"]} == {"b", "c"} and pair["metric"] == "accuracy"
        assert (pair["mcnemar_mid_p"] is not None) == is_of_two


@pytest.mark.parametrize(
    ("scatter", "num_runs", "num_other_runs", "expected"),
    [(7, 3, 3, True), (5, 3, 3, False), (7, 4, 4, False), (7, 3, 2, False), (7, 2, 3, True)],
)
def test_the_noisier_side_has_few_runs_and_four_times_the_variance(
    tmp_path: Path, scatter: int, num_runs: int, num_other_runs: int, expected: bool
) -> None:
    """Settings of 300 images whose runs have 240 right, some more and some fewer."""
    for name, step, count in (("noisy", scatter, num_runs), ("quiet", 3, num_other_runs)):
        for seed in range(count):
            num_right = 240 + step * (seed - 1 if count == 3 else (-1) ** seed)
            made(tmp_path / f"{name}{seed}", seed, name, np.arange(300) < num_right)
    runs, _ = read_runs(sorted(tmp_path.iterdir()))
    (table,) = compare_runs(runs, View(), statistics=True)
    assert {pair.noisy_side for pair in table.pairs if pair.metric == "accuracy"} == {expected}


def test_no_image_tells_two_settings_apart(bakeoff: Bakeoff, tmp_path: Path) -> None:
    right = some_right(0.9, 300, 0)
    for name in ("a", "b"):
        made(tmp_path / name, 0, name, right)
    table = compared(bakeoff, tmp_path)
    text = "no test image tells them apart, yet on other images they could differ by up to 1.22 points."
    assert text in table["verdict"][0]
    pair = table["pairs"][0]
    assert (pair["p"], pair["df"], pair["smallest_detectable_difference"]) == (1, None, None)


@pytest.mark.parametrize(("num_differing", "is_told"), [(4, True), (6, False)])
def test_fewer_than_five_differing_images_are_too_few(
    bakeoff: Bakeoff, tmp_path: Path, num_differing: int, is_told: bool
) -> None:
    for name, num_right in (("a", 250), ("b", 250 - num_differing)):
        made(tmp_path / name, 0, name, np.arange(300) < num_right)
    (sentence,) = compared(bakeoff, tmp_path)["verdict"]
    assert sentence.endswith(" They differ on too few images.") == is_told


IN_WORDS = {"precision": "number format (precision)"}


@pytest.mark.parametrize(
    ("fact", "value", "text"),
    [
        ("precision", "bf16", "precision: fp32 against bf16"),
        ("threads", 1, "threads: 2 against 1"),
        ("torch", "2.15", "torch: 2.14 against 2.15"),
        ("device_name", "other", "device: cpu chip against cpu other"),
    ],
)
def test_what_else_differs_is_named(
    bakeoff: Bakeoff, tmp_path: Path, fact: str, value: object, text: str
) -> None:
    for name in ("a", "b"):
        made(tmp_path / name, 0, name, some_right(0.9, 300, 0))
    assert compared(bakeoff, tmp_path, "--strict")["pairs"][0]["comparable"] is True
    write_json(tmp_path / "b" / "environment.json", ENVIRONMENT | {fact: value})
    table = compared(bakeoff, tmp_path, "--strict", code=7)
    assert all(pair["confounders"] == [text] and not pair["comparable"] for pair in table["pairs"])
    name, _, values = text.partition(": ")
    one, other = values.split(" against ")
    told = f"caution: the rows also differ in {IN_WORDS.get(fact, name)}: {one} in a; {other} in b"
    assert told in table["notes"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trainer.epochs": 3}, "epochs: 6 against 3"),
        ({"data.train_limit": 500}, "data limit: null against 500"),
        ({"data.classes": [0, 1]}, "classes: null against [0,1]"),
    ],
)
def test_settings_of_the_config_that_confound(
    bakeoff: Bakeoff, tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    made(tmp_path / "a", 0, "a", some_right(0.9, 300, 0))
    made(tmp_path / "b", 0, "b", some_right(0.8, 300, 1), changes=changes)
    assert compared(bakeoff, tmp_path, "--strict", code=7)["pairs"][0]["confounders"] == [text]


def test_runs_of_one_setting_on_two_kinds_of_machine_are_told(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed in range(2):
        made(tmp_path / str(seed), seed, "a", some_right(0.9, 300, seed))
    write_json(tmp_path / "1" / "environment.json", ENVIRONMENT | {"threads": 7})
    assert (
        f"a: its runs differ in threads ({ENVIRONMENT['threads']}, 7)" in compared(bakeoff, tmp_path)["notes"]
    )


def test_two_settings_that_are_mixed_alike_are_not_comparable(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name in ("a", "b"):
        for seed in range(2):
            made(tmp_path / f"{name}{seed}", seed, name, some_right(0.9, 300, ord(name) + seed))
        write_json(tmp_path / f"{name}1" / "environment.json", ENVIRONMENT | {"torch": "9"})
    pairs = compared(bakeoff, tmp_path, "--strict", code=7)["pairs"]
    told = f"{ENVIRONMENT['torch']}, 9"
    assert all(pair["confounders"] == [f"torch: {told} against {told}"] for pair in pairs)


def test_other_labels_of_the_same_fingerprint_are_another_table(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels, rows = np.arange(60) % 3, np.full((60, 3), 0.3, dtype=np.float32)
    make_run(tmp_path / "a", 0, "a", stored=(labels, rows))
    make_run(tmp_path / "b", 0, "b", stored=(labels[::-1].copy(), rows))
    out = bakeoff("compare", str(tmp_path), "--format", "json")[1]
    assert [len(table["settings"]) for table in json.loads(out)["tables"]] == [1, 1]
    # Without predictions nobody knows to which of the two a run belongs.
    make_run(tmp_path / "c", 0, "c", stored=(labels, rows))
    (tmp_path / "c" / "predictions.npz").unlink()
    out = bakeoff("compare", str(tmp_path), "--format", "json")[1]
    assert [len(table["settings"]) for table in json.loads(out)["tables"]] == [1, 1, 1]


def test_a_setting_without_predictions_is_shown_and_not_tested(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        made(tmp_path / name, 0, name, some_right(0.9, 300, ord(name)))
    (tmp_path / "c" / "predictions.npz").unlink()
    table = compared(bakeoff, tmp_path)
    assert len(table["settings"]) == 3
    assert {frozenset((pair["a"], pair["b"])) for pair in table["pairs"]} == {frozenset("ab")}
    assert "c: not tested, 1 of its 1 runs have no predictions" in table["notes"]
    row = next(row for row in table["settings"] if row["name"] == "c")
    assert row["metrics"]["accuracy"]["low"] is None
    assert row["tie_group"] is None


@pytest.mark.parametrize(
    ("guesses", "note"),
    [
        ("no answer", "a: no prediction for 10.00 % of the images, counted wrong"),
        ("guessing", "a: no better than guessing with seed 0, 1 (guessing has 33.3 % right)"),
        ("same", "a: the seed changes nothing, all runs gave the same predictions"),
        ("few", "under 20 test images, so recall is not tested: classes 0, 1, 2"),
        ("absent", "no test image of class 2"),
    ],
)
def test_notes(bakeoff: Bakeoff, tmp_path: Path, guesses: str, note: str) -> None:
    count = 45 if guesses == "few" else 300
    labels = np.arange(count) % (2 if guesses == "absent" else 3)
    for seed in range(2):
        right = some_right(0.3 if guesses == "guessing" else 0.9, count, 0 if guesses == "same" else seed)
        rows = np.full((count, 3), 0.05, dtype=np.float32)
        rows[np.arange(count), np.where(right, labels, (labels + 1) % 3)] = 0.9
        if guesses == "no answer":
            rows[:30] = 0
        make_run(tmp_path / str(seed), seed, "a", model="a", stored=(labels, rows))
    assert note in compared(bakeoff, tmp_path)["notes"]


@pytest.mark.parametrize(("num_right", "is_told"), [(149, True), (150, False)])
def test_no_better_than_guessing_ends_at_one_and_a_half_times_the_chance(
    bakeoff: Bakeoff, tmp_path: Path, num_right: int, is_told: bool
) -> None:
    made(tmp_path / "a", 0, "a", np.arange(300) < num_right)  # of 3 classes
    notes = compared(bakeoff, tmp_path)["notes"]
    assert any(note.startswith("a: no better than guessing with seed 0 (") for note in notes) == is_told


@pytest.mark.parametrize(
    ("started", "changes", "reason"),
    [
        ("00:00:07", {}, None),  # a run of make_run takes 7 s
        ("00:00:05", {}, None),  # within the resolution of the stored times
        ("00:00:03", {}, "some runs ran side by side"),
        ("00:00:00", {}, "some runs ran side by side"),
        ("01:00:00", {"host": "two"}, "the runs come from 2 machines"),
        ("01:00:00", {"device_name": "other"}, "the runs come from 2 machines"),
        ("01:00:00", {"host": None}, "the machine of some runs is not recorded"),
        ("01:00:00", {"threads": 1}, "the runs had different numbers of threads (1, 2)"),
        ("01:00:00", {"threads": None}, "the runs had different numbers of threads (2, unknown)"),
        ("yesterday", {}, "when some runs ran is not recorded"),
    ],
)
def test_times_are_ranked_only_of_one_machine_and_one_after_another(
    bakeoff: Bakeoff, tmp_path: Path, started: str, changes: dict[str, Any], reason: str | None
) -> None:
    made(tmp_path / "a", 0, "a", some_right(0.9, 300, 0))
    made(tmp_path / "b", 0, "b", some_right(0.6, 300, 1), train_seconds=9.0)
    write_json(tmp_path / "a" / "environment.json", ENVIRONMENT)
    later = {"started": f"2026-01-01T{started}+00:00"} | changes
    write_json(tmp_path / "b" / "environment.json", ENVIRONMENT | later)
    told = [note for note in compared(bakeoff, tmp_path)["notes"] if note.startswith("times")]
    assert told == ([f"times not ranked: {reason}"] if reason else [])
    code, _, error = bakeoff("compare", str(tmp_path), "--sort", "train_seconds")
    assert code == (2 if reason else 0)
    assert (reason or "") in error
    verdict = compared(bakeoff, tmp_path, "--cost", "train_seconds")["verdict"]
    expected = f"No best trade-off of accuracy against train_seconds: {reason}." if reason else None
    assert verdict[-1] == (
        expected
        or "Best trade-off of accuracy against train_seconds (Pareto front): a; "
        "no configuration that costs the same or less is proven to be more accurate."
    )


def test_a_dearer_setting_is_dominated_only_by_a_real_difference(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """`dear` is not told apart from `cheap`, so both are on the front; `bad` is worse at the same cost."""
    ease = np.random.default_rng(0).random(1_500)
    parameters = {"cheap": 10, "dear": 1_000, "bad": 10}
    for name, share in (("cheap", 0.95), ("dear", 0.951), ("bad", 0.7)):
        for seed in range(3):
            made(tmp_path / f"{name}{seed}", seed, name, some_right(share, 1_500, seed + len(name), ease))
            path = tmp_path / f"{name}{seed}" / "summary.json"
            summary = json.loads(path.read_text())
            summary["cost"]["parameters"] = parameters[name]
            write_json(path, summary)
    table = compared(bakeoff, tmp_path, "--cost", "parameters")
    assert {row["name"]: row["on_front"] for row in table["settings"]} == {
        "cheap": True, "dear": True, "bad": False
    }  # fmt: skip
