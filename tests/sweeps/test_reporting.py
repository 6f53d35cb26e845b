"""A sweep's own report: when it is wanted, where it is, and that nothing in it costs a result."""

from pathlib import Path
from typing import Any

import pytest
from run_directories import make_run

from bakeoff.config.schema import SweepConfig
from bakeoff.errors import ResourceError
from bakeoff.sweeps.reporting import is_wanted, write_own_report
from bakeoff.sweeps.run import compared


@pytest.mark.parametrize(
    ("report", "line", "wanted"),
    [
        (None, ["model=cnn,vit", "seed=0,1"], False),
        (None, ["experiment=quickstart"], True),
        (None, ["seed=0,1", "experiment=mine", "model=cnn"], True),
        (None, ["experiment=null", "seed=0,1"], False),
        (False, ["experiment=quickstart"], False),
        (True, ["model=cnn,vit"], True),
    ],
)
def test_named_experiments_have_one_unless_the_key_says_otherwise(
    report: bool | None, line: list[str], wanted: bool
) -> None:
    assert is_wanted(SweepConfig(report=report), line) is wanted


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / "mine"
    for seed in range(2):
        make_run(folder / f"cnn-toy-s{seed}-0000000{seed}", seed, "a")
    return folder


@pytest.mark.usefixtures("report_extra")
def test_it_is_written_into_the_sweep_and_its_path_is_told(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(sweep, reports=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"report         {sweep / 'report.html'}" in lines
    assert lines[-1].startswith("next ")
    assert (sweep / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert compared(sweep, reports=False) == 0
    assert "report  " not in capsys.readouterr().out


@pytest.mark.usefixtures("report_extra")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ResourceError("x: cannot write: No space left on device"),
            "no report: x: cannot write: No space left",
        ),
        (ZeroDivisionError("a\nbug"), "no report: ZeroDivisionError: a bug"),
    ],
)
def test_what_goes_wrong_is_a_note_and_no_exit_code(
    sweep: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    told: str,
) -> None:
    def fails(*_: Any) -> int:
        raise error

    monkeypatch.setattr("bakeoff.sweeps.reporting.write_report", fails)
    assert compared(sweep, reports=True) == 0
    out = capsys.readouterr().out
    assert f"note: {told}" in out
    assert "report  " not in out


def test_a_missing_extra_is_a_note_that_says_what_to_install(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bakeoff.sweeps.reporting.missing", lambda: ["altair"])
    assert write_own_report(sweep) is None
    told = " ".join(capsys.readouterr().out.split())
    wanted = "note: no report without the extra bakeoff[report]: pip install altair, then bakeoff report "
    assert told.startswith(wanted)
    assert told.endswith("/sweeps/mine")
    assert not (sweep / "report.html").exists()
