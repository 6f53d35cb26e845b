"""`bakeoff report`: where it writes, what it refuses, how it follows runs."""

import importlib.util
import threading
import time
from pathlib import Path

import pytest
from conftest import Bakeoff
from reported_runs import make_models, write_epochs

from bakeoff.errors import InterruptedRunError
from bakeoff.machine.signals import check_stop
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps.ledger import begun

RELOADS = '"reload_seconds":5'


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: None if name in ("altair", "vl_convert") else found,
    )


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize("words", [("report",), ("compare", "--format", "html", "-o", "x.html")])
def test_without_the_extra_one_line(bakeoff: Bakeoff, tmp_path: Path, words: tuple[str, ...]) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    code, out, error = bakeoff(words[0], str(tmp_path / "runs"), *words[1:])
    assert (code, out) == (2, "")
    assert error == (
        "error: a report needs the extra bakeoff[report]: pip install altair vl-convert-python\n"
    )


@pytest.mark.usefixtures("report_extra")
def test_it_writes_report_html_here_and_over_its_own_page_alone(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    for _ in range(2):  # the second time over its own page
        code, out, error = bakeoff("report", str(tmp_path / "runs"))
        assert (code, out, error) == (0, "report         report.html\n", "")
    Path("report.html").write_text("<h1>my own page</h1>")
    code, out, error = bakeoff("report", str(tmp_path / "runs"))
    assert (code, out) == (2, "")
    assert error == "error: report.html: is there, and is no report of bakeoff; give another file with -o\n"
    assert Path("report.html").read_text() == "<h1>my own page</h1>"
    assert bakeoff("report", str(tmp_path / "runs"), "-o", "report.html")[0] == 0  # who names it, means it


@pytest.mark.usefixtures("report_extra")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("nowhere",), "nowhere"),
        (("--baseline", "rown"), "--baseline rown: no such configuration"),
        (("--where", "model == 1 +"), "--where"),
        (("-o", "no/such/folder/x.html"), "no/such/folder"),
        (("-o", "folder/"), "-o folder: a report is a file that ends with .html\n"),
        (("-o", "lab.md"), "a file that ends with .html; a lab report needs --as lab\n"),
    ],
)
def test_mistakes_are_one_line(bakeoff: Bakeoff, tmp_path: Path, words: tuple[str, ...], wanted: str) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    paths = () if words[0] == "nowhere" else (str(tmp_path / "runs"),)
    code, out, error = bakeoff("report", *paths, *words)
    assert code in (2, 4)
    assert out == ""
    assert error.startswith("error: ")
    assert wanted in error
    assert error.count("\n") == 1
    assert not Path("report.html").exists()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that this process trains, beside a finished one."""
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    run = RunDir.create(tmp_path / "runs" / "goes-on")
    run.write_config({"seed": 1}, [])
    run.write_status("running", 3)
    write_epochs(run.path, [0.3])
    monkeypatch.setattr("bakeoff.commands.report._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("bakeoff.commands.report._SHARE_OF_TIME", 1.0)
    return run


@pytest.mark.usefixtures("report_extra")
def test_watch_writes_again_what_is_new_and_ends_with_the_runs(
    bakeoff: Bakeoff, tmp_path: Path, running: RunDir
) -> None:
    page = tmp_path / "page.html"
    seen: list[str] = []

    def train() -> None:
        def waits_for(text: str) -> None:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                if page.exists() and text in (now := page.read_text()):
                    seen.append(now)
                    return
                time.sleep(0.05)

        waits_for('"goes-on (running)","val.accuracy",1,')
        write_epochs(running.path, [0.3, 0.4])
        waits_for('"goes-on (running)","val.accuracy",2,')
        running.write_status("failed", 3, "the disk is full")

    thread = threading.Thread(target=train)
    thread.start()
    code, out, error = bakeoff("report", str(tmp_path / "runs"), "-o", str(page), "--watch")
    thread.join()
    assert (code, error) == (7, "")
    assert "it follows the runs" in out
    assert "all runs have ended" in out
    assert len(seen) == 2
    assert all(RELOADS in text for text in seen)
    last = page.read_text()
    assert RELOADS not in last
    assert "the disk is full" in last


@pytest.mark.usefixtures("report_extra")
def test_watch_goes_on_between_two_runs_of_a_sweep(bakeoff: Bakeoff, tmp_path: Path, running: RunDir) -> None:
    """The next run is queued, and none is running, for as long as its process starts."""
    page, runs = tmp_path / "page.html", tmp_path / "runs"
    running.write_status("queued", 0)
    ledger = begun(runs, [])
    ledger.write(owned=True)

    def train() -> None:
        while not page.exists():
            time.sleep(0.05)
        running.write_status("running", 3)
        ledger.write(owned=False)
        time.sleep(0.5)
        running.write_status("failed", 3, "the disk is full")

    assert bakeoff("report", str(running.path), "-o", str(page), "--watch")[1].startswith("nothing is being")
    page.unlink()
    thread = threading.Thread(target=train)
    thread.start()
    _, out, _ = bakeoff("report", str(runs), "-o", str(page), "--watch")
    thread.join()
    assert "all runs have ended" in out
    assert "the disk is full" in page.read_text()


@pytest.mark.usefixtures("report_extra", "running")
def test_who_ends_the_watching_keeps_a_page_that_stands_still(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"

    def stop(seconds: float) -> None:
        assert RELOADS in page.read_text()
        check_stop()
        raise InterruptedRunError("stopped by Ctrl-C")

    monkeypatch.setattr("bakeoff.commands.report._sleep", stop)
    code, out, _ = bakeoff("report", str(tmp_path / "runs"), "-o", str(page), "--watch")
    assert code == 75
    assert "no longer watching; the runs go on" in out
    assert RELOADS not in page.read_text()


@pytest.mark.usefixtures("report_extra")
def test_watch_waits_for_what_an_option_names(bakeoff: Bakeoff, tmp_path: Path, running: RunDir) -> None:
    """A baseline may be the run that has not finished yet."""
    page, runs = tmp_path / "page.html", tmp_path / "runs"

    def train() -> None:
        time.sleep(0.5)
        make_models(runs, {"two": 0.3}, seeds=1)
        while not page.exists():
            time.sleep(0.05)
        running.write_status("failed", 3, "the disk is full")

    thread = threading.Thread(target=train)
    thread.start()
    code, out, error = bakeoff("report", str(runs), "-o", str(page), "--watch", "--baseline", "two")
    thread.join()
    assert (code, error) == (7, "")
    assert out.startswith("waiting: --baseline two: no such configuration")
    assert out.count("waiting") == 1


@pytest.mark.usefixtures("report_extra")
def test_watch_without_a_running_run_writes_once(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    code, out, _ = bakeoff("report", str(tmp_path / "runs"), "--watch")
    assert code == 0
    assert out == "nothing is being trained here; written once\nreport         report.html\n"


@pytest.mark.usefixtures("report_extra")
def test_a_lab_report_is_written_once_and_never_over_anything(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=1)
    words = ("report", str(tmp_path / "runs"), "--as", "lab")
    code, _, error = bakeoff(*words)
    assert (code, error) == (2, "error: --as lab: give a file, such as -o lab.md or -o lab.html\n")
    code, out, error = bakeoff(*words, "-o", "lab.md")
    assert (code, error) == (0, "")
    assert out.startswith("lab report     lab.md\nnext ")
    assert "TO DO (you)" in Path("lab.md").read_text()
    Path("lab.md").write_text("my words")
    code, _, error = bakeoff(*words, "-o", "lab.md")
    assert code == 2
    assert error.startswith("error: lab.md: is there already, perhaps with your own words")
    assert Path("lab.md").read_text() == "my words"
    assert bakeoff(*words, "-o", "lab2.md", "--watch")[0] == 2
    assert bakeoff(*words, "-o", "lab.txt")[0] == 2
