"""What `--dry-run` of a sweep prints: each run with its state and time, and how long all takes."""

import json
import socket
from pathlib import Path

import pytest
from conftest import Bakeoff, files_below
from sweep_children import children_here
from terminals import terminal

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.job import Job
from bakeoff.runs.states import RunState
from bakeoff.sweeps.dry_run import listing
from bakeoff.sweeps.ledger import Entry
from bakeoff.sweeps.plan import Planned

SWEEP = ["train", "-m", "data=digits", "model.channels=[4]", "trainer.epochs=10", "sweep.name=night"]


def planned(shown: str, state: str, number: int = 0) -> Planned:
    folder = f"cnn-digits-s{number}-01234567"
    entry = Entry(folder, "i", "s", shown, "cnn", "digits", number)
    return Planned(Job({}, []), entry, Path("sweeps/night") / folder, RunState(state))


def test_columns_are_aligned_and_directories_are_shown_where_there_is_room() -> None:
    runs = [planned("seed=0", "finished"), planned("seed=1", "failed", 1), planned("", "queued", 2)]
    assert listing(runs, [700.0, None], None) == [
        "  run                     state     will take  run directory",
        "  seed=0                  finished             cnn-digits-s0-01234567",
        "  seed=1                  failed       12 min  cnn-digits-s1-01234567",
        "  cnn-digits-s2-01234567  queued      unknown  cnn-digits-s2-01234567",
    ]
    assert listing(runs, [700.0, None], 60) == [
        "  run                     state     will take",
        "  seed=0                  finished",
        "  seed=1                  failed       12 min",
        "  cnn-digits-s2-01234567  queued      unknown",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("is_plain", [False, True])
def test_three_hundred_long_names_stay_apart_and_within_the_width(width: int, is_plain: bool) -> None:
    long = "model=cnn model.channels=[16,32,64,128] data.augment.shift_pixels=2 optim.lr=0.001 seed={}"
    runs = [planned(long.format(number), "queued", number) for number in range(300)]
    lines = listing(runs, [float(number) for number in range(300)], width, is_plain=is_plain)
    assert len(lines) == 301
    assert len(set(lines)) == 301
    assert max(map(len, lines)) <= width
    assert len({len(line) for line in lines[1:]}) == 1  # times end in the same column
    assert all(line.isascii() for line in lines) or not is_plain


def finished(root: Path, config: dict[str, object], threads: int, jobs_at_once: int) -> None:
    run = root / f"earlier-{jobs_at_once}"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(config))
    environment = {"host": socket.gethostname(), "threads": threads, "jobs_at_once": jobs_at_once}
    (run / "environment.json").write_text(json.dumps(environment))
    times = {
        "train_seconds": 500.0 * jobs_at_once,
        "eval_seconds": 0.0,
        "total_seconds": 600.0 * jobs_at_once,
    }
    (run / "summary.json").write_text(json.dumps({"time": times, "epochs_run": 10}))


def test_times_are_those_of_runs_that_had_the_same_share(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("usable_cores", "threads_alone"):
        monkeypatch.setattr(f"bakeoff.sweeps.slots.{name}", lambda: 2)
    children_here(monkeypatch)
    config = expand(parse_arguments([*SWEEP[2:], "seed=0"]))[0][0].values
    for threads, jobs_at_once in ((2, 1), (1, 2)):
        finished(Path("outputs"), config, threads, jobs_at_once)
    before = files_below(Path.cwd())
    for jobs, told in (
        ("1", [*["queued 10 min"] * 3, "about 30 minutes for 3 runs, by earlier"]),
        ("2", [*["queued 20 min"] * 3, "about 40 minutes for 3 runs, 2 at once, by earlier"]),
        ("3", [*["queued unknown"] * 3, "how long it takes is not known"]),
    ):
        code, out, _ = bakeoff(*SWEEP, "seed=1,2,3", f"sweep.jobs={jobs}", "--dry-run")
        assert code == 0
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert [text for text, line in zip(told, lines[-5:], strict=False) if text not in line] == [], out
        assert lines[-1] == "everything is in order; not trained (--dry-run)"
    assert files_below(Path.cwd()) == before


def test_what_is_done_has_no_time(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    children_here(monkeypatch, lambda _: 3)
    bakeoff(*SWEEP, "seed=1,2")
    for status in Path("outputs/sweeps/night").glob("*-s1-*/status.json"):
        status.write_text(status.read_text().replace("failed", "diverged"))
    with terminal(48) as screen:
        bakeoff(*SWEEP, "seed=1,2", "--dry-run")
    assert [line.split() for line in screen.lines() if "seed=" in line] == [
        ["seed=1", "diverged"],
        ["seed=2", "failed", "unknown"],
    ]
    assert max(map(len, screen.lines())) <= 48
