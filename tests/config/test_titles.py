"""How data are called: in a config, a run directory and its files; names that may not be one."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_run import read, train

from bakeoff.comparison.read import read_run
from bakeoff.config import schema
from bakeoff.config.canonical import identifying_config
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.schema import DataConfig
from bakeoff.config.settled import settle
from bakeoff.config.titles import title_of
from bakeoff.errors import ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps.plan import plan


def titles(*words: str) -> list[str]:
    return [job.values["data"]["title"] for job in expand(parse_arguments(words))[0]]


def test_a_config_is_called_by_its_file(tmp_path: Path) -> None:
    assert titles("-m", "data=mnist_small,digits") == ["mnist_small", "digits"]
    assert titles("experiment=lab_cnn") == ["mnist_plain"]  # which chooses its data
    assert titles("data=digits", "data.title=Ziffern 8x8") == ["Ziffern 8x8"]
    own = tmp_path / "conf" / "data" / "flowers.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("name: image_folder\nimage_size: 32\n")
    assert titles("--config-dir", str(tmp_path / "conf"), "data=flowers", "data.root=x") == ["flowers"]


def settled(overrides: list[str] | None = None, choice: str | None = None, **data: Any) -> str:
    values = {"data": {"title": None, "root": "data"} | data}
    settle(values, overrides or [], (), choice)
    return values["data"]["title"]


@pytest.mark.parametrize(
    ("folder", "title"),
    [
        ("pets", "pets"),
        ("My pictures/", "My pictures"),
        ("Größe 猫", "Größe 猫"),
        ("two\nlines\x1b[31m", r"two\x0alines\x1b[31m"),
        (b"latin1 \xe4".decode(errors="surrogateescape"), r"latin1 \udce4"),
        ("x" * 200, "x" * 100),
    ],
)
def test_pictures_are_called_by_their_folder(tmp_path: Path, folder: str, title: str) -> None:
    found = settled(choice="image_folder", name="image_folder", root=f"{tmp_path}/{folder}")
    assert found == title
    values = dataclasses.asdict(DataConfig(title=found))
    assert schema.parse_section(DataConfig, values, "data").title == title  # gate 1 takes it


def test_a_root_that_is_the_current_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    assert settled(choice="image_folder", name="image_folder", root=".") == "pets"
    assert settled(choice="image_folder", name="image_folder", root="/") == "image_folder"


def test_a_set_that_a_key_names_is_not_called_by_the_file_it_took_the_rest_of() -> None:
    assert settled(["data=digits", "data.name=mnist"], "digits", name="mnist") == "mnist"
    assert settled(["data=mnist_small"], "mnist_small", name="mnist") == "mnist_small"


def test_older_configs_have_a_title_too() -> None:
    assert title_of(DataConfig(name="mnist")) == "mnist"
    assert title_of(DataConfig(name="image_folder", root="/x/pets")) == "pets"
    assert title_of(DataConfig(name="image_folder", root="/x/pets", title="Pets")) == "Pets"


@pytest.mark.parametrize("title", ["", " ", "x" * 101, "a\nb", "a\x1b[31m", "a\u202eb"])
def test_a_title_that_cannot_be_printed_is_refused(title: str) -> None:
    values = dataclasses.asdict(DataConfig(title=title))
    with pytest.raises(
        ConfigError, match=r"^data\.title=.*: must be 1 to 100 characters that can be printed$"
    ):
        schema.parse_section(DataConfig, values, "data")


@pytest.mark.parametrize("name", ["../..", "a/b", "/x", "..", ".", "", "-x", "a b", "a\nb", "x" * 101])
def test_a_model_or_a_sweep_that_would_lead_elsewhere_is_refused(name: str) -> None:
    values = schema.defaults() | {"model": {"name": name, "family": "cnn"}}
    with pytest.raises(ConfigError) as caught:
        check_shared(values)
    assert re.fullmatch(r"model\.name=\".*\": must be at most 100 letters, .*", str(caught.value))
    values = schema.defaults() | {"model": {"name": "cnn", "family": "cnn"}, "sweep": {"name": name}}
    with pytest.raises(ConfigError, match=r"^sweep\.name="):
        check_shared(values)


def test_a_run_is_called_by_its_title_and_stays_the_same_run(
    tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train(tmp_path / "outputs", "data.title='../My digits: 1/2'", "data.root=here")
    assert re.fullmatch(r"\d{6}-cnn-My-digits-1-2-s0-[a-z]{4}", run.name)
    assert run.parents[1] == tmp_path / "outputs"
    assert capsys.readouterr().out.startswith("cnn on ../My digits: 1/2: ")
    summary, config = read(run, "summary.json"), read(run, "config.json")
    assert (summary["data"], summary["data_title"]) == ("digits", "../My digits: 1/2")
    assert config["data"]["root"] == str(tmp_path / "here")  # another folder finds it
    assert "title" not in identifying_config(config)["data"]
    assert read_run(run).data_title == "../My digits: 1/2"


def test_a_sweep_does_not_train_again_what_has_another_title(tmp_path: Path) -> None:
    line = ["data=digits", "model=cnn_small", "sweep.name=night", f"output_dir={tmp_path}"]
    (job,), _ = expand(parse_arguments(line))
    (first,) = plan([job], StopSignal())
    assert first.folder.name.startswith("cnn_small-digits-s0-")
    assert first.state.state == "queued"
    job.values["data"]["title"] = "Ziffern"
    (other,) = plan([job], StopSignal())
    assert (other.folder.name, other.entry.identity) == (
        first.folder.name.replace("digits", "Ziffern"),
        first.entry.identity,
    )
    first.folder.mkdir(parents=True)
    (again,) = plan([job], StopSignal())
    assert again.folder == first.folder


def test_two_titles_of_the_same_run_are_one_run_twice(tmp_path: Path) -> None:
    line = ["--multirun", "data=digits", "model=cnn_small", "sweep.name=night", f"output_dir={tmp_path}"]
    jobs, _ = expand(parse_arguments([*line, "data.title=a,b"]))
    with pytest.raises(ConfigError, match="the sweep holds this run twice"):
        plan(jobs, StopSignal())


def test_a_number_is_a_title(tmp_path: Path) -> None:
    (job,), _ = expand(parse_arguments(["data=digits", "data.title=2024"]))
    assert job.values["data"]["title"] == "2024"
    assert check_shared(job.values).data.title == "2024"
    for other in ("true", "[1]"):
        (job,), _ = expand(parse_arguments(["data=digits", f"data.title={other}"]))
        with pytest.raises(ConfigError, match=r"data\.title"):
            check_shared(job.values)
