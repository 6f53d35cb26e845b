"""Data sets are found by their files, and by nothing else."""

import sys
from pathlib import Path

import pytest
from conftest import Bakeoff
from omegaconf import OmegaConf

from bakeoff import data
from bakeoff.config.compose import conf_dir
from bakeoff.config.schema import AugmentConfig, DataConfig
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.sets import Traits, find_set, set_names
from bakeoff.data.sources import Source
from bakeoff.errors import ConfigError

# A new set needs no line here: what is said of traits is said of these.
SHIPPED = {
    "cifar10", "cifar100", "digits", "emnist", "fashion_mnist", "image_folder", "kmnist", "mnist", "qmnist", "svhn",
}  # fmt: skip
TEXT = {"mnist", "digits", "kmnist", "emnist", "qmnist", "svhn"}
FOLDER = Path(sys.modules["bakeoff.data.sets"].__file__ or "").parent


def test_the_names_are_the_files() -> None:
    assert {f"{name}.py" for name in set_names()} == {path.name for path in FOLDER.glob("[a-z]*.py")}
    assert set(set_names()) >= SHIPPED
    configs = {OmegaConf.load(path).name for path in (conf_dir() / "data").glob("*.yaml")}
    assert configs == set(set_names())


@pytest.mark.parametrize("name", set_names())
def test_each_file_keeps_the_contract(name: str) -> None:
    found = find_set(name)
    assert isinstance(found.TRAITS, Traits)
    assert found.SOURCE is None or isinstance(found.SOURCE, Source)
    assert set(found.TRAITS.own_keys) <= set(vars(DataConfig()))
    assert callable(found.fingerprint)
    assert callable(found.load)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "__init__",
        "sets",
        "mnist.py",
        "sets.mnist",
        "bakeoff.cli",
        "os",
        "MNIST",
        "/tmp/evil",
    ],
)
def test_any_other_name_is_refused_and_imports_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may stand in somebody else's config.json."""

    def refuse(module: str) -> None:
        raise AssertionError(module)

    monkeypatch.setattr("importlib.import_module", refuse)
    for find in (
        find_set,
        lambda text: data_fingerprint(text, "/"),
        lambda text: data.load(DataConfig(name=text)),
    ):
        with pytest.raises(ConfigError, match=r"^data\.name=.*: must be '\w+', .* or '\w+'"):
            find(name)


def test_a_file_that_is_no_module_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine.py", ".#mine.py", "my set.py", "_hidden.py", "__init__.py", "mine.txt"):
        (tmp_path / name).write_text("raise AssertionError")
    monkeypatch.setattr("bakeoff.data.sets.__file__", str(tmp_path / "__init__.py"))
    assert set_names.__wrapped__() == ("mine",)


@pytest.mark.parametrize(
    "command", [["train"], ["train", "--dry-run"], ["train", "-m", "seed=0,1"], ["preview"]]
)
def test_an_unknown_name_is_one_line_with_the_nearest_and_all(bakeoff: Bakeoff, command: list[str]) -> None:
    code, _, err = bakeoff(*command, "data.name=mnits")
    names = ", ".join(f"'{name}'" for name in set_names()[:-1])
    assert code == 2
    assert err == f"error: data.name=\"mnits\": must be {names} or '{set_names()[-1]}'; did you mean mnist?\n"


# Each key with a value that is not the default.
OWN = {"emnist_split": "letters", "image_size": 32, "skip_broken": True, "fit": "crop", "max_megapixels": 7.5}


@pytest.mark.parametrize("name", set_names())
@pytest.mark.parametrize("key", OWN)
def test_a_key_is_taken_from_the_sets_that_have_it_alone(name: str, key: str) -> None:
    config = DataConfig(name=name, **{key: OWN[key]})
    owner = {"emnist_split": "emnist"}.get(key, "image_folder")
    if name == owner:
        data.check(config)
    else:
        with pytest.raises(ConfigError) as caught:
            data.check(config)
        assert str(caught.value) == f"data.{key}={OWN[key]}: only data={owner} has it; leave the key alone"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_only_a_stored_split_refuses_a_share_and_only_text_a_flip(name: str) -> None:
    changed = {
        "has a stored split": (DataConfig(name=name, val_fraction=0.2), name == "digits"),
        "shows digits or letters": (
            DataConfig(name=name, augment=AugmentConfig(flip=True)),
            name in TEXT,
        ),
    }
    for error, (config, refused) in changed.items():
        if refused:
            with pytest.raises(ConfigError, match=error):
                data.check(config)
        else:
            data.check(config)
    data.check(DataConfig(name=name, augment=AugmentConfig(flip="force")))


def test_the_sets_of_bright_ink_on_black() -> None:
    ink = {name for name in SHIPPED if find_set(name).TRAITS.has_ink}
    assert ink == {"mnist", "digits", "fashion_mnist", "kmnist", "emnist", "qmnist"}
