"""The table of figures is held against the records that are stored, so that neither can drift."""

import dataclasses
import types
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from bakeoff.comparison.figures import (
    COST_NAMES,
    EPOCH_FIGURES,
    FIGURES,
    RUN_FIGURES,
    TOTAL_SECONDS,
    Figure,
    value_at,
)
from bakeoff.comparison.statistics.values import METRICS
from bakeoff.runs.records import EpochRecord, Summary


def numbers_of(record: Any, prefix: str = "") -> set[str]:
    """Dotted names of all fields that hold one number."""
    names = set()
    for name, kind in get_type_hints(record).items():
        options = get_args(kind) if get_origin(kind) is types.UnionType else (kind,)
        for option in options:
            if dataclasses.is_dataclass(option):
                names |= numbers_of(option, f"{prefix}{name}.")
            elif option in (int, float):
                names.add(prefix + name)
    return names


def test_every_path_is_a_number_of_the_stored_records() -> None:
    assert {figure.in_summary for figure in RUN_FIGURES.values()} | {TOTAL_SECONDS} <= numbers_of(Summary)
    assert set(EPOCH_FIGURES) == numbers_of(EpochRecord)
    assert all(figure.in_summary or figure.in_epoch for figure in FIGURES)


def test_names_are_the_fields_own_and_unique() -> None:
    for figure in FIGURES:
        for path in (figure.in_summary, figure.in_epoch):
            assert path is None or path.rpartition(".")[2] == figure.name
    for names in ([figure.name for figure in FIGURES], [figure.title for figure in RUN_FIGURES.values()]):
        assert len(set(names)) == len(names)
        assert all(names)
    assert set(COST_NAMES.values()) <= set(RUN_FIGURES)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_what_a_name_says_the_table_says(figure: Figure) -> None:
    assert figure.is_time == any(word in figure.name for word in ("seconds", "per_second", "_ms_"))
    assert figure.is_share == figure.title.endswith("%") == (figure.factor == 100)
    assert figure.is_cost == ((figure.in_summary or "").partition(".")[0] in ("time", "speed", "cost"))
    assert figure.cost_name is None or figure.is_cost
    if figure.name not in ("lr", "epoch", "step"):
        larger = {"accuracy", "macro_f1", "train_images_per_second"}
        assert figure.better == ("larger" if figure.name in larger else "smaller")


def test_what_is_tested_is_a_score_of_the_table() -> None:
    assert [name for name in RUN_FIGURES if name in METRICS] == list(METRICS)
    assert not any(RUN_FIGURES[name].is_cost for name in METRICS)


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"time": {"s": 1}}, 1),
        ({"time": {}}, None),
        ({"time": [1]}, None),
        ({"time": None}, None),
        ({}, None),
    ],
)
def test_a_path_that_leads_nowhere_is_none(record: dict[str, Any], value: int | None) -> None:
    assert value_at(record, "time.s") == value
