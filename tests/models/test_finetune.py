"""Fine-tuning: torchvision's networks behind the contract, frozen parts, features kept."""

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models
from shipped import NAMES
from torch import Tensor, nn
from toy import CPU, assert_same_bits, toy_config, weights_of

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.schema import AugmentConfig
from bakeoff.data.batches import Batch
from bakeoff.data.splits import TensorSplit
from bakeoff.errors import ConfigError
from bakeoff.experiment.gates import prepare
from bakeoff.models.base import TaskSpec, TrainingSpec, auto_precision, find_family
from bakeoff.models.finetune import Config, FineTuned, build
from bakeoff.models.parts.torchvision_networks import architectures
from bakeoff.training import optim
from bakeoff.training.loop import fit
from bakeoff.training.state import TrainState, start

TASK = TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,))
STILL = dataclasses.asdict(AugmentConfig())
SMALL = {"weights": "none", "image_size": 32}
# One of each kind, for the quick tier: other names of the last layers, other cuts before them.
FEW = ["resnet18", "shufflenet_v2_x0_5", "mobilenet_v3_small", "densenet121"]
# What docs/fine-tuning.md lists as tested: (name, a small image size that it takes).
TESTED = [
    ("alexnet", 64), ("convnext_tiny", 32), ("densenet121", 32), ("densenet161", 32), ("efficientnet_b0", 32),
    ("efficientnet_b3", 32), ("efficientnet_v2_s", 32), ("maxvit_t", 224), ("mobilenet_v2", 32), ("mobilenet_v3_large", 32),
    ("mobilenet_v3_small", 32), ("regnet_x_400mf", 32), ("regnet_y_400mf", 32), ("resnet18", 32), ("resnet34", 32),
    ("resnet50", 32), ("resnet101", 32), ("resnext50_32x4d", 32), ("shufflenet_v2_x0_5", 32), ("shufflenet_v2_x1_0", 32),
    ("swin_t", 32), ("swin_v2_t", 64), ("vgg11", 32), ("vgg11_bn", 32), ("vgg13", 32), ("vgg16", 32), ("vgg16_bn", 32),
    ("vgg19", 32), ("vit_b_16", 32), ("vit_b_32", 64), ("wide_resnet50_2", 32),
]  # fmt: skip
ARCHITECTURES = [
    *((name, 32) for name in FEW),
    *(pytest.param(name, size, marks=pytest.mark.slow) for name, size in TESTED if name not in FEW),
]


def make(task: TaskSpec = TASK, seed: int = 0, *, num_still: int = 0, **keys: Any) -> FineTuned:
    """A network that is about to be taught from augmented images, or from `num_still` unchanging ones."""
    torch.manual_seed(seed)
    model = build(Config(**(SMALL | keys)), task)
    model.begin_training(TrainingSpec(num_still or 40, images_change=num_still == 0))
    return model


def batch_of(count: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return Batch(images, torch.arange(count) % 10, torch.arange(count))


@pytest.mark.parametrize(("arch", "size"), ARCHITECTURES)
def test_it_is_torchvisions_network_with_a_new_head(arch: str, size: int) -> None:
    """Logits and gradients of the cut network are those of the whole one with the same weights."""
    model = make(arch=arch, image_size=size).eval()
    options = {"image_size": size} if arch.startswith("vit") else {}
    options |= {"input_size": (size, size)} if arch.startswith("maxvit") else {}
    whole = torchvision.models.get_model(arch, weights=None, num_classes=10, **options).eval()
    own = model.state_dict()
    whole.load_state_dict({name: own[model.own_names[name]] for name in whole.state_dict()})
    images = torch.randn(2, 3, size, size)
    torch.testing.assert_close(model(images), whole(images), rtol=1e-4, atol=1e-5)
    model.train()
    (loss,) = model.losses(batch_of(4)).values()
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_networks_with_other_outputs_are_not_offered() -> None:
    names = architectures()
    assert len(names) > 60
    assert not {"googlenet", "inception_v3", "squeezenet1_0", "mnasnet0_5", "fasterrcnn_resnet50_fpn"} & set(
        names
    )
    assert {name for name, _ in TESTED} <= set(names)


def test_the_docs_list_what_is_tested() -> None:
    text = (Path(__file__).parents[2] / "docs" / "fine-tuning.md").read_text()
    listed = text.partition("layer for layer:")[2].partition("An image size")[0]
    assert re.findall(r"`(\w+)`", listed) == [name for name, _ in TESTED]


def test_grey_bytes_become_three_channels_of_the_networks_size() -> None:
    """By hand: a constant image stays one; the corners of a resized ramp are near the ramp's."""
    task = dataclasses.replace(TASK, mean=(0.5,), std=(0.25,))
    model = make(task, image_size=56)
    images = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
    assert torch.allclose(model.normalise(images), torch.full((1, 3, 56, 56), 2.0), atol=1e-5)
    columns = torch.arange(28, dtype=torch.uint8).expand(1, 1, 28, 28)
    resized = model.normalise(columns)[0, :, 5] * 0.25 * 255 + 0.5 * 255
    # Pixel 2k+1 of the doubled ramp lies a quarter to the right of pixel k's centre.
    torch.testing.assert_close(resized[0, 1:-1], (torch.arange(56) / 2 - 0.25)[1:-1], atol=1e-3, rtol=0)
    assert torch.equal(resized[0], resized[2])


def test_shrinking_loses_no_thin_stroke() -> None:
    """Filtered: every column of a line pattern counts, where plain bilinear sampling would skip some."""
    model = make(dataclasses.replace(TASK, height=128, width=128, mean=(0.0,), std=(1.0,)))
    images = torch.zeros((1, 1, 128, 128), dtype=torch.uint8)
    images[..., ::4] = 255
    assert torch.allclose(model.normalise(images)[..., 2:-2], torch.tensor(0.25), atol=0.01)


def test_augmented_images_are_never_kept(tiny_mnist: str) -> None:
    """Through the gates: only the data set without augmentation has unchanging images."""

    def model_of(data: str, *more: str) -> FineTuned:
        line = [
            f"data={data}",
            f"data.root={tiny_mnist}",
            "model=shufflenet_small",
            "model.freeze=all_but_head",
        ]
        model = prepare(expand(parse_arguments([*line, *more]))[0][0].values).model
        assert isinstance(model, FineTuned)
        return model

    assert model_of("mnist").cache is None
    for option in ("rotate_degrees=5", "scale=0.1", "erase=0.5", "flip=force"):
        assert model_of("mnist_plain", f"data.augment.{option}").cache is None
    kept = model_of("mnist_plain").cache
    assert kept is not None
    assert kept.num_images == 461  # of 512, 51 are for validation


def test_images_of_the_right_size_are_not_resized() -> None:
    model = make(dataclasses.replace(TASK, height=32, width=32))
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    by_hand = (images / 255 - 0.13) / 0.31
    torch.testing.assert_close(model.normalise(images), by_hand.expand(2, 3, 32, 32))


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"arch": "resnet81"}, "did you mean resnet18"),
        ({"arch": "squeezenet1_0"}, "its last layer is not one linear layer"),
        ({"arch": "alexnet", "image_size": 32}, "these would do: 64, 96, 112"),
        ({"arch": "vit_b_32", "image_size": 48}, "these would do: 32, 64, 96"),
        ({"weights": "coco"}, "is a classifier; use imagenet"),
        ({"weights": "imagenett"}, "did you mean imagenet"),
        ({"freeze": "all_but_head", "backbone_lr_scale": 0.5}, "leaves no backbone"),
        ({"freeze": "features", "backbone_lr_scale": 0.5}, "leaves no backbone of resnet18"),
    ],
)
def test_what_cannot_be_is_a_config_error(keys: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        make(**keys)


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 channels"):
        make(dataclasses.replace(TASK, channels=2, mean=(0.1, 0.1), std=(0.1, 0.1)))


def train(
    model: FineTuned, epochs: int = 3, split: TensorSplit | None = None, **changes: Any
) -> tuple[TrainState, dict[str, Tensor]]:
    """Trains on 40 images without augmentation; returns the state and the weights before."""
    options = {"trainer__epochs": epochs, "data__augment": STILL, "optim__lr": 1e-3} | changes
    config = toy_config(**options)
    torch.manual_seed(1)
    state = start(model, optim.make_optimizer(model.parameter_groups(), config.optim), config.trainer, CPU)
    before = weights_of(state)
    batch = batch_of(40)
    for _ in fit(state, split or TensorSplit(batch.images, batch.labels), None, config, CPU):
        pass
    return state, before


@pytest.mark.parametrize("arch", ["resnet18", "alexnet"])
@pytest.mark.parametrize("freeze", ["features", "all_but_head"])
def test_what_is_frozen_stays_as_it_was(arch: str, freeze: str) -> None:
    """Weights, batch norm's statistics; no optimizer state; the rest moves."""
    model = make(arch=arch, freeze=freeze, image_size=64)
    state, before = train(model, epochs=1)
    frozen = ("body.",) if freeze == "features" else ("body.", "hidden.")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith((*frozen, "mean", "std")), name
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        assert parameter.requires_grad != name.startswith(frozen)
        assert bool(state.optimizer.state.get(parameter)) == parameter.requires_grad
    grouped = [parameter for group in model.parameter_groups() for parameter in group["params"]]
    assert sorted(map(id, grouped)) == sorted(map(id, parameters.values()))


def test_frozen_dropout_drops_nothing_and_the_rest_still_does() -> None:
    whole = make(arch="alexnet", image_size=64, freeze="none")
    head_only = make(arch="alexnet", image_size=64, freeze="all_but_head")
    features = make(arch="alexnet", image_size=64, freeze="features")
    batch = batch_of(4)

    def two_losses(model: FineTuned) -> tuple[Tensor, Tensor]:
        first, second = (model.train().losses(batch)["cross_entropy"] for _ in range(2))
        return first, second

    assert torch.equal(*two_losses(head_only))
    assert not torch.equal(*two_losses(features))
    assert not torch.equal(*two_losses(whole))


def test_the_backbone_learns_at_its_own_rate() -> None:
    model = make(backbone_lr_scale=0.1)
    optimizer = optim.make_optimizer(model.parameter_groups(), toy_config().optim)
    optim.set_learning_rate(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.5 if name.startswith("head.") else 0.05), name


@pytest.mark.parametrize("freeze", ["features", "all_but_head"])
def test_kept_features_train_the_same_network_and_are_computed_once(freeze: str) -> None:
    cached, plain = (make(num_still=40, freeze=freeze, cache_bytes=size) for size in (2**31, 0))
    assert cached.cache is not None
    assert plain.cache is None
    assert (cached.slow_epochs, plain.slow_epochs) == (1, 0)
    for model in (cached, plain):
        train(model, trainer__accumulate=2)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, cached.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)
    assert cached.cache.num_computed == 40


def test_features_are_not_kept_where_they_would_change_or_not_fit() -> None:
    assert make(num_still=40).cache is None  # nothing is frozen
    augmented = make(freeze="all_but_head")
    assert augmented.cache is None
    assert "images are augmented" in augmented.notes[0]
    # resnet18 ends in 512 values.
    fits = make(num_still=40, freeze="features", cache_bytes=40 * 512 * 4)
    assert fits.cache is not None
    assert "81,920 bytes: computed in the first epoch and kept" in fits.notes[0]
    too_small = make(num_still=40, freeze="features", cache_bytes=40 * 512 * 4 - 1)
    assert too_small.cache is None
    assert "more than model.cache_bytes=81,919" in too_small.notes[0]


def test_evaluation_does_not_use_kept_features() -> None:
    model = make(num_still=40, freeze="all_but_head")
    train(model)
    other = batch_of(40, seed=1)
    model.eval()
    with torch.no_grad():
        expected = model.head(model.hidden(model.body(model.normalise(other.images)))).softmax(dim=1)
        torch.testing.assert_close(model.probabilities(other.images), expected)


@pytest.mark.parametrize(
    ("ema", "stored"),
    [
        (None, False),
        (0.5, True),
        pytest.param(None, True, marks=pytest.mark.slow),
        pytest.param(0.5, False, marks=pytest.mark.slow),
    ],
)
def test_a_copy_at_any_step_border_goes_on_with_the_same_bits(ema: float | None, stored: bool) -> None:
    """Features kept so far are part of a copy; of what is stored they are computed again."""
    config = toy_config(
        trainer__epochs=3, data__augment=STILL, optim__lr=1e-3, trainer__ema_decay=ema, trainer__accumulate=2
    )
    batch = batch_of(40)
    split = TensorSplit(batch.images, batch.labels)

    def fresh() -> TrainState:
        model = make(num_still=40, arch="shufflenet_v2_x0_5", freeze="all_but_head")
        torch.manual_seed(1)
        groups = model.parameter_groups()
        return start(model, optim.make_optimizer(groups, config.optim), config.trainer, CPU)

    whole = fresh()
    for _ in fit(whole, split, None, config, CPU):
        pass
    expected = weights_of(whole)
    for stop_after in (1, 2, 4, 8):
        state = fresh()
        events = fit(state, split, None, config, CPU, pause=lambda: True)
        borders = 0
        while borders < stop_after:
            borders += hasattr(next(events), "state")
        kept = fresh() if stored else copy.deepcopy(state)
        if stored:
            kept.load_state_dict(copy.deepcopy(state.state_dict()))
        events.close()
        for parameter in state.model.parameters():
            nn.init.zeros_(parameter.data)
        for _ in fit(kept, split, None, config, CPU):
            pass
        assert_same_bits(weights_of(kept), expected)
        assert isinstance(kept.model, FineTuned)
        assert kept.model.cache is not None
        assert kept.model.cache.num_computed == 40


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "finetune"])
def test_shipped_files_begin_from_imagenet_at_224(name: str) -> None:
    """Offline and small is what these tests ask for, not what a user gets."""
    model = expand(parse_arguments([f"model={name}"]))[0][0].values["model"]
    assert (model["weights"], model["image_size"], model["freeze"]) == ("imagenet", 224, "none")


@pytest.mark.parametrize(("name", "size"), [("alexnet", 64), ("vgg16", 32)])
def test_small_ones_are_the_same_from_scratch(name: str, size: int) -> None:
    """So the contract is tested of one of the two."""
    line = [f"model={name}", "model.weights=none", f"model.image_size={size}", f"model.name={name}_small"]
    given, shipped = (
        expand(parse_arguments(words))[0][0].values for words in (line, [f"model={name}_small"])
    )
    assert given == shipped


@pytest.mark.parametrize(
    ("arch", "on_cpu"), [("resnet18", "bf16"), ("shufflenet_v2_x1_0", "fp32"), ("mobilenet_v2", "fp32")]
)
def test_depthwise_networks_choose_fp32_on_a_cpu(arch: str, on_cpu: str) -> None:
    model_config = Config(arch=arch)
    assert auto_precision(find_family("finetune"), model_config) == {"cpu": on_cpu, "cuda": "bf16"}
