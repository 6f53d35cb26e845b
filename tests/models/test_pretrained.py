"""Weights to begin with: files, runs, and torchvision's from a server on 127.0.0.1."""

import gc
import hashlib
import json
import os
import pickle
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models
from conftest import Bakeoff
from file_server import FileServer
from safetensors.torch import load_file, save_file
from shipped import NAMES
from torch import Tensor
from torchvision.models import ShuffleNet_V2_X0_5_Weights

from bakeoff.cli import main
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import BakeoffError, ConfigError, DataError
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.identity import identity, setting
from bakeoff.models.base import TaskSpec
from bakeoff.models.finetune import Config, FineTuned, build
from bakeoff.models.weights import pretrained
from bakeoff.models.weights.origin import shown_origin, weights_origin

TASK = TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,))
ARCH = "shufflenet_v2_x0_5"
ENUM = ShuffleNet_V2_X0_5_Weights.DEFAULT
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255


def make(weights: str, **keys: Any) -> FineTuned:
    torch.manual_seed(9)
    return build(Config(**({"arch": ARCH, "image_size": 32, "weights": weights} | keys)), TASK)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A state dict as torchvision's files have it, for 1,000 classes."""
    torch.manual_seed(5)
    return torchvision.models.get_model(ARCH, weights=None).state_dict()


def assert_loaded(model: FineTuned, tensors: dict[str, Tensor]) -> None:
    """Everything but the head is the file's, and the normalisation is ImageNet's."""
    own = model.state_dict()
    for name, tensor in tensors.items():
        if not name.startswith("fc."):
            assert torch.equal(own[f"body.{name}"], tensor), name
    assert own["head.weight"].shape == (10, 1024)
    torch.testing.assert_close(own["mean"], IMAGENET_MEAN)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_file_of_tensors_is_taken_over_but_for_its_head(
    suffix: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    model = make(str(path))
    assert_loaded(model, tensors)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights_origin(str(path)) == f"file:{digest}"
    assert model.notes == (f"weights: file:{digest[:8]}, head new",)


def test_the_new_head_is_the_seeds_own(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "net.pth")
    loaded, scratch = make(str(tmp_path / "net.pth")), make("none")
    assert torch.equal(loaded.head.weight, scratch.head.weight)
    assert not torch.equal(loaded.body.conv1[0].weight, scratch.body.conv1[0].weight)  # type: ignore[index,union-attr]


class Evil:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def damage(kind: str, tensors: dict[str, Tensor], path: Path) -> None:
    """Writes a file that is not what it should be."""
    changed: Any = dict(tensors)
    if kind == "missing":
        del changed["conv1.0.weight"]
    elif kind == "unknown":
        changed["conv9.weight"] = torch.zeros(1)
    elif kind == "shape":
        changed["conv1.0.weight"] = torch.zeros(24, 1, 3, 3)
    elif kind == "nan":
        changed["conv1.0.weight"] = tensors["conv1.0.weight"] * float("nan")
    elif kind == "nested":
        changed = {"model": changed, "epoch": 3}
    elif kind == "evil":
        changed["conv1.0.weight"] = Evil(path.parent / "made")
    elif kind == "list":
        changed = [1, 2]
    torch.save(changed, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no weights")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"a": Evil(path.parent / "made")}))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", "missing: body.conv1.0.weight"),
        ("unknown", "unknown: conv9.weight"),
        ("shape", r"body.conv1.0.weight \[24, 1, 3, 3\] instead of \[24, 3, 3, 3\]"),
        ("nan", "conv1.0.weight holds values that are not finite in float32"),
        ("nested", "not a state dict.*which holds model, epoch"),
        ("evil", "damaged, or no file of tensors alone"),
        ("pickle", "damaged, or no file of tensors alone"),
        ("list", "not a state dict"),
        ("cut", "damaged, or no file of tensors alone"),
        ("empty", "damaged, or no file of tensors alone"),
        ("text", "damaged, or no file of tensors alone"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    kind: str, error: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    path = tmp_path / "net.pth"
    damage(kind, tensors, path)
    with pytest.raises(DataError, match=error) as caught:
        make(str(path))
    assert str(path) in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "net.safetensors"
    save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        make(str(path))


def test_weights_of_another_network_list_what_does_not_fit(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    torch.save(tensors, tmp_path / "net.pth")
    with pytest.raises(
        DataError, match=r"no weights of resnet18: missing: body.conv1.weight, .* and \d+ more"
    ) as caught:
        make(str(tmp_path / "net.pth"), arch="resnet18")
    assert "unknown: conv1.0.weight" in str(caught.value)


def old_densenet(name: str) -> str:
    return name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2.")


def old_vit(name: str) -> str:
    return name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2.")


@pytest.mark.parametrize(
    ("arch", "old_name", "renamed"), [("densenet121", old_densenet, 290), ("vit_b_32", old_vit, 48)]
)
def test_files_with_the_names_of_older_networks_load(
    arch: str, old_name: Callable[[str], str], renamed: int, tmp_path: Path
) -> None:
    """As torchvision's own files are, some without batch norm's counters."""
    options = {"image_size": 32} if arch.startswith("vit") else {}
    torch.manual_seed(5)
    network = torchvision.models.get_model(arch, weights=None, **options)
    tensors = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    old = {old_name(name): tensor for name, tensor in tensors.items()}
    assert len(set(old) - set(tensors)) == renamed
    torch.save(old, tmp_path / "net.pth")
    own = make(str(tmp_path / "net.pth"), arch=arch)
    state = own.state_dict()
    for name, tensor in tensors.items():
        if not own.own_names[name].startswith("head."):
            assert torch.equal(state[own.own_names[name]], tensor), name


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda tensor: tensor.double() * 1e300, "not finite in float32"),
        (lambda tensor: tensor.to(torch.complex64), "no plain tensor"),
        (lambda tensor: tensor.to_sparse(), "no plain tensor"),
        (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "no plain tensor"),
        (lambda tensor: tensor.to("meta"), "no plain tensor"),
        (lambda tensor: tensor > 0, "of another kind: body.conv1.0.weight"),
        (lambda tensor: tensor.long(), "of another kind: body.conv1.0.weight"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, of quantized tensors
def test_tensors_of_other_kinds_are_refused(
    change: Callable[[Tensor], Tensor], error: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    torch.save(tensors | {"conv1.0.weight": change(tensors["conv1.0.weight"])}, tmp_path / "net.pth")
    with pytest.raises(DataError, match=error):
        make(str(tmp_path / "net.pth"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_taken_over(
    dtype: torch.dtype, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    save_file(
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()},
        tmp_path / "a.safetensors",
    )
    model = make(str(tmp_path / "a.safetensors"))
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_damage_is_a_data_error(suffix: str, tmp_path: Path) -> None:
    """Single bytes changed all over a small file."""
    path = tmp_path / f"net{suffix}"
    small = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    save_file(small, path) if suffix == ".safetensors" else torch.save(small, path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            pretrained.read(str(path))
        except DataError:
            refused += 1
    assert refused > 10


# Runs as a source of weights.

DIGITS = ["data=digits", "model=finetune", f"model.arch={ARCH}", "model.image_size=32", "trainer.threads=1"]
SHORT = [*DIGITS, "data.train_limit=64", "trainer.epochs=1", "trainer.batch_size=32"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on the digits 0 to 4."""
    folder = tmp_path_factory.mktemp("trained")
    line = [*SHORT, "model.weights=none", "data.classes=[0,1,2,3,4]", f"output_dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.draw_all", lambda *_: None)
        assert main(["train", *line]) == 0
    return folder


@pytest.fixture
def source(bakeoff: Bakeoff, trained: Path) -> Path:
    """A copy of the run for each test, in the folder where `bakeoff` runs."""
    shutil.copytree(trained, "source")
    return next(Path("source").glob("*/*-finetune-*")).resolve()


def only_run(folder: str) -> Path:
    (summary,) = Path(folder).rglob("summary.json")
    return summary.parent


def read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def prepared(*overrides: str) -> FineTuned:
    model = prepare(expand(parse_arguments([*SHORT, *overrides]))[0][0].values).model
    assert isinstance(model, FineTuned)
    return model


@pytest.mark.usefixtures("pictures_if_slow")
def test_a_run_is_fine_tuned_on_other_classes_and_evaluated_without_its_source(
    bakeoff: Bakeoff, source: Path
) -> None:
    origin = read(source / "summary.json")
    assert origin["weights"] == "none"
    code, out, err = bakeoff(
        "train", *SHORT, f"model.weights={source}", "data.classes=[5,6,7,8,9]", "output_dir=new"
    )
    assert code == 0, err
    shown = f"run:{origin['setting'][:8]}"
    assert f"note: weights: {shown}, head new" in out
    run = only_run("new")
    assert read(run / "summary.json")["weights"] == shown
    code, out, _ = bakeoff("compare", "new", "source")
    assert shown in out
    assert str(source) not in out
    shutil.rmtree(source)
    code, out, err = bakeoff("evaluate", str(run))
    assert (code, err) == (0, "")
    assert "equal to summary.json" in out


def test_the_same_classes_keep_the_head_and_others_get_a_new_one(source: Path) -> None:
    stored = load_file(source / "weights.safetensors")
    same = prepared(f"model.weights={source}", "data.classes=[0,1,2,3,4]")
    for name, tensor in same.state_dict().items():
        assert torch.equal(tensor, stored[name]), name
    other = prepared(f"model.weights={source}", "data.classes=[5,6,7,8,9]")
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, stored[name]) != name.startswith("head."), name
    # As many classes, but others: the statistics are the run's own all the same.
    assert not torch.equal(other.mean, prepared("model.weights=none", "data.classes=[5,6,7,8,9]").mean)


def test_a_run_counts_by_its_setting_and_a_file_by_its_content(source: Path, tmp_path: Path) -> None:
    def values(weights: str, *more: str) -> dict[str, Any]:
        return expand(parse_arguments([*SHORT, f"model.weights={weights}", *more]))[0][0].values

    copied = shutil.copytree(source, tmp_path / "copy")
    shown = read(source / "summary.json")["setting"]
    assert weights_origin(str(source)) == weights_origin(str(copied)) == f"run:{shown}"
    assert shown_origin(f"run:{shown}") == f"run:{shown[:8]}"
    assert identity(values(str(source)), "d") == identity(values(str(copied)), "d")
    changed = read(copied / "summary.json") | {"setting": "0" * 64}
    (copied / "summary.json").write_text(json.dumps(changed))
    assert identity(values(str(source)), "d") != identity(values(str(copied)), "d")
    assert setting(values(str(source)), "d") != setting(values("none"), "d")
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (first, second):
        save_file({"x": torch.zeros(3)}, path)
    assert identity(values(str(first)), "d") == identity(values(str(second)), "d")
    save_file({"x": torch.ones(3)}, second)
    assert identity(values(str(first)), "d") != identity(values(str(second)), "d")
    # Another seed's weights of the same setting: another run, the same new setting.
    other = shutil.copytree(source, tmp_path / "other seed")
    stored = load_file(other / "weights.safetensors")
    save_file({name: tensor + 1 for name, tensor in stored.items()}, other / "weights.safetensors")
    assert setting(values(str(source)), "d") == setting(values(f"'{other}'"), "d")
    assert identity(values(str(source)), "d") != identity(values(f"'{other}'"), "d")
    (other / "weights.safetensors").unlink()
    with pytest.raises(DataError, match=r"it has no weights.safetensors"):
        identity(values(f"'{other}'"), "d")
    # The limit of the cache changes how long training takes, not what comes out.
    assert identity(values("none", "model.cache_bytes=0"), "d") == identity(values("none"), "d")


@pytest.mark.parametrize(
    ("weights", "kind", "error"),
    [
        ("imagnet", ConfigError, "did you mean imagenet"),
        ("", ConfigError, "model.weights: empty"),
        ("runs/none", DataError, "no such run directory or file"),
        ("gone.pth", DataError, "no such file"),
        (".", DataError, "no run directory"),
        ("notes.txt", ConfigError, "not a file of weights"),
        ("half", DataError, "not a finished run"),
        ("old", DataError, "names no setting"),
    ],
)
def test_weights_that_are_not_there(
    weights: str, kind: type[BakeoffError], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("x")
    for name, file in (("half", "status.json"), ("old", "summary.json")):
        Path(name).mkdir()
        Path(name, file).write_text("{}")
    with pytest.raises(kind, match=error):
        weights_origin(weights)
    with pytest.raises(kind, match=error):
        make(weights)


def test_a_sweep_with_missing_weights_creates_nothing(bakeoff: Bakeoff) -> None:
    line = ["--multirun", *SHORT, "model.weights=none,gone.pth"]
    code, _, err = bakeoff("train", *line)
    assert code == 3
    assert "gone.pth: no such file" in err
    assert not Path("outputs").exists()


@pytest.mark.usefixtures("no_pictures")
def test_another_familys_run_is_refused(bakeoff: Bakeoff) -> None:
    assert bakeoff("train", "data=digits", "model=cnn_small", "trainer.epochs=1", "output_dir=cnn")[0] == 0
    run = next(Path("cnn").rglob("summary.json")).parent
    code, _, err = bakeoff("train", *SHORT, f"model.weights={run}")
    assert code == 3
    assert f"no weights of {ARCH}: missing: body.conv1.0.weight" in err


# torchvision's own weights.


@pytest.fixture
def imagenet(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    """torchvision's address for the weights leads to 127.0.0.1; its cache folder is empty."""
    path = tmp_path / "served.pth"
    torch.save(tensors, path)
    name = f"/net-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    server = FileServer({name: path.read_bytes()})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(ENUM.value, "url", f"{server.url}{name[1:]}")
    yield server
    server.close()


def cached_file(tmp_path: Path) -> Path:
    return tmp_path / "torch" / "hub" / "checkpoints" / ENUM.url.rpartition("/")[2]


def test_imagenets_weights_are_fetched_once(
    imagenet: FileServer, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    assert_loaded(make("imagenet"), tensors)
    assert cached_file(tmp_path).is_file()
    requests = imagenet.requests
    assert requests >= 1
    assert_loaded(make("imagenet"), tensors)
    assert imagenet.requests == requests


@pytest.mark.parametrize("fault", ["404", "403", "cut", "empty", "garbage"])
def test_weights_that_cannot_be_had_say_which_file_to_put_where(
    fault: str, imagenet: FileServer, tmp_path: Path
) -> None:
    imagenet.fault = fault
    with pytest.raises(DataError) as caught:
        make("imagenet")
    path = cached_file(tmp_path)
    for part in (
        path.name,
        str(path.parent),
        path.stem.partition("-")[2],
        "model.weights=none",
        "run directory",
    ):
        assert part in str(caught.value), part
    assert not path.exists()
    assert not list(tmp_path.glob("torch/**/*.partial"))
    del caught
    gc.collect()  # a connection that was left open would show here


def test_a_file_of_another_hash_is_refused_from_the_server_and_from_the_cache(
    imagenet: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = imagenet.content
    imagenet.content["/net-0123456789.pth"] = imagenet.content[name]
    monkeypatch.setattr(ENUM.value, "url", f"{imagenet.url}net-0123456789.pth")
    with pytest.raises(DataError, match="cannot be had"):
        make("imagenet")
    path = cached_file(tmp_path)
    path.write_bytes(imagenet.content[name])
    with pytest.raises(DataError, match=r"damaged.*remove it"):
        make("imagenet")


def test_fetched_weights_are_not_unpickled(imagenet: FileServer, tmp_path: Path) -> None:
    """Even with the right hash: a file that somebody else has put there."""
    content = tmp_path / "evil.pth"
    torch.save({"a": Evil(tmp_path / "made")}, content)
    name = f"net-{hashlib.sha256(content.read_bytes()).hexdigest()[:8]}.pth"
    imagenet.content[f"/{name}"] = content.read_bytes()
    ENUM.value.url = f"{imagenet.url}{name}"  # put back by the fixture's own patch
    with pytest.raises(DataError, match="cannot be had"):
        make("imagenet")
    assert not (tmp_path / "made").exists()


def test_no_network_is_exit_3(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    code, _, err = bakeoff("train", *DIGITS)
    assert code == 3
    assert err.count("\n") == 1
    assert ENUM.url.rpartition("/")[2] in err
    assert not Path("outputs").exists()
