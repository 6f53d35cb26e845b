"""Which sweep a command line means that gives no name: the one that it has begun. No torch here."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.config.compose import CommandLine, new_sweep_name
from bakeoff.runs.folders import beginning, sweep_dirs
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import sweep_folder
from bakeoff.runs.states import DIVERGED, LEFT_ALONE, state_or_lost
from bakeoff.runs.studies import TUNE, is_open
from bakeoff.sweeps.ledger import COMMANDS, Ledger, read_ledger
from bakeoff.sweeps.owner import taken
from bakeoff.sweeps.plan import Planned
from bakeoff.sweeps.search.url import masked_words
from bakeoff.text import counted

NEW = "new"


def own_words(line: CommandLine) -> list[str]:
    """The words of a command line that say what is trained: all but those of `sweep.*`."""
    directory = ["--config-dir", line.config_dir] if line.config_dir else []
    words = [text for text in line.overrides if not _is_of_sweeps(text)]
    return [*directory, *masked_words(words)]  # they are stored and shown


def sweep_namer(
    line: CommandLine, told: Callable[[str], None], command: str = COMMANDS[0]
) -> Callable[[str, str | None], str]:
    """A function that gives a sweep its name, by its outputs root and the name that is given.

    Args:
        line: the command line.
        told: is called with a line that says so, if it goes on with a sweep.
        command: that works on it.
    """
    words = own_words(line)
    retries = any(text.lstrip("+") == f"sweep.retry={DIVERGED}" for text in line.overrides)

    def name(output_dir: str, given: str | None) -> str:
        root = Path(output_dir)
        if given is not None and given != NEW:
            if like := _begins_so(given, root):
                told(f"note: a new sweep, {given}; there is {like}, too, whose name begins so")
            return given
        found = None if given == NEW else _unfinished(root, command, words, retries)
        if found is None:
            return new_sweep_name()
        if found.is_worked_on and command != COMMANDS[2]:  # on a search several processes may work
            raise taken(found.folder)
        told(f"going on with sweep {found.name}, begun by the same command (sweep.name=new: another one)")
        return found.name

    return name


def _begins_so(name: str, root: Path) -> str | None:
    """A sweep that somebody may mean who gives the beginning of its name, as other commands take it."""
    if sweep_folder(str(root), name).exists():
        return None
    return next((folder.name for folder in beginning(name, sweep_dirs(root))), None)


def sweep_with(planned: Sequence[Planned]) -> str | None:
    """A note on the newest other sweep that has some of these runs already; None without any."""
    folder = planned[0].folder.parent
    names = {item.folder.name for item in planned}
    for other in sweep_dirs(folder.parent.parent):
        with suppress(UnreadableFileError):
            entries = read_ledger(other).entries.values()
            done = sum(entry.folder in names and entry.state in LEFT_ALONE for entry in entries)
            if done and other != folder:
                return (
                    f"note: sweep {other.name} has {done} of these {counted(len(names), 'run')}; with "
                    f"sweep.name={other.name} only the others are trained"
                )
    return None


def _unfinished(root: Path, command: str, words: Sequence[str], retries: bool) -> Ledger | None:
    """The newest sweep of this command and these words in which something is to do."""
    for folder in sweep_dirs(root):
        with suppress(UnreadableFileError):
            ledger = read_ledger(folder)
            if (ledger.command, ledger.line) != (command, list(words)):
                continue
            if command == COMMANDS[2]:  # a failed trial is a result, too
                if is_open(folder) or not os.path.lexists(folder / TUNE):  # killed before it was written
                    return ledger
            elif is_open(folder) or any(is_to_do(ledger, name, retries) for name in ledger.entries):
                return ledger
    return None


def is_to_do(ledger: Ledger, name: str, retries: bool) -> bool:
    """Whether something is to do for a run."""
    state = state_or_lost(ledger.folder / name).state
    return state not in LEFT_ALONE or (retries and state == DIVERGED)


def _is_of_sweeps(text: str) -> bool:
    return text.lstrip("+~").startswith("sweep.")
