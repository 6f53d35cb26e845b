"""The machine: device, precision, threads, seeds, synchronisation, what the environment was.

Whatever asks a CUDA driver stands here, so that tests can replace it where there is no GPU.
"""

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from bakeoff.config.schema import TrainerConfig
from bakeoff.errors import ConfigError
from bakeoff.machine.load import current_load, most_threads, num_cores
from bakeoff.runs.records import Environment

CHANNELS_LAST = torch.channels_last
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_RECORDED_PACKAGES = ("numpy", "hydra-core", "omegaconf", "scikit-learn", "safetensors", "pydantic")


@dataclass(frozen=True)
class Runtime:
    """Where and how tensors are computed."""

    device: torch.device
    precision: str  # fp32, bf16 or fp16
    channels_last: bool

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision around a forward pass; nothing in fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def synchronize(self) -> None:
        """Waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def set_up(trainer: TrainerConfig, auto_precision: Mapping[str, str]) -> Runtime:
    """Chooses device and precision and sets threads and determinism for the process.

    Args:
        trainer: what was asked for.
        auto_precision: the family's measured choice by kind of device.

    Raises:
        ConfigError: a device or a precision that is not there, or more threads than a process can have.
    """
    device = choose_device(trainer.device)
    if trainer.threads is not None:
        if trainer.threads > most_threads():
            raise ConfigError(
                f"trainer.threads={trainer.threads}: more than {most_threads()}, the most on a machine of "
                f"{num_cores()} cores; lower it, or set null for one a core"
            )
        torch.set_num_threads(trainer.threads)
    _set_true_fp32()
    if trainer.deterministic:
        # cuBLAS reads this when it starts; without it torch refuses to be deterministic.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if trainer.compile:
        torch.use_deterministic_algorithms(trainer.deterministic)  # tells the compiler too
    else:
        # The same without the compiler, which the function above would import: a second.
        torch.set_deterministic_debug_mode("error" if trainer.deterministic else "default")
    torch.backends.cudnn.benchmark = not trainer.deterministic
    precision: str = trainer.precision
    if precision == "auto":
        wanted = auto_precision.get(device.type, "fp32")
        precision = wanted if wanted == "fp32" or has_fast_bf16(device) else "fp32"
    elif precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError(f"trainer.precision=bf16: {device} has no bf16; use fp32 or auto")
    elif precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"trainer.precision=fp16: for CUDA devices; on {device} use bf16, fp32 or auto")
    if trainer.compile:
        _need_compiler(device)
    return Runtime(device, precision, trainer.channels_last)


def _set_true_fp32() -> None:
    """`fp32` is IEEE float32 on every device. By torch's default a GPU's convolutions are in TF32.

    By the older names, which torch 2.11 to 2.15 all have: `torch.compile` of some of them reads these
    flags, and raises an error where the newer ones (`fp32_precision`) have been set.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _fp32_kind(device: torch.device) -> str:
    """What `fp32` was: `ieee`, or `tf32` with 10 bits of mantissa."""
    flags = (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined]
    return "tf32" if device.type == "cuda" and "tf32" in flags else "ieee"


def _need_compiler(device: torch.device) -> None:
    """torch.compile writes C++ for the CPU; for CUDA, Triton builds its launcher in C."""
    variable, names = ("CXX", ("g++", "clang++")) if device.type == "cpu" else ("CC", ("gcc", "clang", "cc"))
    given = os.environ.get(variable)
    if not any(shutil.which(name) for name in ((given,) if given else names)):
        raise ConfigError(
            f"trainer.compile=true: no compiler on this machine ({given or ', '.join(names)}); install one "
            f"(apt-get install g++) or leave trainer.compile=false"
        )


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: the device is not there.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= available:
        there = f"there are {available} CUDA devices" if available else "there is no CUDA device"
        raise ConfigError(f"trainer.device={name}: {there}; use cpu or auto (see nvidia-smi)")
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 itself; without that it is emulated and slow."""
    if device.type == "cuda":
        with torch.cuda.device(device):  # torch answers for the current one
            return torch.cuda.is_bf16_supported(including_emulation=False)
    # Measured on a CPU without AVX-512: bf16 7 times slower than fp32.
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def seed_everything(seed: int) -> None:
    """Seeds what draws besides data order and augmentation: initial weights, dropout, samplers."""
    torch.manual_seed(seed)


def rng_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that a training step may draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_rng_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Puts generators back to where `rng_states` found them."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def free_memory_bytes(device: torch.device) -> int | None:
    """Free memory of a GPU; None for the CPU, where data lie on the host anyway."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def describe(runtime: Runtime) -> Environment:
    """What stands in `environment.json`."""
    commit, dirty = _git_state()
    load = current_load()
    return Environment(
        device=str(runtime.device),
        device_name=device_name(runtime.device),
        torch=torch.__version__,
        torchvision=_version("torchvision"),  # importing it takes a second
        cuda=torch.version.cuda,
        driver=_driver() if runtime.device.type == "cuda" else None,
        cpu=_cpu_name(),
        threads=torch.get_num_threads(),
        precision=runtime.precision,
        host=socket.gethostname(),
        git_commit=commit,
        git_dirty=dirty,
        argv=sys.argv,
        packages={name: _version(name) for name in _RECORDED_PACKAGES}
        | {"python": platform.python_version()},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        fp32=_fp32_kind(runtime.device),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cores=load.cores,
        load_average=load.average,
        load_of_others=load.others,
    )


def num_threads() -> int:
    """Threads that an operator on the CPU may use."""
    return torch.get_num_threads()


def device_name(device: torch.device) -> str:
    """The product's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _driver() -> str | None:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _git_state() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout that this package runs from; None for an installed one."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return None, None
    try:
        commit = _git(checkout, "rev-parse", "HEAD").strip()
        return commit, bool(_git(checkout, "status", "--porcelain").strip())
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
