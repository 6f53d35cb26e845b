"""`bakeoff resume SWEEP` of a search: its command again, from the words in its ledger. No torch here."""

from dataclasses import asdict, replace

from bakeoff.config.adaptive import TuneConfig, take_section
from bakeoff.config.compose import parse_arguments
from bakeoff.config.schema import SweepConfig
from bakeoff.config.search_space import word
from bakeoff.errors import ResumeError
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.folders import SWEEPS
from bakeoff.sweeps.ledger import Ledger, command_of
from bakeoff.sweeps.search.run import run_tune


def go_on(ledger: Ledger, stop: StopSignal, data_root: str | None) -> int:
    """Goes on with a search, wherever its folder is now.

    Args:
        ledger: of its sweep.
        stop: the signals that came.
        data_root: where its data are now; None: where its command says.

    Returns:
        As `run_tune`.

    Raises:
        ResumeError: its folder is not where a sweep's is.
        BakeoffError: as in `run_tune`.
    """
    if ledger.folder.absolute().parent.name != SWEEPS:
        again = command_of(ledger, f"sweep.name={ledger.name}")
        raise ResumeError(f"{ledger.folder}: not in a folder {SWEEPS}; move it there, or give {again}")
    whole = parse_arguments(ledger.line)
    options, words = take_section("tune", TuneConfig, whole.overrides)
    words = [text for text in words if text.partition("=")[0].lstrip("+") != "output_dir"]
    words += [f"output_dir={word(str(ledger.folder.parent.parent))}", f"sweep.name={word(ledger.name)}"]
    usual = asdict(SweepConfig())
    set_ = {key: value for key, value in asdict(ledger.options).items() if value != usual[key]}
    words += [f"sweep.{key}={word(value)}" for key, value in set_.items() if key != "name"]
    words += [f"data.root={word(data_root)}"] if data_root is not None else []
    line = replace(whole, overrides=words, multirun=True)
    return run_tune(line, options, lambda *_: ledger.name, ledger.line, dry_run=False, stop=stop)
