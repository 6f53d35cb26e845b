"""A Vision Transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", ICLR).

The image is cut into square patches; each becomes a token (one linear map, or a small convolutional
stem, Xiao et al. 2021); positions are added; encoder blocks of self-attention and a two-layer
perceptron follow, each with a layer norm before it and a residual around it (pre-norm, eq. 2 and 3
of the paper); a head reads the class token or the mean of all tokens. As shipped
(`conf/model/vit.yaml`): 306,634 parameters, 99.27 % on MNIST.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Float32, UInt8
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bakeoff.config.strict import STRICT
from bakeoff.errors import ConfigError
from bakeoff.models.base import LogitsClassifier, Overlay, TaskSpec

# bf16 autocast made this family's training 8 times slower on a CPU (docs/benchmarks.md): its small
# matrices and layer norms spend the time in conversions.
AUTO_PRECISION = {"cpu": "fp32", "cuda": "bf16"}
REFUSES: tuple[str, ...] = ()

_INIT_STD = 0.02  # of weights and positions, as in the paper's code
_TOKENS_A_SIDE = 4  # what patch_size: null aims at
Count = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(ge=0, lt=1)]


@dataclass
class Config:
    """Keys of `model` for the family `vit`."""

    __pydantic_config__ = STRICT

    patch_size: Count | None = None  # pixels per side; null: about 4 by 4 patches
    width: Count = 96  # length of the vector of a token
    depth: Count = 4  # number of encoder blocks
    heads: Count = 4  # number of attention heads in each block
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 2.0  # width of each hidden layer / model.width
    pooling: Literal["mean", "class_token"] = "mean"  # input of the last layer: mean of tokens, or one token
    positions: Literal["learned", "sin_cos"] = "learned"  # position vectors: learned, or fixed sines
    stem: Literal["plain", "convolutional"] = "plain"  # how a patch becomes a token
    dropout: Rate = 0.0  # probability of dropping a value, after attention and perceptron
    # Probability of skipping the last block; from block to block it rises from 0 to this.
    stochastic_depth: Rate = 0.0


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Mixes tokens by attention."""
        query, key, value = self._split(tokens)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def weights(self, tokens: Float[Tensor, "b n d"]) -> Float32[Tensor, "b heads n n"]:
        """Who looks at whom: rows sum to 1. The fused operator of `forward` does not give them."""
        query, key, _ = self._split(tokens)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        return scores.float().softmax(dim=3)

    def _split(self, tokens: Float[Tensor, "b n d"]) -> tuple[Tensor, Tensor, Tensor]:
        batch, count, width = tokens.shape
        parts = self.query_key_value(tokens).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [b, heads, n, d / heads]
        return query, key, value


class Block(nn.Module):
    """Attention and perceptron, each normalised before and added to what came in."""

    def __init__(self, config: Config, drop_chance: float) -> None:
        super().__init__()
        hidden = round(config.width * config.mlp_ratio)
        self.drop_chance = drop_chance
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.norm_perceptron = nn.LayerNorm(config.width)
        self.perceptron = nn.Sequential(
            nn.Linear(config.width, hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, config.width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """One encoder block."""
        tokens = tokens + self._kept(self.dropout(self.attention(self.norm_attention(tokens))))
        return tokens + self._kept(self.dropout(self.perceptron(self.norm_perceptron(tokens))))

    def _kept(self, branch: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Stochastic depth (Huang et al. 2016): drops the branch for some images, scales the rest."""
        if not self.training or self.drop_chance == 0:
            return branch
        keep = 1 - self.drop_chance
        kept = torch.rand((len(branch), 1, 1), device=branch.device) < keep
        return branch * kept.to(branch.dtype) / keep


class Vit(LogitsClassifier):
    """See the module's text."""

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(task)
        patch = config.patch_size or own_patch_size(task.height, task.width)
        _check(config, task, patch)
        self.grid = (task.height // patch, task.width // patch)
        self.stem = _stem(config, task.channels, patch)
        num_patches = self.grid[0] * self.grid[1]
        self.class_token = (
            nn.Parameter(torch.zeros(1, 1, config.width)) if config.pooling == "class_token" else None
        )
        num_tokens = num_patches + (self.class_token is not None)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.zeros(1, num_tokens, config.width))
        else:
            self.register_buffer("positions", sin_cos_positions(self.grid, config.width, num_tokens))
        self.dropout = nn.Dropout(config.dropout)
        rise = config.stochastic_depth / max(1, config.depth - 1)
        self.blocks = nn.ModuleList(Block(config, rise * place) for place in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, task.num_classes)
        self._start()

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """Logits of normalised images."""
        tokens = self._tokens(images)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return self.head(tokens[:, 0] if self.class_token is not None else tokens.mean(dim=1))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Positions and class token go without weight decay too, whatever their number of dimensions."""
        free = [p for p in (self.positions, self.class_token) if isinstance(p, nn.Parameter)]
        free += [p for p in self.parameters() if p.ndim <= 1]
        kinds = {id(parameter) for parameter in free}
        decaying = [p for p in self.parameters() if id(p) not in kinds]
        return [
            {"params": decaying, "decays": True, "lr_scale": 1.0},
            {"params": free, "decays": False, "lr_scale": 1.0},
        ]

    @torch.no_grad()
    def explain(self, images: UInt8[Tensor, "b c h w"]) -> list[Overlay]:
        """Attention rollout (Abnar and Zuidema 2020): how much of each patch reaches the head.

        Per block the mean over the heads, half of it replaced by the residual connection, multiplied
        from the first block to the last.
        """
        tokens = self._tokens(self.normalise(images))
        count = tokens.shape[1]
        identity = torch.eye(count, device=tokens.device)
        rollout = identity.expand(len(images), count, count)
        for block in self.blocks:
            assert isinstance(block, Block)
            weights = block.attention.weights(block.norm_attention(tokens)).mean(dim=1)
            rollout = (weights + identity) / 2 @ rollout
            tokens = block(tokens)
        reached = rollout[:, 0, 1:] if self.class_token is not None else rollout.mean(dim=1)
        maps = reached.reshape(-1, 1, *self.grid)
        heat = F.interpolate(maps, size=tuple(images.shape[2:]), mode="bilinear", align_corners=False)[:, 0]
        title, no_boxes = "where the model looks (attention rollout)", torch.zeros((0, 4))
        return [Overlay(title, item.float().cpu(), no_boxes, [], []) for item in heat]

    def _tokens(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand_as(tokens[:, :1]).to(tokens.dtype), tokens], dim=1)
        return self.dropout(tokens + self.positions)

    def _start(self) -> None:
        """Initial weights of the paper's code; the head begins at zero, so that all classes are alike."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=_INIT_STD)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.head.weight)
        for parameter in (self.positions, self.class_token):
            if isinstance(parameter, nn.Parameter):
                nn.init.normal_(parameter, std=_INIT_STD)


def build(config: Config, task: TaskSpec) -> Vit:
    """Makes an untrained network.

    Raises:
        ConfigError: a patch that does not divide the image, or a width that the heads do not divide.
    """
    return Vit(config, task)


def own_patch_size(height: int, width: int) -> int:
    """The divisor of both sides that comes nearest to 4 patches along the shorter one."""
    divisors = _divisors(math.gcd(height, width))
    return min(divisors, key=lambda size: (abs(math.log(min(height, width) / size / _TOKENS_A_SIDE)), size))


def sin_cos_positions(grid: tuple[int, int], width: int, num_tokens: int) -> Float32[Tensor, "1 n d"]:
    """Fixed positions: a quarter of the width each for sine and cosine of row and column.

    As in MoCo v3 (Chen et al. 2021); a class token, if there is one, stands first with zeros.
    """
    quarter = width // 4
    frequencies = 1 / 10_000 ** (torch.arange(quarter) / quarter)
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    angles = [place.flatten().unsqueeze(1) * frequencies for place in (rows, columns)]
    encoded = torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)
    positions = torch.zeros(1, num_tokens, width)
    positions[0, num_tokens - len(encoded) :, : 4 * quarter] = encoded
    return positions


def _stem(config: Config, channels: int, patch: int) -> nn.Module:
    if config.stem == "plain":
        return nn.Conv2d(channels, config.width, patch, stride=patch)
    half = max(1, config.width // 2)
    return nn.Sequential(
        nn.Conv2d(channels, half, 3, padding=1, bias=False),
        nn.BatchNorm2d(half),
        nn.GELU(),
        nn.Conv2d(half, config.width, patch, stride=patch),
    )


def _check(config: Config, task: TaskSpec, patch: int) -> None:
    if task.height % patch or task.width % patch:
        sizes = ", ".join(map(str, _divisors(math.gcd(task.height, task.width))))
        raise ConfigError(
            f"model.patch_size={patch}: does not divide images of {task.height}x{task.width} pixels; "
            f"these would: {sizes}"
        )
    if config.width % config.heads:
        raise ConfigError(
            f"model.heads={config.heads}: does not divide model.width={config.width}; "
            f"these would: {', '.join(map(str, _divisors(config.width)))}"
        )
    if config.positions == "sin_cos" and config.width % 4:
        raise ConfigError(
            f"model.width={config.width}: sin_cos positions need a multiple of 4, such as "
            f"{-(-config.width // 4) * 4}"
        )


def _divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]
