"""Help fits 80 columns and fewer, is found by every word for it, and its numbers are true."""

import re
from pathlib import Path

import pytest
from conftest import Bakeoff
from terminals import WIDTHS, terminal

from bakeoff.cli import COMMANDS
from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.explain import GROUPS
from bakeoff.config.strict import dotted_keys


def too_wide(lines: list[str], columns: int) -> list[str]:
    """Lines that could be broken; argparse keeps an option and its choices together, as in a usage."""
    return [line for line in lines if len(line) > columns and len(line.split()) > 1 and "[--" not in line]


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_the_width_and_breaks_no_word(
    name: str, columns: int, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    words = bakeoff(*([name] if name else []), "--help")[1].split()
    monkeypatch.setenv("COLUMNS", str(columns))
    text = bakeoff(*([name] if name else []), "--help")[1]
    assert too_wide(text.splitlines(), columns) == []
    assert [word for word in text.split() if word not in set(words)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_found_by_every_word_for_it(name: str, bakeoff: Bakeoff) -> None:
    code, text, err = bakeoff(name, "--help")
    assert (code, err) == (0, "")
    assert text.startswith(f"usage: bakeoff {name}")
    assert bakeoff("help", name) == bakeoff(name, "help") == bakeoff(name, "-h") == (0, text, "")


def test_help_alone_is_that_of_the_program(bakeoff: Bakeoff) -> None:
    assert bakeoff("help") == bakeoff("--help") == bakeoff("-h") == bakeoff()
    assert bakeoff("help", "trian")[::2] == (2, "error: trian: no such command; did you mean train?\n")


def test_a_folder_called_help_can_be_compared(bakeoff: Bakeoff) -> None:
    Path("help").mkdir()
    assert bakeoff("compare", "help")[0] == 2  # no run directory there


def test_the_version_has_a_short_option(bakeoff: Bakeoff) -> None:
    assert bakeoff("-V") == bakeoff("--version")
    assert re.fullmatch(r"bakeoff \d+\.\d+\.\d+\S*\n", bakeoff("-V")[1])


def test_trains_help_has_options_first_then_each_file_and_key(bakeoff: Bakeoff) -> None:
    text = bakeoff("train", "--help")[1]
    places = [text.index(f"\n{word}") for word in ("options:", "examples:", "data=NAME", "Every key")]
    assert places == sorted(places)
    for group in GROUPS:
        part = text[text.index(f"\n{group}=NAME:") :]
        for path in (conf_dir() / group).glob("*.yaml"):
            assert re.search(rf"^  {path.stem} +\S", part, re.M), path
    (job,), _ = expand(parse_arguments([]))
    for key in dotted_keys(job.values):
        assert re.search(rf"^  {re.escape(key)}=\S*\s+\S", text, re.M), key
    count = len(expand(parse_arguments(["experiment=quickstart"]))[0])
    assert count == 12
    assert "twelve runs and their table" in text


def test_trains_help_shows_what_a_command_line_makes_of_the_keys(bakeoff: Bakeoff) -> None:
    text = bakeoff("train", "--help", "model=vit", "optim.lr=0.5", "trainer.compile=true")[1]
    assert "\n  model.patch_size=null " in text
    assert "\n  optim.lr=0.5 " in text
    assert "\n  trainer.compile=true " in text
    assert bakeoff("train", "--help", "optim.lrr=1")[::2] == (
        2,
        "error: optim.lrr=1: no such key; did you mean optim.lr?\n",
    )


def test_trains_help_has_the_files_of_ones_own(bakeoff: Bakeoff, tmp_path: Path) -> None:
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "mine.yaml").write_text("# My own way. More.\nname: sgd\n")
    text = bakeoff("train", "--config-dir", str(tmp_path), "--help")[1]
    assert re.search(r"^  mine +My own way$", text, re.M)


@pytest.mark.parametrize("group", ["model", "experiment"])
def test_lists_have_what_each_is_costs_and_reaches(group: str, bakeoff: Bakeoff) -> None:
    code, text, _ = bakeoff(f"{group}s")
    assert code == 0
    blocks = text.rstrip("\n").split("\n\n")[:-1]
    names = [block.split()[0] for block in blocks]
    assert names == sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    for block in blocks:
        _, cost, result = block.splitlines()
        assert cost.startswith("  cost  ")
        assert result.startswith("  result  ")


@pytest.mark.parametrize("columns", WIDTHS)
def test_lists_fit_a_terminal(columns: int, bakeoff: Bakeoff) -> None:
    words = {word for name in ("models", "experiments") for word in bakeoff(name)[1].split()}
    with terminal(columns) as screen:
        bakeoff("models")
        bakeoff("experiments")
    assert too_wide(screen.lines(), columns) == []
    assert {word for line in screen.lines() for word in line.split()} <= words


def test_one_model_is_shown_with_its_keys_and_one_experiment_with_what_it_sets(bakeoff: Bakeoff) -> None:
    text = bakeoff("models", "vit")[1]
    assert "\n  command               bakeoff train model=vit data=mnist\n" in text
    assert re.search(r"^  model\.heads=4 +number of attention heads in each block$", text, re.M)
    text = bakeoff("experiments", "quickstart")[1]
    for line in ("data=digits", "trainer=small_data", "seed=0,1,2"):
        assert f"\n  {line}\n" in f"{text}\n"
    assert bakeoff("models", "vitt")[::2] == (
        2,
        f"error: vitt: no such model; there are {', '.join(models())}; did you mean vit?\n",
    )


def models() -> list[str]:
    return sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
