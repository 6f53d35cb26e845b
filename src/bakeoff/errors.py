"""The errors that end a command, and the exit code of each.

An error that a user can cause is a `BakeoffError`; `cli.main` prints it as one line and exits with
its code. Everything else is our own bug and exits 1.
"""

import difflib
from collections.abc import Iterable

OK = 0
SOME_RUNS_BAD = 7


GO_ON = "go on with: "  # before a command that stands at the end of an error's text, to be copied


class BakeoffError(Exception):
    """Something that the user can fix. The text says what, where, and what to do, in one line."""

    exit_code = 1


class ConfigError(BakeoffError):
    """A command line or a config that is not allowed."""

    exit_code = 2


class DataError(BakeoffError):
    """Data that are missing, damaged or of another kind than asked for."""

    exit_code = 3


class ResourceError(BakeoffError):
    """No room or no permission to write, or not enough memory."""

    exit_code = 4


class DivergedError(BakeoffError):
    """A loss or a gradient that is not finite."""

    exit_code = 5


class ResumeError(BakeoffError):
    """A run that cannot go on from what is stored."""

    exit_code = 6


class RunsDifferError(BakeoffError):
    """The command finished, but a run failed, is unreadable, or does not give its figures again."""

    exit_code = SOME_RUNS_BAD


class InterruptedRunError(BakeoffError):
    """Ctrl-C or SIGTERM."""

    exit_code = 75


# As torch, oneDNN, CUDA's libraries, NumPy and C++ say it.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad_alloc",
    "storage size calculation overflowed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator of host or device has refused. The CPU's raises a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _OUT_OF_MEMORY)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Returns "; did you mean X?" for a likely typo, else an empty text.

    Of dotted names the last part is compared: exactly with all (`optim.epochs` finds
    `trainer.epochs`), then roughly within the section, then roughly with all.
    """
    allowed = list(allowed)
    section, _, leaf = name.rpartition(".")
    leaf = leaf.lower()  # `adamW` is adamw, and not the adam that shares as many letters
    by_leaf = {key.rpartition(".")[2].lower(): key for key in reversed(allowed)}
    inside = {key.rpartition(".")[2].lower(): key for key in allowed if key.rpartition(".")[0] == section}
    for leaves, cutoff in ((by_leaf, 1.0), (inside, 0.6), (by_leaf, 0.75)):
        if match := difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=cutoff):
            return f"; did you mean {leaves[match[0]]}?"
    return ""
