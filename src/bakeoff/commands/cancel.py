"""`bakeoff cancel SWEEP`: asks all that work on a sweep to stop, wherever they run. No torch here."""

import os
import shlex
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.errors import OK, ConfigError, InterruptedRunError
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.folders import LEDGER
from bakeoff.runs.liveness import process_start
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.storage import storage_errors
from bakeoff.runs.studies import is_open
from bakeoff.sweeps.following import LedgerFile
from bakeoff.sweeps.ledger import CANCEL, Ledger
from bakeoff.sweeps.locate import find_sweep, word_for
from bakeoff.sweeps.standing import Looks, Standing
from bakeoff.text import counted

USAGE = "cancel SWEEP"
SUMMARY = "stop a sweep; its running runs are saved first"
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_SIGNALS = 0.5


def cancel(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no such sweep, or `--now` for one of another machine.
        ResourceError: its folder cannot be written.
    """
    options = parser().parse_args(words)
    if options.sweep is None:
        raise ConfigError("which sweep? write bakeoff cancel SWEEP; bakeoff watch shows the one that runs")
    folder = _sweep(options.sweep, outputs_root())
    file = LedgerFile(folder)
    ledger = file.read()
    request = folder / CANCEL
    if not ledger.is_worked_on:
        if os.path.lexists(request):  # else a disk that nobody may write to is no reason to fail
            with storage_errors(request):
                request.unlink(missing_ok=True)  # meant for a process that is gone
        tell(f"sweep {ledger.name}: nobody works on it; {_how_far(Looks(ledger).look())}")
        _print_next(ledger, Looks(ledger).look())
        return OK
    if options.now:
        _end_at_once(ledger)
    with storage_errors(request):
        os.close(os.open(request, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
    stop = StopSignal()
    with stop.caught():
        ledger = _waited(file, stop, now=options.now)
    if ledger.is_worked_on:
        tell(f"the sweep stops without this command, too; see it: bakeoff watch {word_for(folder)}")
        return InterruptedRunError.exit_code
    with suppress(OSError):
        request.unlink(missing_ok=True)
    standing = Looks(ledger).look()
    tell(f"sweep {ledger.name} has stopped: {_how_far(standing)}")
    _print_next(ledger, standing)
    return OK


def _sweep(name: str, root: Path) -> Path:
    """The sweep that is named; of a run, how that is stopped.

    Raises:
        ConfigError: it is none.
    """
    try:
        return find_sweep(name, root)
    except ConfigError as error:
        run = None
        with suppress(ConfigError):
            run = find_run(name, root, note=lambda _: None)
        if run is None:
            raise
        raise _no_sweep(run) from error


def _no_sweep(run: Path) -> ConfigError:
    if (run.parent / LEDGER).is_file():
        whole = f"stop the whole sweep: bakeoff cancel {word_for(run.parent)}"
        return ConfigError(f"{run}: a run of sweep {run.parent.name}; {whole}")
    return ConfigError(f"{run}: a single run; stop it by Ctrl-C in its terminal")


def _end_at_once(ledger: Ledger) -> None:
    """Two signals, as two times Ctrl-C, to each process that works on it: its jobs are killed, and it ends.

    Raises:
        ConfigError: one of them runs on another machine.
    """
    workers = ledger.living
    for worker in workers:
        if worker.get("host") != socket.gethostname():
            raise ConfigError(
                f"sweep {ledger.name}: it runs on {worker.get('host')}; cancel it there, or leave out --now"
            )
        # A file that anybody may have written names no other process.
        if worker.get("process_started") != process_start(int(worker["pid"])):
            raise ConfigError(
                f"sweep {ledger.name}: {LEDGER} does not say when process {worker['pid']} began, so it may "
                "be another one; leave out --now"
            )
    for pause in (_SECONDS_BETWEEN_SIGNALS, 0.0):  # two signals at once would be one
        for worker in workers:
            try:
                os.kill(int(worker["pid"]), signal.SIGTERM)
            except PermissionError as error:
                raise ConfigError(
                    f"sweep {ledger.name}: process {worker['pid']} is another user's; leave out --now"
                ) from error
            except ProcessLookupError:
                pass  # it has ended
        time.sleep(pause)


def _waited(file: LedgerFile, stop: StopSignal, *, now: bool) -> Ledger:
    """Waits until nobody works on it, or a signal comes."""
    ledger, told = file.read(), -1
    looks = Looks(ledger)
    running = len(looks.look().running)
    if running and not now:
        tell(
            f"stopping sweep {ledger.name}: running runs are saved first ({running:,} of them; "
            "--now: they are not)"
        )
    while ledger.is_worked_on and stop.name is None:
        looks.ledger = ledger
        told = len(looks.look().running)
        what = f"{counted(told, 'run')} to be saved" if told else "the sweep to end"
        with doing(f"waiting for {what}"):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        ledger = file.read()
    return ledger


def _how_far(standing: Standing) -> str:
    failed = f", {standing.failed:,} failed" if standing.failed else ""
    return f"{standing.done:,} of {counted(len(standing.jobs), 'run')} finished{failed}"


def _print_next(ledger: Ledger, standing: Standing) -> None:
    if standing.is_to_resume or is_open(ledger.folder):
        print(f"next           bakeoff resume {word_for(ledger.folder)}")
    elif standing.failed:
        print(f"next           bakeoff show {word_for(ledger.folder)}")
    else:
        print(f"next           bakeoff compare {shlex.quote(str(ledger.folder))}")


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff cancel",
        description="Stops a sweep: no more runs are started, those that run are saved and stop, and "
        "`bakeoff resume SWEEP` goes on with it. The sweep may run on another machine with the same folder.",
        epilog="exit codes: 0 nobody works on the sweep, now or before; 2 no such sweep; 4 its folder\n"
        "            cannot be written; 75 Ctrl-C ended the waiting: the sweep stops all the same",
    )
    parser.add_argument(
        "sweep",
        metavar="SWEEP",
        nargs="?",
        help="a path, the beginning of a sweep's name, or latest: the newest sweep",
    )
    parser.add_argument(
        "--now",
        action="store_true",
        help="kill the running runs: what they did since their last checkpoint is lost",
    )
    return parser
