"""`bakeoff compare --max-latency`: which row is named, what of it is said, and when nothing is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.runs.measurements import MEASUREMENTS, Measurement, add_measurements
from bakeoff.runs.storage import write_json

ENVIRONMENT = {"host": "one", "device": "cpu", "device_name": "chip", "precision": "fp32", "threads": 2}
TAKEN = Measurement(
    time="2026-11-27T21:00:00+00:00", host="two", device="cpu", device_name="board", cpu="board", torch="2.14.1",
    precision="fp32", threads=1, batch_size=1, engine="bakeoff", file=None, latency_ms_median=1.0,
    latency_ms_p95=1.1, images_per_second=1000.0, peak_memory_bytes=None, load_average=None, repeats=100,
)  # fmt: skip
# Share of the images that a model has right, and its own latency in milliseconds.
MODELS = {"slow": (0.97, 9.0), "good": (0.9, 1.8), "near": (0.895, 0.9), "bad": (0.6, 0.5)}


def row(
    root: Path, model: str, share: float, latency: float | None, seeds: int = 2, p95: float | None = None
) -> None:
    ease = np.random.default_rng(0).random(600)
    for seed in range(seeds):
        path = root / f"{model}-{seed}"
        right = ease + 0.02 * np.random.default_rng(seed + len(model)).normal(size=600) < share
        labels = np.arange(600) % 3
        rows = np.full((600, 3), 0.05, dtype=np.float32)
        rows[np.arange(600), np.where(right, labels, (labels + 1) % 3)] = 0.9
        make_run(path, seed, model, model=model, stored=(labels, rows))
        summary = json.loads((path / "summary.json").read_text())
        summary["speed"] |= {"latency_ms_batch1": latency, "latency_ms_batch1_p95": p95}
        write_json(path / "summary.json", summary)
        number = len(list(root.iterdir()))  # one after another
        started = f"2026-01-01T00:{number:02d}:00+00:00"
        write_json(path / "environment.json", ENVIRONMENT | {"started": started})


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of all models, for tests that only read them."""
    folder = tmp_path_factory.mktemp("budget")
    for model, (share, latency) in MODELS.items():
        row(folder, model, share, latency)
    return folder


@pytest.fixture
def root(unchanged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unchanged, tmp_path / "runs"))


def test_a_disturbed_measurement_counts_only_where_there_is_no_other(root: Path, bakeoff: Bakeoff) -> None:
    for run in root.iterdir():
        add_measurements(run, [replace(TAKEN, disturbed=False), replace(
            TAKEN, time="2026-11-27T22:00:00+00:00", latency_ms_median=50.0, latency_ms_p95=60.0, disturbed=True
        )])  # fmt: skip
    assert "Something else ran" not in (says := budget(bakeoff, root, "2ms")["says"][-1])
    assert "taken by bakeoff measure" in says
    for run in root.iterdir():
        (run / MEASUREMENTS).unlink()
        add_measurements(run, [replace(TAKEN, disturbed=True)])
    says = budget(bakeoff, root, "2ms")["says"][-1]
    assert says.endswith("so they may be too long: measure again when nothing else runs.")


def budget(bakeoff: Bakeoff, root: Path, limit: str, *options: str) -> dict[str, Any]:
    code, out, err = bakeoff("compare", str(root), "--max-latency", limit, "--format", "json", *options)
    assert (code, err) == (0, "")
    (table,) = json.loads(out)["tables"]
    found = table["latency_budget"]
    assert table["verdict"][-len(found["says"]) :] == found["says"]
    return dict(found)


def measure(root: Path, model: str, median: float, seed: int = 0, **changes: Any) -> None:
    one = replace(TAKEN, latency_ms_median=median, latency_ms_p95=2 * median, **changes)
    add_measurements(root / f"{model}-{seed}", [one])


def test_the_most_accurate_one_within_the_budget_is_named(bakeoff: Bakeoff, unchanged: Path) -> None:
    found = budget(bakeoff, unchanged, "2ms")
    (_, out, _) = bakeoff("compare", str(unchanged), "--max-latency", "2ms")
    told = " ".join(out.split())
    assert found["budget_ms"] == 2
    assert (found["chosen"], found["reason"], found["source"]) == ("good", None, "summary")
    assert found["conditions"] == {
        "host": "one", "device": "cpu", "device_name": "chip", "threads": 2, "engine": "bakeoff",
    }  # fmt: skip
    stands = {
        one["setting"]: (one["latency_ms"], one["is_within"], one["against_chosen"])
        for one in found["settings"]
    }
    assert stands == {
        "slow": (9.0, False, "better"),
        "good": (1.8, True, None),
        "near": (0.9, True, "no proven difference"),
        "bad": (0.5, True, "worse"),
    }
    (_, accuracy, _) = told.partition("Within 2 ms for one image: good has the highest accuracy, ")[
        2
    ].partition(" %")
    assert accuracy
    assert (
        " and takes 1.8 ms (median). Not proven to be worse: near (0.9 ms). Proven to be worse: bad (0.5 ms)."
        in told
    )
    assert "Over the budget: slow (9 ms and proven to be better)." in told
    assert "at the end of each run on one (chip), with 2 threads; bakeoff measure takes them again." in told


def test_its_interval_is_that_of_the_table(bakeoff: Bakeoff, unchanged: Path) -> None:
    _, out, _ = bakeoff("compare", str(unchanged), "--max-latency", "2ms", "--format", "json")
    (table,) = json.loads(out)["tables"]
    own = next(one["metrics"]["accuracy"] for one in table["settings"] if one["name"] == "good")
    shown = f"{own['mean'] * 100:.2f} % (95 % interval: {own['low'] * 100:.2f} to {own['high'] * 100:.2f})"
    assert f"good has the highest accuracy, {shown}, " in table["latency_budget"]["says"][0]


@pytest.mark.parametrize(
    ("limit", "chosen", "words"),
    [
        ("10ms", "slow", "Proven to be worse: bad (0.5 ms), near (0.9 ms), good (1.8 ms)."),
        pytest.param("9.0 ms", "slow", "takes 9 ms (median)", marks=pytest.mark.slow),
        ("0.5ms", "bad", "It is the only one within the budget."),
        ("499us", None, "No configuration is within 0.499 ms for one image; the fastest is bad (0.5 ms)."),
        ("0.0018 s", "good", "Within 1.8 ms for one image"),
        pytest.param("1800µs", "good", "Within 1.8 ms for one image", marks=pytest.mark.slow),
        (".0018S", "good", "Within 1.8 ms for one image"),
    ],
)
def test_limits(bakeoff: Bakeoff, unchanged: Path, limit: str, chosen: str | None, words: str) -> None:
    found = budget(bakeoff, unchanged, limit)
    assert found["chosen"] == chosen
    assert words in found["says"][0]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("2", "2 has no known unit; write 2ms, 2us or 2s"),
        ("2m", "2m has no known unit"),
        ("0ms", "not above 0"),
        ("-1ms", "no time"),
        ("nanms", "no time"),
        ("1e99s", "at most an hour"),
        ("fast", "fast is no time, such as 2ms"),
        ("0,5ms", "no time"),
    ],
)
def test_what_is_no_time(bakeoff: Bakeoff, tmp_path: Path, limit: str, told: str) -> None:
    code, out, err = bakeoff("compare", str(tmp_path), f"--max-latency={limit}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


@pytest.mark.parametrize(
    "options", [["--no-statistics"], ["--format", "csv"], ["--format", "latex"]], ids=str
)
def test_where_no_sentence_is_printed_it_is_refused(
    bakeoff: Bakeoff, tmp_path: Path, options: list[str]
) -> None:
    code, _, err = bakeoff("compare", str(tmp_path), "--max-latency", "2ms", *options)
    assert code == 2
    assert (
        err
        == f"error: --max-latency: not with {' '.join(options)}; it is printed with table, markdown, json and html\n"
    )


@pytest.mark.slow
def test_markdown_has_it_and_without_the_option_nothing_has(bakeoff: Bakeoff, unchanged: Path) -> None:
    assert (
        "Within 2 ms for one image"
        in bakeoff("compare", str(unchanged), "--max-latency=2ms", "--format=markdown")[1]
    )
    assert "one image" not in bakeoff("compare", str(unchanged))[1]
    assert (
        "latency_budget"
        not in json.loads(bakeoff("compare", str(unchanged), "--format=json")[1])["tables"][0]
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "other"}, "the runs come from 2 machines"),
        pytest.param(
            {"threads": 1}, "the runs had different numbers of threads (1, 2)", marks=pytest.mark.slow
        ),
        pytest.param(
            {"started": "2026-01-01T00:01:01+00:00"}, "some runs ran side by side", marks=pytest.mark.slow
        ),
    ],
    ids=str,
)
def test_latencies_that_do_not_compare_are_not_ranked(
    bakeoff: Bakeoff, root: Path, changes: dict[str, Any], reason: str
) -> None:
    environment = json.loads((root / "bad-1" / "environment.json").read_text())
    write_json(root / "bad-1" / "environment.json", environment | changes)
    found = budget(bakeoff, root, "2ms")
    assert (found["chosen"], found["reason"], found["conditions"]) == (None, reason, None)
    again = "To measure again on one machine: bakeoff measure SWEEP, or one run of each row."
    assert found["says"] == [f"No choice within 2 ms for one image: {reason}. {again}"]
    assert {one["is_within"] for one in found["settings"]} == {None}
    # Those of one machine do.
    for model in MODELS:
        measure(root, model, 1.5)
    assert budget(bakeoff, root, "2ms")["chosen"] == "slow"


def test_newer_latencies_count_if_every_row_has_them(bakeoff: Bakeoff, root: Path) -> None:
    for model, latency in {"slow": 1.0, "good": 0.4, "near": 0.3}.items():
        measure(root, model, latency)
    found = budget(bakeoff, root, "2ms")
    assert (found["chosen"], found["source"]) == ("good", "summary")
    assert "Only 3 of 4 rows were measured again: not used." in found["says"][-1]
    measure(root, "bad", 0.2)
    found = budget(bakeoff, root, "2ms")
    assert (found["chosen"], found["source"]) == ("slow", "measured")
    assert found["conditions"] == {
        "host": "two", "device": "cpu", "device_name": "board", "threads": 1, "engine": "bakeoff",
    }  # fmt: skip
    assert found["says"][-1] == "These latencies were taken by bakeoff measure on two (board), with 1 thread."
    assert found["says"][0].endswith("Proven to be worse: bad (0.2 ms), near (0.3 ms), good (0.4 ms).")


@pytest.mark.parametrize(
    ("changes", "which"),
    [
        pytest.param({"host": "three"}, "same conditions", marks=pytest.mark.slow),
        pytest.param({"threads": 4}, "same conditions", marks=pytest.mark.slow),
        pytest.param({"device_name": "another"}, "same conditions", marks=pytest.mark.slow),
        ({"engine": "onnx", "file": "bad.onnx"}, "same conditions"),
        ({"batch_size": 256}, "another batch"),
    ],
    ids=str,
)
def test_newer_latencies_of_other_conditions_are_not_mixed(
    bakeoff: Bakeoff, root: Path, changes: dict[str, Any], which: str
) -> None:
    for model in ("slow", "good", "near"):
        measure(root, model, 1.0)
    measure(root, "bad", 0.2, **changes)
    found = budget(bakeoff, root, "2ms")
    assert found["source"] == "summary"
    words = {
        "same conditions": "All rows were measured again, but not on one machine with as many threads: not used.",
        "another batch": "Only 3 of 4 rows were measured again: not used.",
    }
    assert words[which] in found["says"][-1]


def test_the_newest_common_conditions_are_taken(bakeoff: Bakeoff, root: Path) -> None:
    def taken(latency: float, **changes: Any) -> None:
        for model in MODELS:
            measure(root, model, latency, **changes)

    taken(1.0)
    taken(5.0, host="older", time="2026-11-26T21:00:00+00:00")
    assert budget(bakeoff, root, "2ms")["conditions"]["host"] == "two"
    # Of one time our own engine, and the fewest threads.
    taken(0.7, engine="onnx", file="a.onnx")
    taken(0.6, threads=2)
    found = budget(bakeoff, root, "2ms")
    assert found["conditions"] | {"engine": "bakeoff", "threads": 1} == found["conditions"]
    taken(0.8, engine="onnx", file="a.onnx", time="2026-11-27T22:00:00+00:00")
    assert budget(bakeoff, root, "2ms")["says"][-1].endswith("with 1 thread, from exported files (onnx).")
    # The newest of a run, by its time and not by its place.
    taken(4.0, engine="onnx", file="a.onnx", time="2026-11-27T21:30:00+00:00")
    assert {one["latency_ms"] for one in budget(bakeoff, root, "2ms")["settings"]} == {0.8}
    # What one row alone has is not common.
    measure(root, "good", 9.0, time="2026-11-28T21:30:00+00:00", host="last")
    assert {one["latency_ms"] for one in budget(bakeoff, root, "2ms")["settings"]} == {0.8}


@pytest.mark.slow
def test_conditions_are_as_old_as_the_oldest_row_under_them(bakeoff: Bakeoff, root: Path) -> None:
    for model, hour in zip(MODELS, (10, 12, 12, 12), strict=True):
        measure(root, model, 1.0, time=f"2026-11-27T{hour}:00:00+00:00", host="partly older")
        measure(root, model, 1.0, time="2026-11-27T11:00:00+00:00", host="of one time")
    assert budget(bakeoff, root, "2ms")["conditions"]["host"] == "of one time"


def test_of_several_runs_the_middle_one_counts(bakeoff: Bakeoff, tmp_path: Path) -> None:
    row(tmp_path, "one", 0.9, 1.0, seeds=3, p95=1.2)
    summary = json.loads((tmp_path / "one-1" / "summary.json").read_text())
    summary["speed"] |= {"latency_ms_batch1": 50.0, "latency_ms_batch1_p95": 99.0}
    write_json(tmp_path / "one-1" / "summary.json", summary)
    (only,) = budget(bakeoff, tmp_path, "2ms")["settings"]
    assert (only["latency_ms"], only["latency_ms_p95"]) == (1.0, 1.2)


def test_a_median_within_and_a_95th_percentile_over_the_budget(bakeoff: Bakeoff, tmp_path: Path) -> None:
    row(tmp_path, "one", 0.9, 1.0, p95=2.4)
    found = budget(bakeoff, tmp_path, "2ms")
    assert "But 1 call in 20 takes longer than the budget: 2.4 ms or more." in found["says"][0]
    assert "1 call in 20" not in budget(bakeoff, tmp_path, "2.4ms")["says"][0]


def test_what_is_not_known_is_left_out_and_named(bakeoff: Bakeoff, root: Path) -> None:
    row(root, "unknown", 0.99, None)
    row(root, "never", 0.99, 0.0)  # a claim that cannot be true
    row(root, "unchecked", 0.99, 0.1)
    for seed in range(2):
        (root / f"unchecked-{seed}" / "predictions.npz").unlink()
    found = budget(bakeoff, root, "2ms")
    assert found["chosen"] == "good"
    named = {"never, unknown", "unknown, never"}
    assert any(
        f"Latency not known, so left out: {both}; bakeoff measure RUN takes it." in found["says"]
        for both in named
    )
    assert "Accuracy without predictions, so not chosen from: unchecked." in found["says"]


@pytest.mark.slow
def test_no_latency_and_no_predictions_at_all(bakeoff: Bakeoff, tmp_path: Path) -> None:
    row(tmp_path, "one", 0.9, None)
    assert budget(bakeoff, tmp_path, "2ms")["reason"] == "no latency was measured"
    for seed in range(2):
        (tmp_path / f"one-{seed}" / "predictions.npz").unlink()
    assert budget(bakeoff, tmp_path, "2ms")["reason"] == "no row has predictions"


def test_a_damaged_file_is_named(bakeoff: Bakeoff, root: Path) -> None:
    for model in MODELS:
        measure(root, model, 1.0)
    (root / "near-0" / MEASUREMENTS).write_text("{\x1b[31m")
    found = budget(bakeoff, root, "2ms")
    assert found["source"] == "summary"
    assert found["says"][-1].startswith(
        "Stored latencies that cannot be read, so not used: near-0: measurements.json: "
    )
    assert "\x1b" not in bakeoff("compare", str(root), "--max-latency", "2ms")[1]


def test_with_a_baseline_it_is_said_what_was_not_tested(bakeoff: Bakeoff, unchanged: Path) -> None:
    found = budget(bakeoff, unchanged, "2ms", "--baseline", "bad")
    assert found["chosen"] == "good"
    assert "Proven to be worse: bad (0.5 ms). Not tested against it: near (0.9 ms)." in found["says"][0]
    number = found["says"][0].partition("--baseline ")[2].partition(" ")[0]
    assert "Not tested" not in budget(bakeoff, unchanged, "2ms", "--baseline", number)["says"][0]


def test_only_rows_that_are_shown_are_chosen_from(bakeoff: Bakeoff, unchanged: Path) -> None:
    assert budget(bakeoff, unchanged, "2ms", "--where", 'model != "good"')["chosen"] == "near"


@pytest.mark.parametrize("order", ["name", pytest.param("accuracy:asc", marks=pytest.mark.slow)])
def test_the_order_of_the_table_does_not_matter(bakeoff: Bakeoff, unchanged: Path, order: str) -> None:
    assert budget(bakeoff, unchanged, "2ms", "--sort", order)["chosen"] == "good"


@pytest.mark.slow
def test_foreign_names_are_cut_and_printed_safely(bakeoff: Bakeoff, root: Path) -> None:
    for model in MODELS:
        measure(root, model, 1.0, host="\x1b[31m" + "h" * 200)
    out = bakeoff("compare", str(root), "--max-latency", "2ms")[1]
    assert "\x1b" not in out
    assert "h" * 70 not in out


@pytest.mark.slow
def test_a_report_says_it_too(bakeoff: Bakeoff, unchanged: Path, tmp_path: Path, report_extra: None) -> None:
    page = tmp_path / "page.html"
    assert bakeoff("report", str(unchanged), "--max-latency", "2ms", "-o", str(page))[0] == 0
    assert "Within 2 ms for one image: good has the highest accuracy" in page.read_text()
