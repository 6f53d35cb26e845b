"""Weights to begin with from another run."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Bakeoff
from first_weights import ARCH, SHORT, make
from safetensors.torch import load_file, save_file

from bakeoff.cli import main
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import BakeoffError, ConfigError, DataError
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.identity import identity, setting
from bakeoff.models.finetune import FineTuned
from bakeoff.models.weights.origin import shown_origin, weights_origin


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on the digits 0 to 4."""
    folder = tmp_path_factory.mktemp("trained")
    line = [*SHORT, "model.weights=none", "data.classes=[0,1,2,3,4]", f"output_dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        assert main(["train", *line]) == 0
    return folder


@pytest.fixture
def source(bakeoff: Bakeoff, trained: Path) -> Path:
    """A copy of the run for each test, in the folder where `bakeoff` runs."""
    shutil.copytree(trained, "source")
    return next(Path("source").glob("*/*-finetune-*")).resolve()


def only_run(folder: str) -> Path:
    (summary,) = Path(folder).rglob("summary.json")
    return summary.parent


def read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def prepared(*overrides: str) -> FineTuned:
    model = prepare(expand(parse_arguments([*SHORT, *overrides]))[0][0].values).model
    assert isinstance(model, FineTuned)
    return model


@pytest.mark.usefixtures("pictures_if_slow")
def test_a_run_is_fine_tuned_on_other_classes_and_evaluated_without_its_source(
    bakeoff: Bakeoff, source: Path
) -> None:
    origin = read(source / "summary.json")
    assert origin["weights"] == "none"
    code, out, err = bakeoff(
        "train", *SHORT, f"model.weights={source}", "data.classes=[5,6,7,8,9]", "output_dir=new"
    )
    assert code == 0, err
    shown = f"run:{origin['setting'][:8]}"
    assert f"note: weights: {shown}, head new" in out
    run = only_run("new")
    assert read(run / "summary.json")["weights"] == shown
    code, out, _ = bakeoff("compare", "new", "source")
    assert shown in out
    assert str(source) not in out
    shutil.rmtree(source)
    code, out, err = bakeoff("evaluate", str(run))
    assert (code, err) == (0, "")
    assert "equal to summary.json" in out


def test_the_same_classes_keep_the_head_and_others_get_a_new_one(source: Path) -> None:
    stored = load_file(source / "weights.safetensors")
    same = prepared(f"model.weights={source}", "data.classes=[0,1,2,3,4]")
    for name, tensor in same.state_dict().items():
        assert torch.equal(tensor, stored[name]), name
    other = prepared(f"model.weights={source}", "data.classes=[5,6,7,8,9]")
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, stored[name]) != name.startswith("head."), name
    # As many classes, but others: the statistics are the run's own all the same.
    assert not torch.equal(other.mean, prepared("model.weights=none", "data.classes=[5,6,7,8,9]").mean)


def test_a_run_counts_by_its_setting_and_a_file_by_its_content(source: Path, tmp_path: Path) -> None:
    def values(weights: str, *more: str) -> dict[str, Any]:
        return expand(parse_arguments([*SHORT, f"model.weights={weights}", *more]))[0][0].values

    copied = shutil.copytree(source, tmp_path / "copy")
    shown = read(source / "summary.json")["setting"]
    assert weights_origin(str(source)) == weights_origin(str(copied)) == f"run:{shown}"
    assert shown_origin(f"run:{shown}") == f"run:{shown[:8]}"
    assert identity(values(str(source)), "d") == identity(values(str(copied)), "d")
    changed = read(copied / "summary.json") | {"setting": "0" * 64}
    (copied / "summary.json").write_text(json.dumps(changed))
    assert identity(values(str(source)), "d") != identity(values(str(copied)), "d")
    assert setting(values(str(source)), "d") != setting(values("none"), "d")
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (first, second):
        save_file({"x": torch.zeros(3)}, path)
    assert identity(values(str(first)), "d") == identity(values(str(second)), "d")
    save_file({"x": torch.ones(3)}, second)
    assert identity(values(str(first)), "d") != identity(values(str(second)), "d")
    # Another seed's weights of the same setting: another run, the same new setting.
    other = shutil.copytree(source, tmp_path / "other seed")
    stored = load_file(other / "weights.safetensors")
    save_file({name: tensor + 1 for name, tensor in stored.items()}, other / "weights.safetensors")
    assert setting(values(str(source)), "d") == setting(values(f"'{other}'"), "d")
    assert identity(values(str(source)), "d") != identity(values(f"'{other}'"), "d")
    (other / "weights.safetensors").unlink()
    with pytest.raises(DataError, match=r"it has no weights.safetensors"):
        identity(values(f"'{other}'"), "d")
    # The limit of the cache changes how long training takes, not what comes out.
    assert identity(values("none", "model.cache_bytes=0"), "d") == identity(values("none"), "d")


@pytest.mark.parametrize(
    ("weights", "kind", "error"),
    [
        ("imagnet", ConfigError, "did you mean imagenet"),
        ("", ConfigError, "model.weights: empty"),
        ("runs/none", DataError, "no such run directory or file"),
        ("gone.pth", DataError, "no such file"),
        (".", DataError, "no run directory"),
        ("gone.ckpt", DataError, "no such file"),
        ("pipe", ConfigError, "not a file of weights"),
        ("half", DataError, "not a finished run"),
        ("old", DataError, "names no setting"),
    ],
)
def test_weights_that_are_not_there(
    weights: str, kind: type[BakeoffError], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name, file in (("half", "status.json"), ("old", "summary.json")):
        Path(name).mkdir()
        Path(name, file).write_text("{}")
    with pytest.raises(kind, match=error):
        weights_origin(weights)
    with pytest.raises(kind, match=error):
        make(weights)


def test_a_sweep_with_missing_weights_creates_nothing(bakeoff: Bakeoff) -> None:
    line = ["--multirun", *SHORT, "model.weights=none,gone.pth"]
    code, _, err = bakeoff("train", *line)
    assert code == 3
    assert "gone.pth: no such file" in err
    assert not Path("outputs").exists()


@pytest.mark.usefixtures("no_pictures")
def test_another_familys_run_is_refused(bakeoff: Bakeoff) -> None:
    assert bakeoff("train", "data=digits", "model=cnn_small", "trainer.epochs=1", "output_dir=cnn")[0] == 0
    run = next(Path("cnn").rglob("summary.json")).parent
    code, _, err = bakeoff("train", *SHORT, f"model.weights={run}")
    assert code == 3
    assert f"no weights of {ARCH}: missing: body.conv1.0.weight" in err
