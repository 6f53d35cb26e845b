"""Every script of `scripts/`: it starts, and (slow) does its work with its shortest settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_mnist

SCRIPTS = Path(__file__).parents[1] / "scripts"
PYTHON = sorted(path.name for path in SCRIPTS.glob("*.py"))
BASH = sorted(path.name for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix)
# The least that goes through all of a script; a new one has to say its own. MNIST is a made-up one, of 1,300 images.
SHORTEST = {
    "bench_augment.py": ["--repeats", "1"],
    "bench_compare.py": ["--repeats", "1", "--seeds", "2", "--more", "20"],
    "bench_export.py": ["--repeats", "1", "--images", "300"],
    "bench_detector.py": ["--repeats", "1", "--batch-size", "2"],
    "bench_finetune.py": [
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--labels",
        "32",
        "--head-images",
        "64",
        "model=shufflenet_small",
    ],
    "bench_image_folder.py": ["--pictures", "100"],
    "bench_notebook.py": ["--pairs", "1", "--seeds", "1", "--images", "320"],
    "draw_terminal.py": ["drawn.svg"],
    "draw_photographs.py": ["drawn", "--count", "10", "model=cnn_small", "data=digits", "trainer.epochs=1"],
    "bench_predict.py": [
        "--repeats",
        "1",
        "--pictures",
        "20",
        "model=cnn_small",
        "data=digits",
        "trainer.epochs=1",
    ],
    "study_class_intervals.py": ["--tables", "8"],
    "study_few_images.py": ["--tables", "20"],
    "study_race.py": ["--races", "4"],
    "bench_pruning.py": ["--studies", "1", "--trials", "2", "data=digits", "trainer.epochs=1"],
    "bench_samplers.py": ["--studies", "2", "--trials", "2"],
    "study_fit.py": ["--seeds", "1", "--epochs", "1", "--layouts", "ends", "outlines", "3:1 middle"],
    "bench_checkpoints.py": ["--seconds", "1", "model=cnn_small", "data=digits"],
    "try_resume.py": ["cnn_small", "combination1", "--kills", "4"],
    "try_disk_faults.py": ["--points", "8"],
    "try_damage.py": ["--trials", "10"],
    "try_two_resumes.py": ["--races", "10", "--stops", "2", "--kills", "3"],
    "try_faults.py": ["--signals", "8", "--writes", "8", "--outputs", "3", "--disks", "3"],
    "bench_report.py": ["--repeats", "1", "--cases", "1"],
    "bench_start.py": ["--repeats", "1"],
    "bench_sweep.py": [
        "--jobs",
        "2",
        "--rounds",
        "1",
        "--stand-ins",
        "4",
        "data=digits",
        "model=cnn_small",
        "trainer.epochs=1",
    ],
    "try_claims.py": ["--claims", "100", "--commands", "0"],
    "try_killed_sweeps.py": ["--kills", "1", "--signals", "0", "--jobs", "10", "--kill-share", "0.3"],
    "try_sweep_faults.py": ["--jobs", "4", "--faults", "raises", "segfaults", "fills its disk"],
    "bench_step.py": ["--repeats", "1", "--steps", "1", "--no-threads", "model=cnn_small"],
}
NO_PROGRAM = {
    "faulty_jobs.py": "what bench_sweep.py, try_sweep_faults.py and try_killed_sweeps.py import and start",
    "notebook_loop.py": "what bench_notebook.py imports",
    "trials_here.py": "what bench_pruning.py and bench_samplers.py import",
    "killed_runs.py": "what try_resume.py imports",
    "run_phases.py": "what try_resume.py imports",
    "tiny_resume.py": "what try_damage.py, try_disk_faults.py and try_two_resumes.py import",
}
# What a test of its own runs as a whole.
RUN_ELSEWHERE = {"run_tutorial.py": "deploy/test_tutorial.py"}
NEEDS = {"try_disk_faults.py": "strace"}  # a program of the system
# Imports every script once, in one process: torch is the most of each one's start.
SHOW_HELP = """
import runpy, sys
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    print(f"== {path}")
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0, path
    except Exception as error:
        print(f"FAILED {path}: {type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str]:
    """What each script says of itself, by its name."""
    paths = [str(SCRIPTS / name) for name in PYTHON]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPTS), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", SHOW_HELP, *paths], env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    texts = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    return {Path(path).name: text for path, text in texts.items()}


@pytest.mark.parametrize("name", PYTHON)
def test_a_script_shows_its_help(name: str, help_texts: dict[str, str]) -> None:
    assert "FAILED" not in help_texts[name], help_texts[name]
    if name in NO_PROGRAM:
        assert help_texts[name] == ""
    else:
        assert f"usage: {name}" in help_texts[name]
        assert f"scripts/{name}" in help_texts[name]  # its own line of how to call it


def test_each_script_has_a_shortest_setting() -> None:
    assert set(PYTHON) == {*SHORTEST, *NO_PROGRAM, *RUN_ELSEWHERE}
    for name, test in RUN_ELSEWHERE.items():
        assert f"import {name.removesuffix('.py')}" in (SCRIPTS.parent / "tests" / test).read_text()


@pytest.mark.parametrize("name", BASH)
def test_bash_can_parse_it(name: str) -> None:
    assert os.access(SCRIPTS / name, os.X_OK)
    subprocess.run(["bash", "-n", SCRIPTS / name], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTEST)
def test_a_script_does_its_work(name: str, tmp_path: Path) -> None:
    needed = NEEDS.get(name)
    if needed and shutil.which(needed) is None and "BAKEOFF_REQUIRE_STRACE" not in os.environ:
        pytest.skip(f"{needed} is not installed: no system call can be made to fail")
    data = write_mnist(tmp_path / "data", num_train=1300, num_test=40)
    environment = os.environ | {"BAKEOFF_DATA": str(data)}
    done = subprocess.run(
        [sys.executable, SCRIPTS / name, *SHORTEST[name]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, input="",
    )  # fmt: skip
    if "lets no process be traced" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr
    assert "nan" not in done.stdout.lower().split()
