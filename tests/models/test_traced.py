"""Networks as torch.export sees them: sizes asked by `shape`, which change no bit and fix no batch."""

import types
from typing import Any

import pytest
import torch
from shipped import TASKS, build_model
from test_contract import some_batch
from torch import Tensor

from bakeoff.models.base import Classifier

FORMER = {"faster_rcnn": "_rpn", "lab_vit": "_tokens"}


def former_rpn(self: Any, features: Tensor) -> tuple[Tensor, Tensor]:
    """As it was before, with len()."""
    (objectness,), (offsets,) = self.rpn([features])
    batch = len(objectness)
    objectness = objectness.permute(0, 2, 3, 1).reshape(batch, -1)
    offsets = offsets.permute(0, 2, 3, 1).reshape(batch, -1, 4)
    return objectness.float(), offsets.float()


def former_tokens(self: Any, images: Tensor) -> Tensor:
    tokens = self.stem(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
    return self.dropout(tokens + self.positions)


def results(model: Classifier, precision: str) -> list[Tensor]:
    """Probabilities, losses and gradients."""
    batch = some_batch(TASKS[0], 6)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        with torch.no_grad():
            rows = model.eval().probabilities(batch.images)
        torch.manual_seed(1)
        parts = list(model.train().losses(batch).values())
    model.zero_grad()
    torch.stack(parts).sum().backward()
    return [
        rows,
        *(part.detach() for part in parts),
        *(p.grad for p in model.parameters() if p.grad is not None),
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model_name", FORMER)
def test_sizes_asked_by_shape_give_the_same_bits(model_name: str, precision: str) -> None:
    now, former = (build_model(model_name, TASKS[0]) for _ in range(2))
    with torch.no_grad():
        for model in (now, former):
            torch.manual_seed(2)
            for parameter in model.parameters():  # a ViT's head begins at zero, where nothing differs
                parameter.add_(torch.randn_like(parameter) * 0.1)
    name = FORMER[model_name]
    setattr(former, name, types.MethodType(former_rpn if name == "_rpn" else former_tokens, former))
    for new, old in zip(results(now, precision), results(former, precision), strict=True):
        assert torch.equal(new, old)
