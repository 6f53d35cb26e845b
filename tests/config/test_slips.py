"""What a new user gets wrong: one line that names the key or the file, and the cure. Nothing trains."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torchvision
from conftest import Bakeoff
from torchvision.models import list_models

from bakeoff import __version__, models
from bakeoff.comparison.output.printing import write as write_table
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.explain import _ARCHITECTURES, torchvision_name
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, ResourceError, nearest

# The command line, and what the one line must say: the key or word, then the cure.
WRONG = [
    ("train cnn", "cnn: .*write model=cnn$"),
    ("train CNN", "CNN: .*write model=cnn$"),
    ("train digits", "write data=digits$"),
    ("train model = cnn", "model = cnn: .*write model=cnn "),
    ("train model cnn", "model: .*write model=cnn "),
    ("train model =cnn", "write model=cnn "),
    ("train 'optim.lr = 0.1'", "write optim.lr=0.1$"),
    ("train optim.lr= 0.1", "write optim.lr=0.1 "),
    ("train optim.lr:0.1", "write optim.lr=0.1$"),
    ("train lr:0.1", "write optim.lr=0.1$"),
    ("train optim.lr", "optim.lr: its value is missing; write optim.lr=VALUE"),
    ("train optim.lr=1e-3,", "write optim.lr=1e-3$"),
    ("train 'trainer.epochs=10;'", "write trainer.epochs=10$"),
    ("train model.channels=[8, 16]", r"write model.channels=\[8,16\] without"),
    ("train seed=1 model.channels=[8, 16, 32] optim=sgd", r"write model.channels=\[8,16,32\] without"),
    ("train model.channels=[8,16", r"write model.channels=\[8,16\]"),
    ("train 'model.channels=(8, 16)'", r"write model.channels=\[8,16\]"),
    ("train model.channels={8,16}", r"write model.channels=\[8,16\]"),
    ("train model.channels=8,16", r"--multirun.* one list write model.channels=\[8,16\]"),
    ("train model=cnn,vit", "model=cnn,vit: .*add --multirun"),
    ("train seed=0,1", "seed=0,1: .*add --multirun"),
    ("train seed=0, 1", "write seed=0,1 "),
    ("train -m seed=0, 1", "write seed=0,1 "),
    ("train optim.lr=0,01", "optim.lr=0,01: .*optim.lr=0.01"),
    ("train 'seed=range(3)'", "add --multirun"),
    ("train -m 'seed=range(0,100000000)'", r"seed=range\(0,100000000\): .*more than 10,000 runs"),
    ("train -m 'seed=shuffle(range(0,100000000))'", "more than 10,000 runs"),
    ("train -m 'optim.lr=range(0,1,0.0000000001)'", "more than 10,000 runs"),
    ("train -m 'seed=range(0,3,0)'", r"seed=range\(0,3,0\): .*zero"),
    ("train -m sweep.name=a,b", "sweep.name=a,b: a sweep has one name"),
    ('train "\'model=cnn"', "write model=cnn$"),
    ("train 'model=\"cnn'", "write model=cnn$"),
    ("train “model=cnn”", "write model=cnn$"),
    ("train 'model=cnn model=vit'", "several settings .*write model=cnn model=vit$"),
    ("train output_dir=/x/lr=0.1", "output_dir=/x/lr=0.1: .*write 'output_dir=\"/x/lr=0.1\"'"),
    ("train 'output_dir=/x/run#1'", "write 'output_dir=\"/x/run#1\"'"),
    ("train 'output_dir=/x/my (runs)'", "write 'output_dir=\"/x/my "),
    ("train output_dir=my runs", "write 'output_dir=my runs'"),
    ("train 'data=~/pictures'", r"data=~/pictures: .*data=image_folder data.root=\$HOME/pictures"),
    ("train data=/tmp/pictures", "write data=image_folder data.root=/tmp/pictures"),
    ("train model=cnn '#' small", "#: .*comment"),
    ("train ''", "KEY=VALUE"),
    ("train my.yaml", "my.yaml: .*write --config my.yaml$"),
    ("train --config my.yaml", "--config my.yaml: no such file"),
    ("train --config=my.yaml", "--config my.yaml: no such file"),
    ("train --config .", r"--config \.: a folder; give a YAML file, or a run directory"),
    ("train --cfg job cnn", "write model=cnn$"),
    ("train --cfg job 'seed=!!int'", "seed=!!int: .*quotes within quotes"),
    ("train +seed=1", r"\+seed=1: seed has a value already; .*write seed=1$"),
    ("train ~seed=1", "~seed=1: no key and no group can be taken out"),
    ("train ~model.depth", "~model.depth: .*taken out"),
    ("train ~optim=sgd", "~optim=sgd: .*taken out"),
    ("train 'optim=${seed}'", r"optim=\$\{seed\}: write the name of a file; there are adam"),
    ("train -m 'sweep.name=${nope}'", r"\$\{nope\}: no such key"),
    ("train 'seed=${nop:1}'", r"seed=\$\{nop:...\}: no such function"),
    ("train experiment=quickstart model.depth=2", "model.depth=2: this model .*lab_vit, vit"),
    ("train --package x", "--package: .*leave it out"),
    ("train --epochs 3", "--epochs: .*write trainer.epochs=3$"),
    ("train --batch-size=8", "--batch-size: .*write trainer.batch_size=8$"),
    ("train -lr 0.1", "-lr: .*write optim.lr=0.1$"),
    ("train --model cnn", "write model=cnn$"),
    ("train --nonsense", "--nonsense: no such option; .*KEY=VALUE"),
    ("train model=resnet18", "model=resnet18: .*model=finetune model.arch=resnet18$"),
    ("train model=ResNet50", "model=finetune model.arch=resnet50$"),
    ("train +model=vit", "write model=vit$"),
    ("train model==cnn", "write model=cnn$"),
    ("train trainer=epochs=3", "write trainer.epochs=3$"),
    ("train optim=adamW", "optim=adamW: .*did you mean adamw"),
    ("train optim.name=AdamW", "optim.name=.*did you mean adamw"),
    ("train optimizer=adam", "optimizer=adam: .*did you mean optim"),
    ("train learning_rate=0.1", "did you mean optim.lr"),
    ("train data=MNIST", "did you mean mnist"),
    ("train data.name=digits", "data.name=digits: .*write data=digits$"),
    ("train model=vit model.weights=imagenet", "model.weights=imagenet: model=vit .*finetune"),
    ("train -m model=vit,cnn model.depth=2", "model.depth=2: model=cnn .*lab_vit, vit"),
    ("train trainer.device=0", "trainer.device=0: .*did you mean cuda:0"),
    ("train data=digits model.paddings=100000000000 --dry-run", "model.paddings=10+: must be .* 4096"),
    ("train trainer.threads=2147483648", "trainer.threads=2147483648: more than"),
    ("train trainer.device=mps", "trainer.device=.*auto, cpu, cuda"),
    ("train trainer.device=cuda:99999999999999999999", "trainer.device=.*cuda:N"),
    ("train 'hydra.sweeper.params={seed: 1}'", "hydra.sweeper.params=.*--multirun seed=0,1"),
    ("train -m 'hydra.sweeper.params={...}'", "hydra.sweeper.params=.*--multirun seed=0,1"),
    ("train 'seed=${oc.env:NOPE}'", "seed: .*NOPE is not set"),
    ("train 'output_dir=${HOME}'", r"output_dir=.*write \$HOME"),
    ("train 'seed=${seed}'", "seed: "),
    ("train hydra=1", "hydra=1: "),
    ("train =cnn", "=cnn: "),
    ("train -m data=digits sweep=foo", "sweep=foo: .*write sweep.name=foo$"),
    ("race model=cnn,vit 'race.looks=[3,' 5]", r"race\.looks=\[3,.*as in race\.looks=\[3,5,8\]$"),
    ("tune --trials 20", r"--trials: write tune\.trials=VALUE$"),
    ("race --max-seconds=5 model=cnn,vit", r"write race\.max_seconds=5$"),
    ("train -m sweep=null", "sweep=null: .*write sweep.name=NAME$"),
    ("train -m ~sweep", "sweep: .*write sweep.name=NAME$"),
    ("train -m model=[1]", r"model=\[1\]: .*name of a file; .* model.channels="),
    ("train -m trainer=[1],[2]", r"trainer=\[1\],\[2\]: .*name of a file; .* trainer.epochs="),
    ("train 'optim={lr: 3}'", "optim={lr: 3}: .*name of a file; .* optim.lr="),
    (
        "train 'optim.lr=interval(0.001,0.1)'",
        r"optim.lr=interval\(.*as in optim.lr=0.001,0.01, or write bakeoff tune$",
    ),
    (
        "train -m 'optim.lr=interval(0.001,0.1)'",
        r"optim.lr=interval\(.*as in optim.lr=0.001,0.01, or write bakeoff tune$",
    ),
    (
        "train -m 'optim.lr=interval(0.1,0.2),3'",
        r"optim.lr=interval\(.*as in optim.lr=0.001,0.01, or write bakeoff tune$",
    ),
    ("train -m 'seed=range(0,1000),1'", r"seed=range\(0,1000\),1: a range.*alone; .*seed=0,1,2$"),
    ("train -m data=digits 'optim.lr=glob(*)'", r"optim.lr=glob\(\*\): .*names of files"),
    ("train -m 'model=glob(zz*)'", r"model=glob\(zz\*\): this holds no value"),
    ("train -m 'seed=range(3,3)'", r"seed=range\(3,3\): this holds no value; .*seed=0,1,2$"),
    ("train model@y=cnn", "model@y=cnn: @y .*leave it out$"),
    ("train 'seed=${now:}'", "seed: the function .*write the value$"),
    ("train model=efficientnet", "model.arch=efficientnet_b0 or another of theirs$"),
    ("train model=inception", "model.arch=inception_v3 or another of theirs$"),
    ("train model=efficientnet-b0", "model.arch=efficientnet_b0$"),
    ("train -m seed={0,1}", "seed=.0,1.: values.*write --multirun seed=0,1$"),
    ("train 'optim.lr=(0.1, 0.2)'", "write --multirun optim.lr=0.1,0.2$"),
    ("train 'data.classes=[big cat,ü ber]'", r"""write 'data.classes=\["big cat","ü ber"\]'$"""),
    ("train data.classes=cat,dog", r"for one list write data.classes=\[cat,dog\]$"),
    ("train optim.lr=,0.1", "write optim.lr=0.1$"),
    ("train --gpu 0", "--gpu: .*write trainer.device=cuda:0$"),
    ("train --device=1", "--device: .*write trainer.device=cuda:1$"),
    ("train --dry", "--dry: .*write --dry-run$"),
    ("train --dryrun", "--dryrun: .*write --dry-run$"),
    ("train -n", "-n: .*write --dry-run$"),
    ("train --multi-run seed=0,1", "--multi-run: .*write --multirun$"),
    ("train config=foo.yaml", "config=foo.yaml: .*write --config FILE$"),
    ("train -c foo.yaml", "-c foo.yaml: write --config foo.yaml$"),
    ("train --cfg=foo.yaml", "--cfg foo.yaml: write --config foo.yaml$"),
    ("train optim.learning_rate=0.1", r"did you mean optim.lr\?$"),
    ("train data.path=x", r"did you mean data.root\?$"),
    ("train trainer.gpu=0", r"did you mean trainer.device\?$"),
    ("train data.classes=[]", r"data.classes=\[\]: must be a list with at least 2 values$"),
    ("train data.root=", 'data.root="": must be a text of at least 1 character$'),
    ("train data.classes=3", r"data.classes=3: must be a list, as in \[3\]$"),
    ("train model.channels=[] --dry-run", r"model.channels=\[\]: must be a list with at least 1 value$"),
    ("compare --top x", "--top: x is no whole number above 0; see bakeoff compare --help$"),
    ("compare --seconds-to 98%", "--seconds-to: 98% is no share .*such as 0.98"),
    ("compare --format md", r"did you mean markdown\?$"),
    ("compare --format jsno", r"did you mean json\?$"),
    ("evaluate /path/not/there", "run /path/not/there: no such path"),
    ("evaluate /dev", "run /dev: no run directory"),
    ("preview cnn", "write model=cnn$"),
    ("cnn", "write bakeoff train model=cnn$"),
    ("model=cnn", "write bakeoff train model=cnn$"),
    ("-m seed=0,1", "write bakeoff train -m seed=0,1$"),
    ("ls", "bakeoff list"),
    ("status", "bakeoff list"),
    ("eval latest", "bakeoff evaluate RUN$"),
    ("test", "bakeoff evaluate RUN$"),
    ("fit", "bakeoff train"),
    ("run", "bakeoff train"),
    ("rm x", "folder"),
    ("prun", "there are train"),
]


@pytest.mark.parametrize(("line", "says"), WRONG)
def test_a_slip_is_answered_in_one_line_that_names_it_and_the_cure(
    line: str, says: str, bakeoff: Bakeoff
) -> None:
    code, out, err = bakeoff(*shlex.split(line))
    assert code in (2, 3)
    assert out == ""
    assert err.count("\n") == 1
    assert re.search(says, err.strip()), err
    assert not re.search(
        r"hydra\.cc|\bbug\b|Traceback|did you mean prune|bakeoff prune|_positive|_share", err
    )


def test_a_cure_that_can_be_typed_is_a_command_line_that_composes(bakeoff: Bakeoff) -> None:
    for line in ("train output_dir=/x/lr=0.1", "train model.channels=[8, 16]", "train 'output_dir=/x/r#1'"):
        err = bakeoff(*shlex.split(line))[2]
        cure = re.search(r"write (.*?)(?: without them)?$", err.strip())
        assert cure
        assert expand(parse_arguments(shlex.split(cure[1])))


@pytest.mark.parametrize("command", ["train", "compare", "prune"])
def test_each_command_tells_the_version_of_bakeoff(command: str, bakeoff: Bakeoff) -> None:
    assert bakeoff(command, "--version") == (0, f"bakeoff {__version__}\n", "")


@pytest.mark.parametrize("option", ["--dry-run", "-n"])
def test_a_dry_run_is_what_prune_does(option: str, bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("prune", option)
    assert code == 2
    assert err == f"error: {option}: leave it out; files are only shown unless --yes is given\n"


def test_a_name_of_torchvisions_that_is_proposed_is_one_that_it_has() -> None:
    known = list_models(module=torchvision.models)
    assert [torchvision_name(name) for name in known] == known
    for start in _ARCHITECTURES:
        assert torchvision_name(start) in known
    assert torchvision_name("transformer") is None


def test_keys_that_only_swept_models_have_may_be_fixed() -> None:
    jobs, _ = expand(parse_arguments(["-m", "model=vit,lab_vit", "model.depth=2"]))
    assert [(job.values["model"]["name"], job.values["model"]["depth"]) for job in jobs] == [
        ("vit", 2),
        ("lab_vit", 2),
    ]


def test_a_key_that_the_models_of_an_experiment_have_may_be_fixed(own: Path) -> None:
    line = ["--config-dir", str(own), "experiment=vits", "model.depth=2"]
    jobs, _ = expand(parse_arguments(line))
    assert [(job.values["model"]["name"], job.values["model"]["depth"]) for job in jobs] == [
        ("vit", 2),
        ("lab_vit", 2),
    ]


def test_a_family_without_a_file_of_its_name_has_defaults_too(own: Path) -> None:
    text = f"{GLOBAL}model:\n  name: mine\n  family: torchvision_detector\n"
    (own / "model" / "mine.yaml").write_text(text)
    line = ["--config-dir", str(own), "model=mine"]
    assert "weights" in expand(parse_arguments(line))[0][0].values["model"]


def test_the_config_shown_is_that_of_a_model_of_ones_own_with_its_familys_keys(
    own: Path, bakeoff: Bakeoff
) -> None:
    code, out, _ = bakeoff("train", "--config-dir", str(own), "model=tiny", "--cfg", "job")
    assert code == 0
    assert "kernel_sizes: 3" in out


def test_composing_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    expand(parse_arguments(["-m", "seed=0,1,2"]), lambda done, jobs: told.append((done, jobs)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", ["adamW", "ADAMW", "AdamW"])
def test_the_case_of_a_name_is_no_difference(name: str) -> None:
    assert nearest(name, ["adam", "adamw"]) == "; did you mean adamw?"


GLOBAL = "# @package _global_\n"
OWN = {
    "experiment/doubled": (f"{GLOBAL}trainer:\n  epochs: 3\ntrainer:\n  epochs: 4\n", "line 4: trainer stands"),
    "experiment/tab": (f"{GLOBAL}trainer:\n\tepochs: 3\n", "line 3: a tab"),
    "experiment/tag": (f"{GLOBAL}seed: !!python/object/apply:os.system ['id']\n", "line 2: .*os.system.*not allowed"),
    "experiment/circle": (f"{GLOBAL}defaults: [circle]\n", "its defaults lead back to itself"),
    "experiment/absolute": (f"{GLOBAL}defaults: [/experiment/absolute]\n", "its defaults lead back to itself"),
    "experiment/ring": (f"{GLOBAL}trainer: &x\n  epochs: *x\n", "Circular"),
    "experiment/without": ("trainer:\n  epochs: 3\n", "line 1: write # @package _global_"),
    "experiment/bomb": (
        f"{GLOBAL}a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "line 8: more than 50 aliases",
    ),
    "experiment/deep": (f"{GLOBAL}a: {'[' * 300}{']' * 300}\n", "line 2: nested deeper"),
    "experiment/list": (f"{GLOBAL}- a\n", "must hold keys"),
    "experiment/empty": ("", "it is empty"),
    "experiment/control": (f"{GLOBAL}seed: \x01\n", "UTF-8"),
    "experiment/keys": (f"{GLOBAL}? [1, 2]\n: 3\n", "unhashable"),
    "experiment/defaults": (f"{GLOBAL}defaults: sgd\n", "defaults must be a list"),
    "experiment/open": (f"{GLOBAL}seed: [1\n", "line 3"),
    "experiment/other_group": (f"{GLOBAL}defaults: [sgd]\n", "its defaults name sgd, .* override /GROUP: sgd"),
    "experiment/of_hydra": (f"{GLOBAL}hydra: {{mod: RUN}}\n", "hydra.mod: no such key"),
    "experiment/wrong_kind": (f"{GLOBAL}model: [1]\n", "a list stands where keys belong"),
}  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Config files of one's own."""
    for name, text in OWN.items():
        path = tmp_path / "own" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[0])
    vits = "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      model: vit,lab_vit\n"
    (tmp_path / "own" / "experiment" / "vits.yaml").write_text(f"{GLOBAL}{vits}")
    model = tmp_path / "own" / "model"
    model.mkdir()
    (model / "tiny.yaml").write_text(f"{GLOBAL}model:\n  name: tiny\n  family: cnn\n  channels: [8]\n")
    return tmp_path / "own"


@pytest.mark.parametrize("name", list(OWN))
def test_a_broken_file_of_ones_own_is_named_with_its_line(name: str, own: Path, bakeoff: Bakeoff) -> None:
    group, _, choice = name.partition("/")
    code, out, err = bakeoff("train", "--config-dir", str(own), f"{group}={choice}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{choice}.yaml" in err
    assert re.search(OWN[name][1], err), err


def test_a_file_in_the_defaults_that_is_not_there_is_named(own: Path, bakeoff: Bakeoff) -> None:
    (own / "experiment" / "nowhere.yaml").write_text(f"{GLOBAL}defaults: [override /optim: nope]\n")
    err = bakeoff("train", "--config-dir", str(own), "experiment=nowhere")[2]
    assert re.search(r"nope, .*no such optim; there are adam", err)
    assert "search path" not in err


def test_a_model_file_takes_the_keys_it_leaves_out_from_its_family(own: Path) -> None:
    folder = ["--config-dir", str(own)]
    values = [
        expand(parse_arguments([*folder, *line]))[0][-1].values["model"]
        for line in (["model=tiny"], ["model=tiny", "model.kernel_sizes=5"], ["-m", "model=cnn,tiny"])
    ]
    standard = expand(parse_arguments([]))[0][0].values["model"]
    tiny = standard | {"name": "tiny", "channels": [8]}
    assert values == [tiny, tiny | {"kernel_sizes": 5}, tiny]


def test_the_overrides_of_a_job_with_a_model_of_ones_own_give_it_again(own: Path) -> None:
    line = ["--config-dir", str(own), "-m", "model=tiny", "model.kernel_sizes=5", "seed=0,1"]
    for job in expand(parse_arguments(line))[0]:
        assert expand(parse_arguments(job.overrides))[0][0].values == job.values


def test_names_of_ones_own_stand_in_the_lists(own: Path, bakeoff: Bakeoff) -> None:
    err = bakeoff("train", "--config-dir", str(own), "model=tinny")[2]
    assert re.search("there are .*tiny, .*did you mean tiny", err)
    assert "write model=tiny" in bakeoff("train", "--config-dir", str(own), "tiny")[2]


def test_a_deleted_key_is_not_filled_in(own: Path) -> None:
    line = ["--config-dir", str(own), "model=tiny", "~model.kernel_sizes"]
    assert "model.kernel_sizes" not in dotted_keys(expand(parse_arguments(line))[0][0].values)


def test_an_error_in_a_model_of_ones_own_names_its_file(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(models.__file__ or "").with_name("mine.py")
    space: dict[str, Any] = {}
    # A file there would be seen by other tests.
    exec(compile("def build():\n    raise KeyError('width')\n", str(path), "exec"), space)
    monkeypatch.setattr("bakeoff.commands.train.train", lambda _: space["build"]())
    code, _, err = bakeoff("train")
    assert code == 2
    assert f"{path}, line 2: KeyError: 'width'; this is your own file" in err
    assert "a bug of bakeoff" not in err


def test_refused_sweeps_are_refused_by_count() -> None:
    with pytest.raises(ConfigError, match="more than 10,000"):
        expand(parse_arguments(["-m", "seed=range(200)", "optim.lr=range(1,100)"]))


def test_a_table_that_cannot_be_written_asks_for_another_file(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"choose another FILE for -o$"):
        write_table("table", tmp_path / "nowhere" / "table.md")
