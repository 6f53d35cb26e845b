"""The commands as a user meets them: exit codes, one-line errors, what is left on disk."""

import importlib
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Bakeoff, command, files_below
from loading import libraries_loaded

from bakeoff import commands
from bakeoff.cli import COMMANDS

DIGITS = ["train", "data=digits", "model.channels=[4]", "trainer.epochs=1"]


def test_help_lists_only_commands_that_exist(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff("--help")
    assert code == 0
    for name in ("train", "compare", "evaluate", "models"):
        assert f"\n  {name}" in out
        assert bakeoff(name, "--help")[0] == 0
    assert bakeoff()[1] == out


def test_every_file_of_a_command_stands_in_the_help_with_its_own_words(bakeoff: Bakeoff) -> None:
    """A command is a file in `commands` with a function of its name."""
    out = bakeoff("--help")[1]
    modules = {info.name: importlib.import_module(f"bakeoff.commands.{info.name}") for info in
               pkgutil.iter_modules(commands.__path__)}  # fmt: skip
    names = {name for name, module in modules.items() if callable(getattr(module, name, None))}
    assert names == set(COMMANDS)
    for name in names:
        module = modules[name]
        assert module.USAGE.split()[0] == name
        assert f"\n  {module.USAGE:27} {module.SUMMARY}\n" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_words_in_the_help_are_those_of_the_parser(name: str) -> None:
    """RUN and PATH as often as the parser asks for them; KEY=VALUE where the rest goes to Hydra."""
    module = importlib.import_module(f"bakeoff.commands.{name}")
    parser = module.parser()
    words = [action.metavar for action in parser._actions if not action.option_strings]
    words += ["KEY=VALUE"] if parser.rest else []
    assert re.findall(r"[A-Z=|]+", module.USAGE) == words


WITHOUT_TORCH = [
    ["--help"], ["train", "--cfg", "job"], ["compare", "."], ["list"], *([name, "--help"] for name in COMMANDS),
    ["models"], ["models", "vit"], ["experiments", "quickstart"], ["help", "train"], ["-V"],
    ["train", "optim.lrr=1"], ["train", "-m", "seed=0,-1"],
]  # fmt: skip


@pytest.fixture(scope="module")
def loaded_by_answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """What each of these command lines loads, and the files that all of them leave."""
    folder = tmp_path_factory.mktemp("answers")
    programs = [f"from bakeoff.cli import main\nmain({line!r})" for line in WITHOUT_TORCH]
    return libraries_loaded(programs, folder)[0], files_below(folder / "here")


@pytest.mark.parametrize("place", range(len(WITHOUT_TORCH)), ids=map(" ".join, WITHOUT_TORCH))
def test_answers_without_torch(place: int, loaded_by_answers: tuple[list[str], list[str]]) -> None:
    loaded, left = loaded_by_answers
    assert loaded[place] == "[]"
    assert left == []


def test_help_is_quick() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run(command(["--help"]), check=True, capture_output=True)
        return time.perf_counter() - start

    assert any(seconds() < 0.4 for _ in range(5))  # one that nothing else held up


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["tran"], 2, "tran: no such command; did you mean train?"),
        (["train", "optim.lrr=7"], 2, "optim.lrr=7: no such key; did you mean optim.lr?"),
        (["train", "+model._target_=os.system"], 2, "model._target_="),
        (["train", "data=digits", "model.pools=9"], 2, "model.pools: the pooling of layer 1 of"),
        (["train", "data=digits", "trainer.device=cuda:7"], 2, "trainer.device=cuda:7: there"),
        (["train", "data.root=nowhere/data"], 3, "put these files, unpacked, into nowhere/data/MNIST/raw"),
        (["compare"], 2, "outputs: no run directory here"),
        (["ls"], 2, "ls: no such command; write bakeoff list"),
        (["status"], 2, "status: no such command; write bakeoff list"),
        (["inspect"], 2, "inspect: no such command; write bakeoff show RUN"),
        (["show", "nothing"], 2, "run nothing: outputs holds no run directory"),
        (["list", "nothing"], 2, "sweep nothing: there is no sweep below outputs"),
        (["compare", "nothing"], 2, "run nothing: outputs holds no run directory"),
        (["compare", "--format", "pdf"], 2, ""),
        (["evaluate", "latest"], 2, "run latest: outputs holds no run directory"),
        (["train", "data=digits", "output_dir=/dev/null/x"], 4, "/dev/null/x"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(
    bakeoff: Bakeoff, arguments: list[str], code: int, error: str
) -> None:
    found, out, err = bakeoff(*arguments)
    assert found == code
    assert "Traceback" not in err + out
    if error:
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert error in err
    assert files_below(Path.cwd()) == []


def test_debug_shows_the_traceback(bakeoff: Bakeoff) -> None:
    _, _, err = bakeoff("train", "optim.lrr=7", "--debug")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: optim.lrr=7")


def test_a_bug_of_our_own_exits_1(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.commands.models.models", lambda _: 1 // 0)
    code, _, err = bakeoff("models")
    assert (code, err.count("\n")) == (1, 1)
    assert "ZeroDivisionError" in err


def test_dry_run_passes_the_gates_and_leaves_nothing(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff(*DIGITS, "--dry-run")
    assert code == 0
    assert "1,197 train" in out
    assert files_below(Path.cwd()) == []


def test_models_lists_every_yaml(bakeoff: Bakeoff) -> None:
    out = bakeoff("models")[1]
    assert re.search(r"^cnn +A small convolutional network", out, re.M)
    assert re.search(r"^vgg16 +VGG16", out, re.M)


def test_cfg_job_prints_the_composed_config(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff("train", "--cfg", "job", "optim=sgd", "--resolve")
    assert code == 0
    assert "\noptim:\n  name: sgd\n" in out
    assert bakeoff("train", "--cfg", "job", "optim.lrr=1")[0] == 2


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    shell = f"{sys.executable} -m bakeoff --help | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_strangers_module_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("open('PWNED', 'w')")
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "evil.py").write_text("open('PWNED', 'w')")
    subprocess.run(command(["train", "--cfg", "job"]), cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "PWNED").exists()


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    for _ in range(600):
        if path.exists() and path.read_text().count("\n") >= 2:
            return
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError(f"{path} did not grow")


# Ctrl-C, which is SIGINT, also ends a sweep in the quick tier (test_sweep.py).
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_at_a_step_with_whole_files(tmp_path: Path, number: signal.Signals) -> None:
    from safetensors.numpy import load_file

    arguments = ["train", "data=digits", "model.channels=[4]", "trainer.epochs=100000", "sweep.name=s"]
    environment = os.environ | {"BAKEOFF_OUTPUTS": str(tmp_path)}
    process = subprocess.Popen(
        command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    while not list(tmp_path.glob("sweeps/s/*/status.json")):
        assert process.poll() is None
        time.sleep(0.1)
    (run,) = tmp_path.glob("sweeps/s/*")
    wait_for(run / "epochs.jsonl", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 75
    said = "Ctrl-C" if number == signal.SIGINT else number.name
    assert err.splitlines()[-1].startswith(f"error: stopped by {said} in step")
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "interrupted"
    assert status["step"] > 0
    assert len([json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]) >= 2
    assert "blocks.0.weight" in load_file(run / "weights_last.safetensors")
    assert not (run / "summary.json").exists()
    assert not list(run.glob(".*.tmp"))


def test_divergence_exits_5_and_keeps_finite_weights(bakeoff: Bakeoff) -> None:
    import numpy as np
    from safetensors.numpy import load_file

    code, _, err = bakeoff(
        *DIGITS, "optim=sgd", "optim.lr=1e30", "optim.clip_norm=null", "optim.warmup_epochs=0"
    )
    assert code == 5
    assert "optim.lr=1e+30" in err  # as it was given, beside the rate of the step
    (run,) = Path("outputs").glob("*/*-cnn-digits-s0-*")
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "diverged"
    assert f"step {status['step'] + 1}," in status["error"]
    assert all(np.isfinite(tensor).all() for tensor in load_file(run / "weights_last.safetensors").values())
    assert bakeoff("compare")[0] == 7


def test_out_of_memory_exits_4_with_a_hint(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    def losses(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr("bakeoff.models.base.LogitsClassifier.losses", losses)
    code, _, err = bakeoff(*DIGITS)
    assert code == 4
    assert "trainer.batch_size=128: out of memory" in err
    (run,) = Path("outputs").glob("*/*-cnn-digits-s0-*")
    assert json.loads((run / "status.json").read_text())["status"] == "failed"
