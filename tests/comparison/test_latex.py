"""`bakeoff compare --format latex`: what it writes goes through pdfLaTeX, whatever the names are."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.comparison.output.latex import in_latex
from bakeoff.runs.rundir import RunDir

PREAMBLE = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
NAMES = (
    "a_b%c&d#e$f{g}h~i^j\\k", "\"'`´[x](y)<z>|*--- --", "éàüßØñ œ", "日本 — … ± № 🙂 İş", "\\end{table}", "%", "[4pt]", "\x1b\x07",
)  # fmt: skip


def compiled(source: str, folder: Path) -> str:
    """The log of pdfLaTeX, which must get through without an error."""
    (folder / "doc.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"],
        cwd=folder, capture_output=True, text=True, check=False, encoding="latin-1", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "doc.pdf").is_file()
    return done.stdout


@pytest.mark.slow
def test_every_table_compiles(bakeoff: Bakeoff, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        assert "BAKEOFF_REQUIRE_LATEX" not in os.environ, "no pdflatex, and BAKEOFF_REQUIRE_LATEX is set"
        pytest.skip("no pdflatex")
    for number, name in enumerate(NAMES):
        changes = {"optim.lr": 0.1 * number, "optim.name": name}
        make_run(tmp_path / "r" / str(number), 0, str(number), model=name, changes=changes)
        make_run(tmp_path / "r" / f"{number} again", 1, str(number), model=name, changes=changes)
    RunDir.create(tmp_path / "r" / "failed_100%").write_status("failed", 1, "no\nmore \\disk")
    options = (
        [], ["--no-statistics"], ["--spread", "std"], ["--group-by", "optim.name", "--cost", "parameters"],
        ["--columns", "n,accuracy"], ["--columns", "name,seeds,data.root", "--only-changed"],
    )  # fmt: skip
    tables = [bakeoff("compare", str(tmp_path / "r"), "--format", "latex", *option)[1] for option in options]
    log = compiled("\n".join([PREAMBLE, *tables, r"\end{document}"]), tmp_path)
    assert "Missing character" not in log
    assert r"\onlyunicode{日本}" in tables[0]
    wide = max(
        float(line.split("(")[1].partition("pt")[0]) for line in log.splitlines() if "Overfull" in line
    )
    assert wide < 400, "points beyond the text's width"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ('"x"', "''x''"),
        ("a|b", r"a\textbar{}b"),
        ("é 日本 x", r"é \onlyunicode{日本} x"),
        ("98 ± 1 %", r"98 $\pm$ 1 \%"),
    ],
)
def test_signs_that_latex_would_print_as_others(text: str, expected: str) -> None:
    assert in_latex(text) == expected


def test_a_macro_is_written_only_where_it_is_needed(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="cnn")
    assert r"\onlyunicode" not in bakeoff("compare", str(tmp_path / "r"), "--format", "latex")[1]
    make_run(tmp_path / "r" / "2", 0, "b", model="日本")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "latex")[1]
    assert out.startswith(r"\providecommand{\onlyunicode}")


def test_intervals_stand_below_their_means_where_a_page_does_not_hold_both(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="cnn")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "latex")[1]
    assert re.search(r"cnn & 1 & [\d.]+ & [\d.]+ & [\d.]+ & 3.0 & 1,234 \\\\\n &  & \\scriptsize \{\[\}", out)
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "latex", "--columns", "accuracy")[1]
    assert re.search(r"cnn & [\d.]+ \{\[\}[\d.]+, [\d.]+\{\]\} \\\\\n\\bottomrule", out)
