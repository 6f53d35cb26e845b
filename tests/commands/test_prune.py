"""`bakeoff prune`: which weights it removes, judged by what, and which it leaves alone."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff, files_below
from run_directories import make_run
from safetensors.numpy import save_file

from bakeoff.commands import prune
from bakeoff.evaluation import metrics
from bakeoff.runs.rundir import RunDir


def write_run(path: Path, setting: str, seed: int) -> Path:
    make_run(path, seed, setting)
    return path


def set_val(run: Path, num_right: int | None, sure: float = 0.9) -> Path:
    """A run with weights and predictions of 20 validation images, of which so many are right."""
    summary = json.loads((run / "summary.json").read_text())
    summary["val"] = None
    if num_right is not None:
        labels = np.arange(20) % 5
        rows = np.full((20, 5), (1 - sure) / 4, dtype=np.float32)
        rows[np.arange(20), np.where(np.arange(20) < num_right, labels, (labels + 1) % 5)] = sure
        RunDir(run).write_predictions("val", np.arange(20), labels, rows)
        scores = metrics.score(labels, rows, [str(number) for number in range(5)])
        summary["val"] = dataclasses.asdict(scores)
    (run / "summary.json").write_text(json.dumps(summary))
    save_file({"x": np.zeros(250, dtype=np.float32)}, run / "weights.safetensors")
    return run


def with_weights(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.rglob("weights.safetensors"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two settings; of the first, the run with the best test figure is not the best by validation."""
    root = tmp_path / "runs"
    for name, num_right, sure in (
        ("a0", 18, 0.9),
        ("a1", 19, 0.8),
        ("a2", 19, 0.9),  # the lower NLL
        ("b0", 10, 0.9),
        ("c0", None, 0.9),
        ("c1", None, 0.9),
    ):
        set_val(write_run(root / name, name[0], int(name[1])), num_right, sure)
    return root


def test_prune_shows_and_removes_nothing_without_yes(bakeoff: Bakeoff, runs: Path) -> None:
    before = files_below(runs)
    code, out, err = bakeoff("prune", str(runs))
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if str(runs) in line]
    kept = [line for line in lines if line.startswith("keep ")]
    reason = "best of 3 runs of cnn on toy by validation accuracy (95.00 %)"
    assert kept[0] == f"keep {runs / 'a2' / 'weights.safetensors'}: {reason}"
    assert len(kept) == 4  # as the last line says
    assert all(line.endswith(": no second run of its configuration to compare with") for line in kept[1:])
    assert [line for line in lines if line not in kept] == [
        f"would remove {runs / name / 'weights.safetensors'} (1.0 KiB)" for name in ("a0", "a1")
    ]
    assert "2 files to remove, 2.1 KiB; 4 kept" in out
    assert "add --yes" in out
    assert files_below(runs) == before


def test_data_are_called_by_their_title_here_too(bakeoff: Bakeoff, runs: Path) -> None:
    for path in runs.rglob("summary.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"data_title": "Birds"}))
    assert "best of 3 runs of cnn on Birds by validation" in bakeoff("prune", str(runs))[1]


def test_prune_keeps_the_best_by_validation(bakeoff: Bakeoff, runs: Path) -> None:
    compared = bakeoff("compare", str(runs), "--format", "json")
    code, out, _ = bakeoff("prune", str(runs), "--yes")
    assert code == 0
    assert "2 files removed, 2.1 KiB; 4 kept" in out
    assert with_weights(runs) == ["a2", "b0", "c0", "c1"]
    assert bakeoff("compare", str(runs), "--format", "json") == compared
    code, out, _ = bakeoff("prune", str(runs), "--yes")
    assert "0 files removed" in out


def test_evaluate_says_what_prune_has_done(bakeoff: Bakeoff, runs: Path) -> None:
    bakeoff("prune", str(runs), "--yes")
    code, out, error = bakeoff("evaluate", str(runs / "a0"))
    assert (code, out, error.count("\n")) == (7, "", 1)
    assert f"{runs / 'a0'}: this run has no weights (weights.safetensors); bakeoff prune removes" in error


def test_prune_breaks_no_path(bakeoff: Bakeoff, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = bakeoff("prune", str(runs))[1]
    monkeypatch.setenv("COLUMNS", "60")
    out = bakeoff("prune", str(runs))[1]
    assert out.split() == wide.split()
    assert all(len(line) <= 60 or len(line.split()) <= 3 for line in out.splitlines())
    coloured = bakeoff("prune", str(runs), "--color", "always")[1]
    assert "\x1b[32mkeep" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == out


def test_prune_leaves_links_and_unfinished_runs_alone(bakeoff: Bakeoff, runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_bytes(b"x")
    (runs / "a0" / "weights.safetensors").unlink()
    (runs / "a0" / "weights.safetensors").symlink_to(outside)
    (runs / "a1" / "summary.json").unlink()
    code, out, _ = bakeoff("prune", str(runs), "--yes")
    assert code == 0
    assert "0 files removed" in out
    assert outside.exists()
    assert (runs / "a1" / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"val": {"accuracy": 1.0}}, "val.accuracy=1.0, but predictions_val.npz gives 0.9"),
        ({"val": {"nll": 0.0}}, "val.nll=0.0, but predictions_val.npz gives"),
        ({"val": {"accuracy": "1"}}, "val.accuracy='1' is not a number in 0..1"),
        ({"identity": "a-2-t0"}, None),  # the same seed's predictions are other ones
    ],
)
def test_prune_judges_by_scores_that_predictions_bear_out(
    bakeoff: Bakeoff, runs: Path, change: dict[str, Any], reason: str | None
) -> None:
    """a0 claims to be better than a2, which would cost a2 its weights."""
    summary = json.loads((runs / "a0" / "summary.json").read_text())
    val = summary["val"] | change.pop("val", {})
    (runs / "a0" / "summary.json").write_text(json.dumps(summary | {"val": val} | change))
    code, out, _ = bakeoff("prune", str(runs), "--yes")
    assert code == 0
    if reason:
        assert with_weights(runs) == ["a0", "a2", "b0", "c0", "c1"]
        assert f"left alone {runs / 'a0'}: summary.json: {reason}" in out
    else:  # neither of the two can be told from a forgery
        assert with_weights(runs) == ["a0", "a1", "a2", "b0", "c0", "c1"]
        assert f"left alone {runs / 'a2'}: claims to be the same run as a0, with other results" in out


@pytest.mark.parametrize("damage", ["gone", "cut", "link", "empty"])
def test_prune_leaves_no_setting_without_weights(
    bakeoff: Bakeoff, runs: Path, tmp_path: Path, damage: str
) -> None:
    best = runs / "a2" / "weights.safetensors"
    whole = best.read_bytes()
    best.unlink()
    if damage == "cut":
        best.write_bytes(whole[:-1])
    elif damage == "empty":
        best.write_bytes(b"")
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(whole)
        best.symlink_to(tmp_path / "elsewhere")
    assert bakeoff("prune", str(runs), "--yes")[0] == 0
    assert (runs / "a1" / "weights.safetensors").read_bytes() == whole
    assert not (runs / "a0" / "weights.safetensors").exists()


def test_prune_keeps_weights_of_each_kind_of_device(bakeoff: Bakeoff, runs: Path) -> None:
    for name, device in (("a0", "cuda"), ("a1", "cpu"), ("a2", "cpu")):
        summary = json.loads((runs / name / "summary.json").read_text())
        summary["resolved"] = {"device": device, "precision": "fp32", "threads": 2}
        (runs / name / "summary.json").write_text(json.dumps(summary))
    bakeoff("prune", str(runs), "--yes")
    assert with_weights(runs) == ["a0", "a2", "b0", "c0", "c1"]


def test_prune_by_scores_without_predictions_removes_nothing(bakeoff: Bakeoff, runs: Path) -> None:
    (runs / "a0" / "predictions.npz").unlink()
    (runs / "a2" / "predictions_val.npz").unlink()
    bakeoff("prune", str(runs), "--yes")
    assert with_weights(runs) == ["a0", "a1", "a2", "b0", "c0", "c1"]


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (50_000, "48.8 KiB"), (2**20, "1.0 MiB"),
     (3 * 2**29, "1.5 GiB"), (2**41, "2,048.0 GiB")],
)  # fmt: skip
def test_a_size_is_never_shown_as_nothing(num_bytes: int, shown: str) -> None:
    assert prune.shown_size(num_bytes) == shown


def test_prune_without_runs_is_a_usage_error(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("prune")
    assert code == 2
    assert "no run directory" in err


def test_prune_says_what_cannot_be_removed(
    bakeoff: Bakeoff, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    code, _, err = bakeoff("prune", str(runs), "--yes")
    assert code == 4
    assert "weights.safetensors: cannot write: Permission denied" in err


def test_a_sweep_keeps_its_ledger_and_what_is_not_finished(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """What waits or runs is no candidate, even with weights in it; of a sweep's own files nothing is touched."""
    sweep = tmp_path / "r" / "sweeps" / "night"
    for seed, right in enumerate((20, 10)):
        set_val(write_run(sweep / f"cnn-toy-s{seed}-0000000{seed}", "a", seed), right)
    for number, status in enumerate(("queued", "running", "pruned", "interrupted")):
        run = RunDir.create(sweep / f"cnn-toy-s{number}-1111111{number}")
        run.write_status(status, 0)
        save_file({"x": np.zeros(250, dtype=np.float32)}, run.path / "weights.safetensors")
    for name in ("sweep.json", ".lock", ".cancel"):
        (sweep / name).write_text("{}")
    before = files_below(sweep)
    code, out, _ = bakeoff("prune", str(tmp_path / "r"), "--yes")
    assert code == 0
    assert out.splitlines()[-1].startswith("1 file removed")
    assert set(before) - set(files_below(sweep)) == {"cnn-toy-s1-00000001/weights.safetensors"}
