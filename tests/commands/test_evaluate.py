"""`bakeoff evaluate` of a run, and of what other people's runs may hold."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff, files_below
from safetensors.torch import load_file, save_file
from terminals import terminal
from tiny_run import read, train
from toy import toy_split

from bakeoff.commands import evaluate
from bakeoff.commands.places_here import options_named
from bakeoff.comparison.run import Run
from bakeoff.data.splits import DataSet
from bakeoff.deploy.with_data import _why_others
from bakeoff.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("outputs"))


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "copied")


def test_evaluate_repeats_the_figures_and_writes_nothing(copied: Path, bakeoff: Bakeoff) -> None:
    def state() -> list[tuple[str, int, bytes]]:
        files = [path for path in sorted(copied.rglob("*")) if path.is_file()]
        return [(path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    before = state()
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, err) == (0, "")
    assert out.endswith("equal to summary.json\n")
    test = read(copied, "summary.json")["test"]
    for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("nll", "test loss (NLL)")):
        (line,) = [line for line in out.splitlines() if line.startswith(name)]
        assert line.split() == [*name.split(), f"{test[key]:.6f}", f"{test[key]:.6f}"]
    assert state() == before
    assert files_below(Path.cwd()) == []


def test_evaluate_on_a_terminal_shows_what_it_does(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[int] = []
    monkeypatch.setattr("bakeoff.machine.waiting.Bar.move_to", lambda _, done: moved.append(done))
    with terminal(80) as screen:
        bakeoff("evaluate", str(copied))
    assert moved == [400]
    drawn = screen.drawn()
    assert {"loading torch ...", "reading digits ..."} <= set(drawn)
    assert [text for text in drawn if text.startswith("test  ")]
    assert not [text for text in screen.lines() if text.endswith("...") or "%|" in text]


def test_a_run_from_before_a_key_is_evaluated(copied: Path, bakeoff: Bakeoff) -> None:
    config = read(copied, "config.json")
    del config["optim"]["warmup"]
    (copied / "config.json").write_text(json.dumps(config))
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, err) == (0, "")
    assert out.endswith("equal to summary.json\n")


@pytest.mark.parametrize("word", ["latest", "copied", "cop"])
def test_evaluate_finds_a_run_by_name(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(copied.parent))
    code, out, _ = bakeoff("evaluate", word)
    assert code == 0
    assert out.startswith(f"{copied}: 400 test images of digits")


def test_one_perturbed_tensor_is_exit_7(copied: Path, bakeoff: Bakeoff) -> None:
    weights = load_file(copied / "weights.safetensors")
    weights["head.2.bias"][3] += 0.5
    save_file(weights, copied / "weights.safetensors")
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, err) == (7, "")
    assert "test loss" in [line[:9] for line in out.splitlines() if line.endswith("differs")]
    assert "not equal to summary.json" in out


def test_weights_that_are_not_finite_are_never_equal(copied: Path, bakeoff: Bakeoff) -> None:
    weights = load_file(copied / "weights.safetensors")
    weights["head.2.weight"][0, 0] = float("nan")
    save_file(weights, copied / "weights.safetensors")
    code, out, err = bakeoff("evaluate", str(copied))
    assert code in (5, 7)
    assert "equal to summary.json\n" not in out.replace("not equal", "")
    assert "Traceback" not in err


def test_weights_cut_anywhere_are_refused_in_one_line(copied: Path, bakeoff: Bakeoff) -> None:
    path = copied / "weights.safetensors"
    content = path.read_bytes()
    for size in [*range(0, len(content), len(content) // 15), len(content) - 1]:
        path.write_bytes(content[:size])
        code, out, err = bakeoff("evaluate", str(copied))
        assert (code, out, err.count("\n")) == (7, "", 1), size
        assert "weights.safetensors" in err


def test_a_flipped_bit_in_the_weights_header_is_refused(copied: Path, bakeoff: Bakeoff) -> None:
    path = copied / "weights.safetensors"
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for bit in np.random.RandomState(0).randint(0, 8 * header, 50):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(bytes(flipped))
        code, _, err = bakeoff("evaluate", str(copied))
        # A flip that changes nothing but padding or the order of keys may pass.
        assert code in (0, 7), err
        assert "Traceback" not in err


def unlink(path: Path) -> None:
    path.unlink()


def to_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [unlink, to_link, to_folder])
def test_weights_that_are_no_file_are_refused(
    copied: Path, bakeoff: Bakeoff, change: Callable[[Path], None]
) -> None:
    change(copied / "weights.safetensors")
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, out, err.count("\n")) == (7, "", 1), err
    assert "weights.safetensors" in err
    assert "this is a bug" not in err


def configured(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = read(run, "config.json")
    change(config)
    (run / "config.json").write_text(json.dumps(config))


CONFIGS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("target", lambda c: c["model"].update(_target_="canary_module.run"), "model._target_"),
    ("target at the top", lambda c: c.update(_target_="canary_module.run"), "_target_"),
    ("target in a list", lambda c: c["model"].update(channels=[{"_target_": "canary_module.run"}]), "channels"),
    ("unknown family", lambda c: c["model"].update(family="canary_module"), "model.family=canary_module"),
    ("family with a path", lambda c: c["model"].update(family="../canary_module"), "model.family="),
    ("no model", lambda c: c.pop("model"), "model"),
    ("model is a list", lambda c: c.update(model=[1]), "model=[1]"),
    ("data is null", lambda c: c.update(data=None), "data=null"),
    ("trainer is a text", lambda c: c.update(trainer="x"), "trainer="),
    ("huge network", lambda c: c["model"].update(channels=[10**9]), "model.channels"),
    ("unknown data", lambda c: c["data"].update(name="../x"), "data.name="),
    ("text for a number", lambda c: c["trainer"].update(batch_size="128"), "trainer.batch_size="),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error"), [case[1:] for case in CONFIGS], ids=[case[0] for case in CONFIGS]
)
def test_a_foreign_config_is_refused_and_runs_nothing(
    copied: Path,
    bakeoff: Bakeoff,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], object],
    error: str,
) -> None:
    (Path.cwd() / "canary_module.py").write_text("open('PWNED', 'w')\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    configured(copied, change)
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("error: ")
    assert error in err
    assert "canary_module" not in sys.modules
    assert not Path("PWNED").exists()


def test_a_config_of_another_network_does_not_fit_the_weights(copied: Path, bakeoff: Bakeoff) -> None:
    configured(copied, lambda config: config["model"].update(channels=[5]))
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, out, err.count("\n")) == (7, "", 1)
    assert "weights.safetensors: these weights do not fit the run's model" in err


def test_an_interpolation_of_a_foreign_config_stays_text(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "xyzzy")
    configured(copied, lambda config: config["model"].update(name="${oc.env:CANARY}"))
    configured(copied, lambda config: config.update(output_dir="${oc.env:CANARY}/x"))
    _, out, err = bakeoff("evaluate", str(copied))
    assert "xyzzy" not in out + err
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize(
    "value", [None, [], "x", {}, {"test_split": None}, {"test_split": "0" * 64}], ids=str
)
def test_a_summary_without_the_prints_of_these_test_images_is_exit_3(
    copied: Path, bakeoff: Bakeoff, value: Any
) -> None:
    summary = read(copied, "summary.json")
    (copied / "summary.json").write_text(json.dumps(summary | {"fingerprint": value}))
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, out, err.count("\n")) == (3, "", 1), err
    assert "not the test images of copied" in err


@pytest.mark.parametrize("status", ["running", "failed", "diverged", "interrupted", "finished"])
def test_only_a_finished_run_can_be_evaluated(copied: Path, bakeoff: Bakeoff, status: str) -> None:
    (copied / "summary.json").unlink()
    (copied / "status.json").write_text(json.dumps(read(copied, "status.json") | {"status": status}))
    code, out, err = bakeoff("evaluate", str(copied))
    assert (code, out, err.count("\n")) == (7, "", 1)
    assert "only a finished run can be evaluated" in err


def test_a_summary_that_is_no_longer_true_is_exit_7(copied: Path, bakeoff: Bakeoff) -> None:
    summary = read(copied, "summary.json")
    summary["test"]["accuracy"] += 1 / 400
    (copied / "summary.json").write_text(json.dumps(summary))
    code, _, err = bakeoff("evaluate", str(copied))
    assert code == 7
    assert "predictions.npz gives" in err
    (copied / "predictions.npz").unlink()
    code, out, _ = bakeoff("evaluate", str(copied))
    assert code == 7
    assert [line.split()[0] for line in out.splitlines() if line.endswith("differs")] == ["accuracy"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_exit_2(copied: Path, bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("evaluate", str(copied), "--device", "cuda")
    assert code == 2
    assert "--device cuda: " in err


def test_an_option_that_cannot_be_is_named_and_not_its_key(copied: Path, bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("evaluate", str(copied), "--device", "gpu")
    assert (code, err) == (2, "error: --device gpu: must be auto, cpu, cuda or cuda:N\n")
    options = evaluate.parser().parse_args(["latest", "--data-root", "/nope"])
    with (
        pytest.raises(DataError, match=r"^--data-root /nope: no such folder$"),
        options_named(options),
    ):
        raise DataError("data.root=/nope: no such folder")
    with pytest.raises(ConfigError, match=r"^trainer.device=cuda: none$"), options_named(options):
        raise ConfigError("trainer.device=cuda: none")  # the run's own


@pytest.mark.parametrize(
    ("now", "classes", "told"),
    [
        ({"train": ["a"], "test": ["b", "c"]}, ("2", "10"), "and this one splits this folder differently"),
        ({"train": ["a", "b"], "test": ["c"]}, ("2", "10"), "and this one orders these classes differently"),
        ({"train": ["a", "b"], "test": ["c"]}, ("10", "2"), "have changed; give --data-root DIR"),
        ({"train": ["a", "b"], "test": ["d"]}, ("10", "2"), "not the test images of run; give --data-root"),
        (None, ("10", "2"), "not the test images of run; give --data-root DIR"),
    ],
)
def test_why_pictures_are_not_those_of_a_run(
    tmp_path: Path, now: dict[str, list[str]] | None, classes: tuple[str, str], told: str
) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "files.json").write_text(json.dumps({"train": ["a", "b"], "test": ["c"]}))
    found = Run(path, {"test": {"per_class": [{"label": "10"}, {"label": "2"}]}}, {})
    split = toy_split(4)
    assert told in _why_others(found, DataSet("image_folder", classes, split, None, split, files=now))
    (path / "files.json").write_text("[]")
    data = DataSet("image_folder", classes, split, None, split, files=now)
    assert _why_others(found, data) == "not the test images of run; give --data-root DIR"
