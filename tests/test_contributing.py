"""CONTRIBUTING.md's models and data sets work as they stand there: two files each, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bakeoff
from bakeoff.config.compose import conf_dir

PACKAGE = Path(bakeoff.__file__).parent
TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def file_in_the_text(path: str) -> str:
    """The first code block after a file's name, without its indentation."""
    match = re.search(rf"`{re.escape(path)}`.*?^( *)```\w+\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    assert match is not None, path
    return "".join(line.removeprefix(match[1]) for line in match[2].splitlines(keepends=True))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package and its configs, to write into."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "src" / "bakeoff", ignore=ignored)
    shutil.copytree(conf_dir(), tmp_path / "conf")
    return tmp_path


@pytest.mark.slow  # a process each that loads torch
@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        (
            ("src/bakeoff/models/mlp.py", "conf/model/mlp.yaml"),
            ["model=mlp", "data=digits"],
            "mlp on digits: 19,210 parameters",
        ),
        (
            ("src/bakeoff/data/sets/bars.py", "conf/data/bars.yaml"),
            ["model=cnn_small", "data=bars"],
            "cnn_small on bars: ",
        ),
    ],
    ids=["model", "data set"],
)
def test_two_files_are_enough(checkout: Path, files: tuple[str, str], words: list[str], said: str) -> None:
    for path in files:
        assert not (checkout / path).exists()
        (checkout / path).write_text(file_in_the_text(path))
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "train", *words, "trainer.epochs=1"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    (run,) = (checkout / "outputs").glob("*/*/summary.json")
    assert f'"data": "{words[1].removeprefix("data=")}"' in run.read_text()
