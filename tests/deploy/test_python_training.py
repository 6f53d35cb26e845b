"""`bakeoff.train` and `bakeoff.sweep`: the same as the commands, in a process that is somebody else's."""

import asyncio
import hashlib
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import bakeoff as package
from bakeoff.deploy.python.borrowed import borrowed_process, torch_settings_kept
from bakeoff.deploy.python.run import FinishedRun
from bakeoff.deploy.python.words import command_line
from bakeoff.errors import BakeoffError, ConfigError, DivergedError, InterruptedRunError

WORDS = ["data=digits", "model=cnn_small", "trainer.epochs=1", "optim.warmup_epochs=0", "trainer.threads=1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(**keys: Any) -> FinishedRun:
    return package.train(*WORDS, quiet=True, **keys)


def bits(run: Path) -> dict[str, str]:
    names = ("weights.safetensors", "predictions.npz", "predictions_val.npz")
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.usefixtures("no_pictures")
def test_it_trains_what_the_command_trains(bakeoff: Bakeoff) -> None:
    assert bakeoff("train", *WORDS, "seed=3")[0] == 0
    (command,) = Path("outputs").glob("20*/*")
    torch.manual_seed(7)  # what somebody has drawn before makes no difference
    run = package.train(*WORDS, seed=3)
    theirs = FinishedRun(command)
    for key in ("identity", "setting", "test", "val", "fingerprint"):
        assert run.summary[key] == theirs.summary[key], key
    assert bits(run.path) == bits(command)
    assert run.config == theirs.config
    assert {path.name for path in run.path.iterdir()} == {path.name for path in command.iterdir()}


def test_it_prints_what_the_command_prints_or_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = package.train(*WORDS)
    out = capsys.readouterr().out
    assert f"test accuracy {100 * run.accuracy:.2f} %" in out
    assert f"run directory  {run.path}" in out
    trained()
    assert capsys.readouterr().out == ""


def test_quiet_is_one_thread_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began, ended = threading.Event(), threading.Event()

    def work() -> None:
        with borrowed_process(quiet=True):
            began.set()
            print("of the training")
            ended.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    began.wait(10)
    print("of somebody else")
    ended.set()
    thread.join()
    assert capsys.readouterr().out == "of somebody else\n"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"quite": True}, "quite: no argument and no key; did you mean quiet?"),
        ({"seed": [0, 1]}, "seed=[0, 1]: a list is several values; bakeoff.sweep trains with each"),
        ({"model": ["cnn", "vit"]}, "model=['cnn', 'vit']: a list is several values; bakeoff.sweep"),
    ],
)
def test_slips_in_arguments_have_a_line(keys: dict[str, Any], says: str, here: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        package.train("data=digits", **keys)


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_an_event_loop(work: Callable[[], object]) -> None:
    async def main() -> None:
        work()
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("where", [in_a_thread, in_an_event_loop])
def test_it_trains_off_the_main_thread_and_within_an_event_loop(
    where: Callable[[Callable[[], object]], None], here: Path
) -> None:
    made: list[FinishedRun] = []
    handler = signal.getsignal(signal.SIGINT)
    where(lambda: made.append(trained()))
    assert bits(made[0].path) == bits(trained().path)
    assert signal.getsignal(signal.SIGINT) is handler


def test_two_threads_train_one_after_the_other(here: Path) -> None:
    made: list[FinishedRun] = []
    threads = [threading.Thread(target=lambda seed=seed: made.append(trained(seed=seed))) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.summary["seed"] for run in made) == [1, 2]
    for run in made:
        assert bits(run.path) == bits(trained(seed=run.summary["seed"]).path)


def test_what_it_sets_in_the_process_is_given_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    threads = torch.get_num_threads()
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    try:
        trained(trainer={"deterministic": True, "threads": threads + 1})
        assert torch.equal(torch.rand(1), expected)
        assert torch.get_num_threads() == threads
        assert torch.get_deterministic_debug_mode() == 0
        assert torch.get_float32_matmul_precision() == "high"
        assert "HYDRA_FULL_ERROR" not in os.environ
    finally:
        torch.set_float32_matmul_precision("highest")


AMBIENT: dict[str, Callable[[], Any]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "meta": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("where", AMBIENT)
def test_what_the_caller_is_inside_of_changes_nothing(where: str, here: Path) -> None:
    expected = bits(trained().path)
    images = np.zeros((3, 1, 8, 8), dtype=np.uint8)
    with AMBIENT[where]():
        run = trained()
        inside = package.load(run).predict(images)
    assert bits(run.path) == expected
    np.testing.assert_array_equal(inside.probabilities, package.load(run).predict(images).probabilities)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_another_default_type_changes_nothing(dtype: torch.dtype, here: Path) -> None:
    expected = bits(trained().path)
    torch.set_default_dtype(dtype)
    try:
        run = trained()
        inside = package.load(run).predict(np.zeros((1, 1, 8, 8), dtype=np.uint8))
        assert torch.get_default_dtype() is dtype
    finally:
        torch.set_default_dtype(torch.float32)
    assert bits(run.path) == expected
    outside = package.load(run).predict(np.zeros((1, 1, 8, 8), dtype=np.uint8))
    np.testing.assert_array_equal(inside.probabilities, outside.probabilities)


def test_loading_and_predicting_leave_torch_as_it_was(here: Path) -> None:
    run = trained()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.set_deterministic_debug_mode("error")
    torch.set_float32_matmul_precision("medium")
    try:
        package.load(run).predict(np.zeros((1, 1, 8, 8), dtype=np.uint8))
        assert torch.get_num_threads() == threads + 1
        assert torch.get_deterministic_debug_mode() == 2
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode("default")
        torch.set_float32_matmul_precision("highest")


def test_an_error_has_a_line_and_no_long_way_to_it(here: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        package.train("optim.lrr=0.1")
    assert raised.value.__suppress_context__
    assert len(raised.traceback) <= 6  # Hydra's own are a hundred


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("seed=0,1", "seed=0,1: several values are a sweep; bakeoff.sweep trains with each"),
        ("--multirun", "--multirun: bakeoff.sweep trains with each"),
        ("--config-dir", "--config-dir: options of the command are arguments here"),
        ("model=cnn data=digits", 'give each as a text of its own: "model=cnn", "data=digits"'),
        (3, "int: give texts"),
    ],
)
def test_what_is_no_override_is_answered_in_terms_of_python(word: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        package.train(word)


def test_it_is_given_back_after_an_error_too() -> None:
    threads = torch.get_num_threads()

    def fail() -> None:
        with torch_settings_kept():
            torch.set_num_threads(threads + 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == threads


def test_inside_of_an_application_of_hydras(here: Path, tmp_path: Path) -> None:
    conf = tmp_path / "their_conf"
    conf.mkdir()
    (conf / "theirs.yaml").write_text("x: 1\n")
    with initialize_config_dir(version_base="1.3", config_dir=str(conf)):
        trained()
        assert compose("theirs").x == 1  # their own is as it was
    assert not GlobalHydra.instance().is_initialized()


def test_errors_are_raised_with_the_commands_line(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"^optim.lrr=0.1: no such key; did you mean optim.lr\?$"):
        package.train("optim.lrr=0.1")
    with pytest.raises(package.BakeoffError, match=r"model\.channels"):
        trained(model={"channels": "many"})
    with pytest.raises(
        ConfigError, match=r"several runs; bakeoff\.sweep trains with each, with the same words"
    ):
        package.train("experiment=quickstart")
    with pytest.raises(DivergedError):
        trained(optim={"lr": 1e30, "clip_norm": None})
    assert len(list(Path("outputs").glob("20*/*"))) == 1  # of the one that began


def test_an_interrupt_saves_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.runs.rundir import RunDir

    append = RunDir.append_epoch

    def then_interrupt(run: RunDir, record: Any) -> None:
        append(run, record)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunDir, "append_epoch", then_interrupt)
    with pytest.raises(InterruptedRunError, match=r"stopped by Ctrl-C.*bakeoff resume"):
        trained(trainer={"epochs": 3})
    (run,) = Path("outputs").glob("20*/*")
    assert (run / "checkpoints").is_dir()


KEYS: list[tuple[dict[str, Any], list[str]]] = [
    ({"seed": 1, "model": "vit"}, ["seed=1", "model=vit"]),
    ({"optim": {"lr": 0.01, "clip_norm": None}}, ["optim.lr=0.01", "optim.clip_norm=null"]),
    ({"trainer.deterministic": True}, ["trainer.deterministic=true"]),
    ({"model.channels": [8, 16]}, ["model.channels=[8,16]"]),
    ({"model.channels": (8, 16), "seed": np.int64(3)}, ["model.channels=[8,16]", "seed=3"]),
    (
        {"data": {"root": Path("a, b"), "title": 'it\'s "x"'}},
        ['data.root="a, b"', 'data.title="it\'s \\"x\\""'],
    ),
]


@pytest.mark.parametrize(("keys", "words"), KEYS)
def test_values_of_python_become_words(keys: dict[str, Any], words: list[str]) -> None:
    assert command_line([], keys, None, None, sweeps=False).overrides == words


def test_lists_of_a_sweep_are_several_values() -> None:
    keys = {
        "model": ["cnn", "vit"],
        "seed": range(3),
        "model.channels": [[8, 16], [32]],
        "optim": {"lr": 0.1},
    }
    line = command_line(["data=digits"], keys, None, None, sweeps=True)
    wanted = ["data=digits", "model=cnn,vit", "seed=0,1,2", "model.channels=[8,16],[32]", "optim.lr=0.1"]
    assert (line.multirun, line.overrides) == (True, wanted)


def test_a_value_that_no_config_holds_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^optim.lr: a Tensor; give a number"):
        command_line([], {"optim": {"lr": torch.zeros(3)}}, None, None, sweeps=False)


def test_a_file_of_settings(here: Path) -> None:
    Path("own.yaml").write_text("model: cnn_small\ndata: digits\ntrainer.epochs: 1\noptim.warmup_epochs: 0\n")
    run = package.train(config="own.yaml", seed=4, quiet=True)
    assert (run.summary["model"], run.summary["epochs_run"], run.summary["seed"]) == ("cnn_small", 1, 4)


@pytest.mark.slow  # two processes
def test_a_sweep_is_the_commands_and_goes_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys: dict[str, Any] = {"sweep": {"name": "night"}, "seed": [0, 1], "quiet": True}
    result = package.sweep(*WORDS, **keys)
    assert result.table[["name", "num_runs"]].to_numpy().tolist() == [["cnn_small", 2]]
    runs = sorted(Path("outputs/sweeps/night").glob("cnn_small*"))
    assert len(runs) == 2
    before = [(run / "summary.json").stat().st_mtime_ns for run in runs]
    again = package.sweep(*WORDS, **keys)
    assert [(run / "summary.json").stat().st_mtime_ns for run in runs] == before
    assert capsys.readouterr().out == ""
    assert str(again) == str(result)
    alone = trained(seed=1)
    assert bits(alone.path) == bits(next(run for run in runs if "-s1-" in run.name))


def test_a_sweep_that_no_gate_lets_through_makes_nothing(here: Path) -> None:
    wide = [[4], [70_000]]
    with pytest.raises(BakeoffError, match=r"model.channels\[0\]=70000: must be less than"):
        package.sweep(*WORDS, quiet=True, **{"model.channels": wide})
    assert not Path("outputs").exists()
