"""`bakeoff tune` as it is typed: its help, its slips, and `--dry-run`, which makes nothing."""

from dataclasses import fields
from pathlib import Path

import pytest
from conftest import Bakeoff

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.meanings import section_meanings

pytest.importorskip("optuna")


def test_its_help_has_each_key_with_its_meaning(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    text = bakeoff("tune", "--help")[1]
    meanings = section_meanings("tune")
    assert {f"tune.{one.name}" for one in fields(TuneConfig)} == set(meanings)
    for key, meaning in meanings.items():
        assert f" {key}=" in text
        assert meaning
        assert " ".join(meaning.split()) in " ".join(text.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--multirun"], "--multirun: tune chooses the combinations itself; leave it out"),
        (["--cfg", "job"], "tune: --cfg and --info are of train"),
        (["hydra.mode=MULTIRUN"], "tune chooses the combinations itself"),
        (["tune.trails=3"], "tune.trails=3: no such key; did you mean tune.trials?"),
        (["tune.trials=3,4"], "one value; a list is written tune.trials=[3,4]"),
        (["tune=3"], "write tune.KEY=VALUE"),
        (["tune.metric=val.acuracy"], "no such metric"),
        (["tune.metric=test.accuracy"], "a search never looks at test images"),
        (["tune.pruner=median", "tune.metric=latency"], "cannot stop trials early by latency"),
        (["seed=0,1"], "all trials have one seed"),
        (["model.depth=choice(2,4"], "write 'model.depth=choice(2,4)'"),
    ],
)
def test_a_slip_is_one_line(words: list[str], says: str, bakeoff: Bakeoff) -> None:
    code, out, err = bakeoff("tune", "data=digits", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "tune.trials=3"), "tune.trials=3: a key of bakeoff tune alone"),
        (("race", "tune.trials=3"), "tune.trials=3: a key of bakeoff tune alone"),
        (("train", "-m", "optim.lr=interval(1,2)"), "or write bakeoff tune"),
        (("hpo",), "write bakeoff tune KEY=VALUE"),
    ],
)
def test_who_means_a_search_is_told(words: tuple[str, ...], says: str, bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff(*words)
    assert code == 2
    assert says in err


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_searched_and_makes_nothing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    words = [
        "model=cnn_small,vit",
        "data=digits",
        "tune.trials=7",
        "optim.lr=interval(1e-4,1e-2)",
        "sweep.name=s",
    ]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = bakeoff("tune", *words, "--dry-run")
    assert (code, err) == (0, "")
    first, *studies, again, time, end = out.splitlines()
    assert "/s: 2 studies of 7 trials each, sampler tpe, pruner median, by validation accuracy" in first
    assert studies[:2] == [
        "cnn_small: optim.lr 0.0001 to 0.01, log scale",
        "vit: optim.lr 0.0001 to 0.01, log scale",
    ]
    assert again.endswith("with 3 new seeds each: at most 32 runs in all")
    assert time.startswith("how long it takes is not known")
    assert end == "everything is in order; not trained (--dry-run)"
    assert sorted(tmp_path.rglob("*")) == before
