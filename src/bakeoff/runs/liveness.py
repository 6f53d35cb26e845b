"""Whether the process of a run still lives: its number alone says nothing, since numbers are given again.

No torch here.
"""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bakeoff.runs.reading import moment

# A run on another host whose status is older than this is lost; on this host the process is asked.
_LOST_AFTER = timedelta(minutes=10)
_CLOCKS_APART = timedelta(days=1)  # as far ahead may another host's clock or time zone be
_CLOCK_STEP = timedelta(minutes=1)  # that this host's clock may have been set back by


def process_start(pid: int) -> str | None:
    """A text that no other process of this machine has: its boot and the clock ticks from there.

    Returns:
        None if there is no such process, or if the system does not tell (macOS).
    """
    found = _state_and_ticks(pid)
    return None if found is None else f"{_boot_id()} {found[1]}"


def is_alive(status: dict[str, Any]) -> bool:
    """Whether the process that wrote a `status.json` still runs.

    On this host the process must be there, be no zombie, and have begun when the run's did. Statuses of
    older versions do not say when that was: their process must be older than their last heartbeat. What
    another host does cannot be asked, so there the heartbeat must be fresh.
    """
    heartbeat = moment(status.get("heartbeat"))
    if status.get("host") != socket.gethostname():
        return _is_fresh(heartbeat)
    pid, recorded = status.get("pid"), status.get("process_started")
    if type(pid) is not int or not 0 < pid < 2**31 or not _exists(pid):
        return False
    if not Path("/proc/self/stat").exists():
        return True  # there is nothing else to ask
    found = _state_and_ticks(pid)
    if found is None:  # hidden from this user
        return _is_fresh(heartbeat)
    state, ticks = found
    if state in "ZX":  # dead, and not yet collected by its parent
        return False
    if isinstance(recorded, str):
        return recorded == f"{_boot_id()} {ticks}"
    began = _wall_clock(ticks)
    return heartbeat is not None and (began is None or began - _CLOCK_STEP < heartbeat)


def _is_fresh(heartbeat: datetime | None) -> bool:
    return heartbeat is not None and -_CLOCKS_APART < datetime.now(UTC) - heartbeat < _LOST_AFTER


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks whether the process is there
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _state_and_ticks(pid: int) -> tuple[str, int] | None:
    """Fields 3 and 22 of proc(5)'s stat: the state, and when the process began, in ticks since the boot."""
    try:
        # The name before the last bracket may hold anything, brackets and spaces too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _wall_clock(ticks: int) -> datetime | None:
    """When a process began, by the clock on the wall; None where the system does not tell."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    except (OSError, ValueError, StopIteration):
        return None
    return datetime.fromtimestamp(boot + ticks / os.sysconf("SC_CLK_TCK"), UTC)
