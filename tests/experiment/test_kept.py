"""What a run keeps for reports: which images, in which size, and what its model shows of its decisions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import read
from torch import Tensor
from toy import CPU, Toy, toy_split

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.splits import TensorSplit
from bakeoff.evaluation import cost
from bakeoff.evaluation.prediction import Predictions
from bakeoff.experiment.kept import keep_explanations, keep_test_images
from bakeoff.experiment.train import train
from bakeoff.machine.signals import StopSignal
from bakeoff.models.base import Overlay
from bakeoff.runs.explanations import read_explanations
from bakeoff.runs.kept_images import kept_images
from bakeoff.runs.rundir import RunDir

HASH = "ab" * 32


def photographs(count: int, side: int = 128, channels: int = 3) -> TensorSplit:
    """Images of one colour each, of three classes in turn."""
    tones = (torch.arange(count) % 250).to(torch.uint8)
    return TensorSplit(
        tones.reshape(-1, 1, 1, 1).expand(count, channels, side, side), torch.arange(count) % 3
    )


def said(split: TensorSplit, wrong: dict[int, float]) -> Predictions:
    """Right everywhere but at some images, which are wrong with a confidence."""
    labels = split.labels.numpy()
    rows = np.full((len(labels), 3), 0.05, np.float32)
    rows[np.arange(len(labels)), labels] = 0.9
    for index, confidence in wrong.items():
        rows[index] = (1 - confidence) / 2
        rows[index, (labels[index] + 1) % 3] = confidence
    return Predictions(np.arange(len(labels)), labels, rows, {}, batch_size=10)


@pytest.mark.parametrize("side", [33, 96, 128])
def test_of_large_images_mistakes_and_a_sample_are_kept(tmp_path: Path, side: int) -> None:
    split = photographs(250, side)
    keep_test_images(tmp_path, HASH, split, said(split, {200 - n: 0.5 + n / 200 for n in range(50)}))
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [HASH]
    found = kept_images(tmp_path / "run", HASH, range(250))
    # The most confident 40 of the 50 mistakes, and 13 or 14 of each class.
    assert sorted(found) == [*range(40), *range(151, 191)]
    for index, image in found.items():
        assert image.shape == (min(side, 96), min(side, 96), 3)
        assert (image == index).all()


def test_each_run_adds_its_own_mistakes_to_one_sample(tmp_path: Path) -> None:
    split = photographs(250)
    for wrong in ({100: 0.9}, {101: 0.9, 100: 0.8}, {2: 0.9}):
        keep_test_images(tmp_path, HASH, split, said(split, wrong))
    assert sorted(kept_images(tmp_path / "run", HASH, range(250))) == [*range(40), 100, 101]


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_small_images_are_all_kept_in_one_file(tmp_path: Path, side: int, channels: int) -> None:
    split = photographs(250, side, channels)
    keep_test_images(tmp_path, HASH, split, said(split, {}))
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [f"{HASH}.npz"]
    found = kept_images(tmp_path / "run", HASH, range(250))
    assert sorted(found) == list(range(250))
    assert all(
        (image == index).all() and image.shape == (side, side, channels) for index, image in found.items()
    )


class Shows(Toy):
    """Tells of each image its tone: as a map, as boxes, or as both."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.kinds, self.batches = kinds, []  # type: ignore[var-annotated]

    def explain(self, images: Tensor) -> list[Overlay]:
        self.batches.append((len(images), self.training, torch.is_grad_enabled()))
        shown = []
        for image in images:
            tone = float(image.max())
            heat = torch.full(image.shape[1:], tone).double() if "heat" in self.kinds else None
            count = 30 if "boxes" in self.kinds else 0
            boxes = torch.arange(4.0 * count).reshape(count, 4) + tone
            scores = [tone / 1000 + box / 1000 for box in range(count)]
            shown.append(
                Overlay(
                    "tone",
                    heat,
                    boxes,
                    [f"box {box}" for box in range(count)],
                    scores,
                    torch.ones(4) if count else None,
                )
            )
        return shown if self.kinds else []


@pytest.mark.parametrize("kinds", [("heat",), ("boxes",), ("heat", "boxes")])
def test_what_a_model_shows_of_mistakes_and_sample_is_stored(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    split, model = photographs(250, 128), Shows(*kinds).train()
    predictions = said(split, {200 - n: 0.5 + n / 200 for n in range(50)})
    keep_explanations(RunDir(tmp_path), model, split, predictions, CPU)
    # No more at once than memory allowed when the run predicted, evaluating, and the mode is as before.
    assert model.batches == [(10, False, False)] * 4 + [(4, False, False)]
    assert model.training
    found = read_explanations(tmp_path)
    assert sorted(found) == [*range(20), *range(151, 175)]
    for index, one in found.items():
        assert (one.title, one.width, one.height) == ("tone", 128, 128)
        assert (one.heat is not None) == ("heat" in kinds)
        if one.heat is not None:
            assert one.heat.shape == (96, 96)
            assert (one.heat == index).all()
        if "boxes" in kinds:
            assert one.box_labels == [f"box {box}" for box in range(29, 9, -1)]  # the best first
            assert one.box_scores == pytest.approx([(index + box) / 1000 for box in range(29, 9, -1)])
            assert one.boxes[0].tolist() == [116 + index, 117 + index, 118 + index, 119 + index]
        assert (one.true_box is None) == ("boxes" not in kinds)


def test_one_batch_where_there_is_room_and_no_file_where_nothing_is_shown(tmp_path: Path) -> None:
    split, silent, short = toy_split(30), Shows(), Shows("heat")
    predictions = said(split, {})
    keep_explanations(RunDir(tmp_path), silent, split, predictions, CPU)
    assert list(tmp_path.iterdir()) == []
    roomy = Predictions(predictions.index, predictions.label, predictions.probabilities, {}, batch_size=512)
    keep_explanations(RunDir(tmp_path), short, split, roomy, CPU)
    assert [count for count, *_ in short.batches] == [20]


def test_the_sample_is_explained_of_images_that_are_kept(tmp_path: Path) -> None:
    split = photographs(250)
    predictions = said(split, dict.fromkeys(range(100, 180), 0.6))
    keep_test_images(tmp_path, HASH, split, predictions)
    keep_explanations(RunDir(tmp_path), Shows("heat"), split, predictions, CPU)
    explained = list(read_explanations(tmp_path))
    assert len(explained) == 44
    assert sorted(kept_images(tmp_path / "run", HASH, explained)) == sorted(explained)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_on_a_folder_of_pictures_keeps_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_THROUGHPUT_BATCH", "_LATENCY_REPEATS"):
        monkeypatch.setattr(cost, name, 2)
    monkeypatch.setattr("bakeoff.plots.overlays.draw_explanations", lambda *_: None)
    random = np.random.RandomState(0)
    for split, count in (("train", 6), ("test", 30)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                width, height = random.randint(64, 129, 2)
                noise = random.randint(0, 256, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(noise).resize((width, height)).save(folder / f"{number:02}.png")
    words = [
        "model=vit", "data=image_folder", f"data.root={tmp_path / 'pictures'}", "data.image_size=120", "data.val_fraction=0",
        "model.patch_size=20", "model.width=8", "model.heads=2", "model.depth=1", "trainer.select=last",
        "trainer.epochs=1", "optim.warmup_epochs=0", f"output_dir={tmp_path / 'outputs'}",
    ]  # fmt: skip
    (job,), _ = expand(parse_arguments(words))
    run = train(job, StopSignal())
    log = (run / "run.log").read_text()
    assert "note: without" not in log
    test_hash = read(run, "summary.json")["fingerprint"]["test_split"]
    found = kept_images(run, test_hash, range(100))
    assert 40 <= len(found) <= 60
    assert {image.shape for image in found.values()} == {(96, 96, 3)}
    explained = read_explanations(run)
    assert 20 <= len(explained) <= 44
    assert set(explained) <= set(found)
    assert {(one.width, one.height) for one in explained.values()} == {(120, 120)}
    assert {one.heat.shape for one in explained.values() if one.heat is not None} == {(96, 96)}
