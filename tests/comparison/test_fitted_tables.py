"""Tables in every width: no word and no number is broken, and nothing goes without a word."""

import random
import re
from pathlib import Path

import pytest
from compared_runs import make_tree
from conftest import Bakeoff
from rich.cells import cell_len
from run_directories import make_run

from bakeoff.comparison.output.grid import ALWAYS, Cell, Column, Grid
from bakeoff.comparison.output.layout import draw, fit, legend

WIDTHS = (60, 80, 100, 120, 200)
SGR = re.compile(r"\x1b\[[0-9;]*m")


def random_grid(drawn: random.Random) -> Grid:
    """Up to twelve rows and columns of numbers, intervals, keys and names, some long, some of wide signs."""

    def word(most: int) -> str:
        return "".join(drawn.choice("abcdefgh_.日é") for _ in range(drawn.randint(1, most)))

    def number() -> Cell:
        mean = drawn.uniform(0, 10 ** drawn.randint(1, 7))
        spread = drawn.choice(["", f"[{mean / 2:,.2f}, {mean * 2:,.2f}]", f"± {mean / 9:,.1f}"])
        return Cell(f"{mean:,.2f}", spread, drawn.choice(["", "bold green", "dim"]))

    rows = drawn.randint(1, 12)
    names = [word(drawn.choice([8, 70])) for _ in range(rows)]
    columns = [Column("#", "#", [Cell(str(row + 1)) for row in range(rows)], ALWAYS)]
    columns.append(
        Column("configuration", "configuration", [Cell(name, style="bold") for name in names], ALWAYS)
    )
    for place in range(drawn.randint(1, 11)):
        if drawn.random() < 0.3:
            cells = [Cell(drawn.choice(["", word(30)])) for _ in range(rows)]
            columns.append(Column(f"key{place}", f"key{place}", cells, drawn.randint(1, 40), is_key=True))
        else:
            title = f"{word(20)}{place} %"
            columns.append(Column(title[:-2], title, [number() for _ in range(rows)], drawn.randint(1, 40)))
    num_keys = drawn.choice([0, 3, 300])
    keys = [[f"own.{word(20)}={word(30)}" for _ in range(min(8, num_keys))] for _ in range(rows)]
    return Grid(columns, frozenset(drawn.sample(range(rows), rows // 4)) - {0}, names, keys, num_keys, [])


def tokens_of(lines: list[str]) -> set[str]:
    return {token for line in lines for token in line.split()}


@pytest.mark.parametrize("seed", range(25))
def test_no_token_of_a_random_table_is_broken(seed: int) -> None:
    grid = random_grid(random.Random(seed))
    cells = [cell for column in grid.columns for cell in column.cells]
    known = tokens_of(
        [cell.whole for cell in cells] + grid.titles + grid.names + [" ".join(k) for k in grid.keys]
    )
    for width in (*WIDTHS, None):
        fitted = fit(grid, width)
        table = draw(grid, fitted, colour=False)
        told = legend(grid, fitted, width)
        for line in [*table, *told]:
            # Only what has no space in it may be wider than a line.
            assert width is None or cell_len(line) <= width or len(line.split()) <= 2, line
        assert len({cell_len(line) for line in table[1:2]}) == 1
        cut = {token for token in tokens_of(table) if token.endswith("…")}
        assert tokens_of(table) - cut <= known | {"─" * cell_len(table[1])}
        shortened = [cell for cell in fitted.columns[1].cells if cell.text.endswith("…")]
        assert len(cut) <= len(shortened)
        # What has no place in the table is told below it.
        below = " ".join(told)
        for column in fitted.left_out:
            if column.is_key:
                assert all(f"{column.name}={cell.text}" in below for cell in column.cells if cell.text)
            else:
                assert column.name in below
        assert all(grid.names[row] in below for row in fitted.shortened)
        assert all(key in below for keys in grid.keys for key in keys)
        assert len(fitted.columns) + len(fitted.left_out) == len(grid.columns)
        assert (width is None) <= (not fitted.left_out and not fitted.stacked)
        painted = draw(grid, fitted, colour=True)
        assert [SGR.sub("", line) for line in painted] == table
        assert not any(SGR.search(line) for line in table)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven configurations of one model, of two test sets."""
    tmp_path = tmp_path_factory.mktemp("layout")
    make_tree(tmp_path / "r")
    for number in range(3):
        changes = {"optim.momentum": number / 7, "trainer.epochs": number + 3, "optim.name": "sgd"}
        changes |= {"optim.weight_decay": number / 3, "optim.lr": number / 11}
        make_run(tmp_path / "r" / f"other{number}", 0, f"other{number}", changes=changes)
    return tmp_path / "r"


@pytest.mark.parametrize("options", [[], ["--cost", "parameters"], ["--columns", "n,accuracy,latency"]])
def test_what_is_printed_holds_in_the_width(
    bakeoff: Bakeoff, root: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    whole = bakeoff("compare", str(root), *options)[1]
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = bakeoff("compare", str(root), *options)
        assert code == 0
        assert "\x1b" not in out
        assert max(map(cell_len, out.splitlines())) <= width
        rules = {token for token in tokens_of(out.splitlines()) if set(token) == {"─"}}
        told = tokens_of(re.findall(r"\d+ columns? left out[^;]*;[^;]*?terminal", " ".join(out.split())))
        told |= tokens_of(
            re.findall(r"what else tells the rows apart|\S+=\S+", out)
        )  # keys whose columns have no room
        assert tokens_of(out.splitlines()) - rules - told <= tokens_of(whole.splitlines())


def test_columns_go_by_their_use_and_are_named(
    bakeoff: Bakeoff, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def titles(width: int, *options: str) -> tuple[str, str]:
        monkeypatch.setenv("COLUMNS", str(width))
        out = bakeoff("compare", str(root), *options)[1]
        told = re.search(r"\d+ columns? left out \(([^)]*)\)", " ".join(out.split()))
        return next(line for line in out.splitlines() if line.startswith("#")), told[1] if told else ""

    shown, left_out = titles(60)
    assert re.split("  +", shown) == ["#", "configuration", "n", "group", "accuracy %", "nll (test loss)"]
    assert left_out == "macro_f1, train_seconds, parameters"
    # What is asked for comes first; what --columns names, in its order.
    assert "latency (ms)" in titles(60, "--cost", "latency")[0]
    assert "macro_f1 %" in titles(60, "--sort", "macro_f1")[0]
    shown, left_out = titles(60, "--columns", "parameters,nll,macro_f1,accuracy")
    assert re.split("  +", shown) == ["#", "configuration", "parameters", "nll (test loss)"]
    assert left_out == "macro_f1, accuracy"
    assert titles(200)[1] == ""


def test_intervals_stand_below_their_means_where_a_line_does_not_hold_both(
    bakeoff: Bakeoff, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = bakeoff("compare", str(root))[1].splitlines()
    row = next(place for place, line in enumerate(lines) if line.startswith("1  cnn"))
    assert re.fullmatch(r"1  cnn +3 +a +[\d.]+ +[\d.]+ +3.0 +1,234", lines[row])
    assert re.fullmatch(r" +(\[[\d.]+, [\d.]+\] +){2}± 1.0", lines[row + 1])
    monkeypatch.setenv("COLUMNS", "200")
    lines = bakeoff("compare", str(root))[1].splitlines()
    row = next(place for place, line in enumerate(lines) if line.startswith("1  cnn"))
    assert lines[row].count("[") == 3
    assert lines[row + 1].startswith("2  cnn")


def test_many_changed_keys_make_no_long_lines_and_no_long_page(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        changes = {"data": {f"a_key_of_some_length_{key}": key * number / 7 for key in range(300)}}
        make_run(tmp_path / "r" / str(number), 0, f"s{number}", error_rate=number / 30, changes={})
        path = tmp_path / "r" / str(number) / "config.json"
        path.write_text(
            path.read_text().replace(
                '"data": {', f'"own": {changes["data"]!r}, "data": {{'.replace("'", '"'), 1
            )
        )
    wide = bakeoff("compare", str(tmp_path / "r"))[1]
    assert max(map(len, wide.splitlines())) < 600
    monkeypatch.setenv("COLUMNS", "80")
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert len(out.splitlines()) < 120
    assert max(map(len, out.splitlines())) <= 80
    assert "what else tells the rows apart; 293 more keys: --format csv" in out
    assert "own.a_key_of_some_length_100=14.2857" in out
    # Sentences call rows by their numbers: the names are said once.
    sentences = [
        line for line in wide.splitlines() if line.startswith(("One network of row", "caution", "note"))
    ]
    assert len(sentences) >= 9
    assert not any("a_key_of_some_length" in line for line in sentences)
