"""`bakeoff compare` on damage that no list foresees: cuts, flips, any value anywhere."""

import contextlib
import copy
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff
from damaged_runs import (
    no_test_waits,  # noqa: F401 - a fixture of every test here
)
from run_directories import make_run

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.output.printing import FORMATS, Writing, rendered
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.view import View
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.stored_predictions import read_predictions


@pytest.mark.parametrize("name", ["summary.json", "predictions.npz"])
def test_no_cut_or_flipped_bit_gives_a_wrong_figure(bakeoff: Bakeoff, tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "r" / "run", 1, "a")
    right = json.loads(bakeoff("compare", str(tmp_path / "r"), "--format", "json")[1])["tables"][0][
        "settings"
    ][0]
    path = tmp_path / "r" / "run" / name
    content = path.read_bytes()
    random = np.random.RandomState(0)
    damaged = [content[:size] for size in range(0, len(content), 50)]
    for bit in random.randint(0, 8 * len(content), 60):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.append(bytes(flipped))
    detected = 0
    for version in damaged:
        path.write_bytes(version)
        code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", "json")
        result = json.loads(out)
        if code == 7:
            assert result["tables"] == []
            detected += 1
            continue
        (row,) = result["tables"][0]["settings"]
        for metric in ("accuracy", "macro_f1", "nll"):
            assert row["metrics"][metric]["mean"] == pytest.approx(right["metrics"][metric]["mean"], abs=1e-4)
    assert detected >= len(range(0, len(content), 50)) - 1


def figures_of(run: Path) -> dict[str, np.ndarray] | None:
    try:
        return read_predictions(run, "test")
    except UnreadableFileError:
        return None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_of_the_archive_is_found_or_harmless(tmp_path: Path, save: Callable[..., None]) -> None:
    make_run(tmp_path / "run", 1, "a")
    path = tmp_path / "run" / "predictions.npz"
    right = figures_of(tmp_path / "run")
    assert right is not None
    save(path, **right)
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    # Every bit of the archive's directory and of the first header, and a sample of the rest.
    bits = [*range(8 * 200), *range(8 * directory, 8 * len(content)), *range(0, 8 * directory, 97)]
    outcomes = {"found": 0, "harmless": 0}
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(bytes(flipped))
        try:
            found = figures_of(tmp_path / "run")
        except Exception as error:  # noqa: BLE001 - to name the bit
            pytest.fail(f"bit {bit % 8} of byte {bit // 8}: {type(error).__name__}: {error}")
        if found is not None:
            for name, array in right.items():
                assert found[name].dtype == array.dtype
                assert np.array_equal(found[name], array), f"bit {bit % 8} of byte {bit // 8}"
        outcomes["found" if found is None else "harmless"] += 1
    assert outcomes["found"] > len(bits) / 3


@pytest.mark.parametrize("name", ["config.json", "status.json"])
def test_a_file_cut_anywhere_is_named_or_not_needed(bakeoff: Bakeoff, tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "r" / "run", 1, "a")
    right = json.loads(bakeoff("compare", str(tmp_path / "r"), "--format", "json")[1])["tables"]
    path = tmp_path / "r" / "run" / name
    content = path.read_bytes()
    for size in [*range(0, len(content) - 2, 10)]:
        path.write_bytes(content[:size])
        code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", "json")
        result = json.loads(out)
        if name == "status.json":  # the summary wins
            assert (code, result["tables"], result["problems"]) == (0, right, [])
        else:
            assert (code, result["tables"]) == (7, [])
            assert result["problems"][0]["reason"].startswith("config.json: no valid JSON")


ODD = [None, True, -1, 1e308, 10**400, "", "x", [], {}, [[1]], {"a": {"b": 1}}, "\x1b\u202e\ud800"]


@pytest.mark.parametrize("name", ["summary.json", "config.json", "status.json"])
def test_any_value_anywhere_is_a_row_or_a_problem(tmp_path: Path, name: str) -> None:
    """Each key of a run's JSON, and each of its sections, takes each odd value."""
    run, failures = tmp_path / "r" / "run", []
    make_run(run, 1, "a")
    if name == "status.json":
        (run / "summary.json").unlink()
    content = json.loads((run / name).read_text())
    places = [(key,) for key in content]
    places += [(key, inner) for key, part in content.items() if isinstance(part, dict) for inner in part]
    assert len(places) > 5
    for place in places:
        for value in ODD:
            changed = copy.deepcopy(content)
            section = changed[place[0]] if len(place) == 2 else changed
            section[place[-1]] = value
            (run / name).write_text(json.dumps(changed))
            try:
                check_all_formats(run)
            except Exception as error:  # noqa: BLE001 - all of them are shown at once
                failures.append(
                    f"{'.'.join(place)}={str(value)[:20]!a}: {type(error).__name__}: {error}"[:150]
                )
    assert failures == []


def check_all_formats(run: Path) -> None:
    """Either a row or a problem, in text that a terminal, UTF-8 and a JSON reader can take."""
    runs, problems = read_runs([run])
    assert len(runs) + len(problems) == 1
    tables = compare_runs(runs, View(), statistics=True)
    for kind in FORMATS:
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown):
            text = rendered(tables, problems, Writing(kind), View(), run.parent)
        if kind == "json":
            json.loads(text, parse_constant=pytest.fail)
        text.encode()
        acting = {
            character for character in text + shown.getvalue() if unicodedata.category(character)[0] == "C"
        }
        assert acting <= {"\n"}
