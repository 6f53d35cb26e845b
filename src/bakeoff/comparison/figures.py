"""The figures of a run: where each is stored, which way is better, how it is shown. No torch here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

MOST = 1e300  # that is believed of any figure; the sum of many such is still a number


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure; paths are dotted names of the records in `runs/records.py`."""

    name: str  # in the JSON, and in an expression as well as the short one
    in_summary: str | None = None  # its path in `summary.json`
    in_epoch: str | None = None  # its path in a line of `epochs.jsonl`, which is its name in `--metric`
    title: str = ""  # of its column
    factor: float = 1.0  # from the figure to what its column shows
    decimals: int = 0
    better: Literal["larger", "smaller"] | None = None
    is_share: bool = False  # in 0..1, shown in percent
    is_time: bool = False  # it depends on the machine and on what else ran there
    by_default: bool = False  # whether it has a column without `--columns`
    cost_name: str | None = None  # what `--cost` calls it

    @property
    def short(self) -> str:
        """What people read and write: in tables, `--sort`, `--where`, `--columns` and `--cost`."""
        return self.cost_name or self.name

    @property
    def is_cost(self) -> bool:
        """Whether it is what a run takes, in which no test image has a part; the others are scores."""
        return self.in_summary is not None and not self.in_summary.startswith("test.")

    @property
    def highest(self) -> float:
        """The largest value that is believed."""
        return 1.0 if self.is_share else MOST


FIGURES = (
    Figure(
        name="accuracy", in_summary="test.accuracy", in_epoch="val.accuracy", better="larger",
        title="accuracy %", factor=100, decimals=2, is_share=True, by_default=True,
    ),
    Figure(
        name="macro_f1", in_summary="test.macro_f1", in_epoch="val.macro_f1", better="larger",
        title="macro_f1 %", factor=100, decimals=2, is_share=True, by_default=True,
    ),
    Figure(
        name="nll", in_summary="test.nll", in_epoch="val.nll", better="smaller",
        title="nll (test loss)", decimals=4, by_default=True,
    ),
    Figure(
        name="ece", in_summary="test.ece", better="smaller",
        title="ece %", factor=100, decimals=2, is_share=True,
    ),
    Figure(name="train_loss", in_epoch="train_loss", better="smaller"),
    Figure(name="lr", in_epoch="lr"),
    Figure(name="epoch", in_epoch="epoch"),
    Figure(name="step", in_epoch="step"),
    Figure(
        name="train_seconds", in_summary="time.train_seconds", in_epoch="train_seconds", better="smaller",
        title="train_seconds", decimals=1, is_time=True, by_default=True, cost_name="train_seconds",
    ),
    Figure(name="eval_seconds", in_epoch="eval_seconds", better="smaller", is_time=True),
    Figure(
        name="train_images_per_second", in_summary="speed.train_images_per_second",
        in_epoch="train_images_per_second", better="larger", title="train_images_per_second", is_time=True,
    ),
    Figure(
        name="latency_ms_batch1", in_summary="speed.latency_ms_batch1", better="smaller",
        title="latency (ms)", decimals=2, is_time=True, cost_name="latency",
    ),
    Figure(
        name="parameters", in_summary="cost.parameters", better="smaller",
        title="parameters", by_default=True, cost_name="parameters",
    ),
    Figure(
        name="forward_flops_per_image", in_summary="cost.forward_flops_per_image", better="smaller",
        title="flops (million)", factor=1e-6, decimals=1, cost_name="flops",
    ),
    Figure(
        name="peak_memory_bytes", in_summary="cost.peak_memory_bytes", better="smaller",
        title="memory (MB)", factor=1e-6, cost_name="memory",
    ),
)  # fmt: skip

# By the names that the options take.
RUN_FIGURES = {figure.name: figure for figure in FIGURES if figure.in_summary}
EPOCH_FIGURES = {figure.in_epoch: figure for figure in FIGURES if figure.in_epoch}
COST_NAMES = {figure.cost_name: figure.name for figure in FIGURES if figure.cost_name}
SHORT_NAMES = tuple(figure.short for figure in RUN_FIGURES.values())
# By either of its names.
NAMED_FIGURES = RUN_FIGURES | {figure.short: figure for figure in RUN_FIGURES.values()}
# How long a run lasted: no figure of a table, but it says which runs ran side by side.
TOTAL_SECONDS = "time.total_seconds"
TRAIN_SECONDS = "time.train_seconds"


def value_at(record: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def is_number(value: Any, low: float = 0.0, high: float = sys.float_info.max) -> TypeGuard[float]:
    """Whether a value is a plain, finite number within bounds; `True` and "0.99" are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def number_at(record: Mapping[str, Any], path: str, most: float) -> float | None:
    """The number from 0 to `most` at a dotted path; None for anything else that somebody's file may hold."""
    value = value_at(record, path)
    return float(value) if is_number(value, 0, most) else None
