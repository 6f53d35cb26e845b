"""Texts that are fit to print: on one line, of a bounded length, without what a terminal acts on."""

import pytest

from bakeoff.text import about, duration, one_line, printable, without_passwords


def test_a_text_of_many_lines_becomes_one() -> None:
    assert one_line(ValueError("a\n\n  b\tc \n")) == "a b c"
    assert one_line("  ") == ""


def test_a_long_text_is_cut_unless_all_of_it_is_asked_for() -> None:
    assert one_line("x " * 500) == ("x " * 100)
    assert one_line("x" * 500, most=120) == "x" * 120
    assert one_line("x" * 500, most=None) == "x" * 500


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2J", "a\\x1b[2J"), ("\u202e", "\\u202e"), ("é ×", "é ×"), ("\udcff", "\\udcff")],
)
def test_what_a_terminal_acts_on_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 second"),
        (8.6, "about 9 seconds"),
        (72.0, "about 70 seconds"),
        (89.0, "about 90 seconds"),
        (91.0, "about 2 minutes"),
        (720.0, "about 12 minutes"),
        (5399.0, "about 90 minutes"),
        (5400.0, "about 1.5 hours"),
        (72_000.0, "about 20 hours"),
        (2 * 86_400.0, "about 2.0 days"),
        (20.4 * 86_400.0, "about 20 days"),
    ],
)
def test_a_duration_is_told_in_a_persons_units(seconds: float, text: str) -> None:
    assert about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (99.4, "99 s"),
        (99.5, "2 min"),
        (99.4 * 60, "99 min"),
        (99.5 * 60, "1.7 h"),
        (47.9 * 3600, "47.9 h"),
        (48 * 3600, "2.0 days"),
    ],
)
def test_a_duration_in_few_characters(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "text",
    [
        "tune.storage=postgresql://joe:s3cret@host/db: cannot be read",
        "tune.storage=postgresql+psycopg://joe:s3:c@ret@host/db",
        "~tune.storage=postgresql://joe:s3cret@h/d: one value",
        "tune.storage=[postgresql://joe:s3cret@h/d]",
        "tune.storage=joe:s3cret@127.0.0.1/db: no URL",
        "storage=postgresql://127.0.0.1:1/db?user=joe&password=s3cret: no such key",
        "tune.storag=mysql://h/db?passwd=s3cret&x=1",
    ],
)
def test_no_password_of_a_url_is_shown(text: str) -> None:
    shown = without_passwords(text)
    assert "s3" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text", ["run a:b: failed", "http://127.0.0.1:80/x", "10:20:30 user@host", "at 10:20@home"[:8]]
)
def test_other_texts_stay(text: str) -> None:
    assert without_passwords(text) == text
