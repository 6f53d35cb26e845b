"""The Vision Transformer against torch's own encoder, by hand, and by what must not matter."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff
from PIL import Image
from torch import Tensor, nn

from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError
from bakeoff.models.base import TaskSpec
from bakeoff.models.vit import Block, Config, Vit, build, own_patch_size, sin_cos_positions
from bakeoff.plots.overlays import some_of_each_class

NAMES = tuple("abcdefghij")


def task(height: int = 28, width: int = 28, channels: int = 1) -> TaskSpec:
    return TaskSpec(channels, height, width, NAMES, mean=(0.5,) * channels, std=(0.25,) * channels)


def model(seed: int = 0, spec: TaskSpec | None = None, **options: Any) -> Vit:
    torch.manual_seed(seed)
    made = build(Config(**({"width": 16, "depth": 2, "heads": 2} | options)), spec or task())
    with torch.no_grad():  # the head begins at zero, where nothing can be told apart
        made.head.weight.normal_()
    return made.eval()


def images(count: int = 3, channels: int = 1, height: int = 28, width: int = 28) -> Tensor:
    return torch.randint(
        0, 256, (count, channels, height, width), generator=torch.Generator().manual_seed(1)
    ).byte()


@pytest.mark.parametrize(("width", "heads", "ratio"), [(16, 2, 2.0), (24, 4, 4.0), (20, 1, 1.5)])
def test_a_block_is_torchs_pre_norm_encoder_layer(width: int, heads: int, ratio: float) -> None:
    torch.manual_seed(0)
    ours = Block(Config(width=width, heads=heads, mlp_ratio=ratio), 0.0).eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    theirs = nn.TransformerEncoderLayer(
        width, heads, round(width * ratio), dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    state = {
        "self_attn.in_proj_weight": ours.attention.query_key_value.weight,
        "self_attn.in_proj_bias": ours.attention.query_key_value.bias,
        "self_attn.out_proj.weight": ours.attention.output.weight,
        "self_attn.out_proj.bias": ours.attention.output.bias,
        "linear1.weight": ours.perceptron[0].weight,
        "linear1.bias": ours.perceptron[0].bias,
        "linear2.weight": ours.perceptron[3].weight,
        "linear2.bias": ours.perceptron[3].bias,
        "norm1.weight": ours.norm_attention.weight,
        "norm1.bias": ours.norm_attention.bias,
        "norm2.weight": ours.norm_perceptron.weight,
        "norm2.bias": ours.norm_perceptron.bias,
    }
    theirs.load_state_dict(state)
    tokens = torch.randn(3, 7, width)
    torch.testing.assert_close(ours(tokens), theirs(tokens), rtol=1e-4, atol=1e-5)


def test_attention_weights_are_those_of_the_fused_operator() -> None:
    attention = model().blocks[0].attention
    tokens = torch.randn(2, 5, 16)
    weights = attention.weights(tokens)
    torch.testing.assert_close(weights.sum(3), torch.ones(2, 2, 5))
    _, _, value = attention._split(tokens)
    mixed = attention.output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed, attention(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
@pytest.mark.parametrize("positions", ["learned", "sin_cos"])
@pytest.mark.parametrize("stem", ["plain", "convolutional"])
def test_parameters_counted_by_hand(pooling: str, positions: str, stem: str) -> None:
    made = model(pooling=pooling, positions=positions, stem=stem, patch_size=4, mlp_ratio=2.0)
    d, hidden, tokens = 16, 32, 49 + (pooling == "class_token")
    stem_size = 16 * d + d if stem == "plain" else 9 * 8 + 2 * 8 + 8 * 16 * d + d
    block = 3 * d * d + 3 * d + d * d + d + d * hidden + hidden + hidden * d + d + 4 * d
    expected = stem_size + 2 * block + 2 * d + 10 * d + 10
    expected += tokens * d if positions == "learned" else 0
    expected += d if pooling == "class_token" else 0
    assert sum(p.numel() for p in made.parameters()) == expected
    assert made.probabilities(images()).shape == (3, 10)


def test_a_patch_is_one_token_in_the_order_of_rows() -> None:
    """Changing a pixel changes the token of its patch and no other."""
    made = model(patch_size=7)
    plain = images(1)
    reference = made.stem(made.normalise(plain)).flatten(2)[0].T
    for row, column in ((0, 0), (6, 6), (7, 0), (20, 27), (27, 27)):
        changed = plain.clone()
        changed[0, 0, row, column] ^= 128
        tokens = made.stem(made.normalise(changed)).flatten(2)[0].T
        moved = (tokens != reference).any(1).nonzero().flatten().tolist()
        assert moved == [4 * (row // 7) + column // 7]


def test_without_positions_the_order_of_the_patches_does_not_matter() -> None:
    made = model(patch_size=7)
    with torch.no_grad():
        made.positions.zero_()
    plain = images()
    patches = plain.view(3, 1, 4, 7, 4, 7)
    shuffled = patches[:, :, torch.tensor([2, 0, 3, 1])][:, :, :, :, torch.tensor([1, 3, 0, 2])].reshape(
        plain.shape
    )
    torch.testing.assert_close(made.probabilities(plain), made.probabilities(shuffled), rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        made.positions.normal_()
    assert (made.probabilities(plain) - made.probabilities(shuffled)).abs().max() > 1e-3


def test_sin_cos_positions_by_hand() -> None:
    found = sin_cos_positions((2, 3), 8, 7)
    assert found.shape == (1, 7, 8)
    assert not found[0, 0].any()  # the class token's
    for place in range(6):
        row, column = divmod(place, 3)
        expected = [
            f(angle / scale) for angle in (row, column) for f in (math.sin, math.cos) for scale in (1, 100)
        ]
        assert found[0, 1 + place].tolist() == pytest.approx(expected, abs=1e-6)
    assert len(np.unique(sin_cos_positions((9, 9), 32, 81)[0].numpy(), axis=0)) == 81


@pytest.mark.parametrize(
    ("size", "patch"),
    [((28, 28), 7), ((8, 8), 2), ((32, 32), 8), ((64, 64), 16), ((28, 56), 7), ((7, 7), 1), ((5, 10), 1)],
)
def test_the_own_patch_size_divides_and_gives_about_four_a_side(size: tuple[int, int], patch: int) -> None:
    assert own_patch_size(*size) == patch


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"patch_size": 5},
            r"model\.patch_size=5: does not divide images of 28x28 pixels; these would: 1, 2, 4, 7, 14, 28",
        ),
        ({"patch_size": 29}, r"model\.patch_size=29: does not divide"),
        ({"heads": 5}, r"model\.heads=5: does not divide model\.width=16; these would: 1, 2, 4, 8, 16"),
        (
            {"width": 18, "positions": "sin_cos"},
            r"model\.width=18: sin_cos positions need a multiple of 4, such as 20",
        ),
    ],
)
def test_what_does_not_fit_says_what_would(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        model(**options)


def test_mistakes_on_the_command_line(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("train", "model=vit", "data=digits", "model.patch_size=3")
    assert code == 2
    assert err == (
        "error: model.patch_size=3: does not divide images of 8x8 pixels; these would: 1, 2, 4, 8\n"
    )
    assert bakeoff("train", "model=vit", "data=digits", "model.heads=7")[0] == 2
    assert not Path("outputs").exists()


def test_a_correct_cross_entropy_gets_below_what_a_double_softmax_can() -> None:
    """With a softmax before the loss ten classes cannot get below 1.461 nats."""
    made = model(width=32).train()
    batch = Batch(images(20), torch.arange(20) % 10, torch.arange(20))
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = made.losses(batch)["cross_entropy"]
        loss.backward()
        optimizer.step()
    floor = -math.log(math.e / (math.e + 9))
    assert floor == pytest.approx(1.461, abs=1e-3)
    assert loss.item() < 0.5


def test_positions_and_class_token_go_without_weight_decay() -> None:
    made = model(pooling="class_token")
    decaying, free = made.parameter_groups()
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    assert {names[id(p)] for p in decaying["params"]} == {
        name for name, p in made.named_parameters() if p.ndim > 1 and name not in ("positions", "class_token")
    }
    assert len(decaying["params"]) + len(free["params"]) == len(names)


# Dropout and stochastic depth


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    block = Block(Config(width=8, heads=2), 0.4).train()
    branch = torch.ones(20_000, 1, 8)
    kept = block._kept(branch)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert (kept == kept[:, :1, :1]).all()
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert block.eval()._kept(branch) is branch


def test_the_chance_to_drop_rises_with_depth() -> None:
    chances = [block.drop_chance for block in model(depth=5, stochastic_depth=0.4).blocks]
    assert chances == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_evaluation_draws_nothing() -> None:
    made = model(dropout=0.5, stochastic_depth=0.5)
    before = torch.get_rng_state()
    first = made.probabilities(images())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(made.probabilities(images()), first)
    made.train()
    assert not torch.equal(
        made.losses(Batch(images(), torch.tensor([0, 1, 2]), torch.arange(3)))["cross_entropy"],
        made.losses(Batch(images(), torch.tensor([0, 1, 2]), torch.arange(3)))["cross_entropy"],
    )


# Attention rollout


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_the_rollout_by_hand(pooling: str) -> None:
    """One matrix per block, (A + 1) / 2, multiplied from the first to the last."""
    made = model(pooling=pooling, patch_size=14, depth=3)
    shown = images(2)
    overlays = made.explain(shown)
    tokens = made._tokens(made.normalise(shown))
    product = np.stack([np.eye(tokens.shape[1])] * 2)
    for block in made.blocks:
        weights = block.attention.weights(block.norm_attention(tokens)).mean(1).detach().numpy()
        product = (weights + np.eye(tokens.shape[1])) / 2 @ product
        tokens = block(tokens)
    assert product.sum(2) == pytest.approx(np.ones(product.shape[:2]), abs=1e-5)
    reached = product[:, 0, 1:] if pooling == "class_token" else product.mean(1)
    for overlay, row in zip(overlays, reached, strict=True):
        assert overlay.title == "where the model looks (attention rollout)"
        assert overlay.heat is not None
        heat = overlay.heat.numpy()
        assert heat.shape == (28, 28)
        corners = heat[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners == pytest.approx(row, abs=1e-5)  # 2 by 2 patches: the corners are the patches' own
        assert overlay.boxes.shape == (0, 4)


def test_the_rollout_finds_the_patch_that_decides() -> None:
    """Keys that answer to brightness draw the attention to the one bright patch."""
    made = model(patch_size=7, depth=1, heads=1, pooling="class_token")
    with torch.no_grad():
        made.positions.zero_()
        attention = made.blocks[0].attention
        attention.query_key_value.weight.zero_()
        attention.query_key_value.bias.zero_()
        direction = made.blocks[0].norm_attention(
            made.stem(made.normalise(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8))).flatten(2)[:, :, 0]
        )[0]
        attention.query_key_value.bias[:16] = direction  # every query asks for the bright patch's direction
        attention.query_key_value.weight[16:32] = torch.eye(16)
    picture = torch.zeros((1, 1, 28, 28), dtype=torch.uint8)
    picture[0, 0, 14:21, 7:14] = 255
    heat = made.explain(picture)[0].heat
    assert heat is not None
    row, column = divmod(int(heat.argmax()), 28)
    assert 14 <= row < 21
    assert 7 <= column < 14


@pytest.mark.usefixtures("no_pictures")
def test_a_run_shows_its_attention(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff(
        "train", "model=vit", "data=digits", "trainer.epochs=2", "optim.warmup_epochs=1", "model.depth=1"
    )
    assert (code, err) == (0, "")
    (folder,) = Path("outputs").glob("*/*-vit-digits-*/plots")
    assert [path.name for path in folder.iterdir()] == ["explain.png"]
    assert min(np.asarray(Image.open(folder / "explain.png")).shape[:2]) > 400
    assert bakeoff("evaluate", "latest")[0] == 0


def test_a_cnn_shows_nothing(bakeoff: Bakeoff) -> None:
    assert bakeoff("train", "data=digits", "model=cnn_small", "trainer.epochs=1")[0] == 0
    (folder,) = Path("outputs").glob("*/*-cnn_small-digits-*/plots")
    assert not (folder / "explain.png").exists()


@pytest.mark.parametrize(("num_classes", "count"), [(3, 100), (10, 100), (40, 100), (2, 4)])
def test_ten_images_show_as_many_classes_as_they_can(num_classes: int, count: int) -> None:
    labels = np.random.RandomState(0).permutation(np.arange(count) % num_classes)
    chosen = some_of_each_class(labels)
    assert len(chosen) == len(set(chosen)) == min(10, count)
    assert len(set(labels[chosen])) == min(10, num_classes)
    for label in set(labels[chosen]):
        places = [place for place in chosen if labels[place] == label]
        assert places == np.flatnonzero(labels == label)[: len(places)].tolist()
