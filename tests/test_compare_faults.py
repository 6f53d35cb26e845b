"""`bakeoff compare` on directories that are broken or hostile: named, never believed, never run."""

import io
import json
import os
import pickle
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from run_directories import make_run, predictions

Break = Callable[[Path], object]


def edit(name: str, **changes: Any) -> Break:
    """Sets dotted keys (with `__` for the dot) of a JSON file."""

    def apply(run: Path) -> None:
        content = json.loads((run / name).read_text())
        for key, value in changes.items():
            section = content
            *parents, last = key.split("__")
            for parent in parents:
                section = section[parent]
            section[last] = value
        (run / name).write_text(json.dumps(content))

    return apply


def write(name: str, content: str | bytes) -> Break:
    data = content.encode() if isinstance(content, str) else content
    return lambda run: (run / name).write_bytes(data)


def arrays(**changes: Any) -> Break:
    """Replaces arrays of the predictions."""

    def apply(run: Path) -> None:
        labels, rows = predictions(1)
        np.savez(
            run / "predictions.npz",
            **{"index": np.arange(60), "label": labels, "probabilities": rows} | changes,
        )

    return apply


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch PWNED",)


def pickled(run: Path) -> None:
    np.savez(run / "predictions.npz", index=np.array([Bomb()], dtype=object), label=1, probabilities=1)


def link(run: Path) -> None:
    (run / "secret").write_text((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    (run / "summary.json").symlink_to(run / "secret")


def fifo(run: Path) -> None:
    (run / "summary.json").unlink()
    os.mkfifo(run / "summary.json")


def huge(run: Path) -> None:
    os.truncate(run / "summary.json", 50 * 2**20)


ROWS = predictions(1)[1]
BROKEN: list[tuple[Break, str]] = [
    *((edit("summary.json", test__accuracy=value), "summary.json: test.accuracy=") for value in
      ("0.99", 99, 1.7, -1, True, [0.5], None)),
    (edit("summary.json", test__macro_f1=1.2), "test.macro_f1=1.2 is not a number in 0..1"),
    (edit("summary.json", test__nll=-0.1), "test.nll=-0.1 is not a number of at least 0"),
    (edit("summary.json", test__num_images=0), "test.num_images=0 is no positive whole number"),
    (edit("summary.json", test__num_images=60.0), "test.num_images=60.0 is no positive whole number"),
    (edit("summary.json", test=3), "no test scores"),
    (edit("summary.json", seed="1"), "seed='1' is no whole number"),
    (edit("summary.json", model=None), "model=None is no text"),
    (edit("summary.json", setting=["x"]), "setting=['x'] is no text"),
    (edit("summary.json", time__train_seconds=-3), "time.train_seconds=-3 is not a number"),
    (edit("summary.json", cost__parameters="many"), "cost.parameters='many' is not a number"),
    (edit("summary.json", schema=2), "written by a newer bakeoff (schema 2, known is 1)"),
    (edit("summary.json", schema="1"), "schema='1' is no version number"),
    (edit("summary.json", test__accuracy=0.123), "test.accuracy=0.123, but predictions.npz gives"),
    (edit("summary.json", test__macro_f1=0.123), "test.macro_f1=0.123, but predictions.npz gives"),
    (edit("summary.json", test__nll=0.123), "test.nll=0.123, but predictions.npz gives"),
    (edit("summary.json", test__num_no_answer=7), "test.num_no_answer=7, but predictions.npz gives 1"),
    (write("summary.json", '{"schema": NaN}'), "summary.json: no valid JSON: NaN is no JSON number"),
    (write("summary.json", '{"schema": 1, "schema": 1}'), "no valid JSON: a key stands twice"),
    (write("summary.json", "[]"), "summary.json: holds no JSON object"),
    (write("summary.json", ""), "summary.json: no valid JSON"),
    (write("summary.json", b'{"model": "\xff\xfe"}'), "summary.json: no valid JSON"),
    (write("summary.json", '{"a":' * 100_000), "summary.json: no valid JSON: nested too deeply"),
    (write("summary.json", '{"schema": ' + "9" * 5000 + "}"), "summary.json: no valid JSON"),
    (write("config.json", "[1]"), "config.json: holds no JSON object"),
    (lambda run: (run / "config.json").unlink(), "config.json: no such file"),
    (link, "summary.json: is a link"),
    (fifo, "summary.json: not a regular file"),
    (huge, "summary.json: 52428800 bytes, more than"),
    (pickled, "predictions.npz: damaged"),
    (write("predictions.npz", b"PK\x03\x04"), "predictions.npz: damaged"),
    (arrays(index=np.zeros(60, int)), "predictions.npz: index is no permutation of 0..59"),
    (arrays(index=np.arange(59)), "predictions.npz: not 60 rows"),
    (arrays(label=np.full(60, 5)), "predictions.npz: a label outside 0..4"),
    (arrays(label=np.zeros(60)), "predictions.npz: arrays of the wrong kind"),
    (arrays(probabilities=ROWS + 0.1), "predictions.npz: rows that are no probabilities"),
    (arrays(probabilities=ROWS * np.nan), "predictions.npz: rows that are no probabilities"),
    (arrays(probabilities=-ROWS), "predictions.npz: rows that are no probabilities"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_a_bad_run_is_named_and_the_good_one_stays(
    bakeoff: Bakeoff, tmp_path: Path, damage: Break, reason: str
) -> None:
    make_run(tmp_path / "r" / "good", 0, "a")
    expected = json.loads(bakeoff("compare", str(tmp_path / "r"), "--format", "json")[1])["tables"]
    make_run(tmp_path / "r" / "bad", 1, "a")
    damage(tmp_path / "r" / "bad")
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "--format", "json")
    assert (code, err) == (7, "")
    result = json.loads(out)
    (problem,) = result["problems"]
    assert problem["path"] == "bad"
    assert reason in problem["reason"]
    assert result["tables"] == expected
    assert not Path("PWNED").exists()


def test_the_pickle_would_have_run() -> None:
    """The canary of the test above is alive."""
    assert b"PWNED" in pickle.dumps(Bomb())


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


HOSTILE = [
    "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "a\rb", "\u202egnp", "a\nb", "\x7f", "<script>", "${oc.env:CANARY}",
    "\ufeffx",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json"])
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_in_a_name_acts_on_a_terminal(bakeoff: Bakeoff, tmp_path: Path, text: str, kind: str) -> None:
    os.environ["CANARY"] = "xyzzy"
    root = tmp_path / "r"
    make_run(root / f"run {text}", 0, "a", model=text, changes={"optim.name": text})
    make_run(root / "two", 0, "b", changes={"data.name": "${oc.env:CANARY}", "model._target_": "os.system"})
    make_run(root / f"bad {text}", 0, "c")
    edit("summary.json", data=text, test__accuracy=text)(root / f"bad {text}")
    code, out, err = bakeoff("compare", str(root), "--format", kind)
    assert code == 7
    for character in (out + err).replace("\n", ""):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs"), ascii(character)
    assert "xyzzy" not in out + err
    assert "${oc.env:CANARY}" in out or "oc.env:CANARY" in out


def test_names_that_are_no_utf8_are_shown_as_escapes(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "good", 0, "a")
    folder = os.fsencode(tmp_path / "r") + b"/\xff\xfe"
    os.makedirs(folder)
    with open(folder + b"/status.json", "w") as file:
        file.write("{}")
    for kind in ("table", "markdown", "csv", "json"):
        code, out, err = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
        assert code == 7
        assert "udcff" in out + err


def test_a_tree_with_a_tenth_broken(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root, expected, broken = tmp_path / "r", {}, set()
    for number in range(300):
        name, setting = f"run{number:03}", f"s{number % 7}"
        summary = make_run(root / name, number, setting)
        if number % 10 == 3:
            BROKEN[number // 10 % len(BROKEN)][0](root / name)
            broken.add(name)
        else:
            expected.setdefault(setting, []).append(summary.test.accuracy)
    code, out, _ = bakeoff("compare", str(root), "--format", "json")
    result = json.loads(out)
    assert code == 7
    assert {problem["path"] for problem in result["problems"]} == broken
    rows = {row["setting"]: row for row in result["tables"][0]["settings"]}
    assert rows.keys() == expected.keys()
    for setting, scores in expected.items():
        assert rows[setting]["num_runs"] == len(scores)
        assert rows[setting]["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(scores), abs=1e-12)
        assert rows[setting]["metrics"]["accuracy"]["std"] == pytest.approx(np.std(scores, ddof=1), abs=1e-12)


def test_an_array_with_a_forged_size_is_refused(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "run", 1, "a")
    content = io.BytesIO()
    np.savez(content, index=np.arange(60), label=np.arange(60), probabilities=ROWS)
    forged = content.getvalue().replace(b"(60, 5)", b"(1<<60)".replace(b"1<<60", b"9" * 5))
    (tmp_path / "r" / "run" / "predictions.npz").write_bytes(forged)
    assert bakeoff("compare", str(tmp_path / "r"))[0] == 7
