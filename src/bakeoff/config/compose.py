"""The command line of `train`: Hydra's options and overrides -> composed configs.

Hydra composes (through its compose API, which leaves nothing on disk and configures no logging) and
answers `--help`, `--cfg`, `--info` and the like. Its own run directories, launchers and pickles are
switched off or refused. No torch here.
"""

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra import main as hydra_main
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bakeoff.arguments import Parser
from bakeoff.config import schema as shared
from bakeoff.config.settled import settle
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest
from bakeoff.text import one_line

GROUPS = ("data", "model", "optim", "trainer", "experiment")
# What of Hydra's own section means something here; anything else would be ignored in silence.
HONOURED_HYDRA_KEYS = ("hydra.mode", "hydra.sweeper.params", "hydra.searchpath", "hydra.verbose")
SHOWING_OPTIONS = ("help", "hydra_help", "cfg", "info")


def conf_dir() -> Path:
    """The config tree: beside the package when installed, else at the top of the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


@dataclass(frozen=True)
class Job:
    """One training run as composed: the config without `hydra`, and the overrides that led to it."""

    values: dict[str, Any]
    overrides: list[str]


@dataclass(frozen=True)
class CommandLine:
    """`train`'s arguments, parsed by Hydra's own parser."""

    overrides: list[str]
    config_dir: str | None
    multirun: bool
    shows: bool  # --help, --cfg, --info: Hydra prints and nothing runs


def parse_arguments(arguments: Sequence[str]) -> CommandLine:
    """Splits Hydra's options from overrides and refuses the options that bakeoff replaces.

    Raises:
        ConfigError: an unknown or a refused option.
    """
    parser = get_args_parser()
    parser.__class__, parser.prog = Parser, "bakeoff train"
    options = parser.parse_intermixed_args(list(arguments))
    if options.experimental_rerun:
        raise ConfigError("--experimental-rerun: it would unpickle a file; repeat the command line instead")
    if options.config_path or options.config_name:
        raise ConfigError("--config-path, --config-name: not used here; --config-dir DIR adds config files")
    if options.shell_completion:
        raise ConfigError("--shell-completion: give it first, as in bakeoff -sc install=bash")
    return CommandLine(
        overrides=options.overrides,
        config_dir=options.config_dir,
        multirun=options.multirun,
        shows=any(getattr(options, name) for name in SHOWING_OPTIONS),
    )


def show(arguments: Sequence[str]) -> None:
    """Lets Hydra print its help, the config or its information."""
    register_defaults()
    sys.argv = ["bakeoff train", *arguments]
    with _config_errors(_overrides_in(arguments)):
        hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_never_runs)()


def expand(line: CommandLine) -> tuple[list[Job], bool]:
    """Composes every run that a command line asks for.

    A single run gives one job; a sweep (`--multirun`, or an experiment with `hydra.mode: MULTIRUN`)
    gives one for each combination, the last parameter varying fastest.

    Returns:
        The jobs, and whether they are a sweep.

    Raises:
        ConfigError: what Hydra cannot parse or compose, or an option of Hydra that is not honoured.
    """
    register_defaults()
    with (
        _config_errors(line.overrides),
        initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"),
    ):
        parsed = parse_overrides(line.overrides)
        _refuse_hydra_keys(parsed)
        extra = search_path(line.config_dir, parsed)
        swept = [override for override in parsed if override.is_sweep_override()]
        fixed = [override for override in parsed if not override.is_sweep_override()]
        # Composed with the fixed values alone, to see what an experiment says of sweeping.
        base = compose("config", overrides=_texts(fixed) + extra, return_hydra_config=True)
        _refuse_own_directories(base)
        preset_sweeps = str(base.hydra.mode) == "RunMode.MULTIRUN"
        if not (line.multirun or preset_sweeps):
            if swept:
                base = compose("config", overrides=line.overrides + extra)  # Hydra refuses it
            else:  # `base` is the job already; composing it anew would double the time
                with open_dict(base):
                    del base["hydra"]
            return [_job(base, line.overrides)], False
        # By the key alone: `++seed=5` sets the seed as `seed=5` does.
        given = {override.key_or_group for override in parsed}
        params = OmegaConf.to_container(base.hydra.sweeper.params or OmegaConf.create({}))
        assert isinstance(params, dict)
        preset = [f"{key!s}={value}" for key, value in params.items() if str(key).lstrip("+~") not in given]
        kept = [one for one in fixed + swept if one.key_or_group not in ("hydra.mode", "sweep.name")]
        name = _sweep_name(base)
        combinations = BasicSweeper.split_arguments(parse_overrides(_texts(kept) + preset), None)[0]
        # A job is a single run, whatever its experiment says.
        extra += [f"sweep.name={name}", *(["hydra.mode=RUN"] if preset_sweeps else [])]
        jobs = []
        for combination in combinations:
            overrides = [*combination, *extra]
            jobs.append(_job(compose("config", overrides=overrides), overrides))
        return jobs, True


def register_defaults() -> None:
    """Makes the shared keys with their defaults known to Hydra, as `schema`."""
    ConfigStore.instance().store(name="schema", node=shared.defaults(), provider="bakeoff")


def _job(composed: DictConfig, overrides: Sequence[str]) -> Job:
    values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    named = {str(key): value for key, value in values.items()}
    settle(named, overrides, _options("data"))
    return Job(named, list(overrides))


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parses overrides; needs an initialised Hydra."""
    # With the loader the parser knows the groups, which `model=glob(*)` needs.
    return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(overrides))


def _texts(overrides: Sequence[Override]) -> list[str]:
    return [override.input_line or "" for override in overrides]


def search_path(config_dir: str | None, parsed: Sequence[Override]) -> list[str]:
    """The override that lets Hydra find the files of --config-dir."""
    if config_dir is None:
        return []
    if not Path(config_dir).is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    if any(override.key_or_group == "hydra.searchpath" for override in parsed):
        raise ConfigError("--config-dir and hydra.searchpath: give one of them")
    return [f"hydra.searchpath=['file://{Path(config_dir).resolve()}']"]


def _sweep_name(base: DictConfig) -> str:
    given = base.sweep.get("name")
    letters = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4))
    return str(given) if given is not None else f"{time.strftime('%Y-%m-%d-%H%M%S')}-{letters}"


def _refuse_hydra_keys(parsed: Sequence[Override]) -> None:
    for override in parsed:
        key = override.key_or_group
        if key.startswith(("hydra.", "hydra/")) and not key.startswith(HONOURED_HYDRA_KEYS):
            hint = "; set output_dir= instead" if "dir" in key else ""
            raise ConfigError(f"{override.input_line}: bakeoff makes its own runs and directories{hint}")


def _refuse_own_directories(base: DictConfig) -> None:
    """An experiment file must not move Hydra's directories either."""
    hydra = OmegaConf.to_container(base.hydra, resolve=False)
    assert isinstance(hydra, dict)
    if hydra["run"]["dir"] != "${output_dir}" or hydra["output_subdir"] is not None:
        raise ConfigError("hydra.run.dir: bakeoff makes its own directories; set output_dir instead")


def _never_runs(_: DictConfig) -> None:
    raise AssertionError("Hydra was only asked to show something")


def _overrides_in(arguments: Sequence[str]) -> list[str]:
    return [text for text in arguments if "=" in text and not text.startswith("-")]


@contextmanager
def _config_errors(overrides: Sequence[str]) -> Iterator[None]:
    """Turns what Hydra and OmegaConf raise into one line that names key, value and a near name."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        # Hydra lets some of its own checks out as plain ValueErrors, as for `optim=3`.
        raise ConfigError(_explain(error, overrides)) from error


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Finds the override that Hydra stumbled over; its own text often names only the key."""
    text = str(error)
    groups = {name: _options(name) for name in GROUPS}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        for choice in value.split(","):
            missing = f"{group}/{choice.strip()}'"
            unknown = group in groups and choice.strip() not in groups[group]
            if unknown and (missing in text or "Config group override" in text):
                hint = nearest(choice, groups[group])
                return f"{override}: no such {group}; there are {', '.join(groups[group])}{hint}"
        if f"'{key}'" in text and ("not in struct" in f"{text}{error.__cause__}" or "No match" in text):
            known = [*dotted_keys(shared.defaults()), *GROUPS, *_model_keys(overrides)]
            return f"{override}: no such key{nearest(key, known) or '; see bakeoff train --cfg job'}"
    return one_line(text, most=None)


def _options(group: str) -> list[str]:
    folder = conf_dir() / group
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _model_keys(overrides: Sequence[str]) -> list[str]:
    """The keys of the chosen model's file, for a hint."""
    chosen = next((text[6:] for text in reversed(overrides) if text.startswith("model=")), "cnn")
    path = conf_dir() / "model" / f"{chosen}.yaml"
    if not path.is_file():
        return []
    loaded = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(loaded, dict)
    return list(dotted_keys({"model": loaded["model"]}))
