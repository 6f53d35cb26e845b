"""The studies of a command line: what is searched for each model, and the run of a trial."""

from pathlib import Path

import pytest

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import expand, parse_arguments, with_file
from bakeoff.config.search_space import Choice, Interval
from bakeoff.config.studies import StudyPlan, job_of, jobs_to_check, studies_of
from bakeoff.errors import ConfigError


def _studies(*words: str, search: str | None = None) -> list[StudyPlan]:
    return studies_of(parse_arguments(words), TuneConfig(search=search))


def test_each_model_gets_a_study_with_the_space_of_its_family() -> None:
    cnn, vit = _studies("model=cnn_small,vit", "data=digits")
    assert (cnn.name, cnn.model_word) == ("cnn_small", "model=cnn_small")
    assert cnn.fixed == ("model=cnn_small", "data=digits")
    assert "model.conv_dropout" in cnn.space.dimensions
    assert vit.space.dimensions["model.depth"] == Choice((2, 4, 6))


def test_a_model_that_is_not_named_gives_its_study_its_name() -> None:
    (study,) = _studies("data=digits", "optim.lr=interval(1e-4,1e-2)")
    assert (study.name, study.model_word, study.fixed) == ("cnn", None, ("data=digits",))
    assert study.space.dimensions == {"optim.lr": Interval(1e-4, 1e-2, log=True, is_int=False)}


def test_swept_keys_are_the_whole_space_unless_a_file_is_asked_for() -> None:
    words = ("model=vit", "optim.lr=0.1,0.2")
    assert list(_studies(*words)[0].space.dimensions) == ["optim.lr"]
    space = _studies(*words, search="vit")[0].space
    assert space.dimensions["optim.lr"] == Choice((0.1, 0.2))
    assert "model.depth" in space.dimensions


def test_a_key_that_is_given_is_not_searched() -> None:
    (study,) = _studies("model=vit", "optim.lr=0.003")
    assert "optim.lr" not in study.space.dimensions
    assert "model.depth" in study.space.dimensions
    with pytest.raises(ConfigError, match="all keys of the search space are given"):
        _studies(*(f"{word}" for word in study.space.words(study.space.first)), "model=vit", "optim.lr=0.003")


@pytest.mark.slow
def test_what_a_file_of_config_gives_is_searched_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {name: vit, family: vit}\noptim: {lr: 0.003}\ntrainer: {epochs: 2}\n")
    line = with_file(parse_arguments([]), str(file))
    (study,) = studies_of(line, TuneConfig())
    assert "optim.lr" in study.space.dimensions
    values = job_of(line, study, {**study.space.first, "optim.lr": 0.004}, 5, "mine").values
    assert (values["optim"]["lr"], values["trainer"]["epochs"], values["seed"]) == (0.004, 2, 5)
    typed = with_file(parse_arguments(["optim.lr=0.1"]), str(file))
    assert "optim.lr" not in studies_of(typed, TuneConfig())[0].space.dimensions


@pytest.mark.slow
def test_a_swept_model_wins_over_that_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: vit\n")
    line = with_file(parse_arguments(["model=cnn,cnn_small"]), str(file))
    assert [study.name for study in studies_of(line, TuneConfig())] == ["cnn", "cnn_small"]


def test_the_run_of_a_trial_has_exactly_its_values() -> None:
    words = ["model=vit", "data=digits", "seed=3", "sweep.name=a"]
    words += ["optim.lr=interval(1e-7,1)", "optim=adam,sgd", "model.stem=plain,convolutional"]
    words += ["optim.clip_norm=null,1.5", "trainer.epochs=int(interval(2,9))"]
    line = parse_arguments(words)
    (study,) = studies_of(line, TuneConfig())
    params = {
        "model.stem": "plain", "optim": "sgd", "optim.clip_norm": None, "optim.lr": 1.2345678901234567e-05,
        "trainer.epochs": 7,
    }  # fmt: skip
    job = job_of(line, study, params, None, "b")
    values = job.values
    assert values["optim"]["lr"] == 1.2345678901234567e-05
    assert (values["optim"]["name"], values["optim"]["clip_norm"]) == ("sgd", None)
    assert (values["trainer"]["epochs"], values["seed"], values["sweep"]["name"]) == (7, 3, "b")
    # Its overrides are words with which `bakeoff train` trains the same.
    again, is_sweep = expand(parse_arguments(job.overrides))
    assert not is_sweep
    assert again[0].values == values
    assert job_of(line, study, params, 8, "b").values["seed"] == 8


@pytest.mark.slow
def test_every_value_is_checked_before_the_first_trial() -> None:
    line = parse_arguments(["data=digits", "optim.lr=interval(1e-4,1e-2)", "model.channels=[8],[8,banana]"])
    (study,) = studies_of(line, TuneConfig())
    jobs = jobs_to_check(line, study, "name")
    assert {job.values["optim"]["lr"] for job in jobs} >= {1e-4, 1e-2}
    assert ["8", "banana"] in [[*map(str, job.values["model"]["channels"])] for job in jobs]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed=0,1"], "seed=0,1: all trials have one seed"),
        (["data=mnist,digits"], "data=mnist,digits: all trials are judged by the same validation images"),
        (["data.val_fraction=interval(0.1,0.4)"], "judged by the same validation images"),
        (["~optim.lr=1,2"], "leave ~ out"),
        (["mode.depth=choice(2,4)"], "mode.depth=2: no such key"),
        (
            ["model=cnn,vit", "model.depth=choice(2,4)"],
            "model=cnn has no such key; those that have it: lab_vit",
        ),
        (["model=cnn,nosuch"], "model=nosuch: no such model"),
        pytest.param(["optim=adam,nosuch"], "optim=nosuch: no such optim", marks=pytest.mark.slow),
        (["hydra.mode=MULTIRUN"], "this experiment is several runs of its own"),
        (["optim.lr=interval(2,1)"], "the first end must be below"),
        (["model.depth=choice(2,4"], "a bracket is not closed"),
        (["sweep.jobs=1,2"], "a sweep has one value of it"),
        (["trainer.epochs=interval(2,6)"], "is a whole number; write 'trainer.epochs=int(interval(2,6))'"),
        (["race.looks=[3,5]"], "a key of bakeoff race alone"),
    ],
)
def test_a_slip_is_one_line_that_names_it(words: list[str], says: str) -> None:
    line = parse_arguments(words)
    with pytest.raises(ConfigError) as caught:
        [jobs_to_check(line, study, "name") for study in studies_of(line, TuneConfig())]
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    file = tmp_path / "search" / "mine.yaml"
    file.write_text("optim.lr: tag(log, interval(1e-3, 2e-3))\ntrainer.batch_size: 32, 64\n")
    line = parse_arguments(["--config-dir", str(tmp_path), "data=digits"])
    (study,) = studies_of(line, TuneConfig(search="mine"))
    assert study.space.told() == {
        "optim.lr": "0.001 to 0.002, log scale",
        "trainer.batch_size": "32 or 64",
    }
    for text, says in (
        ("optim.lr: 0.1\n", "optim.lr=0.1: one value"),
        ("optim.lr: interval(1,2\n", "a bracket is not closed"),
        ("- a\n", "must be lines of KEY: VALUES"),
        ("a: [\n", "line 2"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            studies_of(line, TuneConfig(search="mine"))
        assert says in str(caught.value)
        assert "mine.yaml" in str(caught.value)
    with pytest.raises(ConfigError, match=r"tune\.search=mime: no such file .*did you mean mine"):
        studies_of(line, TuneConfig(search="mime"))
