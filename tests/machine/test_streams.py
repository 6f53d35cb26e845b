"""Output that is lost costs nothing but itself, and is not success."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import os, sys
from bakeoff.machine.streams import run_command
def work():
    for number in range(5):
        print("line", number)
    print("a word", file=sys.stderr)
    open("done", "w").write("done")
    return {code}
os._exit(run_command(work, debug=False, only_shows={only_shows}))
"""
LINES = "".join(f"line {number}\n" for number in range(5))


def say(tmp_path: Path, redirection: str, *, code: int = 0, only_shows: bool = False) -> tuple[int, str, str]:
    text = SAYS.format(code=code, only_shows=only_shows)
    line = f"{shlex.join([sys.executable, '-c', text])} {redirection}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (tmp_path / "done").read_text() == "done"
    return done.returncode, done.stdout, done.stderr


def test_nothing_lost(tmp_path: Path) -> None:
    assert say(tmp_path, "") == (0, LINES, "a word\n")


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        ("> /dev/full", "No space left on device"),
        (">&-", "closed"),
        ("| true", "Broken pipe (its reader went away, as in `| head`)"),
    ],
)
def test_lost_output_is_not_success_and_what_was_done_is_done(
    tmp_path: Path, redirection: str, reason: str
) -> None:
    code, _, err = say(tmp_path, redirection)
    assert code == 4
    word, error = err.splitlines()
    assert word == "a word"
    assert error.startswith(
        f"error: standard output: {reason}; only the printed text is lost, the work is done"
    )


def test_a_reader_that_goes_away_is_no_error_of_what_only_shows(tmp_path: Path) -> None:
    assert say(tmp_path, "| true", only_shows=True) == (0, "", "a word\n")
    assert say(tmp_path, "> /dev/full", only_shows=True)[0] == 4


def test_an_error_of_the_command_stays_the_exit_code(tmp_path: Path) -> None:
    assert say(tmp_path, "> /dev/full", code=7)[0] == 7


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full"])
def test_a_lost_error_output_is_no_error(tmp_path: Path, redirection: str) -> None:
    assert say(tmp_path, redirection) == (0, LINES, "")


def test_a_file_never_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """A library that writes a warning to descriptor 2 would write it into the file."""
    say(tmp_path, "2>&- >&-")
    text = (
        "import os, sys\nfrom bakeoff.machine.streams import run_command\n"
        "def work():\n    file = open('kept', 'w')\n    os.write(2, b'a warning')\n    os.write(1, b'a line')\n"
        "    file.write(str(file.fileno()))\n    return 0\n"
        "run_command(work, debug=False, only_shows=False)\n"
    )
    line = f"{shlex.join([sys.executable, '-c', text])} 0<&- >&- 2>&-"
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=False)
    assert int((tmp_path / "kept").read_text()) > 2


def test_an_output_that_does_not_wait_loses_nothing(tmp_path: Path) -> None:
    """Who shares a terminal or a pipe may have made it non-blocking: a full pipe is then an error of its own."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = (
        "from bakeoff.machine.streams import run_command\n"
        "def work():\n    print('x' * 300_000)\n    return 0\n"
        "import os\nos._exit(run_command(work, debug=False, only_shows=False))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdout=writer, cwd=tmp_path)
    os.close(writer)
    with open(reader, "rb") as file:
        content = file.read()
    assert process.wait() == 0
    assert content == b"x" * 300_000 + b"\n"


def test_what_an_encoding_cannot_say_is_said_with_escapes(tmp_path: Path) -> None:
    text = (
        "from bakeoff.machine.streams import run_command\n"
        "run_command(lambda: print('Gr\\u00f6\\u00dfe \\udcf6') or 0, debug=False, only_shows=False)\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, env=environment, check=True)
    assert done.stdout == b"Gr\\xf6\\xdfe \\udcf6\n"


def test_a_terminal_that_is_not_utf_8_fails_nothing(tmp_path: Path) -> None:
    """In the C locale Python writes ASCII with an error handler that raises for a plain "é"."""
    program = (
        "from bakeoff.machine.streams import run_command\n"
        "raise SystemExit(run_command(lambda: print('\\u00e9 \\u2713') or 0, debug=False, only_shows=True))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:surrogateescape"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "\\xe9 \\u2713\n")
