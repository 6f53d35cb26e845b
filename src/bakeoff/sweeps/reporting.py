"""A sweep's own report, written when it has ended. Nothing here can cost a result. No torch."""

from collections.abc import Sequence
from pathlib import Path

from bakeoff.config.schema import SweepConfig
from bakeoff.exits import kind_and_text
from bakeoff.machine.waiting import doing, tell
from bakeoff.report.extra import how_to_install, missing
from bakeoff.report.write import FILE, write_report
from bakeoff.sweeps.locate import word_for

_EXPERIMENT = "experiment="


def is_wanted(options: SweepConfig, line: Sequence[str]) -> bool:
    """What `sweep.report` says, or else whether the sweep's words name an experiment."""
    if options.report is not None:
        return options.report
    return any(word.startswith(_EXPERIMENT) and word != f"{_EXPERIMENT}null" for word in line)


def write_own_report(folder: Path) -> Path | None:
    """Writes the page into the sweep's folder; what goes wrong is a line, and the runs are what they were."""
    if names := missing():
        again = f"{how_to_install(names)}, then bakeoff report {word_for(folder)}"
        tell(f"note: no report without the extra bakeoff[report]: {again}")
        return None
    output = folder / FILE
    try:
        with doing("writing the report"):
            write_report([folder], output)
    except Exception as error:  # noqa: BLE001 - a library may raise anything, and the sweep has ended
        tell(f"note: no report: {kind_and_text(error)}")
        return None
    return output
