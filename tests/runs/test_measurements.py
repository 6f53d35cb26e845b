"""`measurements.json`: what is stored is read again, and what somebody else's file may hold is refused."""

import json
import multiprocessing
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import SOME_RUNS_BAD, ResourceError
from bakeoff.runs import measurements
from bakeoff.runs.measurements import MEASUREMENTS, Measurement, add_measurements, read_measurements
from bakeoff.runs.reading import MAX_JSON_BYTES, UnreadableFileError

ONE = Measurement(
    time="2026-11-27T21:00:00+00:00", host="desk", device="cpu", device_name="AMD EPYC", cpu="AMD EPYC",
    torch="2.14.1", precision="fp32", threads=1, batch_size=1, engine="bakeoff", file=None,
    latency_ms_median=0.4, latency_ms_p95=0.5, images_per_second=2500.0, peak_memory_bytes=400_000_000,
    load_average=None, repeats=200,
)  # fmt: skip


def test_what_is_added_stands_behind_what_was_there(tmp_path: Path) -> None:
    assert read_measurements(tmp_path) == []
    other = replace(ONE, engine="onnx", file="a.onnx", peak_memory_bytes=None, load_average=0.3)
    add_measurements(tmp_path, [ONE])
    add_measurements(tmp_path, [other, ONE])
    assert read_measurements(tmp_path) == [ONE, other, ONE]
    assert os.listdir(tmp_path) == [MEASUREMENTS]
    assert json.loads((tmp_path / MEASUREMENTS).read_text())["schema"] == 1


def test_of_very_many_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_MOST_KEPT", 3)
    add_measurements(tmp_path, [replace(ONE, repeats=number) for number in range(1, 6)])
    assert [one.repeats for one in read_measurements(tmp_path)] == [3, 4, 5]


def test_the_most_that_is_kept_can_be_read(tmp_path: Path) -> None:
    longest = replace(
        ONE, host="h" * 300, device_name="d" * 300, cpu="c" * 300, torch="t" * 300, file="f" * 300
    )
    size = len(json.dumps({"measurements": [asdict(longest)]}, indent=1))
    assert size * measurements._MOST_KEPT < MAX_JSON_BYTES


def _add(run: Path) -> None:
    for _ in range(5):
        add_measurements(run, [ONE])


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_add, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert len(read_measurements(tmp_path)) == 10


def write(run: Path, value: Any) -> None:
    (run / MEASUREMENTS).write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"time": "yesterday"}, "measurement 2 has no valid time"),
        ({"time": "2026-11-27T21:00:00"}, "no valid time"),
        ({"host": 7}, "no valid host"),
        ({"host": "h" * 301}, "no valid host"),
        ({"device": "cpu\x1b[31m"}, "no valid device"),
        ({"precision": ""}, "no valid precision"),
        ({"threads": 0}, "impossible figures"),
        ({"threads": True}, "no valid threads"),
        ({"threads": 1.5}, "no valid threads"),
        ({"engine": "tvm"}, "no engine of bakeoff, onnx, pt2"),
        ({"latency_ms_median": "0.4"}, "no valid latency_ms_median"),
        ({"latency_ms_median": 1e300}, "no valid latency_ms_median"),
        ({"latency_ms_median": -1}, "no valid latency_ms_median"),
        ({"latency_ms_median": 0}, "impossible figures"),
        ({"latency_ms_p95": 0.3}, "impossible figures"),
        ({"latency_ms_p95": None}, "no valid latency_ms_p95"),
        ({"file": ["a"]}, "no valid file"),
        ({"repeats": 0}, "impossible figures"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_added(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    write(tmp_path, {"schema": 1, "measurements": [asdict(ONE), asdict(ONE) | changes]})
    before = (tmp_path / MEASUREMENTS).read_bytes()
    with pytest.raises(UnreadableFileError, match=told) as raised:
        read_measurements(tmp_path)
    assert raised.value.exit_code == SOME_RUNS_BAD
    with pytest.raises(UnreadableFileError):
        add_measurements(tmp_path, [ONE])
    assert (tmp_path / MEASUREMENTS).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "holds no JSON object"),
        ("{", "no valid JSON"),
        ('{"schema": 1, "measurements": [NaN]}', "no valid JSON"),
        ({"schema": 2, "measurements": []}, "later version"),
        ({"schema": 1}, "no list"),
        ({"schema": 1, "measurements": [3]}, "measurement 1 is no object"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: Any, told: str) -> None:
    write(tmp_path, content)
    with pytest.raises(UnreadableFileError, match=told):
        read_measurements(tmp_path)


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"schema": 1, "measurements": [asdict(ONE) | {"watts": 3}], "more": 1})
    assert read_measurements(tmp_path) == [ONE]


def test_no_link_is_followed_and_none_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write(tmp_path, {"schema": 1, "measurements": []})
    (tmp_path / "run" / MEASUREMENTS).symlink_to(tmp_path / MEASUREMENTS)
    with pytest.raises(UnreadableFileError, match="is a link"):
        add_measurements(tmp_path / "run", [ONE])
    assert read_measurements(tmp_path) == []


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_measurements(tmp_path, [ONE])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        add_measurements(tmp_path, [ONE])
    assert os.listdir(tmp_path) == [MEASUREMENTS]
    assert read_measurements(tmp_path) == [ONE]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="gone"):
        add_measurements(tmp_path / "gone", [ONE])
