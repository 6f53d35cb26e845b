"""How a command ends: an error becomes one line and its exit code. No torch here."""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from bakeoff.errors import OK, BakeoffError, InterruptedRunError, ResourceError
from bakeoff.text import one_line, printable


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


def _fail(error: BakeoffError, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {printable(one_line(error, most=None))}", file=sys.stderr)
    return error.exit_code
