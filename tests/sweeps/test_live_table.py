"""What a person sees of a sweep: the live table on a terminal, lines in a pipe."""

import fcntl
import itertools
import os
import pty
import re
import struct
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminals import Terminal, terminal
from written_sweep import BEGAN, WrittenSweep, at

from bakeoff.machine.streams import run_command
from bakeoff.runs.states import FAILED, INTERRUPTED, RUNNING, RunState
from bakeoff.sweeps.ledger import Entry
from bakeoff.sweeps.standing import Looks
from bakeoff.sweeps.table import summary_lines
from bakeoff.sweeps.view import SweepView, make_view

REASON = "ended by SIGKILL (the system does that when memory runs out); epoch 3/10"
LAST = "\033[m"  # changes nothing, and rich writes it otherwise


class Screen:
    """The lines of a terminal without a lower edge, and the widest that ever stood there."""

    def __init__(self) -> None:
        self.lines, self.row, self.column, self.widest = [""], 0, 0, 0

    def feed(self, text: str) -> list[str]:
        """Acts on what a terminal gets; returns its lines."""
        for code, sign in re.findall(r"\033\[([\d;?]*[A-Za-z])|([^\033])", text):
            if sign == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif sign == "\r":
                self.column = 0
            elif sign:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
                self.column += 1
                self.widest = max(self.widest, self.column)
            elif code.endswith("A"):
                self.row -= int(code[:-1] or 1)
            elif code.endswith("K"):
                self.lines[self.row] = ""
            else:
                assert code.endswith("m"), code
        return [line.rstrip() for line in self.lines if line.strip()]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return BEGAN + self.seconds


def seen(it: Terminal) -> Screen:
    """What stands on the terminal, once all of it has come."""
    before = it.so_far().count(LAST)
    it.stream.write(LAST)
    it.stream.flush()
    while it.so_far().count(LAST) == before:
        time.sleep(0.005)
    screen = Screen()
    screen.feed(it.so_far().replace("\r\n", "\n\r"))
    return screen


def lines_of(it: Terminal) -> list[str]:
    return [line.rstrip() for line in seen(it).lines if line.strip()]


def resize(it: Terminal, lines: int, columns: int) -> None:
    fcntl.ioctl(it.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def view_of(sweep: WrittenSweep, clock: Clock) -> SweepView:
    return SweepView(Looks(sweep.ledger, clock), sweep.entries)


def two_of_four(folder: Path) -> WrittenSweep:
    """Four jobs, of which the second and the third run."""
    sweep = WrittenSweep(folder, ["cnn", "vit", "cnn", "faster_rcnn"], at_once=2)
    sweep.finish(0, 0.9725, took=42)
    for number in (1, 2):
        sweep.start(number, 42)
    for epoch in range(1, 5):
        sweep.epoch(1, epoch, 0.5 + epoch / 10, took=30)
    os.utime(sweep.run(1) / "epochs.jsonl", (BEGAN + 170, BEGAN + 170))
    return sweep


def test_the_table_at_80_columns(tmp_path: Path) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    clock.seconds = 171
    with terminal(80) as it:
        view = view_of(sweep, clock)
        view.started(sweep.entries[1])  # the table shows it
        view.tick()
        heading, vit, cnn, counts, best = lines_of(it)
        view.close()
        view.close()
    assert heading.split() == ["run", "epoch", "validation", "left"]
    # Six epochs of 30 s are left, but for one second.
    assert re.fullmatch(r"model=vit seed=1  +━+[╸╺]?━* +4/10 +90\.00 % +3 min", vit), vit
    assert re.fullmatch(r"model=cnn seed=2  +━+ +0/10", cnn), cnn  # the other cnn took less in all
    assert len(heading) == len(vit) <= 77
    assert counts == "1 of 4 done, 2 running, 1 waiting; more than 3 minutes left"
    assert best == "best by validation so far: 97.25 % model=cnn seed=0"
    assert Screen().feed(it.written.replace("\r\n", "\n\r")) == []  # it goes away
    assert "?25" not in it.written  # no cursor is hidden


@pytest.mark.parametrize("num_running", [0, 1, 64])
def test_no_row_is_broken_at_any_size(tmp_path: Path, num_running: int) -> None:
    sweep, clock = WrittenSweep(tmp_path / "s", ["faster_rcnn"] * 80, at_once=64), Clock()
    for number in range(num_running):
        sweep.note(number, state=RUNNING, started=at(0))
        sweep.epoch(number, 1, 1.0)
    clock.seconds = 9
    for columns, height in itertools.product((20, 32, 40, 80, 200), (3, 24, 100)):
        with terminal(columns) as it:
            resize(it, height, columns)
            view = view_of(sweep, clock)
            view.tick()
            shown = seen(it)
            view.close()
        lines = [line for line in shown.lines if line.strip()]
        assert shown.widest <= columns - 3
        assert len(lines) < height
        assert any(line.startswith("0 of 80 done") for line in lines)
        if num_running == 64 and height == 24:
            rows = sum("1/10" in line for line in lines)
            assert f"and {64 - rows} more that are running"[: columns - 3] in lines or columns < 32
            assert rows >= 17
        if num_running and height == 100:
            assert sum("1/10" in line for line in lines) == num_running


def test_rows_tell_runs_apart_where_there_is_little_room(tmp_path: Path) -> None:
    sweep, clock = WrittenSweep(tmp_path / "s", ["cnn", "faster_rcnn"], at_once=2), Clock()
    for number in (0, 1):
        sweep.start(number)
    with terminal(40) as it:
        view = view_of(sweep, clock)
        view.tick()
        _, first, second, *_ = lines_of(it)
        view.close()
    assert first.startswith("cnn seed=0 ")
    assert re.match(r"faster\S*…\S*seed=1 |\S+…\S*d=1 ", second), second


@pytest.mark.parametrize("columns", [32, 40, 80, 200])
def test_columns_stand_still(tmp_path: Path, columns: int) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 2, epochs=100)
    sweep.start(0)
    clock = Clock()
    with terminal(columns) as it:
        view, headings = view_of(sweep, clock), set()
        for epoch in range(1, 101):
            clock.seconds += 1
            if epoch in (1, 2, 10, 100):
                view.tick()
                headings.add(lines_of(it)[0])
            sweep.epoch(0, epoch, 0.9)
        clock.seconds += 1
        view.tick()
        headings.add(lines_of(it)[0])
        assert any("100/100" in line for line in lines_of(it))
        view.close()
    assert len(headings) == 1


def test_a_failure_stays_above_the_table(tmp_path: Path) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    clock.seconds = 171
    with terminal(80) as it:
        view = view_of(sweep, clock)
        view.tick()
        entry = sweep.end(1, FAILED, REASON, seconds=171)
        view.ended(entry, RunState(FAILED, REASON))
        clock.seconds = 172
        view.tick()
        lines = lines_of(it)
        view.close()
    assert lines[:2] == [
        "[2/4] model=vit seed=1: failed: ended by SIGKILL (the system does that when",
        "  memory runs out); epoch 3/10",
    ]
    assert lines[2].split() == ["run", "epoch", "validation", "left"]
    assert lines[3].startswith("model=cnn seed=2")
    assert lines[4].startswith("1 of 4 done, 1 failed, 1 running, 1 waiting")
    assert Screen().feed(it.written.replace("\r\n", "\n\r")) == lines[:2]


def test_each_ended_job_has_one_line_at_a_terminal(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 3)
    with terminal(80) as it, make_view(sweep.ledger, sweep.entries) as view:
        for number, accuracy in enumerate((0.9725, None, 0.5)):
            view.started(sweep.start(number))
            view.tick()
            view.ended(sweep.finish(number, accuracy, took=42), RunState("finished"))
    assert Screen().feed(it.written.replace("\r\n", "\n\r")) == [
        "[1/3] model=cnn seed=0: 97.25 % validation accuracy in 42 s",
        "[2/3] model=cnn seed=1: finished in 42 s",
        "[3/3] model=cnn seed=2: 50.00 % validation accuracy in 42 s",
    ]


def test_lines_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "vit", "cnn", "cnn", "cnn"])
    with make_view(sweep.ledger, sweep.entries[1:]) as view:
        view.started(sweep.start(1))
        view.tick()
        view.ended(sweep.finish(1, 0.5, took=7200), RunState("finished"))
        for number, state, reason in ((2, FAILED, REASON), (3, INTERRUPTED, "stopped"), (4, "queued", None)):
            view.ended(sweep.end(number, state, reason or ""), RunState(state, reason, 19))
        view.say("stopping")
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "[1/4] model=vit seed=1: started",
        "[1/4] model=vit seed=1: 50.00 % validation accuracy in 2.0 h",
        f"[2/4] model=cnn seed=2: failed: {REASON}",
        "[3/4] model=cnn seed=3: stopped and saved at step 19",
        "[4/4] model=cnn seed=4: stopped before its first step",
        "stopping",
    ]
    assert err == ""
    assert "12.3" not in out  # the test accuracy


def test_a_terminal_that_cannot_take_back_gets_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = two_of_four(tmp_path / "s")
    with terminal(80) as it:
        monkeypatch.setenv("TERM", "dumb")
        with make_view(sweep.ledger, sweep.entries) as view:
            view.started(sweep.entries[1])
            view.tick()
    assert it.written == "[2/4] model=vit seed=1: started\r\n"


def test_foreign_names_and_reasons_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    bad = "[bold]x[/bold] \033[2J\a :smile: 日本"
    for number in (1, 2):
        entry = sweep.ledger.entries[sweep.entries[number].folder]
        sweep.ledger.entries[entry.folder] = sweep.entries[number] = Entry(**{**entry.__dict__, "shown": bad})
    with terminal(120) as it:
        view = view_of(sweep, clock)
        view.tick()
        view.ended(sweep.end(1, FAILED, bad, 5), RunState(FAILED, bad))
        clock.seconds = 9
        view.tick()
        lines = lines_of(it)
        view.close()
    shown = r"[bold]x[/bold] \x1b[2J\x07 :smile: 日本"
    assert lines[0] == f"[2/4] {shown}: failed: {shown}"
    assert any(line.startswith(shown) for line in lines[2:])


def test_the_table_makes_room_when_the_process_stands_still(tmp_path: Path) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    with terminal(80) as it:
        view = view_of(sweep, clock)
        view.tick()
        before = lines_of(it)
        view.pause()
        print("[1]+  Stopped", flush=True)
        assert lines_of(it) == ["[1]+  Stopped"]
        view.go_on()
        view.tick()
        print("printed by another", flush=True)
        assert lines_of(it) == ["[1]+  Stopped", "printed by another", *before]
        view.close()


def test_the_table_follows_the_size_of_the_terminal(tmp_path: Path) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    with terminal(120) as it:
        view = view_of(sweep, clock)
        view.tick()
        assert "best" in lines_of(it)[0]
        resize(it, 24, 40)
        view.tick()
        lines = lines_of(it)
        view.close()
    assert max(map(len, lines)) <= 37


def test_what_comes_to_the_terminal_by_a_pipe_stands_above_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `| tee log`, which writes a moment later than the sweep does."""
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    reading, writing = os.pipe()
    with terminal(80) as it, open(reading) as pipe:
        with open(writing, "w") as output:
            monkeypatch.setattr("sys.stdout", output)
            view = view_of(sweep, clock)
            view.tick()
            table = lines_of(it)
            view.ended(sweep.entries[1], RunState(FAILED, REASON))
            view.tick()
            assert lines_of(it) == []
            line = pipe.readline()
            it.stream.write(line)
            within(5, lambda: seen_again(view, it))
            assert lines_of(it) == [line.strip(), *table]
            view.say("stopping")  # tee may be gone, by the same Ctrl-C
            assert lines_of(it) == [line.strip(), "stopping", *table]
            view.close()
        assert line == f"[2/4] model=vit seed=1: failed: {REASON}\n"
        assert pipe.read() == ""


def seen_again(view: SweepView, it: Terminal) -> None:
    while len(lines_of(it)) < 6:
        time.sleep(0.02)
        view.tick()


def within(seconds: float, act: Callable[[], None]) -> bool:
    """Whether something is done in time; it would wait for ever for a terminal that stands still."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def test_nothing_waits_for_a_terminal_that_stands_still(tmp_path: Path) -> None:
    """Ctrl-S: the sweep goes on, and what there is to say is said after Ctrl-Q."""
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    with terminal(80) as it:
        view = view_of(sweep, clock)
        view.tick()
        lines_of(it)
        termios.tcflow(it.stream.fileno(), termios.TCOOFF)
        try:
            clock.seconds = 9

            def work() -> None:
                view.ended(sweep.end(1, FAILED, REASON, 5), RunState(FAILED, REASON))
                view.tick()
                view.pause()

            assert within(5, work)
            assert "failed" not in it.so_far()
        finally:
            termios.tcflow(it.stream.fileno(), termios.TCOON)
        view.tick()
        assert "model=vit seed=1: failed" in "\n".join(lines_of(it))
        view.close()


def test_a_terminal_that_is_closed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, clock = two_of_four(tmp_path / "s"), Clock()
    reading, writing = pty.openpty()
    stream = open(writing, "w")  # noqa: SIM115 - closed by the test
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)

    def command() -> int:
        view = view_of(sweep, clock)
        view.tick()
        os.close(reading)
        clock.seconds = 9
        view.ended(sweep.end(1, FAILED, REASON, 5), RunState(FAILED, REASON))
        view.tick()
        view.close()
        print("the comparison")
        return 0

    assert run_command(command, debug=False, only_shows=False) == 4  # only what it says is lost
    stream.close()


def test_the_best_of_each_data_set(tmp_path: Path) -> None:
    sweep, clock = WrittenSweep(tmp_path / "s", ["cnn"] * 5), Clock()
    for number in range(5):
        entry = sweep.finish(number, number / 10, took=1)
        sweep.ledger.entries[entry.folder] = Entry(**{**entry.__dict__, "data": f"data{number % 4}"})
    lines = summary_lines(Looks(sweep.ledger, clock).look(), 100)
    assert lines == [
        "5 of 5 done",
        "best on data0 by validation so far: 40.00 % model=cnn seed=4",
        "best on data1 by validation so far: 10.00 % model=cnn seed=1",
        "best on data2 by validation so far: 20.00 % model=cnn seed=2 (and 1 data set more)",
    ]
