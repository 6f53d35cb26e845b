"""Completion by TAB in real shells: what their scripts make of the candidates."""

import os
import re
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from completion_runs import root  # noqa: F401 - a fixture
from conftest import command

from bakeoff.commands.completion import SCRIPTS


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing but a `bakeoff` that is first on the PATH, to work in."""
    path = tmp_path / "bin" / "bakeoff"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {" ".join(command([]))} "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("COMP_LINE", raising=False)
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return path


def bash(script: str) -> str:
    """Runs a script in a bash that reads no startup file; it must not complain."""
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-uc", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("line", "word", "replies"),
    [
        ("bakeoff tr", "tr", ["train"]),
        ("bakeoff train optim.l", "optim.l", ["optim.lr="]),
        # `=` and `:` break words: bash hands over, and replaces, what follows them
        ("bakeoff train data=mnist_", "mnist_", ["mnist_affine", "mnist_plain", "mnist_small"]),
        ("bakeoff train trainer.select=", "", ["best", "last"]),
        ("bakeoff compare a:", "", ["b"]),
        # where a user has taken them out of COMP_WORDBREAKS, it is the whole word
        ("bakeoff train trainer.select=", "trainer.select=", ["trainer.select=best", "trainer.select=last"]),
        ("bakeoff train seed=[ mo", "mo", []),
    ],
)
def test_bash_gets_what_it_replaces(line: str, word: str, replies: list[str], program: Path) -> None:
    run = Path("outputs/a:b")
    run.mkdir(parents=True)
    (run / "status.json").write_text("{}")
    out = bash(
        'eval "$(bakeoff -sc install=bash)"\n'
        f"COMP_LINE='{line} later' COMP_POINT={len(line)}\n"
        f"_bakeoff bakeoff '{word}' train\n"
        "(( ${#COMPREPLY[@]} == 0 )) || printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert out.splitlines() == replies


def test_bash_calls_the_program_that_was_typed(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(program.parents[1]))
    script = f"{SCRIPTS['install']['bash']}\nPATH=/usr/bin:/bin COMP_LINE='x tr' COMP_POINT=4\n"
    for typed in (str(program), "~/bin/bakeoff", "../bin/bakeoff"):
        assert bash(f"{script}_bakeoff '{typed}' tr x; echo \"${{COMPREPLY[@]}}\"") == "train\n"


def test_bash_forgets_it_all() -> None:
    install, uninstall = SCRIPTS["install"]["bash"], SCRIPTS["uninstall"]["bash"]
    state = "declare -F; complete -p | grep bakeoff; true\n"
    assert "bakeoff" in bash(install + state)
    assert "bakeoff" not in bash(install + uninstall + state)
    assert "bakeoff" not in bash(uninstall + state)


class Terminal:
    """A bash at a terminal of its own, to press TAB in."""

    def __init__(self) -> None:
        import pty

        self.end, other = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=other, stdout=other, stderr=other,
            start_new_session=True, env=os.environ | {"PS1": "", "TERM": "dumb", "INPUTRC": os.devnull},
        )  # fmt: skip
        os.close(other)

    def run(self, text: str) -> str:
        """Types a line, with TABs, and returns what it printed between the marks <| and |>."""
        os.write(self.end, text.encode() + b"\n")
        seen = ""
        while not (found := re.search(r"<\|(.*?)\|>", seen)):
            assert select.select([self.end], [], [], 30)[0], seen
            seen += os.read(self.end, 65536).decode()
        return found[1]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@pytest.fixture
def terminal(program: Path) -> Iterator[Terminal]:
    shell = Terminal()
    yield shell
    shell.close()


def test_tab_in_a_real_bash(terminal: Terminal) -> None:
    Path("files").mkdir()
    # The shell prints its own line: the marks are made by printf, for they must not stand in the echo.
    terminal.run(
        "eval \"$(bakeoff -sc install=bash)\"; show() { printf '<%s%s%s>\\n' '|' \"$*\" '|'; }; show"
    )
    for typed, completed in [
        ("ev\t", "evaluate X"),
        ("train optim.l\t", "train optim.lr=X"),  # no space: a value follows
        ("train data.aug\t", "train data.augment.X"),
        ("train trainer.select=l\t", "train trainer.select=last X"),
        ("train data=mnist_p\toptim=sg\t", "train data=mnist_plain optim=sgd X"),
        ("train data.root=fi\t", "train data.root=files/X"),  # by bash itself
        ("compare --format m\t", "compare --format markdown X"),
    ]:
        # Ctrl-A and a word before the line turn it into arguments of `show`.
        assert terminal.run(f"bakeoff {typed}X\x01show ") == f"bakeoff {completed}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_the_shell_can_parse_its_script(action: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run(
        [shell, "-n"], input=SCRIPTS[action][shell], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
