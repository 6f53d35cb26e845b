"""A stopped run goes on as if it had not been stopped, and one that has changed does not go on."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import files_below
from stopped_runs import (
    STEPS_PER_EPOCH,
    contents,
    read,
    stop_at_step,
    stop_in_test,
    stop_in_validation,
    stopped,
    train,
)

from bakeoff.errors import InterruptedRunError, ResourceError, ResumeError
from bakeoff.experiment import beginning, code
from bakeoff.experiment.resume import resume
from bakeoff.machine.signals import StopSignal
from bakeoff.runs import attempts
from bakeoff.runs.rundir import RunDir

TIMES = ("train_seconds", "eval_seconds", "train_images_per_second")

pytestmark = pytest.mark.usefixtures("no_pictures", "no_speed")


@pytest.fixture
def no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured after the result says nothing here."""
    monkeypatch.setattr("bakeoff.experiment.extras.Extras._measure_speed", lambda _: None)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def bits(run: Path) -> dict[str, Any]:
    """All of a finished run but its times, its parts, and where it ran."""
    summary = read(run, "summary.json")
    for name in ("run_id", "time", "speed", "parts"):
        del summary[name]
    del summary["cost"]["peak_memory_bytes"], summary["cost"]["peak_train_memory_bytes"]
    del summary["cost"]["peak_eval_memory_bytes"]
    lines = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    epochs = [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
    config = read(run, "config.json")
    del config["output_dir"]
    files = ("weights.safetensors", "predictions.npz", "predictions_val.npz")
    return {name: (run / name).read_bytes() for name in files} | {
        "summary": summary, "epochs": epochs, "config": config, "confusion": read(run, "confusion.json"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        monkeypatch.setattr("bakeoff.plots.style.check", lambda: None)
        return bits(train(tmp_path_factory.mktemp("undisturbed")))


STOPS = {
    "first step": stop_at_step(1),
    "mid-epoch": stop_at_step(STEPS_PER_EPOCH + 2),
    "last step of an epoch": stop_at_step(STEPS_PER_EPOCH),
    "first validation": stop_in_validation,
    "test": stop_in_test,
}


@pytest.mark.parametrize("where", STOPS)
def test_a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    where: str, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    run = stopped(tmp_path, STOPS[where])
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert checkpoint.name == f"step-{read(run, 'status.json')['step']:08d}"
    assert resume(run, StopSignal()) == run
    assert bits(run) == undisturbed
    assert [path.name for path in sorted((run / "attempts").iterdir())] == ["0001", "0002"]
    assert not {"checkpoints", "weights_last.safetensors"} & set(files_below(run))
    assert read(run, "status.json")["status"] == "finished"


def test_times_add_up_over_the_parts_and_not_over_what_lies_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    before = read(next((run / "checkpoints").iterdir()), "state.json")
    clock = __import__("time").perf_counter
    with monkeypatch.context() as patch:
        patch.setattr("time.perf_counter", lambda: clock() + 1e6)  # the machine was off for a while
        resume(run, StopSignal())
    summary = read(run, "summary.json")
    epochs = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    times = summary["time"]
    assert times["train_seconds"] == pytest.approx(sum(epoch["train_seconds"] for epoch in epochs))
    assert times["train_seconds"] > before["phase_seconds"]["train"] > 0
    assert times["setup_seconds"] > before["phase_seconds"]["setup"] > 0
    assert before["total_seconds"] < times["total_seconds"] < 600
    assert [part["from_step"] for part in summary["parts"]] == [0, 7]
    assert [part["seconds_before"] for part in summary["parts"]] == [0, before["total_seconds"]]


def test_a_run_without_a_checkpoint_begins_anew_in_its_directory(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    shutil.rmtree(run / "checkpoints")
    resume(run, StopSignal())
    assert bits(run) == undisturbed
    (part,) = read(run, "summary.json")["parts"]  # the first is lost
    assert part["started"] == read(run / "attempts" / "0002", "attempt.json")["started"]


def test_a_run_that_was_killed_before_it_had_begun_begins(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    for name in files_below(run):
        if name not in ("config.json", "status.json") and (run / name).is_file():
            (run / name).unlink()
    shutil.rmtree(run / "attempts")
    shutil.rmtree(run / "checkpoints")
    resume(run, StopSignal())
    assert bits(run) == undisturbed
    (run / "environment.json").stat()


def test_threads_and_evaluation_batch_are_those_of_the_first_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitting: list[int] = [64]
    monkeypatch.setattr("bakeoff.evaluation.batch_size._fitting", lambda *_: fitting[0])
    run = stopped(tmp_path, stop_at_step(7), "trainer.threads=null")
    first = read(run / "attempts" / "0001", "attempt.json")["first"]["threads"]
    torch.set_num_threads(first + 1)
    monkeypatch.setenv("OMP_NUM_THREADS", str(first + 1))
    fitting[0] = 256
    resume(run, StopSignal())
    resolved = read(run, "summary.json")["resolved"]
    assert (resolved["threads"], resolved["eval_batch_size"]) == (first, 64)


def change_learning_rate(run: Path, _: pytest.MonkeyPatch) -> None:
    config = read(run, "config.json")
    config["optim"]["lr"] = 0.25
    (run / "config.json").write_text(json.dumps(config))


def change_loop(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = code._hash
    monkeypatch.setattr(code, "_hash", lambda name: "0" if name == "training/loop.py" else hashed(name))


def change_data(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "data_fingerprint", lambda *_: "other")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_learning_rate, r"optim.lr=0.25 \(it began with 0.0\d+\)"),
        (change_loop, "training/loop.py"),
        (change_data, "the data in .*"),
    ],
)
def test_what_has_changed_is_named_and_nothing_is_touched(
    change: Callable[[Path, pytest.MonkeyPatch], None],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    change(run, monkeypatch)
    before = contents(tmp_path)
    with pytest.raises(ResumeError, match=f"changed since it began: {named}; put that back"):
        resume(run, StopSignal())
    assert contents(tmp_path) == before


def spoil_status(run: Path) -> None:
    status = read(run, "status.json") | {"status": "diverged", "error": "optim.lr=9: not finite"}
    (run / "status.json").write_text(json.dumps(status))


def spoil_attempts(run: Path) -> None:
    path = run / "attempts" / "0001" / "attempt.json"
    record = json.loads(path.read_text())
    del record["first"]["data"]
    path.write_text(json.dumps(record))


def spoil_config(run: Path) -> None:
    (run / "config.json").write_text("{")


def spoil_beginning(run: Path) -> None:
    shutil.rmtree(run / "attempts")
    (run / "environment.json").unlink()


def spoil_checkpoint(run: Path) -> None:
    (path,) = (run / "checkpoints").glob("*/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_status, r"it diverged \(optim.lr=9: not finite\)"),
        (spoil_attempts, "nothing says what it began with"),
        (spoil_config, "config.json"),
        (spoil_beginning, "it has a checkpoint, and nothing says what it began with"),
        (spoil_checkpoint, r"no checkpoint is whole \(step-00000007: model.safetensors: damaged\)"),
    ],
)
def test_a_run_that_cannot_go_on_is_refused_with_the_reason_and_not_touched(
    spoil: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    spoil(run)
    before = contents(tmp_path)
    with pytest.raises(ResumeError, match=why):
        resume(run, StopSignal())
    assert contents(tmp_path) == before


def test_a_run_that_somebody_works_on_is_refused(tmp_path: Path) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    RunDir(run).write_status("running", 7)  # by this process, which lives
    with pytest.raises(ResumeError, match=r"it is running on .* \(process \d+\) since 2"):
        resume(run, StopSignal())


def test_with_more_epochs_it_goes_on_in_a_new_directory(tmp_path: Path) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    before = contents(run)
    first = read(run / "attempts" / "0001", "attempt.json")["first"]
    for changes, allowed, why in (
        ({"trainer.epochs": 5}, [], r"trainer.epochs=5 \(it began with 3\); with --allow trainer.epochs"),
        ({"trainer.epochs": 2}, ["trainer.epochs"], "the run has 3"),
    ):
        with pytest.raises(ResumeError, match=why):
            resume(run, StopSignal(), changes=changes, allowed=allowed)
    new = resume(run, StopSignal(), changes={"trainer.epochs": 5}, allowed=["trainer.epochs"])
    assert new.parent == run.parent
    assert new != run
    assert contents(run) == before
    summary = read(new, "summary.json")
    assert summary["epochs_run"] == 5
    assert summary["resumed_from"] == {"run_id": run.name, "step": 7, "changed": {"trainer.epochs": 5}}
    assert {first["identity"], first["setting"]}.isdisjoint({summary["identity"], summary["setting"]})
    assert read(new, "config.json")["trainer"]["epochs"] == 5
    assert [part["from_step"] for part in summary["parts"]] == [0, 7]  # its times hold the first one's too
    assert summary["parts"][0]["started"] == read(run / "attempts" / "0001", "attempt.json")["started"]
    # The schedule is that of five epochs from there on.
    rates = [json.loads(line)["lr"] for line in (new / "epochs.jsonl").read_text().splitlines()]
    assert len(rates) == 5
    assert rates[-1] < rates[-2] < rates[-3]


def test_more_epochs_are_refused_where_the_time_is_over(tmp_path: Path) -> None:
    run = stopped(tmp_path, stop_in_test, "trainer.max_seconds=0.001")
    with pytest.raises(ResumeError, match=r"its trainer\.max_seconds=0\.001 are over"):
        resume(run, StopSignal(), changes={"trainer.epochs": 9}, allowed=["trainer.epochs"])
    assert [path for path in run.parent.iterdir() if path.parent.name != "datasets"] == [run]


def test_a_run_that_had_stopped_early_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stopped(tmp_path, stop_in_test, "trainer.early_stopping_patience_epochs=1", "optim.lr=1e-30")
    capsys.readouterr()
    resume(run, StopSignal())
    assert "it had stopped early, after 1 epoch without a better" in capsys.readouterr().out


def test_without_room_for_a_new_directory_none_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bakeoff.runs.checkpoints.write_tensors", full)
    with pytest.raises(ResourceError, match="make room"):
        resume(run, StopSignal(), changes={"trainer.epochs": 5}, allowed=["trainer.epochs"])
    assert contents(tmp_path) == before
    assert list(run.parent.iterdir()) == [run]


def test_a_run_that_went_on_elsewhere_can_be_stopped_and_resumed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(tmp_path / "a", stop_at_step(7))
    copy = shutil.copytree(run.parent, tmp_path / "b" / run.parent.name) / run.name
    straight = resume(run, StopSignal(), changes={"trainer.epochs": 4}, allowed=["trainer.epochs"])
    stop = StopSignal()
    with monkeypatch.context() as patch, stop.caught():
        stop_at_step(12)(patch)
        with pytest.raises(InterruptedRunError):
            resume(copy, stop, changes={"trainer.epochs": 4}, allowed=["trainer.epochs"])
    (new,) = [path for path in copy.parent.iterdir() if path != copy]
    resume(new, StopSignal())
    assert bits(new) == bits(straight)
    assert [part["from_step"] for part in read(new, "summary.json")["parts"]] == [0, 7, 12]


def test_on_another_device_it_goes_on_in_a_new_directory(tmp_path: Path) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    path = run / "attempts" / "0001" / "attempt.json"
    record = json.loads(path.read_text())
    record["first"]["device"] = "cuda"
    path.write_text(json.dumps(record))
    with pytest.raises(ResumeError, match=r"it began on cuda in .* with --allow trainer.device"):
        resume(run, StopSignal())
    new = resume(run, StopSignal(), allowed=["trainer.device"])
    assert read(new, "summary.json")["resumed_from"]["changed"] == {"trainer.device": "cpu"}
    assert new != run


def test_a_device_that_is_not_here_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    (path, config), (attempt, record) = (
        (file, json.loads(file.read_text()))
        for file in (run / "config.json", run / "attempts" / "0001" / "attempt.json")
    )
    config["trainer"]["device"] = record["first"]["config"]["trainer"]["device"] = "cuda"
    record["first"]["device"] = "cuda"
    path.write_text(json.dumps(config))
    attempt.write_text(json.dumps(record))
    environment = read(run, "environment.json") | {"weights_sha256": "ab" * 32}
    (run / "environment.json").write_text(json.dumps(environment))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ResumeError, match=r"with --allow trainer\.device=auto it goes on"):
        resume(run, StopSignal())
    new = resume(run, StopSignal(), changes={"trainer.device": "auto"}, allowed=["trainer.device"])
    assert read(new, "summary.json")["resumed_from"]["changed"] == {"trainer.device": "cpu"}
    assert read(new, "environment.json")["weights_sha256"] == "ab" * 32  # those are not read again


def test_other_versions_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stopped(tmp_path, stop_at_step(7))
    path = run / "attempts" / "0001" / "attempt.json"
    record = json.loads(path.read_text())
    record["first"]["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(record))
    resume(run, StopSignal())
    assert f"torch was 1.0 when the run began and is {torch.__version__} now" in capsys.readouterr().out


def test_what_a_stop_cannot_save_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bakeoff.runs.checkpoints.write_tensors", lambda *_: 1 / 0)
    run = stopped(tmp_path, stop_at_step(7))
    assert "note: step 7 could not be saved: division by zero" in capsys.readouterr().out
    assert attempts.check_free(run) == 1
