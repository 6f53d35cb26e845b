"""The studies that a command line of `tune` asks for, and the run of a trial. No torch here.

`hydra.compose` refuses `interval()`, so the swept words are parsed here, and each trial is composed with
plain values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import CommandLine, conf_dir, expand, register_defaults
from bakeoff.config.explain import config_errors, names
from bakeoff.config.job import Job
from bakeoff.config.overrides import parse_overrides, parses, refuse_hydra_keys
from bakeoff.config.search_space import EXAMPLE, Space, space_of
from bakeoff.config.slips import refuse_words
from bakeoff.errors import ConfigError, nearest


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
    plans = []
    for model in models or [""]:
        words = [*([f"model={model}"] if model else []), *fixed]
        base = _composed(replace(line, overrides=words, multirun=False))
        family, name = str(base.values["model"]["family"]), str(base.values["model"]["name"])
        chosen = swept if swept and options.search is None else _from_file(options.search or family, line)
        own = next((text for text in words if text.partition("=")[0] == "model"), None)
        plans.append(StudyPlan(model or name, own, tuple(words), space_of(chosen)))
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
    words = [*plan.fixed, *plan.space.words(params)]
    if seed is not None:
        words = [*(text for text in words if text.partition("=")[0].lstrip("+") != "seed"), f"seed={seed}"]
    words = [text for text in words if not text.lstrip("+").startswith("sweep.name=")]
    return _composed(replace(line, overrides=[*words, f"sweep.name={name}"], multirun=False))


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
        refuse_words(line.overrides, lambda: names(line.overrides, line.config_dir), parses)
        parsed = parse_overrides(line.overrides)
        refuse_hydra_keys(parsed)
        models = [
            str(value)
            for one in parsed
            if one.key_or_group == "model" and one.is_sweep_override()
            for value in one.sweep_string_iterator()
        ]
    swept = [one for one in parsed if one.is_sweep_override() and one.key_or_group != "model"]
    for one in swept:
        if one.key_or_group in ("seed", "data"):
            what = "all trials have one seed" if one.key_or_group == "seed" else "a study has one data set"
            raise ConfigError(f"{one.input_line}: {what}; give one value")
    fixed = [one.input_line or "" for one in parsed if not one.is_sweep_override()]
    return swept, fixed, list(dict.fromkeys(models))


def _from_file(name: str, line: CommandLine) -> list[Override]:
    """The words of a file of `search/`."""
    folders = [*([Path(line.config_dir) / "search"] if line.config_dir else []), conf_dir() / "search"]
    path = next((one / f"{name}.yaml" for one in folders if (one / f"{name}.yaml").is_file()), None)
    if path is None:
        known = sorted({found.stem for one in folders for found in one.glob("*.yaml")})
        raise ConfigError(
            f"{name}: no such file in conf/search{nearest(name, known)}; give tune.search=NAME, of "
            f"{', '.join(known)}, or name the keys to search, {EXAMPLE}"
        )
    loaded = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError(f"{path}: must be lines of KEY: VALUES, {EXAMPLE.replace('=', ': ', 1)}")
    texts = [f"{key!s}={value}" for key, value in loaded.items()]
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"):
        if bad := [text for text in texts if not parses(text)]:
            raise ConfigError(f"{path}: {bad[0]} cannot be read; write {EXAMPLE}")
        parsed = parse_overrides(texts)
    if fixed := [text for text, one in zip(texts, parsed, strict=True) if not one.is_sweep_override()]:
        raise ConfigError(f"{path}: {fixed[0]} is one value; give several, {EXAMPLE}")
    return parsed
