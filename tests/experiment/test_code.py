"""Which sources a run's identity covers: those that training executes, and no other."""

import ast
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.sets import set_names
from bakeoff.experiment import code
from bakeoff.experiment.code import EVERY_RUN, LEFT_OUT, code_files, code_hash

PACKAGE = Path(bakeoff.__file__).parent
FAMILIES = {
    "cnn": ["model=cnn_small"],
    "vit": ["model=vit"],
    "finetune": ["model=shufflenet_small", "model.weights=none"],
    "faster_rcnn": ["model=faster_rcnn"],
    "torchvision_detector": ["model=lab_faster_rcnn", "model.weights=none", "model.image_size=64"],
}
# Loaded to tell runs apart, and executed by trainings of other kinds, which list them: a folder of
# pictures, weights to begin with.
NAMED_BY_OTHERS = {"data/folders.py", "models/weights/__init__.py", "models/weights/origin.py"}
# Trains in a process of its own and tells which of our modules it has loaded.
TRAIN = """
import json, sys
from bakeoff.cli import main
from bakeoff.evaluation import cost
cost._THROUGHPUT_BATCH, cost._LATENCY_REPEATS = 2, 1  # a large network takes minutes for 256 images
code = main(json.loads(sys.argv[1]))
files = [m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] == "bakeoff" and m.__file__]
print(json.dumps(sorted(files)))
sys.exit(code)
"""


def values(*overrides: str) -> dict[str, Any]:
    return expand(parse_arguments(overrides))[0][0].values


def is_left_out(name: str) -> bool:
    return any(name == entry or (entry.endswith("/") and name.startswith(entry)) for entry in LEFT_OUT)


def loaded_by_training(tmp_path: Path, *overrides: str) -> set[str]:
    words = ["train", "trainer.epochs=1", f"output_dir={tmp_path}", "trainer.threads=1", *overrides]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, json.dumps(words)], capture_output=True, text=True, check=True
    )
    files = json.loads(done.stdout.splitlines()[-1])
    return {Path(file).relative_to(PACKAGE).as_posix() for file in files}


@pytest.mark.slow  # a whole training each
@pytest.mark.parametrize("family", FAMILIES)
def test_every_module_of_a_training_is_listed_or_left_out_by_name(family: str, tmp_path: Path) -> None:
    line = [
        *FAMILIES[family],
        "data=digits",
        "trainer.overfit_batches=1",
        "trainer.batch_size=8",
        "optim.warmup_epochs=0",
        "data.augment.shift_pixels=0",
    ]
    loaded = loaded_by_training(tmp_path, *line)
    listed = set(code_files(values(*line)))
    assert f"models/{family}.py" in loaded & listed
    unlisted = {name for name in loaded - listed if not is_left_out(name)} - NAMED_BY_OTHERS
    # Gate 1 reads the traits of all data sets, to tell whose key a misplaced one is; their files import others.
    of_sets = {file for name in set_names() for file in code_files({"data": {"name": name}})}
    assert {name for name in unlisted if not name.startswith("data/sets/")} - of_sets == set()
    # What is listed is executed; ways of reading data that a run does not take may stand in its reader.
    assert {name for name in listed - loaded if not name.startswith("data/")} == set()


def test_each_list_names_files_that_are_there_and_no_file_twice() -> None:
    for name in (*EVERY_RUN, *LEFT_OUT):
        assert (PACKAGE / name).exists(), name
    assert not [name for name in EVERY_RUN if is_left_out(name)]


def test_what_a_covered_file_imports_is_covered_or_left_out() -> None:
    imports = cache(lambda file: frozenset(code._imported(file)) if file.endswith(".py") else frozenset())
    sets = [path.stem for path in (PACKAGE / "data" / "sets").glob("[a-z]*.py")]
    for family in FAMILIES:
        for data_set in sets:
            listed = set(code_files({"model": {"family": family}, "data": {"name": data_set}}))
            for file in listed:
                uncovered = {name for name in imports(file) - listed if not is_left_out(name)}
                # Gates and readers ask by name for the set or the family, which is listed.
                assert uncovered - NAMED_BY_OTHERS == set(), (family, data_set, file)


def test_imports_have_the_one_form_that_is_followed() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not [item.name for item in node.names if item.name.startswith("bakeoff")], path
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def hashes_after_a_change(
    name: str, package: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """For each config, whether a change of the file changes its hash."""
    monkeypatch.setattr(code, "PACKAGE", package)
    before = _fresh(lines)
    (package / name).write_text((package / name).read_text() + "\n# changed\n")
    return [one != other for one, other in zip(before, _fresh(lines), strict=True)]


def _fresh(lines: list[dict[str, Any]]) -> list[str]:
    code._hash.cache_clear()
    code._closure.cache_clear()
    try:
        return [code_hash(line) for line in lines]
    finally:
        code._hash.cache_clear()
        code._closure.cache_clear()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # cnn on digits, vit on mnist, faster_rcnn on mnist, finetune on cifar10
        ("training/loop.py", [True, True, True, True]),
        ("data/augment.py", [True, True, True, True]),
        ("models/base.py", [True, True, True, True]),
        ("models/cnn.py", [True, False, False, False]),
        ("models/vit.py", [False, True, False, False]),
        ("models/detection/targets.py", [False, False, True, False]),
        ("models/parts/torchvision_networks.py", [False, False, False, True]),
        ("models/weights/pretrained.py", [False, False, False, True]),
        ("models/weights/readings.py", [False, False, False, True]),
        ("data/sets/digits_split.txt", [True, False, False, False]),
        ("data/sets/digits.py", [True, False, False, False]),
        ("data/sets/mnist.py", [False, True, True, False]),
        ("data/idx.py", [False, True, True, True]),
        ("data/colour_sets.py", [False, False, False, True]),
        ("data/sources.py", [True, True, True, True]),
        ("data/folders.py", [False] * 4),
        ("plots/figures.py", [False] * 4),
        ("commands/evaluate.py", [False] * 4),
        ("comparison/read.py", [False] * 4),
        ("sweeps/run.py", [False] * 4),
        ("cli.py", [False] * 4),
    ],
)
def test_a_change_counts_for_the_runs_that_execute_it(
    name: str, expected: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "bakeoff", ignore=shutil.ignore_patterns("__pycache__"))
    lines = [
        {"model": {"family": family}, "data": {"name": data}}
        for family, data in (
            ("cnn", "digits"), ("vit", "mnist"), ("faster_rcnn", "mnist"), ("finetune", "cifar10"),
        )
    ]  # fmt: skip
    assert hashes_after_a_change(name, package, lines, monkeypatch) == expected


@pytest.mark.parametrize(
    "name", ["../cli", "/etc/passwd", "a" * 300, "base/../cnn", "", "no_such_family", None, 3]
)
def test_a_name_from_somebody_elses_config_reads_nothing_outside(name: Any) -> None:
    listed = code_files({"model": {"family": name}, "data": {"name": name}})
    assert all(not part.startswith(".") for file in listed for part in Path(file).parts)
    assert {file for file in listed if file.startswith("models/")} == {"models/__init__.py", "models/base.py"}


def test_a_run_stores_the_hash_of_each_of_its_sources(tmp_path: Path) -> None:
    from bakeoff.experiment.train import train
    from bakeoff.machine.signals import StopSignal

    line = ["data=digits", "model=cnn_small", "trainer.epochs=1", f"output_dir={tmp_path}"]
    (job,), _ = expand(parse_arguments(line))
    run = train(job, StopSignal())
    stored = json.loads((run / "environment.json").read_text())["code"]
    assert stored == code_files(job.values)
    assert set(EVERY_RUN) < stored.keys()
    assert json.loads((run / "summary.json").read_text())["fingerprint"]["code"] == code_hash(job.values)
