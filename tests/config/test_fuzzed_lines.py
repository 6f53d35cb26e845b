"""Command lines and YAML files of random pieces: done, or one line that names what is wrong, and soon."""

import random
import re
import string
import time
from pathlib import Path

import pytest
from conftest import Bakeoff

from bakeoff.config.job import Job
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.gates import prepare

_SECONDS_AT_MOST = 5.0
_JARGON = re.compile(
    r"hydra\.cc|\bbug of\b|Traceback|[Oo]mega[Cc]onf|\bHydra\b|\bstruct\b|full_key|object_type|LexerNoViable|"
    r"Could not|search path|nterpolation key|raised while|\w+Error:"
)
_KEYS = [
    "seed",
    "output_dir",
    "data.name",
    "data.root",
    "data.val_fraction",
    "data.train_limit",
    "data.classes",
    "data.image_size",
    "data.augment.shift_pixels",
    "data.augment.flip",
    "data.augment",
    "model.channels",
    "model.kernel_sizes",
    "model.pools",
    "model.depth",
    "model.width",
    "model.weights",
    "model.name",
    "model.family",
    "model.paddings",
    "model.dropout",
    "optim.name",
    "optim.lr",
    "optim.weight_decay",
    "optim.schedule",
    "optim.warmup",
    "optim.warmup_epochs",
    "optim.clip_norm",
    "trainer.epochs",
    "trainer.batch_size",
    "trainer.accumulate",
    "trainer.device",
    "trainer.precision",
    "trainer.threads",
    "trainer.ema_decay",
    "trainer.select",
    "trainer.nope",
    "sweep.name",
    "model",
    "data",
    "optim",
    "trainer",
    "experiment",
    "hydra.mode",
    "hydra.verbose",
    "hydra.searchpath",
    "hydra.job.name",
    "x",
    "a.b",
]
_VALUES = [
    "0",
    "1",
    "-1",
    "3",
    "0.1",
    "1e-3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "null",
    "true",
    "false",
    "yes",
    "'a'",
    '"b"',
    "[]",
    "[1,2]",
    "[8,16",
    "{}",
    "{a:1}",
    "${seed}",
    "${oc.env:HOME}",
    "${nope}",
    "${oc.env:NOPE}",
    "${nop:1}",
    "cnn",
    "vit",
    "digits",
    "mnist",
    "sgd",
    "adam",
    "debug",
    "classroom",
    "lab",
    "resnet18",
    "cuda",
    "cuda:0",
    "mps",
    "cpu",
    "auto",
    "~/x",
    "/nonexistent",
    "../..",
    "a/b",
    "99999999999999999999999",
    "0x10",
    "1_000",
    "é",
    "日本",
    ",",
    ",,",
    "=",
    "==",
    "0,1",
    "1,2,3",
    "range(3)",
    "range(0,1000000000)",
    "choice(a,b)",
    "glob(*)",
    "interval(0,1)",
    "shuffle(1,2)",
    "sort(3,1)",
    "extend_list(3)",
    "MULTIRUN",
    "RUN",
    "[null]",
    "[[1]]",
    "[a,b,{c:d}]",
    "!!int",
    "#",
    "%s",
    "'",
    '"',
    "\\",
    "$",
    "(",
    ")",
    "]",
    "}",
    ":",
    ";",
    "best",
    "last",
    "one_cycle",
    "cosine",
    "step",
    "fp16",
    "bf16",
]
_OPTIONS = [
    "-m",
    "--multirun",
    "--config",
    "--config=nowhere.yaml",
    "--config-dir=nowhere",
    "--cfg=job",
    "--cfg=nope",
    "--info=config",
    "-x",
    "--foo=1",
    "--",
    "--debug-x",
    "-cd",
    "-cp",
    "--package=p",
    "--resolve",
]
_RIGHT = [
    "seed=3",
    "optim.lr=0.1",
    "model=vit",
    "model=cnn_small",
    "data.train_limit=200",
    "data.classes=[0,1]",
    "optim=sgd",
    "trainer.epochs=2",
    "trainer.batch_size=32",
    "data.augment.flip=true",
    "+trainer.threads=1",
    "++seed=2",
    "optim.warmup_epochs=1",
    "optim.clip_norm=null",
    "trainer.select=last",
    "output_dir=runs",
    "data.val_fraction=0.2",
]
_PIECES = [
    "model: vit", "model: {name: cnn, channels: [8]}", "data: digits", "data: {name: digits}",
    "optim.lr: 1e-3", "optim: {lr: x}", "trainer: {epochs: 2}", "trainer:\n  epochs: 2\n  epochs: 3",
    "\ttab: 1", "- a", "a: &a [*a]", "x: !!python/object:os.system []", "seed: 1", "seed: [0,1]",
    "model: [1]", "model: 3", "model: ''", "defaults: [sgd]", "? [1,2]\n: 3", "{", "'", "\x01", "seed: .nan",
    "experiment: debug", "model.depth: 2", "sweep: {name: x}", "hydra: {mode: MULTIRUN}", "hydra: {mod: 1}",
    "optim: null", "data: {augment: {flip: 1}}", "learning rate: 3", "1: 2", "null: 3",
    "model: {family: nope}", "data: {root: ~}", "x: " + "[" * 50, "seed: 2020-01-01", "trainer: lab",
    "model: {name: ../x, family: cnn}", "a: |\n  text\n  more", "k: ${seed}", "seed: ${nope}",
    "seed: ${nop:}", "output_dir: ''", "data: {classes: [0,1]}", "model: {'': cnn}", "data: {'a b': 1}",
    "trainer: {threads: 99999999999}", "optim: {lr: {a: {b: 1}}}", "data: {name: 3}",
]  # fmt: skip


def _damaged(text: str, chance: random.Random, signs: str) -> str:
    letters = list(text)
    for _ in range(chance.randint(1, 3)):
        letters.insert(chance.randrange(len(letters) + 1), chance.choice(signs))
    return "".join(letters)


def _word(chance: random.Random) -> str:
    if chance.random() < 0.5:
        return chance.choice(_RIGHT)
    word = f"{chance.choice(['', '', '', '', '+', '++', '~'])}{chance.choice(_KEYS)}={chance.choice(_VALUES)}"
    kind = chance.random()
    if kind < 0.08:
        return word.partition("=")[0]
    if kind < 0.16:
        return _damaged(word, chance, string.punctuation + " é")
    if kind < 0.20:
        return "".join(chance.choice(string.printable) for _ in range(chance.randint(1, 12)))
    return word


def _line(chance: random.Random, folder: Path) -> list[str]:
    """One command line; half of them read a YAML file that is written here."""
    if chance.random() < 0.6:
        words = [_word(chance) for _ in range(chance.randint(1, 4))]
        if chance.random() < 0.3:
            words.insert(chance.randint(0, len(words)), chance.choice(_OPTIONS))
        words = ["-m", *words] if chance.random() < 0.3 else words
    else:
        text = "\n".join(chance.sample(_PIECES, chance.randint(1, 3)))
        text = _damaged(text, chance, string.printable) if chance.random() < 0.3 else text
        header = "# @package _global_\n" if chance.random() < 0.8 else ""
        for name in ("f.yaml", "own/experiment/f.yaml", "own/model/f.yaml"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((header if "/" in name else "") + text, encoding="utf-8")
        words = chance.choice(
            [
                [f"--config={folder}/f.yaml"],
                [f"--config={folder}/f.yaml", _word(chance)],
                [f"--config-dir={folder}/own", "experiment=f"],
                [f"--config-dir={folder}/own", "model=f"],
            ]
        )
    return ["train", *words, *([] if any(word.startswith("data=") for word in words) else ["data=digits"])]


def _no_sweep(jobs: list[Job], *_: object) -> int:
    for job in jobs[:3]:
        check_shared(job.values)
    return 0


@pytest.mark.parametrize(
    ("seed", "num_lines"),
    [(0, 20), *(pytest.param(seed, 100, marks=pytest.mark.slow) for seed in (1, 2, 3, 4))],
)
def test_a_random_line_is_done_or_refused_in_one_line(
    seed: int, num_lines: int, bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.sweeps.run.run_sweep", _no_sweep)
    monkeypatch.setattr("bakeoff.commands.train._run_single", lambda job, *_: prepare(job.values))
    chance = random.Random(seed)
    refused = 0
    for _ in range(num_lines):
        words = _line(chance, tmp_path)
        start = time.monotonic()
        code, _, err = bakeoff(*words)
        seconds = time.monotonic() - start
        assert code in (0, 2, 3), (words, code, err)
        assert err.count("\n") == (code != 0), (words, err)
        # What was typed may hold any word.
        assert not _JARGON.search(err) or _JARGON.search(" ".join(words)), (words, err)
        assert seconds < _SECONDS_AT_MOST, (words, seconds)
        refused += code != 0
    assert 0 < refused < num_lines
