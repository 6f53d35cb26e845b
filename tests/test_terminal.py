"""Whether colour is wanted, how wide a line may be, and where it is broken."""

import io
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from conftest import command
from run_directories import make_run
from terminals import read_to_end

from bakeoff.terminal import (
    broken,
    filled,
    line_width,
    padded,
    painted,
    screen_width,
    wants_colour,
    wrapped,
)

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "TERM")


class Terminal(io.StringIO):
    """A stream that a person sees."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),  # no-color.org: an empty one says nothing
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    ],
)
def test_who_gets_colours(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], on_terminal: bool, in_pipe: bool
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(Terminal()) == on_terminal
    assert wants_colour(io.StringIO()) == in_pipe
    assert wants_colour(None) == in_pipe
    assert wants_colour(io.StringIO(), "always")
    assert not wants_colour(Terminal(), "never")


@pytest.mark.parametrize(
    ("columns", "on_terminal", "in_pipe"),
    [("", 80, None), ("50", 50, 50), ("0", 80, None), ("wide", 80, None), ("-3", 80, None)],
)
def test_how_wide_a_line_may_be(
    monkeypatch: pytest.MonkeyPatch, columns: str, on_terminal: int, in_pipe: int | None
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert line_width(Terminal()) == on_terminal
    assert line_width(io.StringIO()) == in_pipe
    assert line_width(None) == in_pipe
    closed = io.StringIO()
    closed.close()
    assert line_width(closed) == in_pipe


def test_lines_are_broken_between_words() -> None:
    text = "one two three-four 98.5 % or 1.25 points of averyveryverylongword"
    assert wrapped(text, None, "  ", "* ") == ["* " + text]
    lines = wrapped(text, 16, "  ", "* ")
    assert lines == [
        "* one two",
        "  three-four",
        "  98.5 % or",
        "  1.25 points of",
        "  averyveryverylongword",
    ]
    assert filled(["a = 1", "b = 2", "c = 3"], 11) == ["a = 1 b = 2", "c = 3"]
    assert wrapped("", 10) == [""]
    assert wrapped("日本 日本 日本", 9) == ["日本 日本", "日本"]  # each sign takes two columns
    assert (padded("日本", 6, right=True), padded("ab", 4, right=False)) == ("  日本", "ab  ")


def test_each_line_of_a_text_is_broken_at_spaces_alone() -> None:
    word = "a-very-long/path-that/no-terminal/can-show"
    assert broken(f"one two {word} three\n\nfour", 20) == f"one two\n  {word}\n  three\n\nfour"
    assert broken("one  two", 20) == "one  two"
    assert broken("one two  three", 9) == "one two\n  three"
    assert broken("x " * 99, None) == "x " * 99


def test_what_is_told_in_a_pipe_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert (screen_width(Terminal()), screen_width(io.StringIO()), screen_width(None)) == (50, None, None)
    monkeypatch.setenv("COLUMNS", "5")
    assert screen_width(Terminal()) == 20


def test_spaces_are_not_painted() -> None:
    assert painted("  x y ", "bold green", colour=True) == "  \x1b[1;32mx y\x1b[0m "
    assert painted("  x y ", "bold green", colour=False) == "  x y "
    assert painted("   ", "bold", colour=True) == "   "
    assert painted("x", "", colour=True) == "x"


def seen(arguments: list[str], **environment: str) -> tuple[int, str]:
    """What a person at a terminal of 80 columns sees of a command."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    process = subprocess.Popen(
        command(arguments), stdout=theirs, stderr=theirs, env=clean | {"TERM": "xterm"} | environment
    )
    os.close(theirs)
    shown = read_to_end(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def test_a_terminal_is_coloured_and_a_pipe_is_not(tmp_path: Path) -> None:
    for name, error_rate in (("a", 0.0), ("b", 0.9)):
        make_run(tmp_path / "r" / name, 0, name, model=name, error_rate=error_rate, count=300)
    code, out = seen(["compare", str(tmp_path / "r")])
    assert code == 0
    assert "\x1b[1;32ma\x1b[0m" in out  # the best row
    assert "\x1b[1mb\x1b[0m" in out
    assert re.search(r"\x1b\[32ma\x1b\[0m.*\n.*\n.*\x1b\[33mb\x1b\[0m", out)  # groups
    assert set(re.findall(r"\x1b[^m]*m", out)) <= {
        "\x1b[0m",
        "\x1b[1m",
        "\x1b[2m",
        "\x1b[32m",
        "\x1b[33m",
        "\x1b[1;32m",
    }
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.splitlines())) <= 80
    assert seen(["compare", str(tmp_path / "r"), "--color", "never"]) == (0, plain)


def test_an_error_is_red_and_broken_between_words_on_a_terminal(tmp_path: Path) -> None:
    words = ["compare", str(tmp_path / ("nothing" * 9))]
    code, out = seen(words)
    assert code == 2
    assert out.startswith("\x1b[1;31merror:\x1b[0m run\n")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert len(lines) > 1
    assert "".join(lines).count("nothing" * 9) == 1
    assert "\x1b" not in seen([*words, "--color=never"])[1]
