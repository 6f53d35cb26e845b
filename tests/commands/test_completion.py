"""Completion by TAB: the candidates of a line."""

import argparse
import importlib
import re
from pathlib import Path

import completion_runs
import pytest
from completion_runs import COMMANDS, RUN
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.arguments import Parser
from bakeoff.commands import completion
from bakeoff.commands.completion import candidates
from bakeoff.comparison.output.printing import FORMATS
from bakeoff.config.compose import conf_dir
from bakeoff.config.schema import EMNIST_SPLITS, OptimConfig
from bakeoff.data.sets import set_names

# pytest finds a fixture by its name here.
root = completion_runs.root

# As a user meets them; that a parser's own options are offered is asked below.
OPTIONS = {
    "train": {"--multirun", "--dry-run", "--debug", "--help", "--cfg", "--info", "--config-dir", "--config"},
    "race": {"--dry-run", "--debug", "--config-dir", "--config"},
    "tune": {"--dry-run", "--debug", "--config-dir", "--config"},
    "preview": {"--output", "--debug", "--help", "--config-dir", "--config"},
    "compare": {
        "--format", "--output", "--where", "--group-by", "--sort", "--top", "--columns", "--only-changed", "--metric",
        "--seconds-to", "--cost", "--baseline", "--no-statistics", "--plan", "--max-latency", "--all", "--strict", "--spread", "--color", "--bom",
        "--delimiter", "--decimal",
    },
    "diff": {"--images", "--json", "--color"},
    "evaluate": {"--data-root", "--device", "--onnx"},
    "export": {"--format", "--output", "--data-root"},
    "measure": {"--batch-sizes", "--threads", "--device", "--format", "--color"},
    "predict": {
        "--json", "--csv", "--output", "--top", "--draw", "--as-is", "--evaluate", "--data-root", "--device",
    },
    "resume": {"--allow", "--data-root", "--retry-diverged"},
    "list": {"--limit", "--runs", "--state", "--model", "--data", "--json", "--color"},
    "show": {"--json", "--color"},
    "prune": {"--yes", "--color"},
    "models": set(),
    "experiments": set(),
    "doctor": {"--json"},
}  # fmt: skip
OPTIM = {f"optim.{name}=" for name in vars(OptimConfig())}
HOSTILE = (
    "a;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "a b", "a\nb", "a\x1b[31mb", "*", "-rf", "--yes", "~root",
    "a'b", 'a"b', "a\\b", "a&b", "a|b", "a>b", "a#b", "!!", "=ls", "a{1,2}", "a\u202eb", "[a]", "a?", "é",
)  # fmt: skip


def names_in(group: str) -> set[str]:
    return {f"{group}={path.stem}" for path in (conf_dir() / group).glob("*.yaml")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", set(COMMANDS)),
        ("tr", {"train"}),
        ("pr", {"predict", "preview", "prune"}),
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
        # the sections of one command
        ("train tu", set()),
        ("tune tu", {"tune."}),
        ("tune tune.s", {"tune.sampler=", "tune.storage=", "tune.search="}),
        ("tune tune.sampler=", {f"tune.sampler={name}" for name in ("tpe", "random", "grid", "cmaes")}),
        ("tune tune.storage=", {"tune.storage=sqlite", "tune.storage=journal"}),
        ("tune tune.search=v", {"tune.search=vit"}),
        ("tune tune.metric=val.a", {"tune.metric=val.accuracy"}),
        ("tune tune.trials=3 'optim.lr=interval(1e-4,1e-2)' model=vit model.dep", {"model.depth="}),
        ("tune --dr", {"--dry-run"}),
        ("race rac", {"race."}),
        ("race race.looks=[3,5] race.ho", {"race.hopeless="}),
        ("race race.hopeless=", {"race.hopeless=true", "race.hopeless=false"}),
        ("race tune.", set()),
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
        ("compare --s", {"--sort", "--seconds-to", "--strict", "--spread"}),
        ("compare --cost l", {"latency"}),
        ("compare --sort n", {"nll"}),
        ("compare --where ", set()),
        ("diff 10", {RUN}),
        ("diff --", {"--images", "--json", "--color"}),
        ("compare --format ", {*FORMATS, "html"}),
        ("compare --format=m", {"--format=markdown"}),
        ("prune -", {"--yes", "--color"}),
        ("doctor ", {"--json"}),
        ("models ", {name.removeprefix("model=") for name in names_in("model")}),
        ("models cnn ", set()),
        ("experiments q", {"quickstart"}),
        ("help ", set(COMMANDS)),
        ("help do", {"doctor"}),
        ("help train ", set()),
        # runs; of two with one name neither stands for one
        ("evaluate ", {RUN, "latest"}),
        ("evaluate 10", {RUN}),
        ("evaluate la", {"latest"}),
        ("evaluate cnn", set()),
        ("predict ", {RUN, "latest"}),
        ("predict la", {"latest"}),
        ("compare 10", {RUN}),
        ("compare --format csv la", {"latest"}),
        ("prune ", {RUN, "a", "b", "latest"}),  # and no `--yes` that nobody asked for
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
    groups = {f"{path.name}=" for path in conf_dir().iterdir() if path.is_dir() and path.name != "search"}
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
    assert candidates("bakeoff prune -", COMMANDS, tmp_path) == [
        "--color",
        "--yes",
    ]  # the options, not the folder


def test_names_of_sweeps_where_a_sweep_is_meant(root: Path) -> None:
    assert candidates("bakeoff list ", COMMANDS, root) == ["a", "b", "latest"]
    assert candidates("bakeoff show ", COMMANDS, root) == ["101010-cnn-mnist-s0-abcd", "a", "b", "latest"]
    assert candidates("bakeoff resume b", COMMANDS, root) == ["b"]
    assert candidates("bakeoff list --state f", COMMANDS, root) == ["failed", "finished"]
    assert "a" not in candidates("bakeoff evaluate ", COMMANDS, root)


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
    for metavar, expected in (("RUN", [RUN, "latest"]), ("PATH", [RUN, "a", "b", "latest"]), ("NAME", [])):
        parser = Parser("bakeoff models")
        parser.add_argument("word", metavar=metavar)
        monkeypatch.setattr(module, "parser", lambda parser=parser: parser)
        assert candidates("bakeoff models ", COMMANDS, root) == expected
