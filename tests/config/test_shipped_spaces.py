"""The search spaces that bakeoff brings: `bakeoff tune model=NAME` alone works for every shipped model."""

from dataclasses import replace

import pytest
from shipped import CONFIGS, HEAVY, TWINS, offline

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import conf_dir, parse_arguments
from bakeoff.config.meanings import header_of
from bakeoff.config.search_space import Space
from bakeoff.config.studies import StudyPlan, job_of, studies_of
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.gates import prepare
from bakeoff.models.base import check_model

SPACES = sorted((conf_dir() / "search").glob("*.yaml"))


def _corners(space: Space) -> list[dict[str, object]]:
    """Both ends of all keys at once; of a choice all values, one after the other."""
    most = max(len(one.samples) for one in space.dimensions.values())
    return [
        {key: one.samples[min(number, len(one.samples) - 1)] for key, one in space.dimensions.items()}
        for number in range(most)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("data", ["mnist", "digits"])
@pytest.mark.parametrize("model", CONFIGS)
def test_the_corners_of_a_space_pass_all_gates(model: str, data: str) -> None:
    fetched = offline(model) if model not in TWINS else offline(model)[:1]
    line = parse_arguments([f"model={model}", f"data={data}", *fetched])
    (study,) = studies_of(line, TuneConfig())
    assert study.space.size is None
    *others, last = (job_of(line, study, corner, None, "corners").values for corner in _corners(study.space))
    for values in others:
        check_shared(values)
        check_model(values)
    if data == "digits" or model not in HEAVY | TWINS:  # a network alike has passed
        prepare(last)


@pytest.mark.slow
def test_the_corners_of_a_small_space_pass_all_gates() -> None:
    line = parse_arguments(["model=vit", "data=digits"])
    (study,) = studies_of(line, TuneConfig())
    for corner in _corners(study.space):
        prepare(job_of(line, study, corner, None, "corners").values)


@pytest.mark.slow
def test_the_usual_values_of_a_model_lie_in_its_space() -> None:
    """A search should be able to find what the recipe has."""
    line = parse_arguments(["model=cnn,vit,faster_rcnn,alexnet_small,faster_rcnn_resnet50"])
    for study in studies_of(line, TuneConfig()):
        alone: StudyPlan = replace(study, space=Space({}))
        values = job_of(line, alone, {}, None, "usual").values
        for key, one in study.space.dimensions.items():
            section, _, name = key.partition(".")
            usual = values[section][name]
            low_to_high = one.samples[0] <= usual <= one.samples[-1] if isinstance(usual, float) else False
            assert low_to_high or usual in one.samples, (study.name, key, usual)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_space_says_what_it_is(path: object) -> None:
    header = header_of(path)  # type: ignore[arg-type]
    assert header.says.startswith("The search space of ")
    assert header.fields["command"].startswith("bakeoff tune model=")
