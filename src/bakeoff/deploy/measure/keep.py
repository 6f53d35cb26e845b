"""Where measurements are stored: beside the run that was measured, or that an exported file came from.

No torch here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import BakeoffError
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.measurements import add_measurements
from bakeoff.text import printable

if TYPE_CHECKING:
    from bakeoff.deploy.measure.kinds import Taken


def keep(all_taken: "Sequence[Taken]", root: Path) -> list[tuple[Path | None, str]]:
    """Stores what was measured.

    Args:
        all_taken: what came of each model or file.
        root: below which the runs of files are looked for, besides those that were measured too.

    Returns:
        For each the run that has it now, or None and why it is stored nowhere (empty: there is nothing).
    """
    return [_kept(taken, all_taken, root) if taken.measurements else (None, "") for taken in all_taken]


def _kept(taken: "Taken", all_taken: "Sequence[Taken]", root: Path) -> tuple[Path | None, str]:
    run = _run_of(taken, all_taken, root)
    if isinstance(run, str):
        return None, run
    try:
        add_measurements(run, taken.measurements)
    except BakeoffError as error:
        return None, f"{run}: {error}"
    return run, ""


def _run_of(taken: "Taken", all_taken: "Sequence[Taken]", root: Path) -> Path | str:
    """The run's directory, or why it is not known."""
    if not taken.subject.is_file:
        return taken.subject.path
    measured = {
        one.subject.path for one in all_taken if not one.subject.is_file and one.run_id == taken.run_id
    }
    # The name comes from the file: it is compared, and is no path.
    found = measured or {run for run in find_run_dirs(root) if run.name == taken.run_id}
    if len(found) == 1:
        return found.pop()
    which = "several runs" if found else "no run"
    return f"{which} called {printable(str(taken.run_id)[:100])} below {root}"
