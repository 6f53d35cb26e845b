"""`bakeoff doctor`: what it prints, in both forms, whatever its checks find or raise."""

import importlib.metadata
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doctor_machine
import pytest
import torch
import torchvision
from conftest import command, files_below
from doctor_machine import SECTIONS, broken

from bakeoff import __version__
from bakeoff.commands import doctor as module
from bakeoff.commands.doctor import Check, doctor
from bakeoff.config.compose import conf_dir
from bakeoff.errors import ConfigError

# pytest finds a fixture by its name here.
look = doctor_machine.look
quiet_machine = doctor_machine.quiet_machine


def test_all_is_well_here(look: Any, quiet_machine: Path) -> None:
    result = look()
    assert (result.code, result.ok) == (0, True)
    assert [name for name in SECTIONS if result.checks.get(name, {}).get("state") != "ok"] == []
    found = {name: check["found"] for name, check in result.checks.items()}
    assert found["Python"] == sys.version.split()[0]
    assert found["bakeoff"] == __version__
    assert found["configs"] == str(conf_dir())
    assert torch.__version__ in found["torch"]
    assert f"{torch.get_num_threads()} threads" in found["torch"]
    assert torchvision.__version__ in found["torchvision cpu"]
    assert f"numpy {importlib.metadata.version('numpy')}" in found["packages"]
    assert found["cores"].startswith("4 of ")
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GiB free", found["memory"])
    assert found["outputs"] == "outputs can be written, 100.0 GiB free"
    assert found["data sets"] == "digits"
    assert all(not check["todo"] for check in result.checks.values() if check["state"] == "ok")
    assert files_below(quiet_machine) == []


def test_as_a_user_runs_it(quiet_machine: Path) -> None:
    script = "import sys; from bakeoff.commands.doctor import doctor; sys.exit(doctor([]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith("all that is needed is here; notes: ")
    assert files_below(quiet_machine) == []


def test_the_module_imports_no_torch() -> None:
    script = "import sys, bakeoff.commands.doctor; sys.exit(bool({'torch', 'pydantic', 'hydra'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_text_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(["--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert doctor([]) == 0
    *lines, empty, verdict = capsys.readouterr().out.splitlines()
    memory = re.compile(r"[\d.]+ of")  # changes between two calls
    shown = [memory.sub("", line) for line in lines]
    width = max(len(check["name"]) for check in checks)
    expected = [
        f"{check['state']:7}  {check['name']:{width}}  "
        + "; ".join(filter(None, (check["found"], check["todo"])))
        for check in checks
    ]
    assert shown == [memory.sub("", line) for line in expected]
    num_notes = sum(check["state"] == "note" for check in checks)
    assert (empty, verdict) == ("", f"all that is needed is here; notes: {num_notes}")


def test_help_has_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor(["--help"])
    assert ended.value.code == 0
    assert "exit codes: 0 " in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--jsno; see bakeoff doctor --help"):
        doctor(["--jsno"])


def test_a_check_that_raises(
    look: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half() -> Iterator[Check]:
        yield Check("first", "ok", "found")
        raise ValueError("many\nlines\x1b[31m of " + "x" * 1000)

    groups = (
        ("second", half, "MISSING", "mend it"),
        ("third", broken(KeyError("k")), "note", ""),
        *module._GROUPS,
    )
    monkeypatch.setattr(module, "_GROUPS", groups)
    result = look()
    assert result.is_missing("second")
    assert result.checks["first"]["state"] == "ok"
    assert result.checks["second"]["found"].startswith("ValueError: many lines\\x1b[31m of xxx")
    assert len(result.checks["second"]["found"]) < 250
    assert result.checks["third"] == {"state": "note", "found": "KeyError: 'k'", "todo": ""}
    assert "data sets" in result.checks
    assert doctor([]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("MISSING  second ")
    assert lines[1].endswith("; mend it")
    assert lines[-1].startswith("missing: second; notes: ")


def test_warnings_do_not_stand_between_the_lines(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def available() -> bool:
        warnings.warn("CUDA initialization: the driver is too old", stacklevel=1)  # an error in these tests
        return False

    monkeypatch.setattr(torch.cuda, "is_available", available)
    assert look().checks["GPU"]["found"] == "none that torch can use: runs on the CPU"


def test_no_control_character_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_PLACES", "\x1b]0;owned\x07\n\u202e{0}\udcff")
    monkeypatch.setenv("BAKEOFF_OUTPUTS", "a\x1b[2Jb")
    monkeypatch.setenv("CXX", "g\r++")
    doctor([])
    text = capsys.readouterr().out
    assert "OMP_PLACES=\\x1b]0;owned\\x07\\x0a\\u202e{0}\\udcff" in text
    assert "a\\x1b[2Jb" in text
    assert "g\\x0d++" in text
    doctor(["--json"])
    shown = text + "".join(str(check) for check in json.loads(capsys.readouterr().out)["checks"])
    assert not set("\x1b\x07\r\u202e\udcff") & set(shown)


@pytest.mark.parametrize(("num_columns", "in_a_pipe"), [(60, False), (80, True), (120, False)])
def test_lines_fit_the_terminal_and_columns_counts_in_a_pipe_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], num_columns: int, in_a_pipe: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(num_columns))
    path = "/nowhere" + 12 * "/very-long-name"
    monkeypatch.setenv("XDG_CACHE_HOME", path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: not in_a_pipe)
    assert doctor([]) == 0
    *lines, _, _ = capsys.readouterr().out.splitlines()
    column = max(len(name) for name in SECTIONS) + 11
    assert any(path in line for line in lines)  # in one piece
    for line in lines:
        assert len(line) <= num_columns or path in line
        assert line[column - 1] == " " != line[column]
        assert line[:7].strip() in ("ok", "note", "MISSING", "")


def test_the_command_line_knows_it() -> None:
    done = subprocess.run(command(["doctor", "--help"]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout
