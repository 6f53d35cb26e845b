"""`bakeoff export RUN`: what is written, how it is checked, and what stays as it was when it fails."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff, files_below
from terminals import terminal
from tiny_run import read, train

from bakeoff.deploy.export.opened import Exported, open_exported
from bakeoff.deploy.trained import open_trained
from bakeoff.errors import RunsDifferError
from bakeoff.models.cnn import Cnn

DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        return train(tmp_path_factory.mktemp("outputs"), "trainer.precision=fp32")


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A run whose test images are kept beside it, as those of all runs."""
    root = next(above for above in run.parents if (above / "datasets").is_dir())
    shutil.copytree(root / "datasets", tmp_path / "outputs" / "datasets")
    return shutil.copytree(run, tmp_path / "outputs" / "copied")


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what comes before: none of the seconds that tracing takes."""

    def trace(_: Any) -> None:
        raise AssertionError("traced")

    monkeypatch.setattr("bakeoff.deploy.export.write.traced", trace)


@pytest.mark.slow  # tracing takes seconds
def test_a_pt2_file_gives_the_runs_probabilities_and_says_what_it_is(copied: Path, bakeoff: Bakeoff) -> None:
    code, out, err = bakeoff("export", str(copied), "-o", "model.pt2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    size = Path("model.pt2").stat().st_size
    assert lines[:2] == [f"{copied}: cnn on digits", f"exported to  model.pt2 (pt2, {size:,} bytes)"]
    assert lines[2].startswith("checked on   256 test images: probabilities ")
    assert lines[3] == "input        images, uint8 [batch, 1, 8, 8]: pixels as the data set has them"
    assert lines[4] == "output       probabilities [batch, 10], float32"
    assert lines[5] == f"next         bakeoff evaluate {copied} --onnx model.pt2"
    assert len(lines) == 6
    assert files_below(Path.cwd()) == ["model.pt2"]
    exported = open_exported(Path("model.pt2"))
    summary = read(copied, "summary.json")
    assert exported.run_id == summary["run_id"]
    assert exported.class_names == tuple(str(digit) for digit in range(10))
    assert (exported.metadata.model, exported.metadata.data) == ("cnn", "digits")
    stored = np.load(copied / "predictions.npz")["probabilities"]
    images = np.load(next(copied.parent.glob("datasets/*.npz")))["images"]
    np.testing.assert_allclose(exported.probabilities(images), stored, atol=1e-5)
    assert b"/src/bakeoff" not in Path("model.pt2").read_bytes()  # no path of this machine
    # The file scores what the run scored.
    code, out, err = bakeoff("evaluate", str(copied), "--onnx", "model.pt2")
    assert (code, err) == (0, "")
    assert out.endswith("equal to summary.json\n")
    accuracy = next(line for line in out.splitlines() if line.startswith("accuracy")).split()
    assert accuracy[1:] == [f"{summary['test']['accuracy']:.6f}"] * 2


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_extra")
def test_an_onnx_file_and_a_person_at_a_terminal(copied: Path, bakeoff: Bakeoff) -> None:
    with terminal(80) as screen:
        code, _, _ = bakeoff("export", str(copied))
    assert code == 0
    assert {"loading torch ...", "exporting to copied.onnx ..."} <= set(screen.drawn())
    kept = [line for line in screen.lines() if line]
    assert [line.split()[0] for line in kept if line[0] != " "][1:] == [
        "exported", "checked", "input", "output", "next"
    ]  # fmt: skip
    assert files_below(Path.cwd()) == ["copied.onnx"]
    assert bakeoff("evaluate", str(copied), "--onnx", "copied.onnx")[0] == 0
    content = Path("copied.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b"/src/bakeoff" not in content


def test_weights_of_our_own_families_keep_their_names(copied: Path, bakeoff: Bakeoff) -> None:
    from safetensors.torch import load_file

    code, out, err = bakeoff("export", str(copied), "--format", "state_dict")
    assert (code, err) == (0, "")
    assert "checked      the file holds the run's weights, by bakeoff's own names" in out
    assert "next" not in out
    written, own = load_file("copied.safetensors"), load_file(copied / "weights.safetensors")
    assert written.keys() == own.keys()
    assert all(torch.equal(tensor, own[name]) for name, tensor in written.items())


@pytest.mark.slow  # tracing takes seconds
def test_what_stood_there_stays_where_the_check_fails(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an operator that gives something else than the network it was traced from."""
    Path("model.pt2").write_text("precious")
    honest = Exported.probabilities
    monkeypatch.setattr(Exported, "probabilities", lambda self, images: honest(self, images) + 2e-4)
    code, out, err = bakeoff("export", str(copied), "-o", "model.pt2")
    assert (code, out, err.count("\n")) == (RunsDifferError.exit_code, "", 1)
    assert "the file's probabilities differ from the model's by up to 0.0002 on 1 images" in err
    assert Path("model.pt2").read_text() == "precious"
    assert files_below(Path.cwd()) == ["model.pt2"]


@pytest.mark.slow  # tracing takes seconds
def test_a_network_that_cannot_be_traced_is_one_line(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Cnn, images: torch.Tensor) -> torch.Tensor:
        print("noise")
        return self.head(self.blocks(images)) * float(images.sum())  # a value of the images

    monkeypatch.setattr(Cnn, "forward", forward)
    code, out, err = bakeoff("export", str(copied), "--format", "pt2")
    assert code == 2
    assert err.count("\n") == 1
    assert "torch cannot trace this network (" in err
    assert "noise\n" not in out
    assert files_below(Path.cwd()) == []


@pytest.mark.usefixtures("untraced")
def test_torchvisions_detector_is_refused_before_any_work(
    copied: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read(copied, "config.json")
    config["model"] = {"name": "faster_rcnn_resnet50", "family": "torchvision_detector"}
    (copied / "config.json").write_text(json.dumps(config))

    def opening(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("bakeoff.deploy.trained.open_trained", opening)
    code, out, err = bakeoff("export", str(copied), "--format", "pt2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "torchvision's detector works on one image after the other" in err
    assert "model=faster_rcnn is a detector that can be exported" in err


def test_a_missing_extra_is_said_first(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.deploy.export.extra._LIBRARIES", {"no_such_module": "onnx"})
    code, _, err = bakeoff("export", "no-such-run")
    assert (code, err) == (2, "error: an ONNX file needs the extra bakeoff[onnx]: pip install onnx\n")
    code, _, err = bakeoff("export", "no-such-run", "--format", "pt2")  # needs none of it
    assert "no-such-run" in err


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-o", "model.txt"], 2, "-o model.txt: a file ends with .onnx, .pt2, .safetensors"),
        (["-o", "model.pt2", "--format", "onnx"], 2, "-o model.pt2: a file of --format onnx ends with .onnx"),
        (["-o", "nowhere/model.pt2"], 4, "there is no folder nowhere"),
        (["-o", "folder.pt2"], 2, "-o folder.pt2: is a folder"),
        (["--format", "pt"], 2, "did you mean pt2?"),
    ],
)
def test_slips(copied: Path, bakeoff: Bakeoff, words: list[str], code: int, told: str) -> None:
    Path("folder.pt2").mkdir()
    found, out, err = bakeoff("export", str(copied), *words)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    assert told in err
    assert files_below(Path.cwd()) == ["folder.pt2"]


@pytest.mark.usefixtures("untraced")
def test_runs_that_cannot_be_exported(copied: Path, bakeoff: Bakeoff) -> None:
    (copied / "weights.safetensors").unlink()
    code, _, err = bakeoff("export", str(copied), "--format", "pt2")
    assert code == 7
    assert "this run has no weights (weights.safetensors); bakeoff prune removes those" in err
    (copied / "summary.json").unlink()
    code, _, err = bakeoff("export", str(copied), "--format", "pt2")
    assert code == 7
    assert "only a finished run can be exported" in err


HOSTILE = [
    "a\x1b[31mb", "\u202edrow", "line\nbreak", "nul\x00", "\udcff", "${jndi:x}", "'\"`;rm -rf", "\u00e9", "\u4e03", "x" * 900,
]  # fmt: skip


@pytest.mark.slow  # tracing takes seconds
def test_hostile_names_are_stored_as_they_are_and_printed_safely(copied: Path, bakeoff: Bakeoff) -> None:
    summary = read(copied, "summary.json")
    for item, name in zip(summary["test"]["per_class"], HOSTILE, strict=True):
        item["label"] = name
    summary |= {"run_id": "id\x1b]0;title\x07", "data_title": "digits\x1b[2J\udcfe"}
    (copied / "summary.json").write_text(json.dumps(summary))
    code, out, err = bakeoff("export", str(copied), "--format", "pt2")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    exported = open_exported(Path("copied.pt2"))
    assert exported.class_names == tuple(HOSTILE)
    assert exported.run_id == "id\x1b]0;title\x07"
    assert exported.metadata.data == "digits\x1b[2J\\udcfe"
    # Names that no reader would take are refused before any work.
    summary["test"]["per_class"][0]["label"] = "y" * 1001
    (copied / "summary.json").write_text(json.dumps(summary))
    Path("copied.pt2").unlink()
    code, out, err = bakeoff("export", str(copied), "--format", "pt2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot be exported: bakeoff.class_names is not a list of names" in err
    assert files_below(Path.cwd()) == []


def test_images_for_the_check(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept ones, then the data, then noise: whatever there is, of the size that goes in."""
    from bakeoff.deploy.export.images import images_for_check

    trained = open_trained(copied, "cpu", precision="fp32")
    with monkeypatch.context() as patch:
        patch.setattr("bakeoff.deploy.export.images._data_are_here", lambda _: False)
        kept, what = images_for_check(trained)
    assert (kept.shape, kept.dtype, what) == ((256, 1, 8, 8), torch.uint8, "256 test images")
    shutil.rmtree(copied.parent / "datasets")
    read_again, what = images_for_check(trained)
    assert (torch.equal(read_again, kept), what) == (True, "256 test images")
    monkeypatch.setattr("bakeoff.deploy.export.images._data_are_here", lambda _: False)
    noise, what = images_for_check(trained)
    assert noise.shape == kept.shape
    assert what == "256 images of random bytes, as the run's test images are not here (--data-root)"


@pytest.mark.slow  # tracing takes seconds
def test_a_file_of_other_images_or_classes_is_not_scored(copied: Path, bakeoff: Bakeoff) -> None:
    bakeoff("export", str(copied), "-o", "model.pt2")
    code, _, err = bakeoff("evaluate", str(copied), "--onnx", "model.pt2", "--device", "cpu")
    assert (code, err.count("\n")) == (2, 1)
    assert "--device: an exported file (--onnx) runs on the CPU" in err
    code, _, err = bakeoff("evaluate", str(copied), "--onnx", "nope.onnx")
    assert (code, err) == (
        3, "error: nope.onnx: no such file or directory; give a file that bakeoff export has written\n"
    )  # fmt: skip
    from exported_files import archive_of, records

    parts = records(Path("model.pt2").read_bytes())
    own = Path("model.pt2")
    own.write_bytes(
        archive_of(parts | {"extra/bakeoff.class_names": json.dumps(list("abcdefghij")).encode()})
    )
    code, _, err = bakeoff("evaluate", str(copied), "--onnx", "model.pt2")
    assert (code, err.count("\n")) == (3, 1)
    assert "it tells other classes apart than copied" in err
    own.write_bytes(archive_of(parts | {"extra/bakeoff.run_id": b"another\x1b[31m"}))
    code, out, _ = bakeoff("evaluate", str(copied), "--onnx", "model.pt2")
    assert code == 0
    assert out.startswith("model.pt2 was exported from another run: another\\x1b[31m\n")
    # Weights that were changed after the export score otherwise.
    bias = next(
        name for name, part in parts.items() if name.startswith("data/weights/weight_") and len(part) == 40
    )
    own.write_bytes(archive_of(parts | {bias: np.arange(10, dtype=np.float32).tobytes()}))
    code, out, _ = bakeoff("evaluate", str(copied), "--onnx", "model.pt2")
    assert code == 7
    assert "not equal to summary.json" in out


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_extra")
def test_the_programs_in_the_document_work(
    copied: Path, bakeoff: Bakeoff, capfd: pytest.CaptureFixture[str]
) -> None:
    from shipped import TASKS
    from test_exported_families import trained

    from bakeoff.deploy.export.write import export

    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for name in ("digits.onnx", "digits.pt2"):
        assert bakeoff("export", str(copied), "-o", name)[0] == 0
    network = trained("finetune", TASKS[0], ("model.arch=resnet18", "model.image_size=32"))
    export(network, "state_dict", Path("weights.safetensors"), torch.zeros((1, 1, 28, 28), dtype=torch.uint8))
    results: list[dict[str, Any]] = [{}, {}, {}]
    for block, names in zip(blocks, results, strict=True):
        exec(block, names)
    assert capfd.readouterr().out.strip() in results[0]["names"]
    assert json.loads(results[1]["extra"]["bakeoff.class_names"]) == results[0]["names"]
    np.testing.assert_allclose(results[1]["probabilities"].numpy(), results[0]["probabilities"], atol=1e-5)
