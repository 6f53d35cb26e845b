"""`bakeoff doctor`: what it finds here, and each thing that can be wrong, made wrong."""

import errno
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
import torchvision
from conftest import command, files_below, sets_with_files, source_of

from bakeoff import __version__
from bakeoff.commands import doctor as module
from bakeoff.commands.doctor import Check, doctor
from bakeoff.config.compose import conf_dir
from bakeoff.data.sets import find_set, set_names
from bakeoff.errors import ConfigError
from bakeoff.machine import runtime

SECTIONS = [
    "Python", "bakeoff", "configs", "packages", "torch", "torchvision cpu", "cpu", "CUDA", "OpenMP",
    "compiler", "cores", "load", "memory", "outputs", "cache", "data", "data sets",
]  # fmt: skip


class Result(NamedTuple):
    code: int
    checks: dict[str, dict[str, str]]
    ok: bool

    def is_missing(self, name: str) -> bool:
        """Whether this one is missing, nothing else is, and the exit code says so."""
        missing = [found for found, check in self.checks.items() if check["state"] == "MISSING"]
        return missing == [name] and self.code == 4 and not self.ok

    def is_note(self, name: str) -> bool:
        return self.checks[name]["state"] == "note" and self.code == 0 and self.ok


@pytest.fixture(autouse=True)
def quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and a machine on which nothing is wrong."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("BAKEOFF_DATA", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtime, "_driver", lambda: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**30))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name == "g++" else None)
    return folder


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `doctor --json`; names must be unique, or a script could not look a check up."""

    def run() -> Result:
        code = doctor(["--json"])
        found = json.loads(capsys.readouterr().out)
        assert found["schema"] == 1
        checks = {check.pop("name"): check for check in found["checks"]}
        assert len(checks) == len(found["checks"])
        return Result(code, checks, found["ok"])

    return run


def broken(error: Exception) -> Any:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


def test_all_is_well_here(look: Any, quiet_machine: Path) -> None:
    result = look()
    assert (result.code, result.ok) == (0, True)
    assert [name for name in SECTIONS if result.checks.get(name, {}).get("state") != "ok"] == []
    found = {name: check["found"] for name, check in result.checks.items()}
    assert found["Python"] == sys.version.split()[0]
    assert found["bakeoff"] == __version__
    assert found["configs"] == str(conf_dir())
    assert torch.__version__ in found["torch"]
    assert f"{torch.get_num_threads()} threads" in found["torch"]
    assert torchvision.__version__ in found["torchvision cpu"]
    assert f"numpy {importlib.metadata.version('numpy')}" in found["packages"]
    assert found["cores"].startswith("4 of ")
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GiB free", found["memory"])
    assert found["outputs"] == "outputs can be written, 100.0 GiB free"
    assert found["data sets"] == "digits"
    assert all(not check["todo"] for check in result.checks.values() if check["state"] == "ok")
    assert files_below(quiet_machine) == []


def test_as_a_user_runs_it(quiet_machine: Path) -> None:
    script = "import sys; from bakeoff.commands.doctor import doctor; sys.exit(doctor([]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith("nothing needed is missing; notes: ")
    assert files_below(quiet_machine) == []


def test_the_module_imports_no_torch() -> None:
    script = "import sys, bakeoff.commands.doctor; sys.exit(bool({'torch', 'pydantic', 'hydra'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_text_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(["--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert doctor([]) == 0
    *lines, empty, verdict = capsys.readouterr().out.splitlines()
    memory = re.compile(r"[\d.]+ of")  # changes between two calls
    shown = [memory.sub("", line) for line in lines]
    width = max(len(check["name"]) for check in checks)
    expected = [
        f"{check['state']:7}  {check['name']:{width}}  "
        + "; ".join(filter(None, (check["found"], check["todo"])))
        for check in checks
    ]
    assert shown == [memory.sub("", line) for line in expected]
    num_notes = sum(check["state"] == "note" for check in checks)
    assert (empty, verdict) == ("", f"nothing needed is missing; notes: {num_notes}")


def test_help_has_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor(["--help"])
    assert ended.value.code == 0
    assert "exit codes: 0 " in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--jsno; see bakeoff doctor --help"):
        doctor(["--jsno"])


@pytest.mark.parametrize(
    ("version", "good"),
    [((3, 10, 14), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False), ((4, 0, 0), False)],
)
def test_python(look: Any, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], good: bool) -> None:
    fields = {name: getattr(sys, name) for name in ("modules", "stdout", "maxsize")}
    monkeypatch.setattr(module, "sys", SimpleNamespace(**fields, version_info=version))
    result = look()
    assert result.checks["Python"]["found"] == ".".join(map(str, version))
    assert result.code == 0 if good else result.is_missing("Python")


def test_no_configs(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bakeoff.config.compose.conf_dir", lambda: tmp_path / "conf")
    result = look()
    assert result.is_missing("configs")
    assert result.checks["configs"]["found"] == str(tmp_path / "conf")


@pytest.mark.parametrize("requirement", ["hydra-core>=1.3.8,<1.4", "safetensors>=0.5"])
def test_a_package_is_missing(look: Any, monkeypatch: pytest.MonkeyPatch, requirement: str) -> None:
    name = requirement.partition(">")[0]
    forget(monkeypatch, name)
    result = look()
    assert result.is_missing(name)
    assert result.checks[name]["todo"] == f'pip install "{requirement}"'
    assert name not in result.checks["packages"]["found"]


def test_dev_tools_are_a_note(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "mypy")
    result = look()
    assert result.is_note("dev tools")
    assert result.checks["dev tools"]["found"] == "no mypy"
    assert "./scripts/install --dev" in result.checks["dev tools"]["todo"]


def forget(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    version = importlib.metadata.version

    def of_others(name: str) -> str:
        if name == absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", of_others)


def test_the_packages_are_those_of_the_project() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    needed = tomllib.loads(project.read_text())["project"]["dependencies"]
    own_checks = {line for line in needed if re.match(r"torch(vision)?\b", line)}
    assert len(own_checks) == 2
    assert set(module._PACKAGES) == set(needed) - own_checks


def test_operators_that_do_not_exist(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("operator torchvision::nms does not exist")
    monkeypatch.setattr(torchvision.ops, "nms", broken(error))
    result = look()
    assert result.is_missing("torchvision cpu")
    check = result.checks["torchvision cpu"]
    assert "operator torchvision::nms does not exist" in check["found"]
    assert re.search(r"one index.*pip install .*torch torchvision --index-url", check["todo"])


def test_operators_that_answer_wrong(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.ops, "nms", lambda boxes, *_: torch.arange(len(boxes)))
    assert look().is_missing("torchvision cpu")


def test_torchvision_cannot_be_imported(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    result = look()
    assert result.is_missing("torchvision cpu")
    assert result.checks["cpu"]["state"] == "ok"


def test_torch_cannot_be_imported(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = look()
    assert result.is_missing("torch")  # once, not again for all that needs it
    assert "index" in result.checks["torch"]["todo"]
    rest = {"Python", "configs", "packages", "load", "memory", "compiler", "outputs", "data sets"}
    assert rest <= result.checks.keys()


def test_without_hydra_it_still_reaches_its_end(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bakeoff.config.compose", None)
    result = look()
    assert result.is_missing("configs")
    assert "data sets" in result.checks


def test_a_check_that_raises(
    look: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half() -> Iterator[Check]:
        yield Check("first", "ok", "found")
        raise ValueError("many\nlines\x1b[31m of " + "x" * 1000)

    groups = (
        ("second", half, "MISSING", "mend it"),
        ("third", broken(KeyError("k")), "note", ""),
        *module._GROUPS,
    )
    monkeypatch.setattr(module, "_GROUPS", groups)
    result = look()
    assert result.is_missing("second")
    assert result.checks["first"]["state"] == "ok"
    assert result.checks["second"]["found"].startswith("ValueError: many lines\\x1b[31m of xxx")
    assert len(result.checks["second"]["found"]) < 250
    assert result.checks["third"] == {"state": "note", "found": "KeyError: 'k'", "todo": ""}
    assert "data sets" in result.checks
    assert doctor([]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("MISSING  second ")
    assert lines[1].endswith("; mend it")
    assert lines[-1].startswith("missing: second; notes: ")


def test_warnings_do_not_stand_between_the_lines(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def available() -> bool:
        warnings.warn("CUDA initialization: the driver is too old", stacklevel=1)  # an error in these tests
        return False

    monkeypatch.setattr(torch.cuda, "is_available", available)
    assert look().checks["GPU"]["found"] == "none that torch can use: runs on the CPU"


@pytest.mark.parametrize(
    ("driver", "built_for", "says", "todo"),
    [
        (None, "13.0", "runs on the CPU", ""),
        (None, None, "runs on the CPU", ""),
        ("570.1", None, "runs on the CPU", "install a torch that is built for CUDA"),
        ("570.1", "13.0", "RuntimeError: the driver is too old", "runs on the CPU; see nvidia-smi"),
    ],
)
def test_no_gpu_is_a_note(
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
    driver: str | None,
    built_for: str | None,
    says: str,
    todo: str,
) -> None:
    monkeypatch.setattr(runtime, "_driver", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.cuda, "init", broken(RuntimeError("the driver is too old")))
    result = look()
    assert result.is_note("GPU")
    assert says in result.checks["GPU"]["found"]
    assert todo in result.checks["GPU"]["todo"]
    assert bool(todo) == bool(result.checks["GPU"]["todo"])
    assert (driver or "no NVIDIA driver") in result.checks["CUDA"]["found"]
    assert (built_for or "without CUDA") in result.checks["CUDA"]["found"]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has no bf16 of its own."""
    tensor = torch.tensor
    current = ["cuda:0"]

    @contextmanager
    def device(name: object) -> Iterator[None]:
        current.append(str(name))
        yield
        current.pop()

    monkeypatch.setattr(runtime, "_driver", lambda: "570.1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: current[-1] == "cuda:1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((7 + device.index) * 2**30, 2**34))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Model {device.index}")
    monkeypatch.setattr(torch, "tensor", lambda values, **_: tensor(values))


def test_gpus(look: Any, two_gpus: None) -> None:
    result = look()
    assert (result.code, "GPU" in result.checks) == (0, False)
    assert result.checks["cuda:0"] == {
        "state": "ok",
        "found": "Model 0, no fast bf16, 7.0 GiB free",
        "todo": "",
    }
    assert result.checks["cuda:1"]["found"] == "Model 1, fast bf16, 8.0 GiB free"
    assert result.checks["torchvision cuda:1"]["state"] == "ok"
    assert "driver 570.1" in result.checks["CUDA"]["found"]


def test_a_gpu_that_is_full(look: Any, two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(device: torch.device) -> tuple[int, int]:
        if device.index == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2**30, 2**34

    monkeypatch.setattr(torch.cuda, "mem_get_info", asked)
    result = look()
    assert result.is_note("cuda:0")
    assert result.checks["cuda:0"]["todo"] == "see nvidia-smi"
    assert result.checks["cuda:1"]["state"] == "ok"


def test_the_cpu(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cpu_name", lambda: "Model 8086")
    for is_fast, says in ((True, "Model 8086, fast bf16"), (False, "Model 8086, no fast bf16")):
        monkeypatch.setattr(runtime, "has_fast_bf16", lambda _, is_fast=is_fast: is_fast)
        assert look().checks["cpu"]["found"] == says


@pytest.mark.parametrize(("load", "state"), [(2.0, "ok"), (2.1, "note")])
def test_load(look: Any, monkeypatch: pytest.MonkeyPatch, load: float, state: str) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    result = look()
    assert result.code == 0
    assert result.checks["load"]["state"] == state
    assert result.checks["load"]["found"] == f"{load} on 4 cores"
    assert ("timings" in result.checks["load"]["todo"]) == (state == "note")


@pytest.mark.parametrize(
    ("given", "present"),
    [
        (None, "g++"),
        (None, "clang++"),
        (None, "c++"),
        (None, ""),
        ("icpx", "icpx"),
        ("icpx", "g++"),
        ("", "g++"),
    ],
)
def test_compiler_as_a_run_finds_it(
    look: Any, monkeypatch: pytest.MonkeyPatch, given: str | None, present: str
) -> None:
    if given is not None:
        monkeypatch.setenv("CXX", given)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name == present else None)
    result = look()
    try:
        runtime._need_compiler(torch.device("cpu"))
    except ConfigError:
        assert result.is_note("compiler")
        assert "apt-get install g++" in result.checks["compiler"]["todo"]
    else:
        assert result.checks["compiler"] == {"state": "ok", "found": f"/bin/{present}", "todo": ""}


def test_no_control_character_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_PLACES", "\x1b]0;owned\x07\n\u202e{0}\udcff")
    monkeypatch.setenv("BAKEOFF_OUTPUTS", "a\x1b[2Jb")
    monkeypatch.setenv("CXX", "g\r++")
    doctor([])
    text = capsys.readouterr().out
    assert "OMP_PLACES=\\x1b]0;owned\\x07\\x0a\\u202e{0}\\udcff" in text
    assert "a\\x1b[2Jb" in text
    assert "g\\x0d++" in text
    doctor(["--json"])
    shown = text + "".join(str(check) for check in json.loads(capsys.readouterr().out)["checks"])
    assert not set("\x1b\x07\r\u202e\udcff") & set(shown)


def test_variables(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_"))]:
        monkeypatch.delenv(name)
    assert look().checks["OpenMP"]["found"] == "no OMP_ or GOMP_ variable is set"
    for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "NOT_OMP_X"):
        monkeypatch.setenv(name, "3")
    assert look().checks["OpenMP"]["found"] == "GOMP_SPINCOUNT=3, OMP_NUM_THREADS=3"


def test_outputs_below_a_folder_that_is_not_there_yet(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "a" / "b" / "c"))
    before = files_below(tmp_path)
    assert look().checks["outputs"]["state"] == "ok"
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("below", ["", "runs/today"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_in_the_way_of_outputs(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, below: str
) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(place / below))
    result = look()
    assert result.is_missing("outputs")
    assert result.checks["outputs"]["found"].startswith(f"{place} cannot be written: No")
    assert "BAKEOFF_OUTPUTS" in result.checks["outputs"]["todo"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_outputs_without_permission(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(closed / "runs"))
    assert look().is_missing("outputs")


@pytest.mark.parametrize(
    ("variable", "name", "state"),
    [
        ("BAKEOFF_OUTPUTS", "outputs", "MISSING"),
        ("BAKEOFF_DATA", "data", "note"),
        ("XDG_CACHE_HOME", "cache", "note"),
    ],
)
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    name: str,
    state: str,
    number: int,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setenv(variable, str(closed / "below"))
    make = tempfile.NamedTemporaryFile

    def refusing(**options: Any) -> Any:
        error = OSError(number, os.strerror(number), str(closed))
        if options["dir"] == closed and number != errno.ENOSPC:
            raise error
        file = make(**options)
        if options["dir"] == closed:  # a full disk still makes empty files
            file.write = broken(error)  # type: ignore[method-assign]
        return file

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refusing)
    result = look()
    assert result.checks[name]["found"] == f"{closed} cannot be written: {os.strerror(number)}"
    assert variable in result.checks[name]["todo"]
    assert files_below(closed) == []
    assert result.is_missing(name) if state == "MISSING" else result.is_note(name)


@pytest.mark.parametrize("name", ["outputs", "data"])
@pytest.mark.parametrize(("num_bytes", "state"), [(2 * 2**30, "ok"), (2 * 2**30 - 1, "note")])
def test_room(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, num_bytes: int, state: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv(f"BAKEOFF_{name.upper()}", str(disk / "below"))
    free = {disk: num_bytes}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free.get(path, 2**40)))
    result = look()
    assert result.code == 0
    assert result.checks[name]["state"] == state
    assert "2.0 GiB free" in result.checks[name]["found"]
    assert {key for key in ("outputs", "data", "cache") if result.checks[key]["state"] == "note"} <= {name}


def test_data_sets(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needs_no_files = [name for name in set_names() if (source := find_set(name).SOURCE) and not source.files]
    assert "digits" in needs_no_files
    result = look()
    assert result.is_note("not there")
    assert all(f"{name} (" in result.checks["not there"]["found"] for name in sets_with_files())
    assert result.checks["not there"]["found"].startswith("below data: ")
    assert "mnist (MNIST/raw), " in result.checks["not there"]["found"]

    root = tmp_path / "sets"
    for name in ("mnist", "svhn", "cifar10"):
        source_of(name).folder_in(root).mkdir(parents=True, exist_ok=True)
        for file in source_of(name).files:
            (source_of(name).folder_in(root) / file).touch()
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    monkeypatch.setenv("BAKEOFF_DATA", str(root))
    result = look()
    assert result.checks["data sets"]["found"] == ", ".join(sorted([*needs_no_files, "mnist", "svhn"]))
    assert result.is_note("cifar10")
    assert result.checks["cifar10"]["found"] == f"6 of 7 files in {root / 'cifar-10-batches-py'}"
    absent = result.checks["not there"]["found"]
    assert re.findall(r"(\w+) \(", absent) == [
        name for name in sets_with_files() if name not in ("mnist", "svhn", "cifar10")
    ]


def test_all_data_sets_there(look: Any) -> None:
    for source in map(source_of, sets_with_files()):
        source.folder_in("data").mkdir(parents=True, exist_ok=True)
        for file in source.files:
            (source.folder_in("data") / file).touch()
    result = look()
    assert result.checks["data sets"]["found"] == ", ".join(
        name for name in set_names() if find_set(name).SOURCE
    )
    assert "not there" not in result.checks


@pytest.mark.parametrize("num_columns", [60, 80, 120])
def test_lines_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], num_columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(num_columns))
    path = "/nowhere" + 12 * "/very-long-name"
    monkeypatch.setenv("XDG_CACHE_HOME", path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert doctor([]) == 0
    *lines, _, _ = capsys.readouterr().out.splitlines()
    column = max(len(name) for name in SECTIONS) + 11
    assert any(path in line for line in lines)  # in one piece
    for line in lines:
        assert len(line) <= num_columns or path in line
        assert line[column - 1] == " " != line[column]
        assert line[:7].strip() in ("ok", "note", "MISSING", "")


def test_the_command_line_knows_it() -> None:
    done = subprocess.run(command(["doctor", "--help"]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout
