"""What the documents tell a reader to type, import or open: it is understood, and (slow) it works.

Command lines are found by themselves, in the help texts too. They run in a folder that holds what
they speak of, runs called RUN and `outputs/sweeps/NAME` among it; a `train` stops before its training.
"""

import ast
import importlib
import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_lines import DOCUMENTS, PROJECT, CodeLine, all_bakeoff_lines, code_lines
from conftest import write_mnist
from listed_runs import ledger
from run_directories import make_run
from stopped_runs import stop_at_step, stopped

from bakeoff.cli import COMMANDS, main
from bakeoff.config.adaptive import SECTIONS, TuneConfig, take_section
from bakeoff.config.compose import expand, parse_arguments, with_file
from bakeoff.config.studies import job_of, studies_of
from bakeoff.data.sets import find_set
from bakeoff.experiment.first_gate import check_shared

# Words that stand for others.
A_NAME = {"models": "cnn", "experiments": "debug"}  # for NAME after these commands
STANDS_FOR = {"COMMAND": "train", "SWEEP": "NAME", "model=M": "model=cnn_small", "data=D": "data=digits"}
# Lines that cannot be run here, each with the reason.
GUIDE = "needs the files that the guide has made by then; tests/test_contributing.py does"
NOT_RUN = {
    "bakeoff resume outputs/2026-11-27/091639-vit-digits-s0-bvyw": "printed by a run that was stopped, to be copied",
    "bakeoff list 2026-11-27-03 -n 3": "of sweeps of the page's own; tests/commands/test_list.py does",
    "bakeoff show 121201": "of a run of the page's own; tests/commands/test_show.py does",
    "bakeoff predict": "names nothing to predict; tests/commands/test_predict.py has such errors",
    "bakeoff predict RUN photos/*": "a shell writes the names of the folders; tests/commands/test_predict.py has some",
    "bakeoff predict RUN_A RUN_B photos": "needs two runs; tests/commands/test_predict.py has them",
    "bakeoff predict RUN_A RUN_B --evaluate": "the same",
    "bakeoff watch": "shows what is being trained; tests/sweeps/test_watch.py does",
    "bakeoff race": "names nothing that races; tests/sweeps/test_race.py has its error",
    "bakeoff train --config-dir outputs/sweeps/NAME experiment=NAME seed=7": "of a search of the page's own; "
    "tests/search/test_best_experiment.py has such files",
    "bakeoff measure RUN RUN model.onnx": "needs an exported file; tests/deploy/test_measure.py has them",
    "bakeoff measure outputs/sweeps/NAME model.onnx": "the same",
    "bakeoff measure outputs/sweeps/NAME": "needs runs with weights; tests/deploy/test_measure.py has a sweep",
    "bakeoff evaluate latest --onnx digits.onnx": "needs an exported file; tests/deploy/test_export_command.py has one",
    "bakeoff train mo": "half a word, on which TAB is pressed",
    'bakeoff compare --where \'date >= "2026-11-27" and host == "desk" and latency < 2\'': "asks for a machine "
    "of that name; tests/comparison/test_names.py has such expressions",
    "bakeoff train model=mlp data=digits trainer.epochs=1": GUIDE,
    "bakeoff preview data=bars": GUIDE,
    "bakeoff train model=cnn_small data=bars trainer.epochs=1": GUIDE,
}
# Programs besides bakeoff that lines call, each with the reason why it is not run.
OTHER_PROGRAMS = {
    "./scripts/quickstart": "downloads gigabytes; its `bakeoff train experiment=quickstart` is an experiment's own test",
    "./scripts/install": "downloads gigabytes; .ci/run begins with it",
    "./scripts/test": "runs these tests",
    ".venv/bin/ruff": "a step of .ci/run",
    ".venv/bin/lint-imports": "a step of .ci/run",
    ".venv/bin/mypy": "a step of .ci/run",
    ".venv/bin/pre-commit": "changes the checkout's hooks",
    ".venv/bin/python": "calls a script; tests/test_scripts.py runs each",
    ".venv/bin/activate": "is read by a shell; venv's own",
}
# Steps of a guide that begin so ask for a new file; tests/test_contributing.py makes them.
TO_BE_MADE = r"^\d\. `((?:src|conf)/[\w/.]+)`"
LINES = [line for line in all_bakeoff_lines() if line.text not in NOT_RUN]
IDS = [line.text for line in LINES]
CALL = r"(?:^|\s)((?:\./scripts/|\.venv/bin/)[\w-]+)"


def words_of(line: CodeLine) -> list[str]:
    words = [STANDS_FOR.get(word, word) for word in shlex.split(line.text)[1:]]
    return [A_NAME.get(words[0], word) if word == "NAME" else word for word in words]


def jobs_of(words: list[str]) -> list[dict[str, Any]]:
    """The configs that `train`, `preview`, a race or a search would compose; none if it only shows something."""
    parser = importlib.import_module(f"bakeoff.commands.{words[0]}").parser()
    options, rest = parser.parse_known_args(words[1:])
    line = parse_arguments(rest)
    section = None
    if words[0] in SECTIONS:
        section, overrides = take_section(words[0], SECTIONS[words[0]], line.overrides)
        line = replace(line, overrides=overrides, multirun=words[0] == "race")
    if options.config and Path(options.config).exists():  # in the world below
        line = with_file(line, options.config)
    if isinstance(section, TuneConfig) and not line.helps:
        plans = studies_of(line, section)
        return [job_of(line, plan, plan.space.first, None, "name").values for plan in plans]
    return [] if line.shows else [job.values for job in expand(line)[0]]


def test_there_are_lines_and_all_that_are_left_out_still_stand_somewhere() -> None:
    assert len(LINES) > 40
    assert {line.text for line in all_bakeoff_lines()} >= set(NOT_RUN)


@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_a_line_is_understood(line: CodeLine, bakeoff: Any) -> None:
    words = words_of(line)
    if line.below.startswith("error: "):
        assert bakeoff(*words)[::2] == (2, f"{line.below}\n")
    elif words[0] in ("train", "preview", *SECTIONS):
        for values in jobs_of([word for word in words if word != "--help"]):
            check_shared(values)
    elif words[0] in COMMANDS:
        importlib.import_module(f"bakeoff.commands.{words[0]}").parser().parse_args(words[1:])
    else:
        assert bakeoff(*words)[0] == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the documents speak of: runs of their names, data, pictures."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("world")
    (folder / "mine.yaml").write_text("model: vit\ndata: digits\noptim.lr: 0.001\n")
    write_mnist(folder / "data", num_train=8000, num_test=200)
    random = np.random.RandomState(0)
    for number in range(40):
        path = folder / "pictures" / "train" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (70, 80, 3)).astype(np.uint8)).save(path)
        if number < 3:
            Image.open(path).save(folder / "photo.jpg")
            (folder / "photos").mkdir(exist_ok=True)
            Image.open(path).save(folder / "photos" / f"{number}.jpg")
    runs = folder / "outputs" / "sweeps" / "NAME"
    for seed in (0, 1):
        make_run(runs / f"cnn-{seed}", seed, "a", changes={"optim.lr": 0.005})
        make_run(runs / f"vit-{seed}", seed, "b", model="vit", changes={"trainer.ema_decay": 0.999})
    ledger(runs, [path.name for path in sorted(runs.iterdir())], ["model=cnn,vit", "seed=0,1"])
    make_run(folder / "outputs" / "2026-01-01" / "101500-vit-digits-s2-abcd", 2, "b", model="vit")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BAKEOFF_DATA", "data")
        line = "model=alexnet_small trainer.epochs=1 data.train_limit=10 trainer.select=last output_dir=made"
        assert main(["train", *line.split(), "data.val_fraction=0", "trainer.batch_size=10"]) == 0
        (run,) = Path("made").glob("*/*alexnet*")
        Path("outputs/DATE").mkdir()
        run.rename("outputs/DATE/RUN")  # the latest
        stopped(folder / ".stopped", stop_at_step(7))
    return folder


@contextmanager
def stopped_run(world: Path) -> Iterator[None]:
    """A run that has just been stopped; what comes of it is removed."""
    runs = world / "outputs" / "2026-01-02"
    (found,) = (world / ".stopped").glob("*/*-s0-*")
    shutil.copytree(found, runs / found.name)
    try:
        yield
    finally:
        shutil.rmtree(runs)


def stopped_before_training(words: list[str], data: Path) -> list[str] | None:
    """A `train` that passes all gates and ends, without weights from the net; None without its data."""
    jobs = jobs_of(words)
    if any(values["model"].get("weights") in ("imagenet", "coco") for values in jobs):
        words = [*words, "model.weights=none"]
    source = find_set(jobs[0]["data"]["name"]).SOURCE if jobs else None
    return [*words, "--dry-run"] if source is None or source.is_complete(data) else None


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES, ids=IDS)
def test_a_line_works(
    line: CodeLine, world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bakeoff.models.base import check_model

    monkeypatch.chdir(world)
    monkeypatch.setenv("BAKEOFF_DATA", "data")
    words = words_of(line)
    if words[0] in ("train", *SECTIONS) and not line.below.startswith("error: "):
        stopped = stopped_before_training(words, world / "data")
        if stopped is None:
            for values in jobs_of(words):  # the gates that need no data
                check_shared(values)
                check_model(values)
            return
        words = stopped
    handlers = logging.root.handlers[:]
    try:
        with stopped_run(world) if words[0] == "resume" else nullcontext():
            code = main(words)
    except SystemExit as ended:  # argparse
        code = int(ended.code or 0)
    finally:
        logging.root.handlers[:] = handlers
    out, err = capfd.readouterr()
    if line.below.startswith("error: "):
        assert (code, err) == (2, f"{line.below}\n")
        return
    assert code == 0, err
    assert "error" not in err
    assert out.strip() or {"-o", "--output"} & set(words)


def test_other_programs_are_there() -> None:
    called = set()
    for document in DOCUMENTS:
        for line in code_lines(document.read_text()):
            called |= set(re.findall(CALL, line.text))
    assert called == set(OTHER_PROGRAMS)
    for name in called:
        assert not name.startswith("./scripts/") or os.access(PROJECT / name, os.X_OK), name


def script_calls() -> list[tuple[str, str]]:
    """Calls of Python scripts in the documents: the script, and its options as typed."""
    found = {}
    for document in DOCUMENTS:
        for line in code_lines(document.read_text()):
            if call := re.match(r"(?:\w+=\S+ )*(?:\.venv/bin/python )?scripts/(\w+\.py)([^#]*)", line.text):
                found[call[1], call[2].strip()] = None
    return list(found)


@pytest.mark.parametrize(("name", "options"), script_calls())
def test_a_script_has_the_options_that_it_is_called_with(name: str, options: str) -> None:
    source = (PROJECT / "scripts" / name).read_text()
    for option in re.findall(r"--[\w-]+", options):
        assert f'"{option}"' in source


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"(?<![\w/.-])(?:src|tests|scripts|conf|docs)/[\w./-]*\w/?", text))
    named |= {f"{document.parent}/{link}" for link in re.findall(r"\]\((?!http)([^)#]+)", text)}
    absent = {name for name in named if not (PROJECT / name).exists()}
    assert absent == set(re.findall(TO_BE_MADE, text, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_imports_is_there(document: Path) -> None:
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)
    statements = [line.strip() for block in blocks for line in block.splitlines()]
    for statement in statements:
        if re.match(r"(from bakeoff\S* import|import bakeoff)", statement):
            (node,) = ast.parse(statement).body
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
