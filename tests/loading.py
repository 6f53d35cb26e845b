"""Which slow libraries a program loads: each in a process of its own, forked from one that has the others."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_EACH = """
import hydra, json, numpy, omegaconf, os, pydantic, sys, yaml
HEAVY = {"torch", "torchvision", "sklearn", "scipy", "pandas"}
assert not HEAVY & set(sys.modules)
found = []
for program in json.load(sys.stdin):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        try: exec(program)
        except SystemExit: pass
        sys.stdout.flush()
        os.write(theirs, json.dumps(sorted(HEAVY & set(sys.modules))).encode())
        os._exit(0)
    os.close(theirs)
    found.append(os.read(ours, 1000).decode())
    os.close(ours)
    os.wait()
with open(sys.argv[1], "w") as file: json.dump(found, file)
"""


def libraries_loaded(programs: Sequence[str], folder: Path) -> tuple[list[str], str]:
    """Runs Python programs one after another.

    Args:
        programs: their sources; they may exit.
        folder: where they run, in a folder `here` that is made.

    Returns:
        For each program a JSON list of what it loaded, empty if it ended with an error; and what all of them
        wrote to stderr.
    """
    (folder / "here").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _EACH, str(folder / "found.json")],
        cwd=folder / "here", input=json.dumps(programs), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[str] = json.loads((folder / "found.json").read_text())
    return found, done.stderr
