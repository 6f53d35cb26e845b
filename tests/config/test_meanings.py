"""What files and keys mean stands at them, for every one that is shipped."""

import dataclasses
import html
import re
from pathlib import Path

import pytest
from shipped import CONFIGS

from bakeoff.config import schema
from bakeoff.config.adaptive import SECTIONS
from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.explain import GROUPS
from bakeoff.config.meanings import header_of, meanings, section_meanings
from bakeoff.config.strict import dotted_keys

FILES = [path for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]


@pytest.mark.parametrize("model", CONFIGS)
def test_no_key_lacks_a_meaning_and_no_meaning_a_key(model: str) -> None:
    (job,), _ = expand(parse_arguments([f"model={model}"]))
    told = meanings(job.values["model"]["family"])
    keys = set(dotted_keys(job.values))
    assert keys == set(told) - {"model"}
    for key in keys:
        assert len(told[key]) > 4, key
        assert len(told[key]) < 100, key
        assert not re.match(r"type:|noqa", told[key]), key


def test_comments_beside_and_above_a_field_are_its_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.py").write_text(
        "import torch_is_not_imported\n\n\nclass Inner:\n    deep: int = 1  # ABC of it\n\n\nclass Config:\n"
        "    a: int = 1  # beside\n    # Above, in\n    # two lines.\n    b: str = 'x'  # type: ignore[x]\n"
        "    c: list = [\n        1  # within\n    ]\n    d: Inner = 0\n    e: int = 2\n"
    )
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "schema.py").write_text(Path(schema.__file__).read_text())
    monkeypatch.setattr("bakeoff.config.meanings._PACKAGE", tmp_path)
    told = meanings("mine")
    found = {key: text for key, text in told.items() if key.startswith("model.")}
    assert found == {
        "model.name": "name of the model in tables and run directories",
        "model.family": "file of models/ that builds the model",
        "model.a": "beside",
        "model.b": "above, in two lines",
        "model.c": "within",
        "model.d.deep": "ABC of it",
        "model.e": "",
    }
    assert set(meanings("nothing")) == set(meanings()) | {"model.name", "model.family"}
    assert meanings("../../etc/passwd") == meanings()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_a_file_says_what_it_is_costs_and_reaches(path: Path) -> None:
    header = header_of(path)
    assert 15 < len(header.first_sentence) < 135
    assert not header.first_sentence.endswith((".", ";", "al"))
    assert header.says.startswith(header.first_sentence)
    if path.parent.name in ("model", "experiment"):
        assert list(header.fields) == ["command", "cost", "result"]
        assert header.fields["command"].startswith("bakeoff train ")
        assert path.stem in header.fields["command"]
        assert header.fields["cost"]
        assert re.search(r"\d %|none|not measured", header.fields["result"])


@pytest.mark.slow  # a sweep composes a second; that each file composes is asked in the quick tier
@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name == "experiment"], ids=lambda path: path.stem
)
def test_the_command_of_an_experiment_composes(path: Path) -> None:
    words = header_of(path).fields["command"].split()[2:]
    assert expand(parse_arguments(words))[0]


def test_the_quickstarts_result_is_that_of_the_pictured_table() -> None:
    picture = (conf_dir().parent / "docs" / "images" / "quickstart.svg").read_text()
    text = html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\N{NO-BREAK SPACE}", " ")
    shown = re.findall(r"\d  (\w+?) *3 +[a-z]+ *(\d\d\.\d\d) \[", text)
    result = header_of(conf_dir() / "experiment" / "quickstart.yaml").fields["result"]
    assert re.findall(r"(\w+) (\d\d\.\d\d) %", result) == shown
    assert len(shown) == 4
    small = header_of(conf_dir() / "model" / "shufflenet_small.yaml").fields["result"]
    assert small.startswith(f"{dict(shown)['shufflenet_small']} % ")


def test_the_first_sentence_ends_where_a_clause_does(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text, first in (
        ("One of 2.5 parts (A et al. 1998); more. Rest.", "One of 2.5 parts (A et al. 1998)"),
        ("Whole of it\n# in two lines.\n# Then more.", "Whole of it in two lines"),
    ):
        path.write_text(f"# @package _global_\n# {text}\n#\n# command   bakeoff  x\nkey: 1\n# no header\n")
        assert header_of(path).first_sentence == first
        assert header_of(path).fields == {"command": "bakeoff  x"}


@pytest.mark.parametrize("name", SECTIONS)
def test_no_key_of_a_command_alone_lacks_a_meaning(name: str) -> None:
    told = section_meanings(name)
    assert set(told) == {f"{name}.{field.name}" for field in dataclasses.fields(SECTIONS[name])}
    for key, text in told.items():
        assert 4 < len(text) < 100, key
