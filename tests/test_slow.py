"""The slow tier: real MNIST at full size, faults at every write, kills at random times."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff, command

pytestmark = pytest.mark.slow
DIGITS = ["train", "data=digits", "model.channels=[4]", "trainer.epochs=2"]


@pytest.mark.mnist
def test_the_shipped_cnn_on_real_mnist(mnist_root: str, tmp_path: Path) -> None:
    """One seed; docs/benchmarks.md has three. In a process of its own, on one thread: two collapse beside
    the tests of the other process."""
    environment = os.environ | {"BAKEOFF_DATA": mnist_root, "BAKEOFF_OUTPUTS": str(tmp_path)}
    subprocess.run(
        command(["train", "model=cnn", "data=mnist", "trainer.threads=1"]), env=environment, check=True
    )
    (path,) = tmp_path.glob("*/*-cnn-mnist-s0-*/summary.json")
    summary = json.loads(path.read_text())
    assert summary["test"]["accuracy"] >= 0.9940
    assert summary["test"]["num_images"] == 10_000
    # Seconds depend on the machine's load; this only catches a loop that has become many times slower.
    assert summary["time"]["train_seconds"] < 300
    done = subprocess.run(command(["evaluate", "latest"]), env=environment, check=False)
    assert done.returncode == 0


def test_a_full_disk_at_any_write_is_exit_4_and_no_result_or_a_whole_one(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename of a whole run fails once; the one before it stays as it was."""
    replace, targets, fail_at = os.replace, [], 0

    def counted(source: object, target: object) -> None:
        targets.append(Path(str(target)).name)
        if len(targets) == fail_at:
            raise OSError(28, "No space left on device")
        replace(source, target)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "replace", counted)
    assert bakeoff(*DIGITS)[0] == 0
    total, result = len(targets), targets.index("summary.json") + 1
    assert result >= 8
    assert total >= result + 6
    for fail_at in range(1, total + 1):
        targets.clear()
        shutil.rmtree("outputs")
        code, out, err = bakeoff(*DIGITS)
        assert code == (4 if fail_at <= result else 0), fail_at
        assert "No space left on device" in (err if fail_at <= result else out)
        assert not list(Path("outputs").rglob("*.tmp"))
        runs = list(Path("outputs").glob("*/*-cnn-digits-s0-*"))
        finished = [run for run in runs if (run / "summary.json").exists()]
        assert len(finished) == (0 if fail_at <= result else 1)
        if finished:
            assert bakeoff("compare")[0] == 0
            continue
        assert bakeoff("compare")[0] in (2, 7)


def test_killed_at_random_times_leaves_whole_files(tmp_path: Path) -> None:
    chance = random.Random(0)
    arguments = ["train", "data=digits", "model.channels=[4]", "trainer.epochs=400"]
    environment = os.environ | {"BAKEOFF_OUTPUTS": str(tmp_path)}
    for number in range(8):
        process = subprocess.Popen(
            command([*arguments, f"seed={number}"]),
            env=environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        pattern = f"*/*-s{number}-*/status.json"
        while not list(tmp_path.glob(pattern)) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text())
    for path in tmp_path.rglob("epochs.jsonl"):
        *whole, rest = path.read_text().split("\n")
        assert all(json.loads(line)["epoch"] == place for place, line in enumerate(whole, start=1))
        assert rest == ""
    done = subprocess.run(
        command(["compare", "--format", "json"]), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 7)
    result = json.loads(done.stdout)
    finished = sum(row["num_runs"] for table in result["tables"] for row in table["settings"])
    assert finished + len(result["problems"]) == 8


@pytest.mark.mnist
def test_the_same_bits_with_two_threads_on_real_images(mnist_root: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment |= {"BAKEOFF_DATA": mnist_root}
    found = []
    for name in ("one", "two"):
        arguments = [
            "train",
            "trainer.epochs=1",
            "trainer.deterministic=true",
            f"output_dir={tmp_path / name}",
        ]
        subprocess.run(command(arguments), env=environment, check=True)
        (path,) = (tmp_path / name).glob("*/*/weights.safetensors")
        found.append(load_file(path))
    assert all((tensor == found[1][name]).all() for name, tensor in found[0].items())


@pytest.mark.parametrize("model", [["model=cnn_small"], ["model=cnn", "optim=sgd", "optim.lr=0.01"]])
def test_a_compiled_run_has_the_same_weights_after_50_steps(tmp_path: Path, model: list[str]) -> None:
    """Rounding differs, and AdamW makes much of tiny gradients: docs/benchmarks.md has its figure."""
    from safetensors.numpy import load_file

    found, seconds = {}, {}
    for compiled in ("false", "true"):
        arguments = [
            "train", "data=digits", "trainer=small_data", f"trainer.compile={compiled}", "trainer.epochs=5",
            "trainer.batch_size=50", "data.train_limit=500", "trainer.precision=fp32", "trainer.device=cpu",
            "trainer.select=last", f"output_dir={tmp_path / compiled}", *model,
        ]  # fmt: skip
        subprocess.run(command(arguments), check=True)
        (run,) = (path.parent for path in (tmp_path / compiled).glob("*/*/summary.json"))
        summary = json.loads((run / "summary.json").read_text())
        assert json.loads((run / "status.json").read_text())["step"] == 50
        weights = load_file(run / "weights.safetensors")
        found[compiled] = np.concatenate(
            [weights[name].ravel() for name in sorted(weights) if "running" not in name]
        )
        seconds[compiled] = summary["time"]["first_epoch_seconds"]
        epochs = [
            json.loads(line)["train_seconds"] for line in (run / "epochs.jsonl").read_text().splitlines()
        ]
        assert seconds[compiled] == epochs[0]
    difference = np.abs(found["true"] - found["false"])
    print(f"largest difference of a weight {difference.max():.1e}")
    assert difference.max() < 1e-3
    # Compilation is part of the first epoch, and of no other.
    assert seconds["true"] > 5 * seconds["false"]


def test_twenty_thousand_pictures_load_fast_and_in_little_memory(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "scripts" / "bench_image_folder.py"
    done = subprocess.run(
        [sys.executable, script, "--folder", tmp_path], capture_output=True, text=True, check=True
    )
    print(done.stdout)
    figures = dict(line.split(": ") for line in done.stdout.splitlines() if ": " in line)
    assert int(figures["pictures"]) == 20_000
    assert float(figures["seconds"]) < 60  # the bar is 30 on a quiet machine
    assert float(figures["peak memory / tensor"]) < 1.5
