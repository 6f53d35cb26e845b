"""The commands, their one-line errors and exit codes. No torch here: it loads when a run needs it."""

import importlib
import itertools
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from bakeoff.errors import OK, ConfigError, nearest
from bakeoff.machine import environment
from bakeoff.machine.process import run_process
from bakeoff.machine.streams import run_command
from bakeoff.machine.version import __version__
from bakeoff.terminal import COLOUR_CHOICES

_HELP = """\
bakeoff {version}: compare vision architectures fairly

usage: bakeoff COMMAND ...

{commands}

examples:
  bakeoff train data=digits
  bakeoff train model=cnn data=mnist optim.lr=0.005
  bakeoff train -m data=digits seed=0,1,2 model.channels=[8,16],[32,64,64]
  bakeoff train experiment=debug data=cifar10
  bakeoff race model=cnn,vit data=mnist race.margin_points=0.5
  bakeoff tune model=vit data=mnist tune.trials=50
  bakeoff preview data=mnist data.augment.rotate_degrees=10
  bakeoff compare outputs --format markdown
  bakeoff compare --where 'optim.lr <= 0.01' --baseline cnn --cost train_seconds
  bakeoff report outputs/sweeps/NAME
  bakeoff list --state failed
  bakeoff show latest
  bakeoff evaluate latest
  bakeoff predict latest photo.jpg
  bakeoff export latest -o digits.onnx
  bakeoff measure latest
  bakeoff compare --max-latency 2ms
  bakeoff resume latest
  bakeoff experiments
  eval "$(bakeoff -sc install=bash)"   completion by TAB; zsh and fish too

`bakeoff help COMMAND` explains a command. RUN is a path, the beginning of a run's name, or
`latest`, the last run that has finished (for `resume`: that was stopped). SWEEP is the same for
sweeps; `latest` is the one that was worked on last. Runs are written to and looked for
in $BAKEOFF_OUTPUTS or ./outputs; data are read from $BAKEOFF_DATA or ./data.

exit codes: 0 done; 2 usage or configuration; 3 data; 4 storage or memory; 5 diverged;
            6 a run cannot be resumed; 7 done, but some runs failed or cannot be read, or
            (--strict) are not comparable; 75 interrupted
"""
# Each is a file in `commands`, with a function of its name.
COMMANDS = (
    "train",
    "race",
    "tune",
    "preview",
    "compare",
    "report",
    "diff",
    "evaluate",
    "predict",
    "export",
    "measure",
    "resume",
    "watch",
    "cancel",
    "list",
    "show",
    "prune",
    "models",
    "experiments",
    "doctor",
)
_DELETING = ("prune",)
# What to use -> what other programs call it.
_OTHER_WORDS = {
    "write bakeoff train KEY=VALUE ...": "run fit start exp experiment learn training",
    "write bakeoff train --multirun KEY=A,B,C ...": "sweep grid multirun",
    "write bakeoff tune KEY=VALUE ...": "hpo search optimize optimise optuna hyperopt",
    "write bakeoff list": "ls ll runs sweeps status ps history log",
    "write bakeoff show RUN": "inspect describe details cat open",
    "write bakeoff compare": "results table rank leaderboard",
    "write bakeoff report": "plot plots figures html page dashboard summary",
    "write bakeoff export RUN": "onnx convert deploy save torchscript pt2",
    "write bakeoff evaluate RUN": "eval test validate score check",
    "write bakeoff predict RUN PICTURE": "infer inference classify recognize recognise apply use",
    "write bakeoff models": "model model-zoo zoo archs",
    "write bakeoff preview KEY=VALUE ...": "augment images view",
    "write bakeoff doctor": "info env version system",
    "write bakeoff measure RUN": "benchmark bench latency time speed throughput profile",
    "a run is a folder, and is removed as any folder is": "rm delete remove clean gc clear",
    "write bakeoff resume RUN": "continue restart",
    "write bakeoff watch SWEEP": "follow tail monitor attach top",
    "write bakeoff cancel SWEEP": "stop kill abort",
}
COMPLETION_OPTIONS = {"-sc", "--shell-completion"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    environment.prepare()
    is_training = words[:1] in (["train"], ["race"], ["tune"])
    return run_command(lambda: _dispatch(words), debug, only_shows=not is_training, colour=_colour(words))


def _colour(words: list[str]) -> str:
    """What `--color` says of an error's line, which may come before the options are read."""
    pairs = itertools.pairwise([*words, ""])
    given = [word.partition("=")[2] or after for word, after in pairs if word.partition("=")[0] == "--color"]
    return given[-1] if given and given[-1] in COLOUR_CHOICES else "auto"


def run_as_process() -> NoReturn:
    """The program `bakeoff`: ends the process with the command's exit code."""
    run_process(main)


def _dispatch(words: list[str]) -> int:
    if COMPLETION_OPTIONS & {word.partition("=")[0] for word in words[:2]}:
        from bakeoff.commands.completion import complete

        return complete(words[1:] if words[0] in COMMANDS else words, COMMANDS)
    words = _asked_for_help(words)
    if not words or words[0] in ("-h", "--help"):
        from bakeoff.arguments import help_width, laid_out

        print(laid_out(_HELP.format(version=__version__, commands=_summaries()), help_width()), end="")
        return OK
    if words[0] in ("-V", "--version"):
        print(f"bakeoff {__version__}")
        return OK
    if words[0] not in COMMANDS:
        raise ConfigError(f"{words[0]}: no such command{_hint(words)}")
    if "--version" in words[1:] and not {"--where", "--"} & set(words):  # Hydra would print its own
        print(f"bakeoff {__version__}")
        return OK
    return _command(words[0])(words[1:])


def _asked_for_help(words: list[str]) -> list[str]:
    """`help`, `help COMMAND` and `COMMAND help` as the options that they mean."""
    if words[:1] == ["help"]:
        return [*words[1:2], "--help"]
    if words[1:] == ["help"] and words[0] in COMMANDS and not Path("help").exists():
        return [words[0], "--help"]
    return words


def _hint(words: list[str]) -> str:
    """What a word of another program means here. Nothing that deletes is proposed for a slip."""
    word = words[0].lower()
    if "=" in word or word in ("-m", "--multirun"):
        return f"; write bakeoff train {shlex.join(words)}"
    for meant, others in _OTHER_WORDS.items():
        if word in others.split():
            return f"; {meant}"
    if near := nearest(word, [name for name in COMMANDS if name not in _DELETING]):
        return near
    from bakeoff.config.explain import names  # takes a while, and is needed for a slip alone

    group = names(()).group_of(word)
    return f"; write bakeoff train {group}={word}" if group else f"; there are {', '.join(COMMANDS)}"


def _summaries() -> str:
    """A line for each command, out of its file's text: to import them all would take half a second."""
    lines = []
    for name in COMMANDS:
        source = Path(__file__).with_name("commands") / f"{name}.py"
        says = dict(re.findall(r'^(USAGE|SUMMARY) = "(.*)"$', source.read_text("utf-8"), re.MULTILINE))
        lines.append(f"  {says['USAGE']:27} {says['SUMMARY']}")
    return "\n".join(lines)


def _command(name: str) -> Callable[[list[str]], int]:
    """The function of the command's own file; only that file is imported."""
    command: Callable[[list[str]], int] = getattr(importlib.import_module(f"bakeoff.commands.{name}"), name)
    return command
