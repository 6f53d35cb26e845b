"""`bakeoff measure`: what is measured and stored, what is refused, and that what fails stops nothing else."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff, files_below
from run_directories import make_run
from terminals import terminal
from tiny_run import read, train

from bakeoff.deploy.export.metadata import Metadata
from bakeoff.deploy.export.opened import Exported
from bakeoff.deploy.measure import memory, rounds, subjects, take
from bakeoff.deploy.measure.subjects import Opened, OpenedRun, Subject
from bakeoff.errors import DataError
from bakeoff.runs.measurements import MEASUREMENTS, read_measurements
from bakeoff.runs.storage import write_json


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        patch.setattr("bakeoff.plots.style.check", lambda: None)
        return train(tmp_path_factory.mktemp("outputs"), "model=cnn_small", "trainer.threads=1")


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy below the outputs root; its calls are few."""
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(rounds, "SECONDS", 0.01)
    return Path(shutil.copytree(trained, tmp_path / "outputs" / "2026-01-01" / trained.name))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """None of these tests may leave other threads to the process."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


class Engine:
    """What onnxruntime would be, without the extra."""

    output_names = ("probabilities",)

    def outputs(self, images: np.ndarray) -> list[np.ndarray]:
        assert images.shape[1:] == (1, 8, 8)
        return [np.zeros((len(images), 3), np.float32)]


@pytest.fixture
def exported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes a file that names a run; opening gives what pretends to be one."""
    names: dict[Path, str] = {}

    def open_exported(path: Path, *, threads: int | None = None) -> Exported:
        return Exported(
            path, "onnx", Metadata(names[path], ("a", "b", "c"), (1, 8, 8), "cnn", "digits"), Engine()
        )

    def make(name: str, run_id: str) -> Path:
        path = tmp_path / name
        path.write_bytes(b"")
        names[path] = run_id
        return path

    monkeypatch.setattr(subjects, "open_exported", open_exported)
    return make


def told_json(bakeoff: Bakeoff, *words: str, code: int = 0) -> dict[str, Any]:
    found, out, err = bakeoff("measure", *words, "--format", "json")
    assert found == code, err
    return dict(json.loads(out))


def test_what_is_measured_is_stored_and_nothing_else_changes(bakeoff: Bakeoff, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    code, out, err = bakeoff("measure", run.name[:6], "--batch-sizes", "3,1", "--threads", "1,2")
    assert (code, err) in ((0, ""), (0, "caution: 2 threads on 1 core: threads wait for each other\n"))
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    del after[MEASUREMENTS]
    assert after == before
    stored = read_measurements(run)
    assert [(one.threads, one.batch_size) for one in stored] == [(1, 1), (1, 3), (2, 1), (2, 3)]
    environment = read(run, "environment.json")
    for one in stored:
        assert (one.host, one.device_name, one.cpu, one.torch) == tuple(
            environment[name] for name in ("host", "device_name", "cpu", "torch")
        )
        assert (one.device, one.engine, one.file) == ("cpu", "bakeoff", None)
        assert one.precision == read(run, "summary.json")["resolved"]["precision"]
        assert one.images_per_second == pytest.approx(1000 * one.batch_size / one.latency_ms_median)
        assert 0 < one.latency_ms_median <= one.latency_ms_p95
        assert one.repeats >= 3
        assert one.peak_memory_bytes is not None
        assert 50e6 < one.peak_memory_bytes < 5e9
    # The table has them, with units, and says where they are.
    lines = out.splitlines()
    (heading,) = [number for number, line in enumerate(lines) if line.startswith("model ")]
    assert " ".join(lines[heading].split()) == "model threads batch median ms p95 ms images/s memory MB calls"
    for line, one in zip(lines[heading + 1 :], stored, strict=False):
        assert line.startswith(run.name)
        assert line.split()[-7:-5] == [str(one.threads), str(one.batch_size)]
    assert out.endswith(f"stored in {run / MEASUREMENTS}\n")


def test_another_measurement_stands_behind_the_first(bakeoff: Bakeoff, run: Path) -> None:
    for _ in range(2):
        found = told_json(bakeoff, str(run), "latest", "--batch-sizes", "1")
    assert len(read_measurements(run)) == 2
    (one,) = found["measurements"]  # both words name the same run
    assert (one["name"], one["run_id"], one["stored"]) == (run.name, run.name, str(run))
    assert one["latency_ms_median"] == read_measurements(run)[1].latency_ms_median
    assert (found["schema"], found["problems"], found["cautions"]) == (1, [], [])


@pytest.mark.slow
def test_compare_uses_what_was_measured(bakeoff: Bakeoff, run: Path) -> None:
    told_json(bakeoff, str(run), "--batch-sizes", "1,2", "--threads", "1")
    _, out, _ = bakeoff("compare", str(run), "--max-latency", "1s", "--format", "json")
    (table,) = json.loads(out)["tables"]
    found = table["latency_budget"]
    assert (found["source"], found["conditions"]["threads"]) == ("measured", 1)
    assert found["settings"][0]["latency_ms"] == read_measurements(run)[0].latency_ms_median


@pytest.mark.parametrize("columns", [40, pytest.param(60, marks=pytest.mark.slow), 80])
def test_on_a_narrow_terminal_the_name_stands_above_its_figures(
    bakeoff: Bakeoff, run: Path, columns: int
) -> None:
    with terminal(columns) as screen:
        assert bakeoff("measure", str(run), "--batch-sizes", "1")[0] == 0
    lines = screen.lines()
    (heading,) = [number for number, line in enumerate(lines) if "median ms" in line]
    assert not lines[heading].startswith("model")
    assert ("calls" in lines[heading], "memory MB" in lines[heading]) == (columns > 60, columns > 40)
    assert " ".join(lines[heading + 1 :]).startswith(f"{run.name} (cpu, ")
    assert max(map(len, lines[: heading + 3])) <= columns


def test_threads_of_the_process_are_taken_and_set_back(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    rates = OpenedRun.rates

    def noted(opened: OpenedRun, count: int) -> Callable[[], object]:
        call = rates(opened, count)
        return lambda: (used.append(torch.get_num_threads()), call())

    monkeypatch.setattr(OpenedRun, "rates", noted)
    torch.set_num_threads(3)
    try:
        assert {
            one["threads"] for one in told_json(bakeoff, str(run), "--batch-sizes", "1")["measurements"]
        } == {3}
        assert set(used) == {3}
        used.clear()
        told_json(bakeoff, str(run), "--batch-sizes", "1", "--threads", "2,4")
        assert torch.get_num_threads() == 3
        # Tried one after the other, then in turn.
        assert [threads for threads, _ in itertools.groupby(used)] == [2, 4] * (1 + rounds.ROUNDS)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threads", "100000"], "--threads 100000: more than "),
        (["--threads", "0"], "0 is no list of whole numbers above 0, such as 1,256"),
        (["--batch-sizes", "1,x"], "1,x is no list of whole numbers"),
        (["--batch-sizes", ""], "is no list of whole numbers"),
        (["--device", "cuda:7"], "--device cuda:7: there "),
        (["--device", "gpu"], "gpu is no device; give auto, cpu, cuda or cuda:N"),
        (["--format", "csv"], "invalid choice: 'csv'"),
    ],
    ids=str,
)
def test_what_is_refused(bakeoff: Bakeoff, run: Path, words: list[str], told: str) -> None:
    code, out, err = bakeoff("measure", str(run), *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert MEASUREMENTS not in os.listdir(run)


@pytest.mark.parametrize(
    ("word", "told"),
    [("nothing", "run nothing: "), ("no.onnx", "no.onnx: no such file; write one with bakeoff export RUN")],
)
def test_a_word_that_names_nothing(bakeoff: Bakeoff, run: Path, word: str, told: str) -> None:
    code, out, err = bakeoff("measure", str(run), word)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_of_a_sweep_one_run_of_each_configuration_is_measured(
    bakeoff: Bakeoff, run: Path, tmp_path: Path
) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "mine"
    summary = read(run, "summary.json")
    for name, setting, has_weights in (
        ("a-0", "a", False),
        ("a-1", "a", True),
        ("a-2", "a", True),
        ("b-0", "b", True),
    ):
        shutil.copytree(run, sweep / name)
        write_json(sweep / name / "summary.json", summary | {"setting": setting})
        if not has_weights:
            (sweep / name / "weights.safetensors").unlink()
    (sweep / "c-0").mkdir()
    (sweep / "c-0" / "status.json").write_text('{"status": "failed"}')
    found = told_json(bakeoff, "mine", str(sweep / "b-0"), "--batch-sizes", "1")
    assert [one["name"] for one in found["measurements"]] == ["a-1", "b-0"]
    shutil.rmtree(sweep / "c-0")
    (tmp_path / "outputs" / "none").mkdir()
    code, _, err = bakeoff("measure", str(tmp_path / "outputs" / "none"))
    assert code == 2
    assert "no finished run there" in err


def test_what_cannot_be_opened_is_named_and_the_others_are_measured(
    bakeoff: Bakeoff, run: Path, tmp_path: Path
) -> None:
    make_run(tmp_path / "outputs" / "no-weights", 0)
    code, out, err = bakeoff("measure", "no-weights", str(run), "--batch-sizes", "1")
    assert code == 7
    assert err.startswith(f"problem: {tmp_path / 'outputs' / 'no-weights'}: this run has no weights")
    assert len(read_measurements(run)) == 1
    assert run.name in out
    # Alone, it is the command's error.
    code, out, err = bakeoff("measure", "no-weights")
    assert (code, out, err.count("\n")) == (7, "", 1)
    assert err.startswith("error: ")


def test_a_batch_that_does_not_fit_is_named_and_the_others_are_measured(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory_bytes", lambda _: 10**6)
    found = told_json(bakeoff, str(run), "--batch-sizes", "1,1000000,2", code=7)
    assert [one["batch_size"] for one in found["measurements"]] == [1, 2]
    (problem,) = found["problems"]
    assert problem["name"] == run.name
    assert problem["reason"].startswith(
        "batch of 1,000,000 images, 1 thread: does not fit into memory: it needs about "
    )


@pytest.mark.parametrize("fails_at", [1, 4])
def test_memory_that_runs_out_in_a_call_is_named(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    rates = OpenedRun.rates

    def some_fail(opened: OpenedRun, count: int) -> Callable[[], object]:
        call, calls = rates(opened, count), []

        def called() -> None:
            calls.append(1)
            if count == 5 and len(calls) >= fails_at:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 10 bytes")
            call()

        return called

    monkeypatch.setattr(OpenedRun, "rates", some_fail)
    code, _, err = bakeoff("measure", str(run), "--batch-sizes", "5,1")
    assert (code, err) == (7, f"problem: {run.name}: batch of 5 images, 1 thread: does not fit into memory\n")
    assert [one.batch_size for one in read_measurements(run)] == [1]


@pytest.mark.slow
def test_an_error_of_our_own_is_no_problem_of_a_batch(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> Callable[[], object]:
        raise KeyError("slip")

    monkeypatch.setattr(OpenedRun, "rates", wrong)
    assert bakeoff("measure", str(run))[0] == 1
    assert MEASUREMENTS not in os.listdir(run)


def test_a_file_is_stored_beside_its_run(
    bakeoff: Bakeoff, run: Path, exported: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported("mine.onnx", run.name)
    found = told_json(bakeoff, str(file), "--batch-sizes", "1,2", "--threads", "1,2")
    assert {(one["engine"], one["file"], one["stored"]) for one in found["measurements"]} == {
        ("onnx", "mine.onnx", str(run))
    }
    assert [(one.threads, one.batch_size) for one in read_measurements(run)] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    # Elsewhere, but measured in the same call.
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(run.parent.parent / "others"))
    code, out, err = bakeoff("measure", str(file), str(run), "--batch-sizes", "1")
    assert (code, err) == (0, "")
    assert len(read_measurements(run)) == 4 + 2
    assert "mine.onnx against its run: " in out
    assert " times as fast at batch 1, 1 thread" in out


@pytest.mark.parametrize("run_id", [pytest.param("../outputs", marks=pytest.mark.slow), "\x1b[31m"])
def test_a_file_without_its_run_is_printed_only(
    bakeoff: Bakeoff, run: Path, exported: Callable[[str, str], Path], run_id: str
) -> None:
    before = files_below(run.parents[1])
    code, out, err = bakeoff("measure", str(exported("other.onnx", run_id)), "--batch-sizes", "1")
    assert code == 0
    assert "other.onnx (onnx, cpu, fp32)" in out
    assert err.startswith("note: other.onnx: measured, and stored nowhere: no run called ")
    assert "\x1b" not in out + err
    assert files_below(run.parents[1]) == before


def test_a_run_that_is_there_twice_gets_nothing(
    bakeoff: Bakeoff, run: Path, exported: Callable[[str, str], Path]
) -> None:
    shutil.copytree(run, run.parents[1] / "copy" / run.name)
    code, _, err = bakeoff("measure", str(exported("other.onnx", run.name)), "--batch-sizes", "1")
    assert code == 0
    assert "stored nowhere: several runs called " in err


@pytest.mark.slow
def test_a_file_that_cannot_be_opened(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path, **_: Any) -> None:
        raise DataError(f"{path}: not an ONNX file")

    monkeypatch.setattr(subjects, "open_exported", refuse)
    (tmp_path / "bad.onnx").write_bytes(b"?")
    code, _, err = bakeoff("measure", str(tmp_path / "bad.onnx"), str(run), "--batch-sizes", "1")
    assert (code, err) == (7, f"problem: {tmp_path / 'bad.onnx'}: not an ONNX file\n")
    assert len(read_measurements(run)) == 1


@pytest.mark.slow
def test_a_damaged_file_of_measurements_stays_and_is_named(bakeoff: Bakeoff, run: Path) -> None:
    (run / MEASUREMENTS).write_text("{")
    code, out, err = bakeoff("measure", str(run), "--batch-sizes", "1")
    assert code == 7
    assert run.name in out
    assert "measured, but stored nowhere" in err
    assert "measurements.json: no valid JSON" in err
    assert (run / MEASUREMENTS).read_text() == "{"


@pytest.mark.parametrize(
    "others", [pytest.param((0.0, 0.0), marks=pytest.mark.slow), (3.0, 0.0), (0.0, 3.0)], ids=str
)
def test_a_busy_machine_is_said(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[float, float]
) -> None:
    """At the beginning or at the end."""
    in_turn = iter(others)
    monkeypatch.setattr("bakeoff.machine.load._running_others", lambda: next(in_turn))
    monkeypatch.setattr("bakeoff.machine.load.num_cores", lambda: 2)
    code, _, err = bakeoff("measure", str(run), "--batch-sizes", "1", "--threads", "1")
    assert code == 0
    said = "caution: the machine is busy (load of others 3.0 on 2 cores): these times are too long; "
    assert err.startswith(said) == any(others)


@pytest.mark.slow
def test_more_threads_than_cores_are_said(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "usable_cores", lambda: 2)
    code, _, err = bakeoff("measure", str(run), "--batch-sizes", "1", "--threads", "3")
    assert (code, err) == (0, "caution: 3 threads on 2 cores: threads wait for each other\n")


def test_ctrl_c_stores_nothing_and_leaves_what_was_there(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_json(bakeoff, str(run), "--batch-sizes", "1")
    before = (run / MEASUREMENTS).read_bytes()
    rates = OpenedRun.rates

    def pressed(opened: OpenedRun, count: int) -> Callable[[], object]:
        call, calls = rates(opened, count), []

        def called() -> None:
            calls.append(1)
            if len(calls) == 5:
                os.kill(os.getpid(), signal.SIGINT)
            call()

        return called

    monkeypatch.setattr(OpenedRun, "rates", pressed)
    torch.set_num_threads(1)
    code, out, err = bakeoff("measure", str(run), "--threads", "2")
    assert (code, out, err) == (75, "", "error: stopped by Ctrl-C; nothing was stored\n")
    assert (run / MEASUREMENTS).read_bytes() == before
    assert not [name for name in os.listdir(run) if name.endswith(".tmp")]


def test_models_of_other_runs_do_not_count_as_memory_of_one(
    bakeoff: Bakeoff, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second model is opened beside a large first one."""
    opened_as = Subject.opened
    heavy: list[bytearray] = []

    def opened(subject: Subject, threads: int, device: str) -> Opened:
        found = opened_as(subject, threads, device)
        if not heavy:
            heavy.append(bytearray(os.urandom(2**20)) * 50)
        return found

    copy = Path(shutil.copytree(run, run.parents[1] / "copy" / "second"))
    monkeypatch.setattr(Subject, "opened", opened)
    found = told_json(bakeoff, str(run), str(copy), "--batch-sizes", "1")
    first, second = (one["peak_memory_bytes"] for one in found["measurements"])
    assert 35e6 < first - second < 70e6


@pytest.mark.slow
def test_real_exported_files(bakeoff: Bakeoff, run: Path, tmp_path: Path, onnx_extra: None) -> None:
    from bakeoff.deploy.export.write import export
    from bakeoff.deploy.trained import open_trained

    for form in ("onnx", "pt2"):
        model = open_trained(run, "cpu", precision="fp32")
        images = torch.randint(0, 256, (256, *model.shape), dtype=torch.uint8)
        export(model, form, tmp_path / f"model.{form}", images)
    files = [str(tmp_path / name) for name in ("model.onnx", "model.pt2")]
    found = told_json(bakeoff, str(run), *files, "--batch-sizes", "1,300", "--threads", "1,2")
    assert {(one["engine"], one["threads"], one["batch_size"]) for one in found["measurements"]} == {
        (engine, threads, count)
        for engine in ("bakeoff", "onnx", "pt2")
        for threads in (1, 2)
        for count in (1, 300)
    }
    assert {one["stored"] for one in found["measurements"]} == {str(run)}
    assert dataclasses.asdict(read_measurements(run)[0])["engine"] == "bakeoff"
