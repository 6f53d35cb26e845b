"""How a command ends: an error becomes one line and its exit code. No torch here."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from bakeoff.errors import (
    GO_ON,
    BakeoffError,
    ConfigError,
    InterruptedRunError,
    ResourceError,
    is_out_of_memory,
)
from bakeoff.terminal import is_terminal, line_width, painted, wants_colour, wrapped
from bakeoff.text import one_line, printable, without_passwords

# Files that are not a user's own, by room.
_SHIPPED = {
    "models": "__init__ base cnn faster_rcnn finetune torchvision_detector vit",
    "data/sets": "__init__ cifar10 cifar100 digits emnist fashion_mnist image_folder kmnist mnist "
    "qmnist svhn",
}


def kind_and_text(error: BaseException, most: int | None = 200) -> str:
    """An error on one line; of one that is not bakeoff's own its kind, too, without which it says little."""
    text = one_line(error, most)
    return text if isinstance(error, BakeoffError) else f"{type(error).__name__}: {text}"


def run_reporting_errors(command: Callable[[], int], debug: bool, colour: str = "auto") -> int:
    """Calls a command; an error becomes one line and its exit code, with the traceback on request."""
    try:
        return command()
    except KeyboardInterrupt:
        return fail(InterruptedRunError("stopped by Ctrl-C"), debug, colour)
    except OSError as error:
        return fail(ResourceError(f"{error.filename or 'output'}: {error.strerror or error}"), debug, colour)
    except BakeoffError as error:
        return fail(error, debug, colour)
    except Exception as error:  # noqa: BLE001 - the last resort: one line and exit 1
        if is_out_of_memory(error):
            text = f"out of memory ({one_line(error)[:160]}); close other programs or use a larger machine"
            return fail(ResourceError(text), debug, colour)
        if own := _own_file(error):
            text = f"{own}: {type(error).__name__}: {error}; this is your own file, --debug shows more"
            return fail(ConfigError(text), debug, colour)
        bug = f"{type(error).__name__}: {error}; this is a bug of bakeoff, --debug shows where"
        return fail(BakeoffError(bug), debug, colour)


def _own_file(error: Exception) -> str | None:
    """File and line, if an error came through a family or a data set of one's own."""
    package = Path(__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        for room, shipped in _SHIPPED.items():
            if path.parent == package / room and path.stem not in shipped.split():
                return f"{path}, line {frame.lineno}"
    return None


def fail(error: BakeoffError, debug: bool, colour: str = "auto") -> int:
    """Prints an error's line, with the traceback on request, and returns its exit code.

    It is one line; a terminal shows it broken between words, and a command to be copied on a line of its own.
    """
    if debug:
        traceback.print_exc()
    text = f"error: {without_passwords(printable(one_line(error, most=None)))}"
    width = line_width(sys.stderr) if is_terminal(sys.stderr) else None
    text, go_on, command = text.partition(GO_ON) if width else (text, "", "")
    first, *others = wrapped(text + go_on.rstrip(), width)
    others += [command] if command else []
    first = first.replace("error:", painted("error:", "bold red", wants_colour(sys.stderr, colour)), 1)
    print("\n".join([first, *others]), file=sys.stderr)
    return error.exit_code
