"""The commands, their one-line errors and exit codes. No torch here: it loads when a run needs it."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from bakeoff import __version__, environment
from bakeoff.errors import OK, BakeoffError, ConfigError, InterruptedRunError, ResourceError, nearest

_HELP = f"""\
bakeoff {__version__}: fair bake-offs between vision architectures

usage: bakeoff COMMAND ...

  train [KEY=VALUE ...]       train a model and write a run directory; --multirun for a sweep
  preview [KEY=VALUE ...]     write a picture of training images with their augmentation
  compare [PATH ...]          turn run directories into a table that says which differences are real
  diff RUN RUN                what tells two runs apart
  evaluate RUN                compute a run's test scores again from its saved weights
  prune [PATH ...]            remove weights that are not the best of their setting
  models                      list the models
  doctor                      what this machine has, and what is missing

examples:
  bakeoff train data=digits
  bakeoff train model=cnn data=mnist optim.lr=0.005
  bakeoff train --multirun data=digits seed=0,1,2 model.channels=[8,16],[32,64,64]
  bakeoff train experiment=debug data=cifar10
  bakeoff preview data=mnist data.augment.rotate_degrees=10
  bakeoff compare outputs --format markdown
  bakeoff compare --where 'optim.lr < 0.01' --baseline cnn --cost train_seconds
  bakeoff evaluate latest
  eval "$(bakeoff -sc install=bash)"     completion by TAB; zsh and fish too

`bakeoff COMMAND --help` says more of one. RUN is a path, the beginning of a run's name, or `latest`.
Runs are written to and looked for in $BAKEOFF_OUTPUTS or ./outputs; data are read from
$BAKEOFF_DATA or ./data.

exit codes: 0 done; 2 usage or config; 3 data; 4 storage or memory; 5 diverged;
            7 done, but some runs failed, cannot be read, or (--strict) compared; 75 interrupted
"""
COMPLETION_OPTIONS = {"-sc", "--shell-completion"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    environment.prepare()
    if sys.stdout is None:  # closed by the caller, as in `bakeoff compare >&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
    return run_reporting_errors(lambda: _dispatch(words), debug)


def run_reporting_errors(command: Callable[[], int], debug: bool) -> int:
    """Calls a command; an error becomes one line and its exit code, with the traceback on request."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away, as in `bakeoff compare | head`: not an error, and nothing to say.
        _discard_output()
        return OK
    except KeyboardInterrupt:
        return _fail(InterruptedRunError("interrupted"), debug)
    except OSError as error:
        _discard_output()
        return _fail(
            ResourceError(f"{error.filename or 'standard output'}: {error.strerror or error}"), debug
        )
    except BakeoffError as error:
        return _fail(error, debug)
    except Exception as error:  # noqa: BLE001 - the last resort: one line and exit 1
        bug = f"{type(error).__name__}: {error}; this is a bug of bakeoff, --debug shows where"
        return _fail(BakeoffError(bug), debug)


def _discard_output() -> None:
    """Python flushes once more when it ends, into what has just failed."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(words: list[str]) -> int:
    commands: dict[str, Callable[[list[str]], int]] = {
        "train": _train,
        "preview": _preview,
        "compare": _compare,
        "diff": _diff,
        "evaluate": _evaluate,
        "prune": _prune,
        "models": _models,
        "doctor": _doctor,
    }
    if COMPLETION_OPTIONS & {word.partition("=")[0] for word in words[:2]}:
        from bakeoff.completion import complete

        return complete(words[1:] if words[0] in commands else words, tuple(commands))
    if not words or words[0] in ("-h", "--help", "help"):
        print(_HELP, end="")
        return OK
    if words[0] == "--version":
        print(f"bakeoff {__version__}")
        return OK
    if words[0] not in commands:
        hint = nearest(words[0], commands) or f"; there are {', '.join(commands)}"
        raise ConfigError(f"{words[0]}: no such command{hint}")
    return commands[words[0]](words[1:])


def _train(words: list[str]) -> int:
    from bakeoff.compose import expand, parse_arguments, show

    dry_run = "--dry-run" in words
    words = [word for word in words if word != "--dry-run"]
    line = parse_arguments(words)
    if line.shows:
        show(words)
        return OK
    jobs, is_sweep = expand(line)
    if is_sweep:
        from bakeoff.sweep.serial import run_sweep

        return run_sweep(jobs, dry_run)
    from bakeoff.config import check

    check(jobs[0].values)  # gate 1, before torch
    from bakeoff.train import run_single

    return run_single(jobs[0], dry_run)


def _compare(words: list[str]) -> int:
    from bakeoff.compare.command import compare

    return compare(words)


def _diff(words: list[str]) -> int:
    from bakeoff.compare.diff import diff

    return diff(words)


def _evaluate(words: list[str]) -> int:
    from bakeoff.evaluate import evaluate

    return evaluate(words)


def _preview(words: list[str]) -> int:
    from bakeoff.preview import preview

    return preview(words)


def _prune(words: list[str]) -> int:
    from bakeoff.prune import prune

    return prune(words)


def _doctor(words: list[str]) -> int:
    from bakeoff.doctor import doctor

    return doctor(words)


def _models(words: list[str]) -> int:
    from bakeoff.catalogue import list_models

    return list_models(words)


def _fail(error: BakeoffError, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    from bakeoff.text import printable

    print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
    return error.exit_code
