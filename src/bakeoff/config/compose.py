"""The command line of `train`: Hydra's options and overrides -> composed configs.

Hydra composes (through its compose API, which leaves nothing on disk and configures no logging) and
answers `--cfg`, `--info` and the like. Its own run directories, launchers and pickles are
switched off or refused. No torch here.
"""

import dataclasses
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydra import compose, initialize_config_dir
from hydra import main as hydra_main
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from bakeoff.arguments import Parser
from bakeoff.config import schema as shared
from bakeoff.config.config_file import file_overrides
from bakeoff.config.explain import GROUPS, config_errors, names, options
from bakeoff.config.explain import conf_dir as conf_dir  # noqa: PLC0414 - asked for here
from bakeoff.config.job import Job
from bakeoff.config.overrides import (
    first_values,
    parse_overrides,
    parses,
    refuse_hydra_keys,
    refuse_own_directories,
    refuse_sweeps_without_values,
    refuse_too_many,
    texts,
    with_home,
)
from bakeoff.config.own_files import check_own_files, family_defaults, search_path
from bakeoff.config.settled import settle
from bakeoff.config.slips import refuse_options, refuse_sweep, refuse_words
from bakeoff.errors import ConfigError
from bakeoff.runs.paths import expanded

_FIRST_OF_A_SWEEP = ("data", "model", "optim", "trainer")
SHOWING_OPTIONS = ("help", "hydra_help", "cfg", "info")


@dataclass(frozen=True)
class CommandLine:
    """`train`'s arguments, parsed by Hydra's own parser."""

    overrides: list[str]
    config_dir: str | None
    multirun: bool
    shows: bool  # --cfg, --info and the like: Hydra prints and nothing runs
    helps: bool = False  # --help
    file: str = ""  # that of --config
    file_keys: frozenset[str] = frozenset()  # the keys that it sets


def parse_arguments(arguments: Sequence[str]) -> CommandLine:
    """Splits Hydra's options from overrides and refuses the options that bakeoff replaces.

    Raises:
        ConfigError: an unknown or a refused option.
    """
    parser = get_args_parser()
    parser.__class__, parser.prog = Parser, "bakeoff train"
    refuse_options(
        arguments, [text for action in parser._actions for text in action.option_strings], lambda: names(())
    )
    options = parser.parse_intermixed_args(list(arguments))
    if options.shell_completion:
        raise ConfigError("--shell-completion: give it first, as in bakeoff -sc install=bash")
    return CommandLine(
        overrides=[with_home(text) for text in options.overrides],
        config_dir=options.config_dir and expanded(options.config_dir),
        multirun=options.multirun,
        shows=any(getattr(options, name) for name in SHOWING_OPTIONS),
        helps=options.help,
    )


def with_file(line: CommandLine, word: str) -> CommandLine:
    """The command line after the settings of `--config FILE`, which are checked alone first.

    Raises:
        ConfigError: names the file.
    """
    with config_errors((), line.config_dir):
        own = file_overrides(word, line.overrides, line.config_dir)
    try:
        expand(dataclasses.replace(line, overrides=own, multirun=False))
    except ConfigError as error:
        raise ConfigError(f"--config {word}: {error}") from error
    keys = frozenset(text.partition("=")[0] for text in own)
    return dataclasses.replace(line, overrides=[*own, *line.overrides], file=word, file_keys=keys)


def show(line: CommandLine, arguments: Sequence[str]) -> None:
    """Lets Hydra print its help, the config or its information.

    Args:
        line: what `arguments` say, and perhaps the settings of a file.
        arguments: the words, of which Hydra needs its own options.
    """
    register_defaults()
    own_options = [word for word in map(with_home, arguments) if word not in line.overrides]
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"):
        refuse_words(line.overrides, lambda: names(line.overrides, line.config_dir), parses)
        check_own_files(line.config_dir, line.overrides)
    # Overrides first: Hydra's parser takes them in one row only.
    sys.argv = ["bakeoff train", *_filled(line.overrides, line), *own_options]
    with config_errors(line.overrides, line.config_dir):
        hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_never_runs)()


def new_sweep_name() -> str:
    """Four random letters keep sweeps of the same second apart."""
    letters = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4))
    return f"{time.strftime('%Y-%m-%d-%H%M%S')}-{letters}"


def _as_given(_output_dir: str, name: str | None) -> str:
    return name or new_sweep_name()


def expand(
    line: CommandLine,
    told: Callable[[int, int], None] = lambda *_: None,
    named: Callable[[str, str | None], str] = _as_given,
) -> tuple[list[Job], bool]:
    """Composes every run that a command line asks for.

    A single run gives one job; a sweep (`--multirun`, or an experiment with `hydra.mode: MULTIRUN`)
    gives one for each combination, the last parameter varying fastest.

    Args:
        line: the command line.
        told: is called with the number of jobs composed so far, and of all.
        named: the name of a sweep, by its outputs root and the name that is given, or none.

    Returns:
        The jobs, and whether they are a sweep.

    Raises:
        ConfigError: what Hydra cannot parse or compose, or an option of Hydra that is not honoured.
    """
    register_defaults()
    with (
        config_errors(line.overrides, line.config_dir),
        initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"),
    ):
        refuse_words(line.overrides, lambda: names(line.overrides, line.config_dir), parses)
        parsed = parse_overrides(line.overrides)
        refuse_hydra_keys(parsed)
        refuse_sweeps_without_values(parsed)
        swept = [override for override in parsed if override.is_sweep_override()]
        fixed = [override for override in parsed if not override.is_sweep_override()]
        check_own_files(line.config_dir, line.overrides)
        extra = search_path(line.config_dir, parsed)
        # Composed with the fixed values, to see what an experiment says of sweeping; a fixed key may be one
        # of the swept models alone.
        first = [f"{one.get_key_element()}={value}" for one in swept for value in first_values(one, 1)]
        chosen = [text for text in first if text.partition("=")[0] in _FIRST_OF_A_SWEEP]
        chosen += _first_of_a_preset(fixed, chosen, extra)
        base = compose(
            "config", overrides=_filled(texts(fixed) + chosen, line) + extra, return_hydra_config=True
        )
        refuse_own_directories(base)
        if not (line.multirun or str(base.hydra.mode) == "RunMode.MULTIRUN"):
            if swept:
                now = OmegaConf.select(base, swept[0].key_or_group)
                refuse_sweep(swept[0].input_line or "", has_list=OmegaConf.is_list(now))
            # `base` is the job already; composing it anew would double the time.
            return [_job(base, line.overrides, line)], False
        return _sweep(line, base, fixed + swept, extra, told, _sweep_name(base, named)), True


def _first_of_a_preset(fixed: Sequence[Override], chosen: Sequence[str], extra: Sequence[str]) -> list[str]:
    """The first model that an experiment sweeps, if a key of models is fixed: the default may lack it."""
    groups = [one for one in fixed if one.key_or_group in GROUPS]
    keys = [one.key_or_group for one in groups] + [text.partition("=")[0] for text in chosen]
    if "experiment" not in keys or "model" in keys:
        return []
    if not any(one.key_or_group.startswith("model.") for one in fixed):
        return []
    preset = compose("config", overrides=[*texts(groups), *chosen, *extra], return_hydra_config=True)
    models = (preset.hydra.sweeper.params or {}).get("model")
    return [f"model={first_values(parse_overrides([f'model={models}'])[0], 1)[0]}"] if models else []


def _sweep(
    line: CommandLine,
    base: DictConfig,
    parsed: Sequence[Override],
    extra: Sequence[str],
    told: Callable[[int, int], None],
    name: str,
) -> list[Job]:
    """One job for each combination; `base` says what an experiment wants swept."""
    # By the key alone: `++seed=5` sets the seed as `seed=5` does.
    given = {override.key_or_group for override in parsed}
    params = OmegaConf.to_container(base.hydra.sweeper.params or OmegaConf.create({}))
    assert isinstance(params, dict)
    preset = [f"{key!s}={value}" for key, value in params.items() if str(key).lstrip("+~") not in given]
    kept = [one for one in parsed if one.key_or_group not in ("hydra.mode", "sweep.name")]
    parameters = parse_overrides(texts(kept) + preset)
    refuse_sweeps_without_values(parameters)
    refuse_too_many(parameters)
    combinations = BasicSweeper.split_arguments(parameters, None)[0]
    # A job is a single run, whatever its experiment says.
    is_preset = str(base.hydra.mode) == "RunMode.MULTIRUN"
    own = [*extra, f"sweep.name={name}", *(["hydra.mode=RUN"] if is_preset else [])]
    jobs = []
    for combination in combinations:
        overrides = [*combination, *own]
        with config_errors(combination, line.config_dir):
            composed = compose("config", overrides=_filled(overrides, line), return_hydra_config=True)
            jobs.append(_job(composed, overrides, line))
        told(len(jobs), len(combinations))
    return jobs


def register_defaults() -> None:
    """Makes the shared keys with their defaults known to Hydra, as `schema`."""
    ConfigStore.instance().store(name="schema", node=shared.defaults(), provider="bakeoff")


def _filled(overrides: Sequence[str], line: CommandLine) -> list[str]:
    """The overrides after the keys that a model file of one's own leaves to its family."""
    values = family_defaults(line.config_dir, overrides)
    return [*(f"++model.{key}={json.dumps(value)}" for key, value in values.items()), *overrides]


def _job(composed: DictConfig, overrides: Sequence[str], line: CommandLine) -> Job:
    """`composed` with Hydra's own section, which says what was chosen and goes then."""
    data_choice = composed.hydra.runtime.choices.get("data")
    with open_dict(composed):
        del composed["hydra"]
    values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    named = {str(key): value for key, value in values.items()}
    settle(named, overrides, options("data", line.config_dir), data_choice)
    return Job(named, _filled(overrides, line), line.file, line.file_keys)


def _sweep_name(base: DictConfig, named: Callable[[str, str | None], str]) -> str:
    section = base.get("sweep")
    if not OmegaConf.is_dict(section):  # of an experiment's file, or taken out
        raise ConfigError("sweep: must be a section of keys; write sweep.name=NAME")
    given = section.get("name")
    return named(str(base.output_dir), None if given is None else str(given))


def _never_runs(_: DictConfig) -> None:
    raise AssertionError("Hydra was only asked to show something")
