"""The best configuration of a search as an experiment, to be trained by its name. No torch here."""

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bakeoff.config.compose import CommandLine, expand, parse_arguments
from bakeoff.config.own_files import model_file_of_family
from bakeoff.config.studies import StudyPlan, job_of
from bakeoff.config.usual import differences, usual_words
from bakeoff.runs.storage import make_folder, write_atomically
from bakeoff.sweeps.search.trial import Trial
from bakeoff.text import printable

_FOLDER = "experiment"
_NO_NAME = re.compile(r"[^\w.-]+", re.ASCII)


def write_experiment(
    folder: Path, name: str, line: CommandLine, plan: StudyPlan, trial: Trial, result: str = ""
) -> Path:
    """Writes the configuration of a trial as a file that trains it: see `command`.

    It chooses a model and data that bakeoff brings, and sets what differs: files of one's own, which the
    search may have used, are not needed.

    Args:
        folder: the sweep's.
        name: of the file; what a command line cannot take is replaced.
        line: the command line of the search.
        plan: the trial's study.
        trial: the best.
        result: its scores, for the file's header.

    Raises:
        ResourceError: it cannot be written.
    """
    path = folder / _FOLDER / f"{_NO_NAME.sub('-', name)}.yaml"
    values = job_of(line, plan, trial.params, None, folder.name).values
    words, usual = _usual(values)
    header = [
        "# @package _global_",
        f"# The best configuration that a search has found: {printable(plan.name)}, trial {trial.number}.",
        "#",
        f"# command   {printable(' '.join(command(path)))}",
        *([f"# result    {printable(result)}"] if result else []),
    ]
    chosen = [f"  - override /{text.replace('=', ': ')}" for text in words]
    text = "\n".join([*header, "defaults:", *chosen, _yaml(_changed(values, usual))])
    make_folder(path.parent)
    write_atomically(path, lambda file: file.write(text.encode()))
    return path


def command(path: Path) -> list[str]:
    """The words that train an experiment that `write_experiment` has written."""
    return ["bakeoff", "train", "--config-dir", str(path.parent.parent), f"experiment={path.stem}"]


def experiments(folder: Path) -> list[Path]:
    """The files that a search has written."""
    return sorted((folder / _FOLDER).glob("*.yaml"))


def _usual(values: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Words that choose a model and data of the same kinds, and what they compose to."""
    if found := usual_words(values):
        return found
    model = model_file_of_family(str(values["model"]["family"]), None)
    words = [*([f"model={model}"] if model else []), f"data={values['data']['name']}"]
    return words, expand(parse_arguments(words))[0][0].values


def _changed(values: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """What differs, in its sections."""
    found = {key: own for key, (own, _) in differences(values, usual).items()}
    found |= {"seed": values["seed"]} if values["seed"] != usual["seed"] else {}
    data, other = values["data"], usual["data"]
    found |= {"data.root": str(Path(data["root"]).absolute())} if data["root"] != other["root"] else {}
    found |= {"data.title": data["title"]} if data.get("title") != other.get("title") else {}
    nested: dict[str, Any] = {}
    for key, value in found.items():
        *parents, last = key.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return nested


def _yaml(values: dict[str, Any]) -> str:
    """As Hydra reads it again: texts that look like numbers are quoted, numbers are exact."""
    return OmegaConf.to_yaml(OmegaConf.create(_escaped(values))) if values else ""


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
