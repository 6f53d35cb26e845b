"""How long a run will take, by earlier ones that did the same work on the same machine."""

import copy
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff

from bakeoff.config.schema import defaults
from bakeoff.experiment.earlier_runs import Share, estimates, told_of_all, told_of_run, until_the_last

UNKNOWN = (
    "how long it takes is not known: no earlier run on this machine had the same model, data, batch size, "
    "device and threads"
)


def config(root: Path, **changes: Any) -> dict[str, Any]:
    values = defaults() | {"output_dir": str(root), "model": {"name": "m", "family": "cnn", "channels": [4]}}
    values = copy.deepcopy(values)
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        (values[section] if section else values)[name] = value
    return values


def told_of(runs: list[dict[str, Any]], share: Share = Share()) -> str:  # noqa: B008 - it is frozen
    return told_of_run(runs[0], share) if len(runs) == 1 else told_of_all(runs, estimates(runs, share), share)


def finished(root: Path, name: str, seconds: tuple[float, float, float], epochs: int, **changes: Any) -> Path:
    """A run that took so many seconds of training, of evaluation, and in all."""
    run = root / name
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(config(root, trainer__epochs=epochs, **changes)))
    (run / "environment.json").write_text(json.dumps({"host": socket.gethostname()}))
    times = dict(zip(("train_seconds", "eval_seconds", "total_seconds"), seconds, strict=True))
    (run / "summary.json").write_text(json.dumps({"time": times, "epochs_run": epochs}))
    return run


def test_an_epoch_and_what_comes_besides_are_the_medians_of_those_alike(tmp_path: Path) -> None:
    finished(tmp_path, "a", (90.0, 10.0, 130.0), 10)  # 10 s an epoch, 30 s besides
    finished(tmp_path, "b", (38.0, 2.0, 60.0), 2, seed=7)  # 20 s, 20 s
    finished(tmp_path, "c", (1100.0, 100.0, 1210.0), 4, optim__lr=0.5)  # 300 s, 10 s
    # 20 epochs of 20 s and 20 s: 420 s.
    assert told_of([config(tmp_path, trainer__epochs=20)]) == (
        "about 7 minutes, by 3 earlier runs of this model on these data"
    )
    early = config(tmp_path, trainer__epochs=20, trainer__early_stopping_patience_epochs=3)
    assert told_of([early]).endswith(", or less if it stops early")


def test_a_budget_is_the_most_that_training_takes(tmp_path: Path) -> None:
    finished(tmp_path, "a", (90.0, 10.0, 130.0), 10)  # 9 s and 1 s an epoch, 30 s besides
    limited = config(tmp_path, trainer__epochs=1000, trainer__max_seconds=900.0)
    assert told_of([limited]).startswith("about 17 minutes, by 1 earlier")  # 100 epochs: 1,030 s
    short = config(tmp_path, trainer__epochs=10, trainer__max_seconds=900.0)
    assert told_of([short]).startswith("about 2 minutes, by 1 earlier")  # 10 epochs: 130 s
    other = config(tmp_path, trainer__max_seconds=900.0, data__name="digits")
    assert told_of([other, other]) == f"{UNKNOWN}; at most 30 min of training"
    assert told_of([other, config(tmp_path, data__name="digits")]) == UNKNOWN


def test_the_last_epoch_of_a_run_with_a_budget_counts_half(tmp_path: Path) -> None:
    run = finished(tmp_path, "a", (85.0, 10.0, 130.0), 100, trainer__max_seconds=85.0)
    summary = json.loads((run / "summary.json").read_text()) | {"epochs_run": 9}
    (run / "summary.json").write_text(json.dumps(summary))
    # 8.5 epochs of 11.2 s; 200 of them, and 35 s besides, are 2,270 s.
    assert told_of([config(tmp_path, trainer__epochs=200)]).startswith("about 38 minutes, by 1 earlier")


@pytest.mark.parametrize(
    "other",
    [
        {"data__name": "digits"},
        {"data__train_limit": 100},
        {"trainer__threads": 1},
        {"trainer__batch_size": 8},
        {"trainer__device": "cuda"},
        {"trainer__precision": "fp32"},
        {"model": {"name": "m", "family": "cnn", "channels": [64]}},
    ],
    ids=str,
)
def test_other_work_is_no_measure(tmp_path: Path, other: dict[str, Any]) -> None:
    finished(tmp_path, "a", (90.0, 10.0, 130.0), 10)
    assert told_of([config(tmp_path)]) != UNKNOWN
    assert told_of([config(tmp_path, **other)]) == UNKNOWN


def test_runs_of_another_machine_unfinished_and_broken_ones_are_no_measure(tmp_path: Path) -> None:
    elsewhere = finished(tmp_path, "a", (90.0, 10.0, 130.0), 10)
    (elsewhere / "environment.json").write_text('{"host": "elsewhere"}')
    (finished(tmp_path, "b", (90.0, 10.0, 130.0), 10) / "summary.json").unlink()
    for name, text in (("c", "[]"), ("d", '{"time": 3, "epochs_run": 1}'), ("e", "{")):
        (finished(tmp_path, name, (90.0, 10.0, 130.0), 10) / "summary.json").write_text(text)
    nothing = finished(tmp_path, "f", (90.0, 10.0, 130.0), 10) / "summary.json"
    nothing.write_text(nothing.read_text().replace('"epochs_run": 10', '"epochs_run": 0'))
    large = finished(tmp_path, "h", (90.0, 10.0, 130.0), 10) / "summary.json"
    large.write_text(large.read_text().replace('"epochs_run": 10', '"epochs_run": 1' + "0" * 400))
    (finished(tmp_path, "g", (90.0, 10.0, 130.0), 10) / "config.json").write_text('{"model": 1, "data": 2}')
    assert told_of([config(tmp_path)]) == UNKNOWN


def test_a_sweep_is_the_sum_of_its_runs(tmp_path: Path) -> None:
    finished(tmp_path, "a", (90.0, 10.0, 130.0), 10)
    alike = [config(tmp_path, trainer__epochs=10, seed=seed) for seed in range(3)]  # of 130 s
    assert told_of(alike) == "about 6 minutes for 3 runs, by earlier ones of the same model and data"
    assert told_of([*alike, config(tmp_path, data__name="digits")]) == (
        "about 6 minutes for 3 of 4 runs, by earlier ones of the same model and data; there is no earlier "
        "run like the others"
    )


def with_share(run: Path, threads: int, jobs_at_once: int) -> None:
    environment = json.loads((run / "environment.json").read_text())
    environment |= {"threads": threads, "jobs_at_once": jobs_at_once}
    (run / "environment.json").write_text(json.dumps(environment))


def test_runs_with_another_share_of_the_machine_are_no_measure(tmp_path: Path) -> None:
    with_share(finished(tmp_path, "a", (90.0, 10.0, 130.0), 10), 2, 1)
    with_share(finished(tmp_path, "b", (190.0, 10.0, 230.0), 10), 1, 2)
    with_share(finished(tmp_path, "c", (290.0, 10.0, 330.0), 10, trainer__threads=1), 1, 1)
    plain = config(tmp_path, trainer__epochs=10)
    one_thread = config(tmp_path, trainer__epochs=10, trainer__threads=1)
    for share, seconds in (
        (Share(2, 1), [130.0, 330.0]),
        (Share(1, 2), [230.0, 230.0]),  # the number of threads that is given, or what comes of sharing
        (Share(1, 1), [330.0, 330.0]),
        (Share(2, 2), [None, 230.0]),
        (Share(1, 4), [None, None]),
    ):
        assert estimates([plain, one_thread], share) == seconds, share
    both = [plain, config(tmp_path, trainer__epochs=10, seed=1), config(tmp_path, trainer__epochs=10, seed=2)]
    assert told_of(both, Share(1, 2)) == (
        "about 8 minutes for 3 runs, 2 at once, by earlier ones of the same model and data"
    )
    assert told_of(both, Share(1, 4)) == f"{UNKNOWN}, with 4 runs at once"
    with_share(finished(tmp_path, "d", (190.0, 10.0, 230.0), 10), 1, 8)
    assert told_of(both, Share(1, 8)).startswith("about 4 minutes for 3 runs, 3 at once")
    limited = [config(tmp_path, trainer__max_seconds=900.0, seed=seed) for seed in range(5)]
    assert told_of(limited, Share(1, 4)) == f"{UNKNOWN}, with 4 runs at once; at most 30 min of training"


def test_whoever_is_free_first_takes_the_next_run() -> None:
    assert until_the_last([5.0, 1.0, 1.0, 1.0], 2) == 5.0
    assert until_the_last([1.0, 1.0, 5.0], 2) == 6.0
    assert until_the_last([3.0, 4.0], 1) == 7.0
    assert until_the_last([3.0, 4.0], 8) == 4.0


@pytest.mark.usefixtures("no_pictures")
def test_a_dry_run_says_it_of_what_was_trained(bakeoff: Bakeoff) -> None:
    line = ["train", "data=digits", "model=cnn_small", "trainer.epochs=1"]
    assert UNKNOWN in bakeoff(*line, "--dry-run")[1]
    assert bakeoff(*line)[0] == 0
    assert "by 1 earlier run of this model on these data\n" in bakeoff(*line, "seed=1", "--dry-run")[1]
