"""What is shown while one waits: on a terminal alone, in its width, and gone when it is over."""

import io
import sys

import pytest
from terminals import WIDTHS, terminal

from bakeoff.machine.waiting import Bar, doing, tell

LONG = "note: " + "a word and 1,234 numbers of 56.78 % " * 8


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_stays_is_broken_at_words(columns: int) -> None:
    with terminal(columns) as screen:
        tell(LONG)
    lines = screen.lines()
    assert max(map(len, lines)) <= columns
    assert len(lines) > 2
    assert all(line.startswith("  ") for line in lines[1:-1])
    assert " ".join(lines).split() == LONG.split()


def test_a_terminals_variable_for_its_width_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(80) as screen:
        monkeypatch.setenv("COLUMNS", "40")
        tell(LONG)
    assert 30 < max(map(len, screen.lines())) <= 40


def test_in_a_pipe_a_line_stays_whole_and_nothing_comes_that_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with doing("reading"), Bar("test", 10) as bar:
        bar.move_by(3)
        bar.move_to(10)
        tell(LONG)
    assert capsys.readouterr() == (f"{LONG}\n", "")


def test_what_is_being_done_makes_room_for_what_stays_and_is_gone_at_the_end() -> None:
    with terminal(80) as screen:
        with doing("reading mnist"):
            tell("note: first")
            with doing("downloading"):
                tell("note: second")
            tell("note: third")
        tell("done")
    assert screen.lines() == ["note: first", "note: second", "note: third", "done", ""]
    drawn = screen.drawn()
    assert drawn.index("reading mnist ...") < drawn.index("note: first")
    assert drawn.index("downloading ...") < drawn.index("note: second")
    assert "reading mnist ..." in drawn[drawn.index("note: second") :]


def test_what_is_being_done_leaves_room_for_what_the_terminal_writes_at_ctrl_c() -> None:
    with terminal(40) as screen, doing("word " * 20):
        pass
    assert 30 < max(map(len, screen.drawn())) + len("^C") < 40


def test_an_error_takes_away_what_was_being_done() -> None:
    with terminal(80) as screen, pytest.raises(ZeroDivisionError), doing("dividing"):
        _ = 1 // 0
    assert screen.lines() == [""]


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_bar_fits_and_a_line_above_it_is_whole(columns: int) -> None:
    with terminal(columns) as screen, Bar("epoch 10/10", 54_000) as bar:
        bar.say("loss 0.1234")
        for done in range(0, 54_000, 9_000):
            bar._bar.mininterval = 0  # type: ignore[union-attr] - drawn at each move
            bar.move_to(done)
        tell("note: half as many at once")
        bar.move_to(100)  # from the beginning again
    drawn = screen.drawn()
    assert max(map(len, drawn)) + len("^C") < columns  # which a terminal writes where the cursor stands
    assert any("epoch 10/10  83%|" in text for text in drawn)
    assert all(text.endswith(("loss 0.1234", "images/s", "left")) for text in drawn if "%|" in text)
    assert "loss 0.1234" in screen.written
    assert screen.lines() == ["note: half as many at once", ""]


def test_a_narrow_terminal_has_a_bar_without_words() -> None:
    with terminal(40) as screen, Bar("validation 10/10", 100) as bar:
        bar.move_to(50)
    assert max(map(len, screen.drawn())) < 40


def test_a_terminal_that_cannot_take_back_gets_nothing_to_take_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(80) as screen:
        monkeypatch.setenv("TERM", "dumb")
        with doing("reading"), Bar("test", 10) as bar:
            bar.move_to(5)
    assert screen.written == ""


def test_a_stream_that_is_closed_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with doing("reading"):
        pass
