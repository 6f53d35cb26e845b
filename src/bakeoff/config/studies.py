"""The studies that a command line of `tune` asks for, and the run of a trial. No torch here.

`hydra.compose` refuses `interval()`, so the swept words are parsed here, and each trial is composed with
plain values.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.types import Override

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import CommandLine, conf_dir, expand, register_defaults
from bakeoff.config.explain import GROUPS, config_errors, names
from bakeoff.config.job import Job
from bakeoff.config.overrides import first_values, parse_overrides, parses, refuse_hydra_keys
from bakeoff.config.own_files import load_plain
from bakeoff.config.search_slips import refuse_swept, refuse_unreadable
from bakeoff.config.search_space import EXAMPLE, Interval, Space, space_of
from bakeoff.config.slips import refuse_words
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest

_MOST_STUDIES = 100
_MOST_CHECKED = 50  # values of a key that are checked before the first trial


@dataclass(frozen=True)
class StudyPlan:
    """The search of one model."""

    name: str  # the model's; no other study of the sweep has it
    model_word: str | None  # as `model=vit`, if the command line names one
    fixed: tuple[str, ...]  # the words that all its trials have
    space: Space


def studies_of(line: CommandLine, options: TuneConfig) -> list[StudyPlan]:
    """A study for each model that a command line names.

    Args:
        line: without the words of `tune.*`.
        options: of the search.

    Raises:
        ConfigError: what cannot be read or searched, or there is nothing to search.
    """
    swept, fixed, models = _parsed(line)
    asked = space_of(swept)
    plans = []
    for model in models or [""]:
        words = [f"model={model}", *fixed] if model else fixed
        base = _composed(replace(line, overrides=words, multirun=False))
        family, name = str(base.values["model"]["family"]), str(base.values["model"]["name"])
        space = asked
        if not swept or options.search is not None:
            space = _completed(asked, _from_file(options.search or family, line), _typed(line, fixed))
        own = [text for text in words if text.partition("=")[0] == "model"]
        plan = StudyPlan(model or name, own[-1] if own else None, tuple(words), space)
        job_of(line, plan, space.first, None, "check")  # a key that this model does not have
        _refuse_fractions(space, base.values)
        plans.append(plan)
    return plans


def job_of(line: CommandLine, plan: StudyPlan, params: Mapping[str, Any], seed: int | None, name: str) -> Job:
    """The run of a trial.

    Args:
        line: the command line.
        plan: the study.
        params: a value for each key of its space.
        seed: None: as the command line says.
        name: of the sweep.

    Raises:
        ConfigError: these values do not compose.
    """
    replaced = {"sweep.name"} if seed is None else {"sweep.name", "seed"}
    words = [text for text in plan.fixed if _key(text) not in replaced]
    words += [*plan.space.words(params), *([] if seed is None else [f"seed={seed}"])]
    return _composed(replace(line, overrides=[*words, f"sweep.name={name}"], multirun=False))


def jobs_to_check(line: CommandLine, plan: StudyPlan, name: str) -> list[Job]:
    """Runs with each value that may be chosen, so that a wrong one is known before the first trial.

    Values that are wrong only together are not found so: such trials fail, one by one.

    Args:
        line: the command line.
        plan: the study.
        name: of the sweep.

    Raises:
        ConfigError: a value that does not compose.
    """
    base = replace(plan, space=Space({}))
    jobs = [job_of(line, plan, plan.space.first, None, name)]
    for key, dimension in plan.space.dimensions.items():
        alone = replace(base, space=Space({key: dimension}))
        jobs += [job_of(line, alone, {key: one}, None, name) for one in dimension.samples[:_MOST_CHECKED]]
    return jobs


def _composed(line: CommandLine) -> Job:
    jobs, is_sweep = expand(line)
    if is_sweep:
        raise ConfigError(
            "tune: this experiment is several runs of its own; name a model and its data instead"
        )
    return jobs[0]


def _parsed(line: CommandLine) -> tuple[list[Override], list[str], list[str]]:
    """The swept keys, the other words, and the models of a command line."""
    register_defaults()
    with (
        config_errors(line.overrides, line.config_dir),
        initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"),
    ):
        refuse_unreadable(line.overrides, parses)
        refuse_words(line.overrides, lambda: names(line.overrides, line.config_dir), parses)
        parsed = parse_overrides(line.overrides)
        refuse_hydra_keys(parsed)
        swept = [one for one in parsed if one.is_sweep_override()]
        refuse_swept(swept)
        models = [
            model
            for one in swept
            if one.key_or_group == "model"
            for model in first_values(one, _MOST_STUDIES)
        ]
    chosen = {one.key_or_group for one in swept}
    fixed = [one.input_line or "" for one in parsed if one.key_or_group not in chosen]
    return [one for one in swept if one.key_or_group != "model"], fixed, list(dict.fromkeys(models))


def _refuse_fractions(space: Space, values: dict[str, Any]) -> None:
    """An interval between whole numbers of a key that takes no others.

    Raises:
        ConfigError: shows what to write.
    """
    usual = dotted_keys(values)
    for key, one in space.dimensions.items():
        is_whole = isinstance(one, Interval) and float(one.low).is_integer() and float(one.high).is_integer()
        if isinstance(one, Interval) and is_whole and not one.is_int and type(usual.get(key)) is int:
            text = f"interval({one.low:.0f},{one.high:.0f})"
            raise ConfigError(f"{key}={text}: {key} is a whole number; write '{key}=int({text})'")


def _completed(asked: Space, own: Space, typed: set[str]) -> Space:
    """The keys of a file with those that the command line searches itself, without those that it fixes.

    Raises:
        ConfigError: nothing is left.
    """
    found = Space(dict(sorted({**own.dimensions, **asked.dimensions}.items()))).without(typed)
    if not found.dimensions:
        raise ConfigError(
            f"tune: all keys of the search space are given; leave one out, or search it, {EXAMPLE}"
        )
    return found


def _typed(line: CommandLine, fixed: Sequence[str]) -> set[str]:
    """The keys that somebody has typed, which those of a file of --config are not."""
    counts = Counter(map(_key, fixed))
    return {key for key, count in counts.items() if count > (key in line.file_keys) and key not in GROUPS}


def _from_file(name: str, line: CommandLine) -> Space:
    """The space of a file of `search/`."""
    folders = [*([Path(line.config_dir) / "search"] if line.config_dir else []), conf_dir() / "search"]
    path = next((one / f"{name}.yaml" for one in folders if (one / f"{name}.yaml").is_file()), None)
    if path is None:
        known = sorted({found.stem for one in folders for found in one.glob("*.yaml")})
        raise ConfigError(
            f"tune.search={name}: no such file in conf/search{nearest(name, known)}; there are "
            f"{', '.join(known)}; or name the keys to search, {EXAMPLE}"
        )
    with config_errors((), None):
        loaded = load_plain(path)
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError(f"{path}: must be lines of KEY: VALUES, as in optim.lr: interval(1e-4,1e-2)")
    register_defaults()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"):
        try:
            return _space_of_words([f"{key!s}={value}" for key, value in loaded.items()])
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def _space_of_words(texts: Sequence[str]) -> Space:
    refuse_unreadable(texts, parses)
    if bad := next((text for text in texts if not parses(text)), None):
        raise ConfigError(f"{bad}: cannot be read; write it {EXAMPLE}")
    parsed = parse_overrides(texts)
    if one := next((one for one in parsed if not one.is_sweep_override()), None):
        raise ConfigError(f"{one.input_line}: one value; give several, {EXAMPLE}")
    refuse_swept(parsed)
    return space_of(parsed)


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")
