"""The NVIDIA GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes. No torch here.

Asking torch takes seconds, and makes the process a user of each GPU.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

_ROOT = Path("/")
_VARIABLE = "CUDA_VISIBLE_DEVICES"
_NAME = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")
# Of `nvidia-smi -L`. A part of a GPU (MIG) stands below it, and can only be chosen by its UUID.
_GPU_LINE = re.compile(r"GPU \d+:")
_PART_LINE = re.compile(r"\s+MIG .*\(UUID: (MIG-[\w/-]+)\)")
_SECONDS = 10.0


def gpu_names(root: Path = _ROOT) -> list[str]:
    """Their numbers or UUIDs, in the order in which CUDA counts them; empty if there are none.

    Args:
        root: is for tests.
    """
    visible = os.environ.get(_VARIABLE)
    if visible is not None:
        return _valid([name.strip() for name in visible.split(",")])
    driver = root / "proc/driver/nvidia"
    has_parts = any(driver.glob("capabilities/gpu*/mig/gi*"))
    if not has_parts and (driver / "gpus").is_dir():
        return [str(number) for number, _ in enumerate((driver / "gpus").iterdir())]
    return _listed()


def _valid(names: list[str]) -> list[str]:
    """As CUDA reads them: the first one that is none, such as -1, ends the list; one twice makes it empty."""
    wrong = next((place for place, name in enumerate(names) if not _NAME.fullmatch(name)), len(names))
    valid = names[:wrong]
    return valid if len(set(valid)) == len(valid) else []


def _listed() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        found = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    names: list[str] = []
    number = -1
    for line in found.stdout.splitlines() if found.returncode == 0 else ():
        if _GPU_LINE.match(line):
            number += 1
            names.append(str(number))
        elif part := _PART_LINE.match(line):
            if names and names[-1] == str(number):  # its GPU as a whole cannot be used
                names.pop()
            names.append(part[1])
    return names
