"""Where the time of a short run goes, from the start of its process to its end: wall and processor seconds.

usage: .venv/bin/python scripts/bench_start.py [--repeats 5] [--against CHECKOUT] [KEY=VALUE ...]

Trains one epoch of digits as a process, `--repeats` times; medians. Processor seconds are those of all
threads, which other programs on the machine change less. With another checkout of this project its runs come
in turn (A B A B), and the ratio is the median over the pairs. KEY=VALUE are those of `bakeoff train`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = ["model=cnn_small", "data=digits", "trainer.epochs=1"]
# What ends each piece: a module that begins to load or has loaded, a function that is called or has returned.
# Of functions that are called more than once the first or the last call counts.
PIECES = {
    "interpreter, command line, Hydra": ("loads torch", "first"),
    "import of torch": ("loaded torch", "first"),
    "import of the rest": ("calls bakeoff.experiment.gates prepare", "first"),
    "gates: data, model": ("done bakeoff.experiment.gates prepare", "first"),
    "hashes, optimizer": ("done bakeoff.training.optim make_optimizer", "first"),
    "run directory, environment": ("calls bakeoff.plots.style check", "first"),
    "whether pictures can be drawn": ("done bakeoff.plots.style check", "first"),
    "plan of the first epoch": ("calls bakeoff.training.loop train_step", "first"),
    "first step": ("done bakeoff.training.loop train_step", "first"),
    "rest of training": ("done bakeoff.runs.rundir RunDir.append_epoch", "last"),
    "evaluation": ("calls bakeoff.experiment.results write_results", "last"),
    "result": ("done bakeoff.experiment.results write_results", "last"),
    "speed": ("done bakeoff.evaluation.cost measure_speed", "last"),
    "FLOPs": ("done bakeoff.evaluation.cost count_flops", "last"),
    "pictures, images for reports": ("done bakeoff.experiment.extras Extras.make", "last"),
    "last lines": ("exit", "last"),
}
LAST = "end of the process"
FIRST_STEP = "first step"
# Times of every mark, into the file that the first argument names. The rest is bakeoff's own command line.
MARKED = """
import atexit, functools, importlib.util, json, sys, time
marks, path, wanted = {}, sys.argv.pop(1), json.loads(sys.argv.pop(1))
def mark(name):
    now = (time.monotonic(), time.process_time())
    marks[name] = (marks.get(name, (now, now))[0], now)
def between(module, dotted):
    owner, name = module, dotted
    if "." in dotted:
        owner, name = getattr(module, dotted.split(".")[0]), dotted.split(".")[1]
    function = getattr(owner, name)
    @functools.wraps(function)
    def marked(*args, **kwargs):
        mark(f"calls {module.__name__} {dotted}")
        try:
            return function(*args, **kwargs)
        finally:
            mark(f"done {module.__name__} {dotted}")
    setattr(owner, name, marked)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name not in wanted or name in found:
            return None
        found.add(name)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            mark(f"loads {name}")
            run(module)
            mark(f"loaded {name}")
            for dotted in wanted[name]:
                between(module, dotted)
        spec.loader.exec_module = exec_module
        return spec
found = set()
sys.meta_path.insert(0, Finder())
def write():
    mark("exit")
    with open(path, "w") as file:
        json.dump(marks, file)
atexit.register(write)
from bakeoff.cli import run_as_process
run_as_process()
"""


def wanted() -> dict[str, list[str]]:
    """The functions to mark, by their module."""
    found: dict[str, list[str]] = {}
    for what, _ in PIECES.values():
        _, *names = what.split()
        if names:
            found.setdefault(names[0], []).extend(name for name in names[1:] if name not in found[names[0]])
    return found


def run_once(source: Path, overrides: list[str]) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds of each piece of one run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "marks.json"
        line = ["train", *RUN, f"output_dir={folder}/outputs", *overrides]
        command = [sys.executable, "-c", MARKED, str(file), json.dumps(wanted()), *line]
        environment = os.environ | {"PYTHONPATH": str(source)}
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        end = (time.monotonic(), used.ru_utime + used.ru_stime)
        if process.returncode != 0:
            raise SystemExit(f"bakeoff {' '.join(line)}: exit code {process.returncode}")
        marks = json.loads(file.read_text())
    ends = {name: marks[what][which == "last"] for name, (what, which) in PIECES.items()} | {LAST: end}
    before = [(began, 0.0), *ends.values()]
    return {
        name: (now[0] - then[0], now[1] - then[1])
        for (name, now), then in zip(ends.items(), before, strict=False)
    }


def with_sums(pieces: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """The pieces, and after them what they come to: before the first step, and in all."""
    names = list(pieces)
    num_before = names.index(FIRST_STEP)
    sums = {
        "start to first step": names[:num_before],
        "first step to end": names[num_before:],
        "all": names,
    }
    added = {
        name: (sum(pieces[key][0] for key in keys), sum(pieces[key][1] for key in keys))
        for name, keys in sums.items()
    }
    return pieces | added


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this project")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*")
    options = parser.parse_args()
    checkouts = [Path(__file__).resolve().parents[1]]
    if options.against:
        checkouts.append(options.against.resolve())
    rounds = [
        [with_sums(run_once(checkout / "src", options.overrides)) for checkout in checkouts]
        for _ in range(options.repeats)
    ]
    names = ["here", "there"][: len(checkouts)]
    heads = [f"{name} {kind}" for name in names for kind in ("wall", "CPU")]
    print(f"seconds, medians of {options.repeats}: bakeoff train {' '.join([*RUN, *options.overrides])}")
    print(f"{'':34}" + "".join(f"{head:>12}" for head in heads) + f"{'CPU ratio':>12}" * (len(names) - 1))
    for piece in rounds[0][0]:
        figures = [
            statistics.median(each[number][piece][kind] for each in rounds)
            for number in range(len(names))
            for kind in (0, 1)
        ]
        line = f"{piece:34}" + "".join(f"{figure:12.2f}" for figure in figures)
        if len(names) == 2:
            pairs = [each[0][piece][1] / each[1][piece][1] for each in rounds if each[1][piece][1]]
            line += f"{statistics.median(pairs):12.2f}"
        print(line)


if __name__ == "__main__":
    main()
