"""Completion by TAB: the candidates of a line, the query as shells make it, and real shells."""

import argparse
import importlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bakeoff, command, files_below
from run_directories import make_run

from bakeoff.arguments import Parser
from bakeoff.commands import completion
from bakeoff.commands.completion import SCRIPTS, SHELLS, candidates, complete
from bakeoff.comparison.output.printing import FORMATS
from bakeoff.config.compose import conf_dir
from bakeoff.config.schema import EMNIST_SPLITS, OptimConfig
from bakeoff.data.sets import set_names
from bakeoff.errors import ConfigError

COMMANDS = ("train", "preview", "compare", "diff", "evaluate", "prune", "models", "doctor")
# As a user meets them; that a parser's own options are offered is asked below.
OPTIONS = {
    "train": {"--multirun", "--dry-run", "--debug", "--help", "--cfg", "--info", "--config-dir"},
    "preview": {"--output", "--debug", "--help", "--config-dir"},
    "compare": {
        "--format", "--output", "--where", "--group-by", "--sort", "--top", "--columns", "--only-changed", "--metric",
        "--seconds-to", "--cost", "--baseline", "--no-statistics", "--strict",
    },
    "diff": {"--images", "--json"},
    "evaluate": {"--data-root", "--device"},
    "prune": {"--yes"},
    "models": set(),
    "doctor": {"--json"},
}  # fmt: skip
OPTIM = {f"optim.{name}=" for name in vars(OptimConfig())}
HOSTILE = (
    "a;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "a b", "a\nb", "a\x1b[31mb", "*", "-rf", "--yes", "~root",
    "a'b", 'a"b', "a\\b", "a&b", "a|b", "a>b", "a#b", "!!", "=ls", "a{1,2}", "a\u202eb", "[a]", "a?", "é",
)  # fmt: skip


def names_in(group: str) -> set[str]:
    return {f"{group}={path.stem}" for path in (conf_dir() / group).glob("*.yaml")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An outputs root with three runs, two of which share a name."""
    for path in (
        "2026-01-02/101010-cnn-mnist-s0-abcd",
        "sweeps/a/cnn-s0-12345678",
        "sweeps/b/cnn-s0-12345678",
    ):
        (tmp_path / "outputs" / path).mkdir(parents=True)
        (tmp_path / "outputs" / path / "status.json").write_text("{}")
    return tmp_path / "outputs"


RUN = "101010-cnn-mnist-s0-abcd"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", set(COMMANDS)),
        ("tr", {"train"}),
        ("pr", {"preview", "prune"}),
        ("--debug tr", {"train"}),
        ("-", {"--help", "--version"}),
        ("zz", set()),
        ("nope ", set()),
        # groups, sections and keys
        ("train mo", {"model=", "model."}),
        ("train se", {"seed="}),
        ("train optim.", OPTIM),
        ("train optim.l", {"optim.lr="}),
        ("train data.augment", {"data.augment."}),
        ("train data.augment.s", {"data.augment.shift_pixels=", "data.augment.scale="}),
        ("train model.ch", {"model.channels="}),  # a list is one value
        ("preview data.au", {"data.augment."}),
        ("preview -o x.png data.au", {"data.augment."}),
        # values
        ("train model=", names_in("model")),
        ("train model=c", {text for text in names_in("model") if text.startswith("model=c")}),
        ("train data=mnist_", {"data=mnist_affine", "data=mnist_plain", "data=mnist_small"}),
        ("train experiment=", names_in("experiment")),
        ("train trainer.precision=", {f"trainer.precision={name}" for name in ("auto", "fp32", "bf16", "fp16")}),
        ("train trainer.select=l", {"trainer.select=last"}),
        ("train trainer.compile=", {"trainer.compile=true", "trainer.compile=false"}),
        ("train data.augment.flip=", {f"data.augment.flip={name}" for name in ("true", "false", "force")}),
        ("train data.emnist_split=", {f"data.emnist_split={name}" for name in EMNIST_SPLITS}),
        ("train data.name=", {f"data.name={name}" for name in set_names()}),
        ("train data.name=cifar10", {"data.name=cifar10", "data.name=cifar100"}),
        ("train optim.clip_norm=", {"optim.clip_norm=null", "optim.clip_norm=1.0"}),
        ("train model.norm=", {"model.norm=batch"}),
        ("train model=cnn,", {f"model=cnn,{text[6:]}" for text in names_in("model")} - {"model=cnn,cnn"}),
        ("train -m trainer.select=last,", {"trainer.select=last,best"}),
        # what stands before is composed
        ("train data=mnist opt", {"optim=", "optim."}),
        ("train optim=sgd optim.lr=", {"optim.lr=0.05"}),
        ("train optim.lr=", {"optim.lr=0.01"}),  # the recipe of the CNN
        ("train optim=sgd,adam seed=0,1 optim.lr=", {"optim.lr=0.05"}),
        ("train seed=range(0,3) optim=glob(a*) optim.lr=", {"optim.lr=0.001"}),
        ("train experiment=quickstart optim.l", {"optim.lr="}),
        ("train 'model.channels=[1,2]' \"seed=3\" optim.l", {"optim.lr="}),
        ("train output_dir=$HOME/x data.root=~/y optim.l", {"optim.lr="}),
        ("train --multirun mo", {"model=", "model."}),
        ("train -m mo", {"model=", "model."}),
        ("train --dry-run --debug mo", {"model=", "model."}),
        ("train --cfg job mo", {"model=", "model."}),
        # options
        *((f"{name} --", options) for name, options in OPTIONS.items()),
        ("train --d", {"--dry-run", "--debug"}),
        ("preview --o", {"--output"}),
        ("train --cfg ", {"job", "hydra", "all"}),
        ("train -c j", {"job"}),
        ("train seed=1 --info s", {"searchpath"}),
        ("compare --f", {"--format"}),
        ("compare --s", {"--sort", "--seconds-to", "--strict"}),
        ("compare --cost l", {"latency"}),
        ("compare --sort n", {"nll"}),
        ("compare --where ", set()),
        ("diff 10", {RUN}),
        ("diff --", {"--images", "--json"}),
        ("compare --format ", set(FORMATS)),
        ("compare --format=m", {"--format=markdown"}),
        ("prune -", {"--yes"}),
        ("doctor ", {"--json"}),
        ("models ", set()),
        # runs; of two with one name neither stands for one
        ("evaluate ", {RUN, "latest"}),
        ("evaluate 10", {RUN}),
        ("evaluate la", {"latest"}),
        ("evaluate cnn", set()),
        ("compare 10", {RUN}),
        ("compare --format csv la", {"latest"}),
        ("prune ", {RUN, "latest"}),  # and no `--yes` that nobody asked for
        # left to the shell
        ("train output_dir=", set()),
        ("train output_dir=./", set()),
        ("train data.root=/", set()),
        ("train --config-dir ", set()),
        ("compare --output ", set()),
        ("evaluate --device ", set()),
        # Hydra's own keys, and what train refuses
        ("train hy", set()),
        ("train hydra.", set()),
        ("train hydra/", set()),
        ("train hydra.mode=", set()),
        ("train hydra/launcher=", set()),
        ("train +", set()),
        ("train ~mo", set()),
        ("train --experimental", set()),
        # broken
        ("train bad=1 mo", set()),
        ("train model=nope mo", set()),
        ("train mo opt", set()),
        ("train seed=[ mo", set()),
        ("train 'model=c", set()),
        ("train --nope mo", set()),
        ("train --version mo", set()),  # argparse would print to stdout and exit
        ("train --dry-run=1 mo", set()),  # and here to stderr
        ("train --config-dir nowhere mo", set()),
        ("train optim.lr.", set()),
        ("train model.channels.", set()),
        ("train nope.", set()),
        ("train nope.nope=", set()),
    ],
)  # fmt: skip
def test_candidates(line: str, expected: set[str], root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = candidates(f"bakeoff {line}", COMMANDS, root)
    assert set(found) == expected
    assert found == sorted(expected)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "line", ["", " ", "bakeoff", "'", "\\", "\x00", "\udcff \udcff", "bakeoff train \udcff"]
)
def test_a_line_without_a_word_to_complete_offers_nothing(line: str, root: Path) -> None:
    assert candidates(line, COMMANDS, root) == []


def test_every_key_of_a_config_is_offered_and_none_of_hydra(root: Path) -> None:
    found = candidates("bakeoff train ", COMMANDS, root)
    groups = {f"{path.name}=" for path in conf_dir().iterdir() if path.is_dir()}
    keys = {"model.", "data.", "optim.", "trainer.", "sweep.", "seed=", "output_dir="}
    assert set(found) == groups | keys


def test_a_path_says_which_program_it_is(root: Path) -> None:
    assert candidates(".venv/bin/bakeoff train see", COMMANDS, root) == ["seed="]


def test_files_of_the_users_own_folder_are_offered(root: Path, tmp_path: Path) -> None:
    for name in ("mine", "no;touch PWNED", "no $x"):
        path = tmp_path / "own" / "optim" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("name: sgd\nlr: 0.25\n")
    line = f"bakeoff train --config-dir {tmp_path}/own"
    assert candidates(f"{line} optim=m", COMMANDS, root) == ["optim=mine"]
    assert candidates(f"{line} optim=n", COMMANDS, root) == []
    assert candidates(f"{line} optim=mine optim.lr=", COMMANDS, root) == ["optim.lr=0.25"]


def test_a_name_that_a_shell_would_act_on_is_not_offered(tmp_path: Path) -> None:
    for name in (*HOSTILE, "good-1", "_good.2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_text("{}")
    for name in ("evaluate", "compare", "diff", "prune"):
        assert candidates(f"bakeoff {name} ", COMMANDS, tmp_path) == ["_good.2", "good-1", "latest"]
    assert candidates("bakeoff prune -", COMMANDS, tmp_path) == ["--yes"]  # the option, not the folder


def test_no_runs_no_latest(tmp_path: Path) -> None:
    assert candidates("bakeoff evaluate ", COMMANDS, tmp_path) == []
    assert candidates("bakeoff evaluate ", COMMANDS, tmp_path / "nowhere") == []


def test_a_bug_offers_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_runs", lambda _: 1 // 0)
    assert candidates("bakeoff evaluate ", COMMANDS, root) == []


def test_a_run_that_is_offered_is_found(tmp_path: Path) -> None:
    from bakeoff.runs.locate import find_run

    make_run(tmp_path / "sweeps" / "s" / "cnn-toy-s0-00000000")
    for name in candidates("bakeoff evaluate ", COMMANDS, tmp_path):
        assert find_run(name, tmp_path).name == "cnn-toy-s0-00000000"


@pytest.mark.parametrize("name", OPTIONS)
def test_only_options_that_exist_are_offered(name: str, bakeoff: Bakeoff) -> None:
    shown = bakeoff(name, "--help")[1]
    if name == "preview":  # takes those of train too
        shown += bakeoff("train", "--help")[1]
    shown += bakeoff("train", "--hydra-help")[1] if name in ("train", "preview") else ""
    assert name in COMMANDS
    for option in OPTIONS[name]:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), option


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_a_parser_gets_is_offered(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"bakeoff.commands.{name}")
    made = module.parser

    def with_more() -> Parser:
        parser = made()
        parser.add_argument("--fresh", choices=("one", "two"))
        parser.add_argument("--file", metavar="FILE")
        parser.add_argument("--flag", action="store_true")
        parser.add_argument("--secret", help=argparse.SUPPRESS)
        parser.suggestions = {"file": ("three",)}
        return parser

    monkeypatch.setattr(module, "parser", with_more)
    offered = set(candidates(f"bakeoff {name} --", COMMANDS, root))
    assert offered == OPTIONS[name] | {"--fresh", "--file", "--flag"}
    assert candidates(f"bakeoff {name} --fresh ", COMMANDS, root) == ["one", "two"]
    assert candidates(f"bakeoff {name} --fresh=t", COMMANDS, root) == ["--fresh=two"]
    assert candidates(f"bakeoff {name} --file ", COMMANDS, root) == ["three"]
    assert candidates(f"bakeoff {name} --secret ", COMMANDS, root) == []  # it takes a word all the same
    # After a flag stands what would stand there without it.
    assert candidates(f"bakeoff {name} --flag ", COMMANDS, root) == (
        candidates(f"bakeoff {name} ", COMMANDS, root)
    )


def test_a_word_that_a_parser_calls_a_run_is_completed_by_runs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("bakeoff.commands.models")
    for metavar, expected in (("RUN", [RUN, "latest"]), ("PATH", [RUN, "latest"]), ("NAME", [])):
        parser = Parser("bakeoff models")
        parser.add_argument("word", metavar=metavar)
        monkeypatch.setattr(module, "parser", lambda parser=parser: parser)
        assert candidates("bakeoff models ", COMMANDS, root) == expected


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


@pytest.mark.parametrize(
    "line", ["bakeoff ", "bakeoff train mo", "bakeoff train trainer.precision=", "bakeoff preview data=",
             "bakeoff compare --format ", "bakeoff evaluate ", "bakeoff prune ", "bakeoff doctor "]
)  # fmt: skip
def test_query_loads_no_torch_and_writes_nothing(line: str, tmp_path: Path) -> None:
    script = (
        "import sys; from bakeoff.commands.completion import complete\n"
        f"complete(['-sc', 'query=bash'], {COMMANDS!r})\n"
        "loaded = {'torch', 'torchvision', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"COMP_LINE": line},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "limit"), [("bakeoff tr", 0.4), ("bakeoff compare --s", 0.6), ("bakeoff train mo", 1.0)]
)
def test_query_is_quick(line: str, limit: float) -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        query(line)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < limit


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
