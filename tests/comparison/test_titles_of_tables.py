"""What a table is called: by the title of its data, and like no other table."""

import json
from pathlib import Path

from run_directories import make_run

from bakeoff.comparison.group import make_tables
from bakeoff.comparison.output.captions import captions
from bakeoff.comparison.output.csv_form import CsvForm
from bakeoff.comparison.output.export import as_csv, as_json
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import filtered
from bakeoff.runs.locate import find_run_dirs


def tables(root: Path, *runs: tuple[str, object]) -> list[Table]:
    """A run for each test set and title."""
    for seed, (test_split, title) in enumerate(runs):
        path = root / f"cnn-{seed}"
        make_run(path, seed, test_split=test_split)
        summary = json.loads((path / "summary.json").read_text())
        summary["data_title"] = title
        if title is None:
            del summary["data_title"]  # as older versions wrote it
        (path / "summary.json").write_text(json.dumps(summary))
    found, problems = read_runs(find_run_dirs(root))
    assert problems == []
    return make_tables(found)


def test_a_table_is_called_by_the_title_of_its_data(tmp_path: Path) -> None:
    (table,) = tables(tmp_path, ("t0", "My pictures"), ("t0", "My pictures"))
    assert (table.data, table.title) == ("toy", "My pictures")
    assert captions(table, [])[0].startswith("My pictures: 60 test images")
    assert json.loads(as_json([table], [], tmp_path))["tables"][0]["title"] == "My pictures"
    header, first = (line.split(",") for line in as_csv([table], [], tmp_path, CsvForm()).splitlines()[:2])
    assert dict(zip(header, first, strict=True))["title"] == "My pictures"


def test_runs_without_a_title_are_called_by_their_data_set(tmp_path: Path) -> None:
    (table,) = tables(tmp_path, ("t0", None))
    assert table.title == "toy"
    (table,) = tables(tmp_path / "other", ("t0", 7))  # somebody else's
    assert table.title == "toy"


def test_data_of_one_test_set_are_all_named(tmp_path: Path) -> None:
    """All of MNIST and a part of it are tested on the same images."""
    (table,) = tables(tmp_path, ("t0", "mnist_small"), ("t0", "mnist"), ("t0", "mnist"))
    assert table.title == "mnist, mnist_small"
    (table,) = tables(tmp_path / "many", *(("t0", title) for title in "edcba"))
    assert table.title == "a, b, c, ..."


def test_two_tables_of_one_title_can_be_told_apart(tmp_path: Path) -> None:
    found = tables(tmp_path, ("1234567890", "pets"), ("abcdefghij", "pets"), ("t0", "cars"))
    assert [table.title for table in found] == [
        "cars", "pets (test images 12345678)", "pets (test images abcdefgh)",
    ]  # fmt: skip


def test_what_a_terminal_would_act_on_is_escaped(tmp_path: Path) -> None:
    (table,) = tables(tmp_path, ("t0", "\x1b[31mred"))
    assert captions(table, [])[0].startswith(r"\x1b[31mred: ")


def test_where_knows_data_by_name_and_by_title(tmp_path: Path) -> None:
    found = tables(tmp_path, ("t0", "Birds"), ("t1", "Cats"), ("t2", None))

    def left(where: str) -> list[str]:
        chosen = zip(found, filtered(found, where), strict=True)
        return sorted(table.title for table, rows in chosen if rows)

    assert left('data == "Birds"') == left('data.title == "Birds"') == ["Birds"]
    assert left('data == "toy"') == ["Birds", "Cats", "toy"]
    assert left('data in ["Birds", "Cats"]') == ["Birds", "Cats"]
    assert left('data != "Birds"') == ["Cats", "toy"]
    assert left('"Birds" == data') == ["Birds"]
    assert left('data.title == "toy"') == ["toy"]
