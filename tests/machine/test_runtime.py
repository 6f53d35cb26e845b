"""Device, precision, threads and environment, without a GPU."""

import dataclasses
from typing import Any

import pytest
import torch

from bakeoff.config.schema import TrainerConfig
from bakeoff.errors import ConfigError
from bakeoff.machine import runtime
from bakeoff.machine.runtime import Runtime, choose_device, set_up
from bakeoff.machine.timing import PhaseTimes

AUTO = {"cpu": "bf16", "cuda": "bf16"}
CPU = Runtime(torch.device("cpu"), "fp32", channels_last=False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "expected"), [("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1")]
)
def test_auto_is_cuda_where_there_is_one(name: str, expected: str) -> None:
    assert str(choose_device(name)) == expected


@pytest.mark.usefixtures("two_gpus")
def test_a_device_beyond_the_last_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"trainer\.device=cuda:2: there are 2 CUDA devices; use cpu or auto"
    ):
        choose_device("cuda:2")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert str(choose_device("auto")) == "cpu"
    with pytest.raises(ConfigError, match=r"trainer\.device=cuda: there is no CUDA device"):
        choose_device("cuda")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("asked", "fast", "expected"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_auto_precision_is_the_familys_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, asked: Any, fast: bool, expected: str
) -> None:
    monkeypatch.setattr(runtime, "has_fast_bf16", lambda _: fast)
    assert set_up(TrainerConfig(precision=asked), AUTO).precision == expected
    assert set_up(TrainerConfig(precision="auto"), {"cpu": "fp32", "cuda": "bf16"}).precision == "fp32"


@pytest.mark.parametrize(
    ("capability", "bf16", "expected"),
    [("AVX512", True, True), ("AVX2", True, False), ("AVX512", False, False)],
)
def test_bf16_is_fast_only_with_the_instructions(
    monkeypatch: pytest.MonkeyPatch, capability: str, bf16: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: bf16)
    assert runtime.has_fast_bf16(torch.device("cpu")) is expected


@pytest.mark.usefixtures("two_gpus")
def test_bf16_is_refused_where_a_gpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(ConfigError, match=r"trainer\.precision=bf16: cuda has no bf16"):
        set_up(TrainerConfig(precision="bf16"), AUTO)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("deterministic", [True, False])
def test_the_compiler_is_told_of_determinism_where_it_is_used(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", told.append)
    monkeypatch.setattr(runtime, "_need_compiler", lambda _: None)
    set_up(TrainerConfig(compile=True, deterministic=deterministic), AUTO)
    assert told == [deterministic]


@pytest.mark.usefixtures("no_gpu")
def test_threads_and_determinism_are_set() -> None:
    before = torch.get_num_threads()
    try:
        set_up(TrainerConfig(threads=3, deterministic=True), AUTO)
        assert torch.get_num_threads() == 3
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        set_up(TrainerConfig(), AUTO)
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("cores", "most"), [(2, 64), (16, 64), (64, 256)])
def test_more_threads_than_a_process_can_have_are_refused_before_any_is_made(
    cores: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    for threads in (1, most):
        set_up(TrainerConfig(threads=threads), AUTO)
    error = (
        rf"trainer\.threads={most + 1}: more than {most}, the most on a machine of {cores} cores; lower it"
    )
    with pytest.raises(ConfigError, match=error):
        set_up(TrainerConfig(threads=most + 1), AUTO)
    assert asked == [1, most]


@pytest.mark.usefixtures("no_gpu")
def test_fp32_is_ieee_on_a_gpu_whatever_torch_or_somebody_else_has_set() -> None:
    gpu = dataclasses.replace(CPU, device=torch.device("cuda"))
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        assert runtime._fp32_kind(gpu.device) == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = False
        assert runtime._fp32_kind(gpu.device) == "tf32"  # convolutions still are: torch's default
        set_up(TrainerConfig(), AUTO)
        assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (False, False)
        assert torch.get_float32_matmul_precision() == "highest"
        assert runtime._fp32_kind(gpu.device) == "ieee"
        assert runtime.describe(CPU).fp32 == "ieee"
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_autocast_follows_the_precision() -> None:
    left = torch.zeros(2, 2)
    for precision, expected in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Runtime(torch.device("cpu"), precision, channels_last=False).autocast():
            assert (left @ left).dtype == expected


def test_the_environment_names_what_a_run_was_made_on() -> None:
    found = runtime.describe(Runtime(torch.device("cpu"), "fp32", channels_last=False))
    assert (found.device, found.torch, found.precision) == ("cpu", torch.__version__, "fp32")
    assert found.threads == torch.get_num_threads()
    assert found.packages["numpy"][0].isdigit()
    assert found.device_name == found.cpu != ""


def test_phases_add_up_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 10.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    times, waits = PhaseTimes(), []
    with times.phase("train", lambda: waits.append(1)):
        pass
    with pytest.raises(KeyError), times.phase("train", lambda: waits.append(1)):
        raise KeyError
    assert (times["train"], times["eval"], len(waits)) == (5.0, 0.0, 4)
