"""A busy machine is named at the start of a run, and recorded; the machine here is pretended."""

import json
import os
from pathlib import Path

import pytest
from conftest import Bakeoff

from bakeoff.machine import load
from bakeoff.machine.load import Load, _running_others, busy_note, current_load


@pytest.mark.parametrize(
    ("cores", "average", "others", "threads", "busy"),
    [
        (2, 6.1, 6.1, 2, True),
        (2, 0.2, 0.1, 2, False),
        (2, 1.0, 1.0, 2, True),  # one of its two threads has to share
        (2, 1.0, 1.0, 1, False),
        (2, 1.9, 1.9, 1, True),
        (2, 2.0, 0.0, 2, False),  # the load is that of a run that has just ended
        (2, 0.1, 4.0, 2, True),  # others have just begun
        (2, 6.1, None, 2, True),
        (2, None, None, 2, False),
        (64, 40.0, 40.0, 16, False),
        (64, 60.0, 60.0, 16, True),
        (2, 0.0, 0.0, 4, False),  # asked for by the user; nobody else is in the way
    ],
)
def test_busy_is_where_others_leave_no_core_for_each_thread(
    cores: int, average: float | None, others: float | None, threads: int, busy: bool
) -> None:
    assert (busy_note(Load(cores, average, others), threads) is not None) == busy


def test_the_line_names_load_cores_and_cure() -> None:
    several = busy_note(Load(2, 0.0, 6.1), 2)
    assert several is not None
    assert several.startswith("the machine is busy: load 6.1 on 2 cores")
    assert several.endswith("set trainer.threads=1")
    alone = busy_note(Load(2, 0.0, 6.1), 1)
    assert alone is not None
    assert "trainer.threads" not in alone  # it is 1 already
    assert "\n" not in several + alone


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.20 1.05 1.86 1/92 4049"] * 10, 0.0),
        (["6.1 1 1 7/92 4049", "6.1 1 1 8/92 4049"] * 5, 6.5),
        (["0.00 0.00 0.00 0/0 0"] * 10, None),  # a sandbox that keeps no such figure
        (["nonsense"] * 10, None),
    ],
)
def test_others_are_the_mean_of_the_queues_without_who_looks(
    texts: list[str], expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(texts)
    monkeypatch.setattr(Path, "read_text", lambda _: next(looks))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert _running_others() == expected


def test_without_an_average_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    assert current_load().average is None


@pytest.mark.slow  # a whole run, and its evaluation
@pytest.mark.usefixtures("no_pictures")
def test_a_run_on_a_busy_machine_says_so_once_and_records_it(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_running_others", lambda: 99.0)
    monkeypatch.setattr(os, "getloadavg", lambda: (98.5, 1.0, 1.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    line = ["data=digits", "model=cnn_small", "trainer.epochs=1", "trainer.threads=1"]
    code, out, _ = bakeoff("train", *line)
    assert code == 0
    assert out.count("the machine is busy: load 99.0 on 3 cores") == 1
    (run,) = (path.parent for path in Path("outputs").glob("*/*/summary.json"))
    assert (run / "run.log").read_text().count("the machine is busy: load 99.0 on 3 cores") == 1
    environment = json.loads((run / "environment.json").read_text())
    recorded = [environment[key] for key in ("cores", "load_average", "load_of_others", "fp32")]
    assert recorded == [3, 98.5, 99.0, "ieee"]
    speed = json.loads((run / "summary.json").read_text())["speed"]
    assert (speed["threads"], speed["load_average"], speed["latency_batch_size"]) == (1, 98.5, 1)
    assert speed["latency_ms_batch1"] <= speed["latency_ms_batch1_p95"]
    config = json.loads((run / "config.json").read_text())
    config["trainer"]["threads"] = 100_000  # as if a larger machine had trained it
    (run / "config.json").write_text(json.dumps(config))
    assert bakeoff("evaluate", "latest")[0] == 0


def test_too_many_threads_end_no_process(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("train", "data=digits", "trainer.threads=100000")
    assert code == 2
    assert err.startswith("error: trainer.threads=100000: more than")
    assert err.count("\n") == 1
    assert not Path("outputs").exists()
