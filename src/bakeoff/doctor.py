"""`bakeoff doctor`: what this machine has, what bakeoff would miss here, and what to do about it.

No torch at import, nor anything that needs it: a torch that does not load is one of the findings.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from bakeoff import __version__
from bakeoff.errors import OK, ResourceError
from bakeoff.locate import outputs_root
from bakeoff.sources import SOURCES
from bakeoff.text import printable

State = Literal["ok", "note", "MISSING"]
_GIB = 2**30
_MIN_FREE_GIB = 2.0
# What pyproject.toml asks for besides torch and torchvision, written again: the metadata of an
# editable install are as old as the install, and what was added since is what is missing.
_PACKAGES = (
    "hydra-core>=1.3.8,<1.4", "omegaconf>=2.3.1,<2.4", "pydantic>=2.11,<3", "jaxtyping>=0.3", "numpy>=2.0",
    "scikit-learn>=1.6", "scipy>=1.14", "pandas>=2.2", "pillow>=11", "tqdm>=4.66", "rich>=13.9",
    "matplotlib>=3.9", "safetensors>=0.5",
)  # fmt: skip
_DEV_TOOLS = ("pytest", "ruff", "mypy")
_SAME_INDEX = (
    "install both from one index, both for the same CUDA or both for the CPU: "
    "pip install --force-reinstall torch torchvision --index-url INDEX"
)


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
    options = _parser().parse_args(words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library warns of would stand between the lines
        checks = [check for group in _GROUPS for check in _guarded(*group)]
    rows = [{key: printable(text) for key, text in dataclasses.asdict(check).items()} for check in checks]
    missing = [row["name"] for row in rows if row["state"] == "MISSING"]
    if options.json:
        print(json.dumps({"schema": 1, "ok": not missing, "checks": rows}, indent=2))
    else:
        # A file or a pipe gets one line per check, for grep.
        print(_table(rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize))
        verdict = f"missing: {', '.join(missing)}" if missing else "nothing needed is missing"
        print(f"\n{verdict}; notes: {sum(row['state'] == 'note' for row in rows)}")
    return ResourceError.exit_code if missing else OK


def _guarded(
    name: str, look: Callable[[], Iterator[Check]], if_it_raises: State = "note", todo: str = ""
) -> Iterator[Check]:
    """What a function finds; an error is a finding too, for the command has to reach its end."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        yield Check(name, if_it_raises, reason, todo)


def _judged(name: str, good: bool, found: str, otherwise: State, todo: str) -> Check:
    return Check(name, "ok", found) if good else Check(name, otherwise, found, todo)


def _table(rows: list[dict[str, str]], num_columns: int) -> str:
    """Aligned lines, wrapped to the terminal's width."""
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        start = f"{row['state']:7}  {row['name']:{width}}  "
        lines += textwrap.wrap(
            "; ".join(filter(None, (row["found"], row["todo"]))),
            max(num_columns, 60),
            initial_indent=start,
            subsequent_indent=" " * len(start),
            break_long_words=False,  # a path stays in one piece, for copying
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _python() -> Iterator[Check]:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    found = ".".join(map(str, sys.version_info[:3]))
    yield _judged("Python", good, found, "MISSING", "use Python 3.11, 3.12 or 3.13")


def _bakeoff() -> Iterator[Check]:
    yield Check("bakeoff", "ok", __version__)
    from bakeoff.compose import conf_dir

    there = (conf_dir() / "config.yaml").is_file()
    found = str(conf_dir()) if there else f"no config.yaml in {conf_dir()}"
    yield _judged("configs", there, found, "MISSING", "install bakeoff again")


def _packages() -> Iterator[Check]:
    names = {requirement.partition(">")[0]: requirement for requirement in _PACKAGES}
    here = {name: version for name in names if (version := _version(name))}
    yield Check("packages", "ok", ", ".join(f"{name} {version}" for name, version in here.items()))
    for name in names.keys() - here.keys():
        yield Check(name, "MISSING", "not installed", f'pip install "{names[name]}"')
    if absent := [tool for tool in _DEV_TOOLS if not _version(tool)]:
        todo = "needed only to work on bakeoff itself: ./scripts/install --dev"
        yield Check("dev tools", "note", f"no {', '.join(absent)}", todo)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _torch() -> Iterator[Check]:
    import torch

    yield Check("torch", "ok", torch.__version__)
    # Not groups of their own: a torch that does not load fails again, with other and misleading reasons.
    yield from _guarded("torchvision", _torchvision, "MISSING", _SAME_INDEX)
    yield from _guarded("GPU", _cuda, "note", "runs on the CPU; see nvidia-smi")
    yield from _guarded("CPU", _cpu)


def _torchvision() -> Iterator[Check]:
    import torchvision

    # Beside a torch that it was not built for it has no operators. Some such pairs fail at import,
    # others only here.
    _call_nms("cpu")
    yield Check("torchvision", "ok", f"{torchvision.__version__}, its operators work")


def _call_nms(device: str) -> None:
    import torch
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0]], device=device)  # xyxy; IoU 0.75
    kept = nms(boxes, torch.tensor([0.5, 0.9], device=device), 0.5).tolist()
    if kept != [1]:
        raise RuntimeError(f"torchvision.ops.nms on {device} keeps {kept}, not [1]")


def _cuda() -> Iterator[Check]:
    import torch

    from bakeoff import runtime

    driver, built_for = runtime._driver(), torch.version.cuda
    built = f"torch is built for CUDA {built_for}" if built_for else "torch is built without CUDA"
    yield Check("CUDA", "ok", f"{built}, {f'driver {driver}' if driver else 'no NVIDIA driver found'}")
    if torch.cuda.is_available():
        for device in (f"cuda:{index}" for index in range(torch.cuda.device_count())):
            todo = "see nvidia-smi; torchvision must be built for the same CUDA as torch"
            yield from _guarded(device, partial(_gpu, device), "note", todo)
        return
    if driver and built_for:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # raises, with the reason
    todo = "to use the GPU, install a torch that is built for CUDA" if driver else ""
    yield Check("GPU", "note", "none that torch can use: runs on the CPU", todo)


def _gpu(device: str) -> Iterator[Check]:
    import torch

    from bakeoff import runtime

    with torch.cuda.device(device):
        bf16 = "fast" if runtime.has_fast_bf16(torch.device(device)) else "no fast"
    free, total = (num_bytes / _GIB for num_bytes in torch.cuda.mem_get_info(device))
    name = torch.cuda.get_device_name(device)
    _call_nms(device)
    yield Check(device, "ok", f"{name}, {free:.1f} of {total:.1f} GiB free, {bf16} bf16")


def _cpu() -> Iterator[Check]:
    import torch

    from bakeoff import runtime

    bf16 = "fast" if runtime.has_fast_bf16(torch.device("cpu")) else "no fast"
    capability = torch.backends.cpu.get_cpu_capability()
    found = f"{runtime._cpu_name()}, {capability}, {bf16} bf16, torch uses {runtime.num_threads()} threads"
    yield Check("CPU", "ok", found)


def _load() -> Iterator[Check]:
    num_everywhere = os.cpu_count() or 1
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else num_everywhere
    yield Check("cores", "ok", f"{num_cores} of {num_everywhere} for this process")
    variables = [f"{key}={value}" for key, value in os.environ.items() if key.startswith(("OMP_", "GOMP_"))]
    yield Check("OpenMP", "ok", ", ".join(sorted(variables)) or "no OMP_ or GOMP_ variable is set")
    load = os.getloadavg()[0]
    todo = "timings will not be worth much until other programs end"
    yield _judged("load", load <= num_cores / 2, f"{load:.1f} on {num_cores} cores", "note", todo)


def _memory() -> Iterator[Check]:
    kilobytes = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
    free, total = (int(kilobytes[key]) * 1024 / _GIB for key in ("MemAvailable:", "MemTotal:"))
    yield Check("memory", "ok", f"{free:.1f} of {total:.1f} GiB free")


def _compiler() -> Iterator[Check]:
    given = os.environ.get("CXX")
    names = (given,) if given else ("g++", "clang++")  # as `runtime` looks for one before a run
    path = next(filter(None, map(shutil.which, names)), None)
    todo = "needed only for trainer.compile=true: apt-get install g++"
    yield _judged("compiler", path is not None, path or f"no {', '.join(names)}", "note", todo)


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there; so is a link that leads nowhere."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))


def _data_root() -> Path:
    return Path(os.environ.get("BAKEOFF_DATA", "data"))


def _disks() -> Iterator[Check]:
    for what, root in (("outputs", outputs_root()), ("data", _data_root())):
        free = shutil.disk_usage(_nearest(root)).free / _GIB
        todo = f"make room, or set BAKEOFF_{what.upper()} to a folder on another disk"
        yield _judged(f"disk {what}", free >= _MIN_FREE_GIB, f"{free:,.1f} GiB free for {root}", "note", todo)


def _writable() -> Iterator[Check]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    outputs_todo = "set BAKEOFF_OUTPUTS to a folder that can be written"
    cache_todo = "hashes of data are not kept: set XDG_CACHE_HOME"
    yield _written("outputs", outputs_root(), "MISSING", outputs_todo)
    yield _written("cache", cache, "note", cache_todo)


def _written(what: str, root: Path, otherwise: State, todo: str) -> Check:
    folder = _nearest(root)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".bakeoff-doctor-") as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        return Check(f"write {what}", otherwise, f"{folder}: {error.strerror or error}", todo)
    return Check(f"write {what}", "ok", str(root))


def _data_sets() -> Iterator[Check]:
    root, here, absent = _data_root(), ["digits"], []
    for name, source in SOURCES.items():
        num_there = sum((source.folder_in(root) / file).is_file() for file in source.files)
        if num_there == len(source.files):
            here.append(name)
        elif num_there:
            found = f"{num_there} of {len(source.files)} files in {source.folder_in(root)}"
            yield Check(f"data {name}", "note", found, "its first run tries to download the others")
        else:
            absent.append(f"{name} ({source.folder})")
    yield Check("data sets", "ok", f"in {root}: {', '.join(here)}")
    if absent:
        todo = "the first run with one tries to download it; or put its files there"
        yield Check("not there", "note", f"{', '.join(absent)}", todo)


_GROUPS: tuple[tuple[str, Callable[[], Iterator[Check]], State, str], ...] = (
    ("Python", _python, "MISSING", "use Python 3.11, 3.12 or 3.13"),
    ("configs", _bakeoff, "MISSING", "install bakeoff again"),
    ("packages", _packages, "MISSING", "install bakeoff again"),
    ("torch", _torch, "MISSING", _SAME_INDEX),
    ("load", _load, "note", ""),
    ("memory", _memory, "note", ""),
    ("compiler", _compiler, "note", ""),
    ("disk", _disks, "note", ""),
    ("write", _writable, "MISSING", ""),
    ("data sets", _data_sets, "note", ""),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bakeoff doctor",
        description="Shows what this machine has, what bakeoff would miss here, and what to do about it.",
        epilog="exit codes: 0 nothing needed is missing; 4 something is",
    )
    parser.add_argument("--json", action="store_true", help="the same as a JSON object, for scripts")
    return parser
