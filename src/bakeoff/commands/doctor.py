"""`bakeoff doctor`: what this machine has, what bakeoff would miss here, and what to do about it.

No torch at import, nor anything that needs it: a torch that does not load is one of the findings.
"""

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from bakeoff.arguments import Parser
from bakeoff.data.sets import find_set, set_names
from bakeoff.errors import OK, ResourceError
from bakeoff.machine.version import __version__
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.paths import DATA_VARIABLE, from_environment
from bakeoff.terminal import line_width
from bakeoff.text import one_line, printable

USAGE = "doctor"
SUMMARY = "show what this machine has, and what is missing"
State = Literal["ok", "note", "MISSING"]
Look = Callable[[], Iterator["Check"]]
_GIB = 2**30
_MIN_FREE_GIB = 2.0
# What pyproject.toml asks for besides torch and torchvision, written again: the metadata of an
# editable install are as old as the install, and what was added since is what is missing.
_PACKAGES = (
    "hydra-core>=1.3.8,<1.4", "omegaconf>=2.3.1,<2.4", "pydantic>=2.11,<3", "jaxtyping>=0.3", "numpy>=2.0",
    "scikit-learn>=1.6", "scipy>=1.14", "pandas>=2.2", "pillow>=11", "tqdm>=4.66", "rich>=13.9",
    "matplotlib>=3.9", "safetensors>=0.5", "pyyaml>=6",
)  # fmt: skip
_DEV_TOOLS = ("pytest", "ruff", "mypy")
_SAME_INDEX = "install both from one index: pip install --force-reinstall torch torchvision --index-url URL"


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    state: State
    found: str
    todo: str = ""  # empty where there is nothing to do


def doctor(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 4 if something that bakeoff needs is missing.
    """
    options = parser().parse_args(words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library warns of would stand between the lines
        checks = [check for group in _GROUPS for check in _guarded(*group)]
    rows = [{key: printable(text) for key, text in asdict(check).items()} for check in checks]
    missing = [row["name"] for row in rows if row["state"] == "MISSING"]
    if options.json:
        print(json.dumps({"schema": 1, "ok": not missing, "checks": rows}, indent=2))
    else:
        print(_table(rows, line_width(sys.stdout) or sys.maxsize))  # in a pipe a line per check, for grep
        verdict = f"missing: {', '.join(missing)}" if missing else "all that is needed is here"
        print(f"\n{verdict}; notes: {sum(row['state'] == 'note' for row in rows)}")
    return ResourceError.exit_code if missing else OK


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff doctor",
        description="Shows what this machine has, what bakeoff would miss here, and what to do about it.",
        epilog="exit codes: 0 all that is needed is here; 4 something is",
    )
    parser.add_argument("--json", action="store_true", help="the same as a JSON object, for scripts")
    return parser


def _guarded(name: str, look: Look, if_it_raises: State = "note", todo: str = "") -> Iterator[Check]:
    """What a function finds; an error is a finding too, for the command has to reach its end."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
        reason = one_line(f"{type(error).__name__}: {error}")
        yield Check(name, if_it_raises, reason, todo)


def _judged(name: str, good: bool, found: str, otherwise: State, todo: str) -> Check:
    return Check(name, "ok", found) if good else Check(name, otherwise, found, todo)


def _table(rows: list[dict[str, str]], num_columns: int) -> str:
    """Aligned lines, wrapped to the terminal's width; a path stays in one piece, for copying."""
    width = max(len(row["name"]) for row in rows)
    wrapper = textwrap.TextWrapper(max(num_columns, 60), break_long_words=False, break_on_hyphens=False)
    lines = []
    for row in rows:
        wrapper.initial_indent = f"{row['state']:7}  {row['name']:{width}}  "
        wrapper.subsequent_indent = " " * len(wrapper.initial_indent)
        lines += wrapper.wrap("; ".join(filter(None, (row["found"], row["todo"]))))
    return "\n".join(lines)


def _bakeoff() -> Iterator[Check]:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    found = ".".join(map(str, sys.version_info[:3]))
    yield _judged("Python", good, found, "MISSING", "use Python 3.11, 3.12 or 3.13")
    yield Check("bakeoff", "ok", __version__)
    from bakeoff.config.compose import conf_dir

    there = (conf_dir() / "config.yaml").is_file()
    yield _judged("configs", there, f"{conf_dir()}", "MISSING", "no config.yaml there: install bakeoff again")


def _packages() -> Iterator[Check]:
    needed = {requirement.partition(">")[0]: requirement for requirement in _PACKAGES}
    here = {}
    for name in (*needed, *_DEV_TOOLS):
        with suppress(importlib.metadata.PackageNotFoundError):
            here[name] = importlib.metadata.version(name)
    yield Check("packages", "ok", ", ".join(f"{name} {here[name]}" for name in here) or "none")
    for name, requirement in needed.items():
        if name not in here:
            yield Check(name, "MISSING", "not installed", f'pip install "{requirement}"')
    if absent := [name for name in _DEV_TOOLS if name not in here]:
        yield Check("dev tools", "note", f"no {', '.join(absent)}", "for developers: ./scripts/install --dev")


def _torch() -> Iterator[Check]:
    import torch

    cpu = f"CPU instructions: {torch.backends.cpu.get_cpu_capability()}"
    yield Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads, {cpu}")
    # Not groups of their own: a torch that did not load fails again, with other, misleading reasons.
    yield from _guarded("torchvision cpu", partial(_torchvision, "cpu"), "MISSING", _SAME_INDEX)
    yield from _guarded("cpu", partial(_device, "cpu"))
    yield from _guarded("GPU", _cuda, "note", "runs on the CPU; see nvidia-smi")


def _torchvision(device: str) -> Iterator[Check]:
    """Built for another torch it has no operators; some pairs fail at import, others only at a call."""
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0]], device=device)  # xyxy; IoU 0.75
    kept = torchvision.ops.nms(boxes, torch.tensor([0.5, 0.9], device=device), 0.5).tolist()
    if kept != [1]:
        raise RuntimeError(f"torchvision.ops.nms keeps {kept}, not [1]")
    yield Check(f"torchvision {device}", "ok", f"{torchvision.__version__}, its functions in C++ work")


def _cuda() -> Iterator[Check]:
    import torch

    from bakeoff.machine import runtime

    driver, built_for = runtime._driver(), torch.version.cuda
    built = f"torch is built for CUDA {built_for}" if built_for else "torch is built without CUDA"
    yield Check("CUDA", "ok", f"{built}, {f'driver {driver}' if driver else 'no NVIDIA driver found'}")
    num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for name in [f"cuda:{index}" for index in range(num_devices)]:
        yield from _guarded(name, partial(_device, name), "note", "see nvidia-smi")
        yield from _guarded(f"torchvision {name}", partial(_torchvision, name), "note", _SAME_INDEX)
    if num_devices == 0 and driver and built_for:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # raises, with the reason
    if num_devices == 0:
        todo = "to use the GPU, install a torch that is built for CUDA" if driver else ""
        yield Check("GPU", "note", "none that torch can use: runs on the CPU", todo)


def _device(name: str) -> Iterator[Check]:
    from bakeoff.machine import runtime

    device = runtime.choose_device(name)
    num_bytes = runtime.free_memory_bytes(device)
    memory = "" if num_bytes is None else f", {num_bytes / _GIB:.1f} GiB free"
    bf16 = "fast" if runtime.has_fast_bf16(device) else "no fast"
    yield Check(name, "ok", f"{runtime.device_name(device)}, {bf16} bf16{memory}")


def _machine() -> Iterator[Check]:
    variables = [f"{key}={value}" for key, value in os.environ.items() if key.startswith(("OMP_", "GOMP_"))]
    found = ", ".join(sorted(variables)) or "none is set"
    yield Check("OpenMP", "ok", f"settings of the threads library: {found}")
    given = os.environ.get("CXX")
    names = (given,) if given else ("g++", "clang++")  # as `runtime` looks for one before a run
    path = next(filter(None, map(shutil.which, names)), None)
    todo = "needed only for trainer.compile=true: apt-get install g++"
    yield _judged("compiler", path is not None, path or f"no {', '.join(names)}", "note", todo)
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("cores", "ok", f"{num_cores} of {os.cpu_count()} for this process")
    load = os.getloadavg()[0]
    todo = "measured times are not reliable until other programs end"
    found = f"{load:.1f} programs running or waiting on average, on {num_cores} cores"
    yield _judged("load", load <= num_cores / 2, found, "note", todo)
    kilobytes = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
    free, total = (int(kilobytes[key]) * 1024 / _GIB for key in ("MemAvailable:", "MemTotal:"))
    yield Check("memory", "ok", f"{free:.1f} of {total:.1f} GiB free")


def _folders() -> Iterator[Check]:
    yield _folder("outputs", outputs_root(), "MISSING", "BAKEOFF_OUTPUTS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    yield _folder("cache", cache, "note", "XDG_CACHE_HOME")


def _folder(name: str, path: Path, if_closed: State, variable: str) -> Check:
    """Room and permission to write in a folder, or in the nearest one above it that is there."""
    upwards = (path.absolute(), *path.absolute().parents)
    folder = next(place for place in upwards if os.path.lexists(place))  # so is a link that leads nowhere
    try:
        free = shutil.disk_usage(folder).free / _GIB
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".bakeoff-doctor-") as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        found = f"{folder} cannot be written: {error.strerror or error}"
        return Check(name, if_closed, found, f"set {variable} to a folder that can")
    todo = f"make room, or set {variable} to a folder on another disk"
    return _judged(name, free >= _MIN_FREE_GIB, f"{path} can be written, {free:,.1f} GiB free", "note", todo)


def _data() -> Iterator[Check]:
    root = from_environment(DATA_VARIABLE, "data")
    here, absent = [], []
    yield _folder("data", root, "note", "BAKEOFF_DATA")
    for name in set_names():
        source = find_set(name).SOURCE
        if source is None:
            continue  # the user's own files, of which nothing is known here
        num_there = sum((source.folder_in(root) / file).is_file() for file in source.files)
        if num_there == len(source.files):
            here.append(name)
        elif num_there:
            found = f"{num_there} of {len(source.files)} files in {source.folder_in(root)}"
            yield Check(name, "note", found, "its first run tries to download the others")
        else:
            absent.append(f"{name} ({next(iter(source.files)) if source.folder == '.' else source.folder})")
    yield Check("data sets", "ok", ", ".join(here))
    if absent:
        todo = "the first run that needs one tries to download it; or put its files there"
        yield Check("not found", "note", f"in {root}: {', '.join(absent)}", todo)


_GROUPS: tuple[tuple[str, Look, State, str], ...] = (
    ("configs", _bakeoff, "MISSING", "install bakeoff again"),
    ("packages", _packages, "MISSING", "install bakeoff again"),
    ("torch", _torch, "MISSING", _SAME_INDEX),
    ("machine", _machine, "note", ""),
    ("outputs", _folders, "MISSING", "set BAKEOFF_OUTPUTS to a folder that can be written"),
    ("data", _data, "note", ""),
)
