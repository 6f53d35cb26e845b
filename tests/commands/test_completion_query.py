"""Completion by TAB as a shell asks for it: the query in a process, and the requests that are refused."""

import os
import re
import subprocess
import time
from pathlib import Path

import completion_runs
import pytest
from completion_runs import COMMANDS, RUN
from conftest import Bakeoff, command, files_below
from loading import libraries_loaded

from bakeoff.commands.completion import SCRIPTS, SHELLS, complete
from bakeoff.errors import ConfigError

# pytest finds a fixture by its name here.
root = completion_runs.root


def query(
    line: str, *, point: int | None = None, shell: str = "bash", **changes: str
) -> tuple[int, list[str]]:
    """`-sc query=SHELL` in a process of its own; whatever it says on stderr is a failure."""
    given = {"COMP_LINE": line} | ({} if point is None else {"COMP_POINT": str(point)})
    done = subprocess.run(
        command(["-sc", f"query={shell}"]), env=os.environ | given | changes, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_query_in_a_process(shell: str) -> None:
    assert query("bakeoff train optim.l", shell=shell) == (0, ["optim.lr="])


def test_query_sees_the_line_up_to_the_cursor() -> None:
    assert query("bakeoff train optim.lr=1 seed=1", point=len("bakeoff train optim.l")) == (0, ["optim.lr="])
    assert query("bakeoff ev later", point=len("bakeoff ev")) == (0, ["evaluate"])
    for point in ("", "x", "-1", "9" * 5000, "²"):  # no number: the end of the line
        assert query("bakeoff ev", COMP_POINT=point) == (0, ["evaluate"])


def test_query_looks_where_runs_are(root: Path) -> None:
    assert query("bakeoff evaluate ", BAKEOFF_OUTPUTS=str(root)) == (0, [RUN, "latest"])


@pytest.mark.parametrize(
    "line", ["", "bakeoff train seed=[ mo", "bakeoff train 'x", "bakeoff train --version mo"]
)
def test_query_of_a_broken_line_is_silent(line: str) -> None:
    assert query(line) == (0, [])


def test_query_without_a_line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    assert complete(["-sc", "query=bash"], COMMANDS) == 0
    assert capfd.readouterr() == ("", "")


def test_query_loads_no_torch_and_writes_nothing(tmp_path: Path) -> None:
    lines = [
        "bakeoff ", "bakeoff train mo", "bakeoff train trainer.precision=", "bakeoff preview data=",
        "bakeoff compare --format ", "bakeoff evaluate ", "bakeoff prune ", "bakeoff doctor ",
    ]  # fmt: skip
    programs = [
        f"import os; os.environ['COMP_LINE'] = {line!r}\n"
        "from bakeoff.commands.completion import complete\n"
        f"complete(['-sc', 'query=bash'], {COMMANDS!r})"
        for line in lines
    ]
    loaded, error = libraries_loaded(programs, tmp_path)
    assert dict(zip(lines, loaded, strict=True)) == dict.fromkeys(lines, "[]")
    assert error == ""
    assert files_below(tmp_path / "here") == []


@pytest.mark.parametrize(
    ("line", "limit"), [("bakeoff tr", 0.4), ("bakeoff compare --s", 0.6), ("bakeoff train mo", 1.0)]
)
def test_query_is_quick(line: str, limit: float) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        query(line)
        return time.perf_counter() - start

    assert any(seconds() < limit for _ in range(5))  # one that nothing else held up


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("action", ["install", "uninstall"])
@pytest.mark.parametrize(
    "form", ["-sc {}", "--shell-completion {}", "--shell-completion={}", "-sc={}", "{} -sc", "train -sc {}"]
)
def test_every_form_prints_the_script(form: str, action: str, shell: str, bakeoff: Bakeoff) -> None:
    words = form.format(f"{action}={shell}").split()
    assert bakeoff(*words) == (0, SCRIPTS[action][shell], "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-sc"], "-sc : -sc install=SHELL"),
        (["-sc", "install"], "-sc install: "),
        (["-sc", "install=bsh"], "did you mean bash?"),
        (["-sc", "instal=bash"], "did you mean install?"),
        (["-sc", "query=tcsh"], "bash, zsh or fish"),
        (["-sc", "install=bash", "seed=1"], "install=bash seed=1"),
    ],
)
def test_another_request_is_refused(words: list[str], error: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(error)):
        complete(words, COMMANDS)
