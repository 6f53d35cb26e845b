"""How many images are evaluated at once: no result depends on it, it fits, and it is halved when it does not."""

from typing import Any

import numpy as np
import pytest
import torch
from shipped import CONFIGS, TASKS, TWINS, build_model
from torch import Tensor, nn
from toy import CPU, TASK, Toy, toy_config, toy_split, toy_state

from bakeoff.data.splits import TensorSplit
from bakeoff.errors import DivergedError, ResourceError
from bakeoff.evaluation import batch_size, metrics
from bakeoff.evaluation.batch_size import MOST_IMAGES, EvaluationBatch, bytes_per_image
from bakeoff.evaluation.prediction import predict, validate
from bakeoff.experiment.outcome import torch_errors_explained
from bakeoff.models.base import LogitsClassifier
from bakeoff.training.loop import fit

COUNT = 70
# A second and more each.
SLOW = {"alexnet", "vgg16", "finetune", "shufflenet_small", "faster_rcnn", "faster_rcnn_resnet50", "lab_vit"}


@pytest.mark.parametrize(
    "model_name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in CONFIGS
        if name not in TWINS
    ],
)
def test_no_score_depends_on_how_many_images_go_at_once(model_name: str) -> None:
    model = build_model(model_name, TASKS[0])
    torch.manual_seed(0)
    with torch.no_grad():  # heads that begin at zero would find all classes alike
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    images = torch.randint(0, 256, (COUNT, 1, 28, 28), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(COUNT) % 10)
    found = [predict(model, split, CPU, size) for size in (COUNT, 1, 7, 64)]
    scores = [metrics.score(each.label, each.probabilities, [""] * 10, each.extra) for each in found]
    assert len({score.accuracy for score in scores}) == 1
    assert len({score.macro_f1 for score in scores}) == 1
    assert [score.nll for score in scores] == pytest.approx([scores[0].nll] * 4, abs=1e-6)
    for each in found:
        assert each.extra == pytest.approx(found[0].extra, abs=1e-5)
        np.testing.assert_allclose(each.probabilities, found[0].probabilities, atol=1e-5)


class Wide(LogitsClassifier):
    """Its largest moment is known: 36 pixels as float32, twice 1,000 values, then nothing but logits."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.wide, self.head = nn.Linear(36, 1000), nn.Linear(1000, 3)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return self.head(self.wide(flat).relu())


def test_the_bytes_of_an_image_are_those_of_the_tensors_that_live_at_one_time() -> None:
    # Bytes in, normalised pixels (their difference to the mean is gone), and 1,000 values before and after.
    assert bytes_per_image(Wide(), toy_split(3), CPU) == 36 + 4 * (36 + 2 * 1000)


def of_memory(
    available: int | None, monkeypatch: pytest.MonkeyPatch, count: int = 1000
) -> tuple[int, list[str]]:
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda _: available)
    said: list[str] = []
    chosen = EvaluationBatch(None, said.append)
    found = chosen.size(Wide(), toy_split(count), CPU)
    assert chosen.size(Wide(), toy_split(count), CPU) == found
    return found, said


@pytest.mark.parametrize(
    ("images_in_half_of_it", "expected"),
    [(10_000, 512), (512, 512), (511, 256), (64, 64), (3.9, 2), (1, 1), (0.5, 1)],
)
def test_the_number_is_the_largest_power_of_two_that_fits(
    images_in_half_of_it: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_image = 2 * (36 + 4 * 2036)
    found, said = of_memory(int(2 * an_image * images_in_half_of_it) + 2, monkeypatch)
    assert found == expected
    assert len(said) == (expected < MOST_IMAGES)
    assert all(
        f"takes {expected} images at once" in text and "trainer.eval_batch_size" in text for text in said
    )


def test_memory_that_is_not_known_and_small_splits_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_memory(None, monkeypatch) == (512, [])
    assert of_memory(2 * 2 * 8180 * 64 + 2, monkeypatch, count=60) == (64, [])  # all at once: nothing to say


def test_no_image_of_the_split_is_used_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    model, split = Toy(), toy_split(5)
    rate = model.probabilities

    def probabilities(images: Tensor) -> Tensor:
        seen.extend(image.numpy().tobytes() for image in images)
        return rate(images)

    monkeypatch.setattr(model, "probabilities", probabilities)
    bytes_per_image(model, split, CPU)
    assert len(seen) == 8
    assert not {image.numpy().tobytes() for image in split.pixels} & set(seen)


@pytest.mark.parametrize(("asked", "sizes"), [(7, [7] * 5 + [5]), (None, [8, 40]), (64, [40])])
def test_validation_in_training_takes_what_was_asked_for(
    asked: int | None, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config(trainer__eval_batch_size=asked, trainer__epochs=1)
    state, seen = toy_state(config), []
    rate = state.model.probabilities
    monkeypatch.setattr(
        state.model, "probabilities", lambda images: (seen.append(len(images)), rate(images))[1]
    )
    list(fit(state, toy_split(30), toy_split(40, seed=1), config, CPU))
    assert seen == sizes


class Refusing(Toy):
    """Out of memory with more than so many images."""

    def __init__(self, most: int, error: type[Exception] = RuntimeError) -> None:
        super().__init__()
        self.most, self.error, self.seen = most, error, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        if len(images) > self.most:
            raise self.error("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        return super().forward(images)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, torch.OutOfMemoryError])
def test_out_of_memory_halves_the_number_and_says_so_once_each(error: type[Exception]) -> None:
    torch.manual_seed(0)
    model, split, said = Refusing(5, error), toy_split(22), []
    chosen = EvaluationBatch(16, said.append)
    found = predict(model, split, CPU, chosen)
    assert [text.partition(":")[0] for text in said] == [
        "evaluation ran out of memory with 16 images at once",
        "evaluation ran out of memory with 8 images at once",
    ]
    assert said[1].endswith("going on with 4 (trainer.eval_batch_size=4 would begin with them)")
    model.most = 100
    whole = predict(model, split, CPU, 22)
    np.testing.assert_allclose(found.probabilities, whole.probabilities, atol=1e-6)
    model.most, model.seen = 5, []
    validate(model, split, CPU, chosen)  # the number found is kept
    assert model.seen == [4] * 5 + [2]
    assert len(said) == 2


@pytest.mark.parametrize("asked", [None, 1, 3])
def test_one_image_that_does_not_fit_is_an_error_that_advises_what_can_help(asked: int | None) -> None:
    error = pytest.raises(ResourceError, match=r"^trainer\.eval_batch_size=1: out of memory")
    with error as caught, torch_errors_explained(batch_size=16):
        predict(Refusing(0), toy_split(5), CPU, EvaluationBatch(asked, lambda _: None))
    assert "trainer.batch_size" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_another_error_of_a_model_is_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = Toy()
    monkeypatch.setattr(model, "probabilities", lambda images: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        predict(model, toy_split(5), CPU, 2)


class NoNumbers(Toy):
    """Its probabilities are not finite."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * torch.nan


def test_probabilities_that_are_not_finite_are_laid_on_the_rate_where_it_is_known() -> None:
    with pytest.raises(DivergedError, match=r"^optim.lr=0.5: the model's probabilities are not finite"):
        predict(NoNumbers(), toy_split(5), CPU, 2, lr=0.5)
    with pytest.raises(DivergedError, match=r"^optim.lr=0.5: "):
        validate(NoNumbers(), toy_split(5), CPU, 2, lr=0.5)
    with pytest.raises(DivergedError, match=r"^the model's probabilities are not finite"):
        predict(NoNumbers(), toy_split(5), CPU, 2)
