"""What a command line resolves to, or how it is refused. In process, without training."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from shipped import CONFIGS, HEAVY, TWINS, offline_values

from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.schema import defaults
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.models.base import TaskSpec, check_model, find_family

MNIST = TaskSpec(1, 28, 28, tuple("0123456789"), mean=(0.1,), std=(0.3,))


def resolved(*arguments: str) -> dict[str, Any]:
    """All gates that need no data; the resolved values by dotted key."""
    jobs, _ = expand(parse_arguments(arguments))
    for job in jobs:
        check_shared(job.values)
        check_model(job.values)
    return dotted_keys(jobs[0].values)


SGD = {
    "optim.name": "sgd",
    "optim.lr": 0.05,
    "optim.weight_decay": 0.0005,
    "optim.momentum": 0.9,
    "optim.schedule": "cosine",
    "optim.warmup": 0.1,
    "optim.warmup_epochs": None,
    "optim.clip_norm": 1.0,
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"model.name": "cnn", "data.name": "mnist", "data.augment.shift_pixels": 2, "seed": 0}),
        ("model=cnn optim=sgd", SGD | {"model.name": "cnn"}),
        ("optim=sgd model=cnn", SGD),
        ("optim=adam", {"optim.name": "adam", "optim.clip_norm": None, "optim.schedule": "constant"}),
        ("optim=sgd optim.lr=7", SGD | {"optim.lr": 7}),
        ("", {"optim.warmup": 0.1, "optim.warmup_epochs": None}),
        ("optim=adam", {"optim.warmup": None, "optim.warmup_epochs": 0.0}),
        # What stands on the command line is what counts: an epoch given in place of a recipe's share.
        ("optim.warmup_epochs=0", {"optim.warmup": None, "optim.warmup_epochs": 0}),
        ("optim=sgd ++optim.warmup_epochs=2", {"optim.warmup": None, "optim.warmup_epochs": 2}),
        ("optim.warmup_epochs=2 optim.warmup=0.3", {"optim.warmup": 0.3, "optim.warmup_epochs": 2}),
        ("optim.warmup_epochs=99 optim.warmup=0.3", {"optim.warmup": 0.3}),
        ("optim.lr=7 optim=sgd", SGD | {"optim.lr": 7}),
        ("optim.lr=1e-4", {"optim.lr": 1e-4, "optim.name": "adamw"}),
        ("optim.clip_norm=null", {"optim.clip_norm": None}),
        ("optim.schedule=step optim.step_epochs=2", {"optim.schedule": "step", "optim.step_epochs": 2}),
        ("data=digits", {"data.name": "digits", "data.augment.shift_pixels": 0}),
        ("data=mnist_plain data.name=kmnist", {"data.name": "kmnist", "data.augment.shift_pixels": 0}),
        ("data.name=mnist", {"data.name": "mnist", "data.augment.shift_pixels": 2}),
        ("data=mnist_plain", {"data.name": "mnist", "data.augment.shift_pixels": 0}),
        ("data.augment.shift_pixels=1", {"data.augment.shift_pixels": 1}),
        ("model.channels=[1,2] model.pools=2", {"model.channels": [1, 2], "model.pools": 2}),
        ("++seed=3", {"seed": 3}),
        ("seed=9223372036854775807", {"seed": 2**63 - 1}),
        ("trainer.device=cuda:1", {"trainer.device": "cuda:1"}),
        ("trainer.deterministic=true", {"trainer.deterministic": True}),
        ("data.val_fraction=0 trainer.select=last", {"data.val_fraction": 0, "trainer.select": "last"}),
        ("output_dir=/tmp/x", {"output_dir": "/tmp/x"}),
        ("'output_dir=a b'", {"output_dir": "a b"}),
        ("sweep.name=night-1", {"sweep.name": "night-1"}),
        (
            "experiment=lab_cnn",
            {"model.name": "lab_cnn", "optim.name": "adam", "optim.lr": 1e-3, "trainer.batch_size": 64},
        ),
        (
            "experiment=lab_vit",
            {
                "model.patch_size": 4,
                "optim.name": "adam",
                "trainer.batch_size": 128,
                "data.augment.shift_pixels": 0,
            },
        ),
        (
            "experiment=lab_vgg16",
            {
                "model.arch": "vgg16",
                "model.weights": "imagenet",
                "model.image_size": 224,
                "optim.lr": 1e-4,
                "trainer.batch_size": 64,
                "data.augment.shift_pixels": 0,
            },
        ),
        (
            "experiment=lab_alexnet model.weights=none",
            {
                "model.arch": "alexnet",
                "model.weights": "none",
                "optim.name": "adam",
                "trainer.select": "last",
            },
        ),
        ("experiment=lab_vit model=cnn optim=sgd", SGD | {"model.name": "cnn", "trainer.epochs": 10}),
        (
            "experiment=mnist_best",
            {"trainer.ema_decay": 0.999, "data.augment.rotate_degrees": 10, "optim.lr": 0.01},
        ),
        ("experiment=mnist_best trainer.epochs=3", {"trainer.epochs": 3, "trainer.ema_decay": 0.999}),
        (
            "experiment=debug model=vit",
            {"trainer.overfit_batches": 2, "model.name": "vit", "optim.lr": 0.002},
        ),
        ("model=vit optim=sgd", SGD | {"model.name": "vit", "trainer.epochs": 20}),
    ],
)
def test_resolves(line: str, expected: dict[str, Any]) -> None:
    values = resolved(*shlex.split(line))
    assert {key: values[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("optim.lrr=7", r"optim\.lrr=7: no such key; did you mean optim\.lr\?"),
        ("model.chanels=[1]", r"model\.chanels=\[1\]: no such key; did you mean model\.channels\?"),
        ("optim.epochs=3", r"optim\.epochs=3: no such key; did you mean trainer\.epochs\?"),
        ("+made.up=1", r"made\.up=1: no such key"),
        ("+optim.lrr=7", r"optim\.lrr=7: no such key; did you mean optim\.lr\?"),
        ("+model._target_=os.system", r"model\._target_=.*: no such key; known here: model\.channels"),
        ("++model._target_=os.system", r"model\._target_=.*: no such key"),
        ("+data._target_=os.system", r"data\._target_=.*: no such key"),
        ("~model", r"model: the key is missing"),
        ("~optim.lr", r"optim\.lr: the key is missing"),
        ("~data.augment.shift_pixels", r"data\.augment\.shift_pixels: the key is missing"),
        ("~model.channels", r"model\.channels: the key is missing"),
        ("mode=cnn", r"mode=cnn: no such key; did you mean model\?"),
        (
            "model=cnnn",
            r"model=cnnn: no such model; there are alexnet, alexnet_small, cnn, .*; did you mean cnn\?",
        ),
        (
            "optim=sdg",
            r"optim=sdg: no such optim; there are adam, adam_finetune, adamw, rmsprop, sgd; did you mean sgd\?",
        ),
        ("experiment=lab", r"experiment=lab: no such experiment"),
        ("model=", r"model=: no such model; there are alexnet, alexnet_small, cnn"),
        ("trainer.epochs=\"'2'\"", r'trainer\.epochs="2": must be a valid integer'),
        ("trainer.epochs=2.5", r"trainer\.epochs=2\.5: must be a valid integer"),
        ("trainer.epochs=0", r"trainer\.epochs=0: must be greater than or equal to 1"),
        ("trainer.epochs=[1]", r"trainer\.epochs=\[1\]: must be a valid integer"),
        ("trainer.deterministic=yes", r'trainer\.deterministic="yes": must be true or false'),
        ("seed=true", r"seed=true: must be a valid integer"),
        ("seed=-1", r"seed=-1: must be greater than or equal to 0"),
        ("seed=9223372036854775808", r"seed=9223372036854775808: must be less than 9223372036854775808"),
        ("seed=null", r"seed=null: must be a valid integer"),
        ("optim.lr=nan", r"optim\.lr=NaN: must be a finite number"),
        ("optim.lr=0", r"optim\.lr=0: must be greater than 0"),
        (
            "optim.name=adm",
            r"optim\.name=\"adm\": must be 'sgd', 'adam', 'adamw' or 'rmsprop'; did you mean adam\?",
        ),
        ("optim=3", r"optim=3: no such optim"),
        ("data.val_fraction=0.6", r"data\.val_fraction=0\.6: must be less than or equal to 0\.5"),
        ("data.val_fraction=0", r"data\.val_fraction=0.*trainer\.select=last"),
        ("data=digits data.val_fraction=0.2", r"data\.val_fraction=0\.2: digits has a stored split"),
        ("optim.warmup_epochs=9 trainer.epochs=2", r"optim\.warmup_epochs=9: longer than trainer\.epochs=2"),
        (
            "optim.warmup_epochs=2.5 trainer.epochs=2",
            r"optim\.warmup_epochs=2\.5: longer than trainer\.epochs=2",
        ),
        (
            "optim.warmup=null optim.warmup_epochs=9 trainer.epochs=2",
            r"longer than trainer\.epochs=2; shorten it, or give a share of the run, as in optim\.warmup=0\.1",
        ),
        ("optim.warmup=1.5", r"optim\.warmup=1\.5: must be less than or equal to 1"),
        ("optim.step_epochs=2", r"optim\.step_epochs=2: only optim\.schedule=step uses it"),
        ("trainer.device=gpu", r'trainer\.device="gpu": must be auto, cpu, cuda or cuda:N'),
        (
            "data.name=digits",
            r"data\.name=digits: alone this would keep another data set's augmentation; write data=digits$",
        ),
        ("--multirun data.name=digits,kmnist", r"data\.name=digits: .* write data=digits"),
        ("data.name=digitz", r"did you mean digits"),
        ("sweep.name=../x", r"sweep\.name=.*letters, digits"),
        ("hydra.run.dir=/tmp/x", r"hydra\.run\.dir=/tmp/x: .*set output_dir"),
        ("hydra.sweep.dir=/tmp/x", r"hydra\.sweep\.dir=/tmp/x: .*set output_dir"),
        ("hydra/launcher=joblib", r"hydra/launcher=joblib: bakeoff makes its own runs"),
        ("--experimental-rerun=x.pickle", r"--experimental-rerun: it would unpickle"),
        ("--config-name=x", r"--config-dir DIR"),
        ("--nonsense", r"--nonsense: no such option; .*KEY=VALUE"),
        ("seed=0,1", r"seed=0,1.*--multirun"),
        ("--multirun model=cnn,vitt", r"vitt: no such model"),
        ("optim.lr=[1", r"optim\.lr|\[1"),
        ("seed=${nope}", r"nope"),
        ("model.channels=[]", r"model\.channels=\[\]: must be"),
        ("model.channels=[8,-1]", r"model\.channels\[1\]=-1: must be greater than or equal to 1"),
        ("model.norm=layer", r"model\.norm=\"layer\": must be 'batch', 'group' or 'none'"),
        ("model.dropout=1", r"model\.dropout=1: must be less than 1"),
        ("model.family=os", r"model\.family=os: no such family; there are cnn"),
    ],
)
def test_is_refused(line: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error) as caught:
        resolved(*shlex.split(line))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["model.kernel_sizes=[3,3]"], r"model\.kernel_sizes=\[3, 3\]: 2 entries for 3 convolutions"),
        (["model.pools=[2,2,2,2]"], r"model\.pools=.*4 entries for 3"),
        (["model.pools=4"], r"model\.pools: the pooling of layer 3 of 3 leaves nothing: window 4"),
        (["model.kernel_sizes=[3,29,3]"], r"convolution of layer 2 of 3 leaves nothing: window 29"),
    ],
)
def test_gate_3_names_the_layer(overrides: list[str], error: str) -> None:
    job = expand(parse_arguments(["model.channels=[4,4,4]", *overrides]))[0][0]
    family, config = check_model(job.values)
    with pytest.raises(ConfigError, match=error):
        family.build(config, MNIST)


@pytest.fixture
def own_configs(tmp_path: Path) -> str:
    """A user's own presets."""
    folder = tmp_path / "mine"
    (folder / "experiment").mkdir(parents=True)
    (folder / "optim").mkdir()
    presets = {
        "quiet": "# @package _global_\ndefaults:\n  - override /optim: slow\n  - override /data: digits\n",
        "left_over": "# @package _global_\noptim:\n  gamma: 3\n",
        "wrong": "# @package _global_\ntrainer:\n  epochs: many\n",
        "several": "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 0,1\n"
        "      optim.lr: 0.1,0.2\n",
        "moved": "# @package _global_\nhydra:\n  run:\n    dir: elsewhere\n",
        "code": "# @package _global_\nmodel:\n  _target_: os.system\n",
    }
    for name, text in presets.items():
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    slow = OmegaConf.load(conf_dir() / "optim" / "sgd.yaml")
    slow.lr = 1e-5
    slow.schedule = "constant"
    OmegaConf.save(slow, folder / "optim" / "slow.yaml")
    return str(folder)


def test_a_preset_chooses_group_files(own_configs: str) -> None:
    values = resolved("--config-dir", own_configs, "experiment=quiet")
    assert values["optim.lr"] == 1e-5
    assert values["data.name"] == "digits"


@pytest.mark.parametrize("order", [("experiment=quiet", "optim=adam"), ("optim=adam", "experiment=quiet")])
def test_the_command_line_beats_a_preset_with_nothing_left_over(
    own_configs: str, order: tuple[str, str]
) -> None:
    values = resolved("--config-dir", own_configs, *order)
    adam = resolved("optim=adam")
    assert {key: value for key, value in values.items() if key.startswith("optim.")} == {
        key: value for key, value in adam.items() if key.startswith("optim.")
    }
    assert values["data.name"] == "digits"


@pytest.mark.parametrize(
    ("preset", "error"),
    [
        ("left_over", r"optim\.gamma=3: no such key"),
        ("wrong", r'trainer\.epochs="many": must be a valid integer'),
        ("moved", r"set output_dir"),
        ("code", r"model\._target_=\"os\.system\": no such key"),
    ],
)
def test_a_bad_preset_is_refused(own_configs: str, preset: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        resolved("--config-dir", own_configs, f"experiment={preset}")


def test_a_preset_may_be_a_sweep_and_the_command_line_wins(own_configs: str) -> None:
    jobs, is_sweep = expand(parse_arguments(["--config-dir", own_configs, "experiment=several"]))
    assert is_sweep
    assert [(job.values["seed"], job.values["optim"]["lr"]) for job in jobs] == [
        (0, 0.1),
        (0, 0.2),
        (1, 0.1),
        (1, 0.2),
    ]
    jobs, _ = expand(parse_arguments(["--config-dir", own_configs, "experiment=several", "seed=5"]))
    assert [(job.values["seed"], job.values["optim"]["lr"]) for job in jobs] == [(5, 0.1), (5, 0.2)]


@pytest.mark.parametrize(
    ("given", "seeds"),
    [("++seed=5", [5]), ("++seed=5,6", [5, 6]), ("'seed=7'", [7]), ("seed=range(3,5)", [3, 4])],
)
def test_a_key_of_the_command_line_beats_a_presets_sweep_however_it_is_written(
    given: str, seeds: list[int], own_configs: str
) -> None:
    line = ["--config-dir", own_configs, "experiment=several", *shlex.split(given)]
    jobs, is_sweep = expand(parse_arguments(line))
    assert is_sweep
    found = [(job.values["seed"], job.values["optim"]["lr"]) for job in jobs]
    assert found == [(seed, lr) for seed in seeds for lr in (0.1, 0.2)]
    assert len({job.values["sweep"]["name"] for job in jobs}) == 1


def test_a_key_that_is_there_cannot_be_added_to_a_presets_sweep(own_configs: str) -> None:
    with pytest.raises(ConfigError, match=r"\+seed=5: seed has a value already"):
        expand(parse_arguments(["--config-dir", own_configs, "experiment=several", "+seed=5"]))


def test_a_forced_name_of_a_sweep_is_its_name() -> None:
    jobs, _ = expand(parse_arguments(["-m", "seed=0,1", "++sweep.name=night"]))
    assert [job.values["sweep"]["name"] for job in jobs] == ["night", "night"]
    assert not any("++sweep.name" in text for job in jobs for text in job.overrides)


def test_a_job_of_a_sweep_finds_the_users_files_by_its_own_overrides(own_configs: str) -> None:
    jobs, _ = expand(parse_arguments(["--config-dir", own_configs, "-m", "experiment=quiet", "seed=0,1"]))
    for job in jobs:
        assert job.values["optim"]["lr"] == 1e-5
        assert expand(parse_arguments(job.overrides))[0][0].values == job.values


def test_a_missing_config_dir_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--config-dir nowhere: no such folder"):
        resolved("--config-dir", "nowhere")


def test_a_sweep_varies_the_last_parameter_fastest_under_one_name() -> None:
    jobs, is_sweep = expand(parse_arguments(["-m", "seed=0,1", "optim=glob(*)", "model.channels=[4],[8]"]))
    assert is_sweep
    found = [
        (job.values["seed"], job.values["optim"]["name"], job.values["model"]["channels"]) for job in jobs
    ]
    assert found == [
        (s, o, c)
        for s in (0, 1)
        for o in ("adam", "adam", "adamw", "rmsprop", "sgd")  # adam.yaml, adam_finetune.yaml
        for c in ([4], [8])
    ]
    assert len({job.values["sweep"]["name"] for job in jobs}) == 1


@pytest.mark.parametrize(
    "line", [["-m", "data=digits", "seed=range(3)", "model.channels=[4],[8,8]"], ["experiment=quickstart"]]
)
def test_the_overrides_of_a_job_give_the_job_again(line: list[str]) -> None:
    for job in expand(parse_arguments(line))[0]:
        again, is_sweep = expand(parse_arguments(job.overrides))
        assert not is_sweep
        assert again[0].values == job.values


@pytest.mark.parametrize("path", sorted((conf_dir() / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_models_yaml_has_just_the_fields_of_its_family(path: Path) -> None:
    section = OmegaConf.to_container(OmegaConf.load(path))["model"]  # type: ignore[index, call-overload]
    family = find_family(section.pop("family"))  # type: ignore[union-attr]
    assert section.pop("name") == path.stem  # type: ignore[union-attr]
    assert list(section) == [item.name for item in dataclasses.fields(family.Config)]  # type: ignore[arg-type]


@pytest.mark.parametrize("group", ["optim", "trainer"])
def test_a_file_of_optim_or_trainer_sets_all_keys(group: str) -> None:
    paths = sorted((conf_dir() / group).glob("*.yaml"))
    assert paths
    for path in paths:
        assert list(OmegaConf.load(path)) == list(defaults()[group]), path.name


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml")))
def test_every_experiment_composes(name: str) -> None:
    assert resolved(f"experiment={name}")["model.name"]


BUILT: set[tuple[str, str, int]] = set()


# In the quick tier each model meets two data sets, and each data set one model.
MODELS_AND_DATA = [
    pytest.param(
        model,
        path.stem,
        marks=()
        if model not in HEAVY and (model == "cnn" or path.stem in ("digits", "mnist"))
        else pytest.mark.slow,
    )
    for model in CONFIGS
    if model not in TWINS
    for path in sorted((conf_dir() / "data").glob("*.yaml"))
]


@pytest.mark.parametrize(("model", "data"), MODELS_AND_DATA)
def test_every_model_composes_with_every_data_set(model: str, data: str) -> None:
    (job,), _ = expand(parse_arguments([f"model={model}", f"data={data}"]))
    check_shared(job.values)
    check_model(job.values)
    assert job.values["model"]["name"] == model
    family, config = check_model(job.values | {"model": job.values["model"] | offline_values(model)})
    side = 8 if data == "digits" else 28
    # Most data sets leave a model as it is and have images of one size: each network is built once.
    network = (family.__name__, repr(config), side)
    if network not in BUILT:
        family.build(config, dataclasses.replace(MNIST, height=side, width=side))
        BUILT.add(network)


KEYS = sorted(
    dotted_keys(defaults()) | {"model.channels": 0, "model.norm": 0, "model": 0, "optim": 0, "x.y": 0}
)
VALUES = [
    "1",
    "-1",
    "0",
    "1e308",
    "null",
    "true",
    "abc",
    "[1,2]",
    "{a:1}",
    "''",
    "1" * 400,
    "ü",
    "inf",
    "sgd",
    "[[]]",
]


def some_overrides(max_examples: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Runs a test with random lists of overrides."""
    override = st.tuples(
        st.sampled_from(["", "+", "++", "~"]), st.sampled_from(KEYS), st.sampled_from(VALUES)
    )

    def decorate(test: Callable[..., None]) -> Callable[[], None]:
        given_changes = given(st.lists(override, max_size=3))(test)
        return settings(
            max_examples=max_examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            derandomize=True,
        )(given_changes)

    return decorate


def check_overrides(changes: list[tuple[str, str, str]]) -> None:
    line = [f"{prefix}{key}" if prefix == "~" else f"{prefix}{key}={value}" for prefix, key, value in changes]
    error = ""
    values: dict[str, Any] = {}
    try:
        values = resolved(*line)
    except ConfigError as refused:
        error = str(refused)
    assert error or values["trainer.epochs"] >= 1
    assert "\n" not in error


@some_overrides(max_examples=20)
def test_random_overrides_give_a_config_or_a_config_error(changes: list[tuple[str, str, str]]) -> None:
    check_overrides(changes)


@pytest.mark.slow
@some_overrides(max_examples=60)
def test_more_random_overrides_give_a_config_or_a_config_error(changes: list[tuple[str, str, str]]) -> None:
    check_overrides(changes)
