"""The rooms: who may import whom, which need no torch, and how many files lie outside of them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bakeoff
from bakeoff.experiment import code

PACKAGE = Path(bakeoff.__file__).parent
PROJECT = Path(__file__).parents[1]
LIGHT_ROOMS = ("runs", "config", "comparison", "plots", "report", "sweeps", "commands", "data/sets")
LIGHT_FILES = (
    "__init__.py", "arguments.py", "cli.py", "errors.py", "exits.py", "text.py",
    "deploy/__init__.py", "deploy/export/__init__.py", "deploy/export/extra.py", "deploy/export/metadata.py",
    "deploy/export/onnx_file.py", "deploy/export/opened.py", "deploy/export/quiet.py",
    "data/__init__.py", "data/fingerprint.py", "data/folders.py", "data/sources.py",
    "deploy/finished.py", "deploy/python/__init__.py", "deploy/python/borrowed.py", "deploy/python/compared.py",
    "deploy/python/run.py", "deploy/python/training.py", "deploy/python/words.py",
    "deploy/measure/__init__.py", "deploy/measure/keep.py", "deploy/measure/named.py",
    "deploy/measure/rest.py", "deploy/measure/rounds.py", "deploy/measure/told.py",
    "deploy/predict/__init__.py", "deploy/predict/answers.py", "deploy/predict/background.py",
    "deploy/predict/centring.py", "deploy/predict/drawing.py", "deploy/predict/ink.py", "deploy/predict/pictures.py",
    "deploy/predict/reading.py", "deploy/predict/scoring.py", "deploy/predict/sources.py", "deploy/predict/strokes.py",
    "evaluation/__init__.py", "evaluation/metrics.py", "machine/environment.py", "machine/gpus.py",
    "machine/limits.py", "machine/process.py",
    "machine/signals.py", "machine/streams.py", "machine/waiting.py",
    "models/weights/origin.py", "experiment/__init__.py", "experiment/first_gate.py", "experiment/identity.py",
    "experiment/earlier_runs.py", "experiment/epoch_table.py",
)  # fmt: skip
# Each module is imported in a process of its own; what many of them need is loaded once, before the fork.
IMPORT_EACH = """
import hydra, numpy, omegaconf, os, pydantic, scipy.special, sys
assert "torch" not in sys.modules
for name in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        __import__(name)
        os._exit(any(library in sys.modules for library in ("torch", "torchvision", "pandas", "matplotlib", "sklearn")))
    if os.waitpid(pid, 0)[1] != 0:
        print(name)
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("bakeoff", *parts)).removesuffix(".__init__")


def test_light_modules_import_no_torch() -> None:
    files = [path for room in LIGHT_ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]
    files += [PACKAGE / name for name in LIGHT_FILES]
    assert len(files) > 50
    names = [module_name(path) for path in files]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *names], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def lint_imports(source: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import importlinter.cli; importlinter.cli.lint_imports_command()"]
    options = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(source)}
    return subprocess.run(
        [*command, *options], env=environment, cwd=source, capture_output=True, text=True, check=False
    )


def test_a_room_imports_only_from_those_below_it() -> None:
    done = lint_imports(PACKAGE.parent)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("training/loop.py", "from bakeoff.experiment.gates import prepare"),
        ("runs/locate.py", "def late() -> None:\n    from bakeoff.config import schema"),
        ("models/parts/feature_cache.py", "from bakeoff.models.weights import origin"),
        ("comparison/read.py", "from bakeoff.comparison.group import shown"),
        ("data/sets/kmnist.py", "from bakeoff.data.sets import mnist"),
        ("stray.py", "STRAY = 1"),
    ],
)
def test_a_wrong_import_or_a_stray_file_is_found(tmp_path: Path, file: str, line: str) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "bakeoff", ignore=shutil.ignore_patterns("__pycache__"))
    with open(package / file, "a") as source:
        source.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


def imports_of_families(monkeypatch: pytest.MonkeyPatch, package: Path) -> list[str]:
    """Which files of the room `models` import a family's file: none needs another."""
    monkeypatch.setattr(code, "PACKAGE", package)
    families = {f"models/{path.name}" for path in (package / "models").glob("*.py")}
    families -= {"models/__init__.py", "models/base.py"}
    assert len(families) >= 5
    files = (path.relative_to(package).as_posix() for path in (package / "models").rglob("*.py"))
    return sorted(f"{file} -> {found}" for file in files for found in {*code._imported(file)} & families)


def test_no_family_stands_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert imports_of_families(monkeypatch, PACKAGE) == []
    package = shutil.copytree(PACKAGE, tmp_path / "bakeoff", ignore=shutil.ignore_patterns("__pycache__"))
    for file, line in (
        ("cnn", "from bakeoff.models import vit"),
        ("base", "from bakeoff.models.cnn import Config"),
    ):
        with open(package / "models" / f"{file}.py", "a") as source:
            source.write(f"\n{line}\n")
    assert imports_of_families(monkeypatch, package) == [
        "models/base.py -> models/cnn.py",
        "models/cnn.py -> models/vit.py",
    ]


def test_few_files_lie_outside_of_the_rooms() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_no_file_is_long_and_none_has_an_empty_name() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 262} == {}
    vague = {"utils", "helpers", "common", "manager", "misc"}
    assert not [name for name in lengths if set(Path(name).with_suffix("").parts) & vague]


@pytest.mark.slow  # every call of every library is looked at
def test_the_documented_way_of_a_command_is_the_way_it_takes(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    stops = re.findall(r"^\d+\. `([\w/]+\.py)` `(\w+)`", text, re.MULTILINE)
    assert 10 <= len(stops) <= 12
    script = f"""
import json, sys
passed = []
def note(frame, event, _):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith({str(PACKAGE)!r}):
        passed.append((code.co_filename, code.co_name))
sys.setprofile(note)
from bakeoff.cli import main
code = main(["train", "model=cnn_small", "data=digits", "trainer.overfit_batches=1", "trainer.epochs=1", "output_dir={tmp_path}"])
sys.setprofile(None)
print(json.dumps(list(dict.fromkeys(passed))))
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    passed = [(Path(file), name) for file, name in json.loads(done.stdout.splitlines()[-1])]
    places = [passed.index((PACKAGE / file, name)) for file, name in stops]
    assert places == sorted(places)


def test_the_shipped_families_and_data_sets_are_listed() -> None:
    """What is not in the list is taken for a user's own file, whose errors are not called ours."""
    from bakeoff.exits import _SHIPPED

    if not (PROJECT / ".git").exists():
        pytest.skip("needs the repository: a user's own files lie beside the shipped ones")
    listed = {f"{room}/{name}.py" for room, names in _SHIPPED.items() for name in names.split()}
    tracked = subprocess.run(
        ["git", "ls-files", *_SHIPPED], cwd=PACKAGE, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in tracked if name.endswith(".py") and str(Path(name).parent) in _SHIPPED} == listed
