"""`bakeoff compare` on directories that are broken or hostile: named, never believed, never run."""

import contextlib
import copy
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff, files_below
from run_directories import make_run, predictions

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.output.printing import FORMATS, rendered
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.view import View
from bakeoff.runs.rundir import read_predictions
from bakeoff.runs.storage import UnreadableFileError

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
    changes = {"data.name": "${oc.env:CANARY}", "model._target_": "os.system", "optim.name": text * 2}
    make_run(root / "two", 0, "b", model=text, changes=changes)
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


@pytest.mark.parametrize("count", [300, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_tree_with_a_tenth_broken(bakeoff: Bakeoff, tmp_path: Path, count: int) -> None:
    """The table is that of the good runs alone, and each bad one is named with its reason."""
    root, expected, broken = tmp_path / "r", {}, {}
    for number in range(count):
        name, setting = f"run{number:03}", f"s{number % 7}"
        summary = make_run(root / name, number, setting)
        if number % 10 == 3:
            damage, broken[name] = BROKEN[number // 10 % len(BROKEN)]
            damage(root / name)
        else:
            expected.setdefault(setting, []).append(summary.test.accuracy)
    code, out, _ = bakeoff("compare", str(root), "--format", "json")
    result = json.loads(out)
    assert code == 7
    reasons = {problem["path"]: problem["reason"] for problem in result["problems"]}
    assert reasons.keys() == broken.keys()
    assert all(reason in reasons[name] for name, reason in broken.items())
    rows = {row["setting"]: row for row in result["tables"][0]["settings"]}
    assert rows.keys() == expected.keys()
    for setting, scores in expected.items():
        assert rows[setting]["num_runs"] == len(scores)
        assert rows[setting]["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(scores), abs=1e-12)
        assert rows[setting]["metrics"]["accuracy"]["std"] == pytest.approx(np.std(scores, ddof=1), abs=1e-12)
    assert len(result["tables"][0]["pairs"]) == 3 * 21
    for name in broken:
        shutil.rmtree(root / name)
    code, out, _ = bakeoff("compare", str(root), "--format", "json")
    assert (code, json.loads(out)["tables"]) == (0, result["tables"])


def test_an_array_with_a_forged_size_is_refused(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "run", 1, "a")
    content = io.BytesIO()
    np.savez(content, index=np.arange(60), label=np.arange(60), probabilities=ROWS)
    forged = content.getvalue().replace(b"(60, 5)", b"(1<<60)".replace(b"1<<60", b"9" * 5))
    (tmp_path / "r" / "run" / "predictions.npz").write_bytes(forged)
    assert bakeoff("compare", str(tmp_path / "r"))[0] == 7


# Worse than the table above: what must not end the whole comparison, or make it wait.


@pytest.fixture(autouse=True)
def _no_test_waits() -> Iterator[None]:
    """A reader that blocks on a pipe fails the test instead of the test run."""

    def late(*_: object) -> None:
        raise AssertionError("waited for more than 90 s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 90)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def put(name: str, key: str, literal: str) -> Break:
    """Replaces a number of a JSON file, found by its key, by a literal."""

    def apply(run: Path) -> None:
        text, count = re.subn(f'("{key}": )[-0-9.e+]+', rf"\g<1>{literal}", (run / name).read_text(), count=1)
        assert count == 1
        (run / name).write_text(text)

    return apply


def without_predictions(damage: Break) -> Break:
    def apply(run: Path) -> None:
        damage(run)
        (run / "predictions.npz").unlink()

    return apply


def folder(name: str) -> Break:
    def apply(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return apply


def linked(name: str) -> Break:
    def apply(run: Path) -> None:
        (run / name).rename(run / "secret")
        (run / name).symlink_to("secret")

    return apply


def a_socket(run: Path) -> None:
    (run / "summary.json").unlink()
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(run):  # its path may not be long
        server.bind("summary.json")


def to_device(run: Path) -> None:
    (run / "summary.json").unlink()
    (run / "summary.json").symlink_to("/dev/zero")


def loop(run: Path) -> None:
    (run / "summary.json").unlink()
    (run / "summary.json").symlink_to("summary.json")


def nest(name: str, depth: int) -> Break:
    def apply(run: Path) -> None:
        text = (run / name).read_text().rstrip().removesuffix("}")
        (run / name).write_text(f'{text}, "deep": {"[" * depth}{"]" * depth}}}')

    return apply


def flag_as_encrypted(run: Path) -> None:
    """One bit of the archive's directory."""
    content = bytearray((run / "predictions.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] ^= 1
    (run / "predictions.npz").write_bytes(bytes(content))


def damage_compressed(run: Path) -> None:
    labels, rows = predictions(1)
    np.savez_compressed(run / "predictions.npz", index=np.arange(60), label=labels, probabilities=rows)
    content = bytearray((run / "predictions.npz").read_bytes())
    for place in range(60, 100):
        content[place] ^= 0xFF
    (run / "predictions.npz").write_bytes(bytes(content))


HUGE = "9" * 400  # no float
WORSE: list[tuple[str, Break, str]] = [
    ("summary.json is a folder", folder("summary.json"), "summary.json: "),
    ("config.json is a folder", folder("config.json"), "config.json: "),
    ("predictions.npz is a folder", folder("predictions.npz"), "predictions.npz: "),
    ("config.json is a link", linked("config.json"), "config.json: is a link"),
    ("predictions.npz is a link", linked("predictions.npz"), "predictions.npz: is a link"),
    ("summary.json is a socket", a_socket, "summary.json: "),
    ("summary.json is a link to a device", to_device, "summary.json: is a link"),
    ("summary.json is a link to itself", loop, "summary.json: is a link"),
    ("accuracy is infinite", put("summary.json", "accuracy", "1e999"), "summary.json: test.accuracy="),
    ("accuracy is -0.5", put("summary.json", "accuracy", "-0.5"), "summary.json: test.accuracy=-0.5"),
    ("nll is infinite", without_predictions(put("summary.json", "nll", "1e999")), "summary.json: test.nll="),
    ("nll is no float", without_predictions(put("summary.json", "nll", HUGE)), "summary.json: test.nll="),
    ("train_seconds is infinite", put("summary.json", "train_seconds", "1e999"), "summary.json: time.train_seconds="),
    ("train_seconds is no float", put("summary.json", "train_seconds", HUGE), "summary.json: time.train_seconds="),
    ("parameters is no float", put("summary.json", "parameters", HUGE), "summary.json: cost.parameters="),
    ("parameters is infinite", put("summary.json", "parameters", "1e999"), "summary.json: cost.parameters="),
    ("schema is true", edit("summary.json", schema=True), "summary.json: schema=True is no version number"),
    ("schema is 0", edit("summary.json", schema=0), "summary.json: schema=0 is no version number"),
    ("schema is missing", edit("summary.json", schema=None), "summary.json: schema=None is no version number"),
    ("num_no_answer is a text", edit("summary.json", test__num_no_answer="1"), "summary.json: test.num_no_answer="),
    ("one bit says encrypted", flag_as_encrypted, "predictions.npz: damaged"),
    ("damaged and compressed", damage_compressed, "predictions.npz: damaged"),
    ("rows without a column", arrays(probabilities=np.zeros((60, 0), np.float32)), "predictions.npz: "),
    ("structured rows", arrays(probabilities=np.zeros((60, 5), [("a", "f4")])), "predictions.npz: "),
    ("a label of -1", arrays(label=np.r_[-1, predictions(1)[0][1:]]), "predictions.npz: a label outside 0..4"),
    ("index from 1", arrays(index=np.arange(1, 61)), "predictions.npz: index is no permutation of 0..59"),
    ("one NaN", arrays(probabilities=np.where(np.arange(300).reshape(60, 5) == 7, np.nan, ROWS)),
     "predictions.npz: rows that are no probabilities"),
    ("rows that sum to 1.1", arrays(probabilities=ROWS * 1.1), "predictions.npz: rows that are no probabilities"),
    ("text for rows", arrays(probabilities=ROWS.astype("U9")), "predictions.npz: arrays of the wrong kind"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "reason"), [case[1:] for case in WORSE], ids=[case[0] for case in WORSE])
def test_one_bad_run_never_ends_the_comparison(
    bakeoff: Bakeoff, tmp_path: Path, damage: Break, reason: str
) -> None:
    check_bad_beside_good(bakeoff, tmp_path, damage, reason)


def check_bad_beside_good(bakeoff: Bakeoff, tmp_path: Path, damage: Break, reason: str) -> None:
    """The good run's table is as without the bad one, which is named with its reason, in every format."""
    root = tmp_path / "r"
    make_run(root / "good", 0, "a")
    expected = json.loads(bakeoff("compare", str(root), "--format", "json")[1])["tables"]
    make_run(root / "bad", 1, "a")
    damage(root / "bad")
    code, out, err = bakeoff("compare", str(root), "--format", "json")
    assert (code, err) == (7, ""), err
    result = json.loads(out)
    assert result["tables"] == expected
    assert [problem["path"] for problem in result["problems"]] == ["bad"]
    assert reason in result["problems"][0]["reason"]
    for kind in ("table", "markdown", "csv"):
        code, out, err = bakeoff("compare", str(root), "--format", kind)
        assert code == 7
        assert f"bad: {reason[:20]}" in (out + err).replace("\\", "")


CONFIGS: list[tuple[str, Break]] = [
    ("data is a list", edit("config.json", data=[1])),
    ("data is a text", edit("config.json", data="x")),
    ("data is null", edit("config.json", data=None)),
    ("sweep is a list", edit("config.json", sweep=[1])),
    ("an infinite number", put("config.json", "lr", "1e999")),
    ("a number that is no float", put("config.json", "lr", HUGE)),
    ("nested 100 deep", nest("config.json", 100)),
    ("nested 300 deep", nest("config.json", 300)),
    ("nested 900 deep", nest("config.json", 900)),
    ("empty", write("config.json", "{}")),
    ("a lone surrogate", write("config.json", '{"\\ud800": "\\udfff"}')),
]


@pytest.mark.parametrize("damage", [case[1] for case in CONFIGS], ids=[case[0] for case in CONFIGS])
def test_an_odd_config_is_shown_or_named_and_harms_no_other(
    bakeoff: Bakeoff, tmp_path: Path, damage: Break
) -> None:
    """A config must be an object; what stands in it is not for `compare` to judge."""
    good, odd = make_run(tmp_path / "r" / "good", 0, "a"), make_run(tmp_path / "r" / "odd", 1, "b")
    damage(tmp_path / "r" / "odd")
    for kind in ("table", "markdown", "csv", "json"):
        code, out, err = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
        assert code in (0, 7), err
    result = json.loads(out)
    found = {row["setting"]: row["metrics"]["accuracy"]["mean"] for row in result["tables"][0]["settings"]}
    if code == 0:
        assert (found, result["problems"]) == ({"a": good.test.accuracy, "b": odd.test.accuracy}, [])
    else:
        assert found == {"a": good.test.accuracy}
        assert [problem["path"] for problem in result["problems"]] == ["odd"]
        assert result["problems"][0]["reason"].startswith("config.json: ")


@pytest.mark.parametrize("value", [99, 1.0001, -1, "0.1", True, [0.1]], ids=str)
def test_a_calibration_error_out_of_range_enters_no_mean(
    bakeoff: Bakeoff, tmp_path: Path, value: object
) -> None:
    good = make_run(tmp_path / "r" / "good", 0, "a")
    make_run(tmp_path / "r" / "odd", 1, "a")
    edit("summary.json", test__ece=value)(tmp_path / "r" / "odd")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "json")[1]
    (row,) = json.loads(out)["tables"][0]["settings"]
    assert row["metrics"]["ece"] == {"mean": good.test.ece, "std": None, "low": None, "high": None}


def test_a_long_reason_is_cut(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number, value in enumerate([[0.5] * 100_000, "x" * 100_000, {"a" * 100_000: 1}]):
        make_run(tmp_path / "r" / str(number), 0, "a")
        edit("summary.json", test__accuracy=value)(tmp_path / "r" / str(number))
    make_run(tmp_path / "r" / "status", 0, "a")
    (tmp_path / "r" / "status" / "summary.json").unlink()
    edit("status.json", status="failed", error="x" * 100_000)(tmp_path / "r" / "status")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"))
    assert code == 7
    assert max(len(line) for line in out.splitlines()) < 2000


def as_another_user(folder: Path) -> None:
    """Permissions do not bind root; a user without rights is asked instead."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    ("mode", "name"), [(0, "bad"), (0o444, "bad"), (0, "bad/summary.json"), (0, "bad/config.json")]
)
def test_a_run_without_permission_is_named(bakeoff: Bakeoff, mode: int, name: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        root = Path(place)
        make_run(root / "good", 0, "a")
        make_run(root / "bad", 1, "b")
        expected = bakeoff("compare", str(root / "good"), "--format", "json")  # imports all there is
        is_root = os.geteuid() == 0
        if is_root:
            as_another_user(root)
        (root / name).chmod(mode)
        try:
            if is_root:
                os.seteuid(65534)
            code, out, err = bakeoff("compare", str(root), "--format", "json")
        finally:
            if is_root:
                os.seteuid(0)
            (root / name).chmod(0o755)
        assert (code, err) == (7, ""), err
        result = json.loads(out)
        assert [problem["path"] for problem in result["problems"]] == ["bad"]
        assert result["tables"] == json.loads(expected[1])["tables"]


def test_a_folder_without_permission_ends_nothing(bakeoff: Bakeoff) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        root = Path(place)
        make_run(root / "good", 0, "a")
        (root / "closed").mkdir()
        bakeoff("compare", str(root))
        is_root = os.geteuid() == 0
        if is_root:
            as_another_user(root)
        (root / "closed").chmod(0)
        try:
            if is_root:
                os.seteuid(65534)
            code, out, err = bakeoff("compare", str(root), "--format", "json")
        finally:
            if is_root:
                os.seteuid(0)
            (root / "closed").chmod(0o755)
        assert code in (0, 7), err
        assert len(json.loads(out)["tables"]) == 1


# Damage that is not foreseen: cuts and flips, against what is right.


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
            text = rendered(tables, problems, kind, View(), run.parent)
        if kind == "json":
            json.loads(text, parse_constant=pytest.fail)
        text.encode()
        acting = {
            character for character in text + shown.getvalue() if unicodedata.category(character)[0] == "C"
        }
        assert acting <= {"\n"}


# Text of strangers.

CONTROLS = "".join(chr(code) for code in [*range(1, 32), *range(127, 160), 0x202E, 0x2066, 0x200B, 0xFEFF])


@pytest.mark.parametrize("kind", FORMATS)
def test_no_control_character_comes_through_anywhere(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    root = tmp_path / "r"
    make_run(root / "one", 0, CONTROLS, model=CONTROLS)
    make_run(
        root / "two", 0, "b", model=CONTROLS, changes={"optim.name": CONTROLS, f"optim.{CONTROLS}": CONTROLS}
    )
    for name in ("one", "two"):
        edit("summary.json", data=CONTROLS, weights=CONTROLS)(root / name)
    for name, change in (
        ("failed", {"status": "failed", "error": CONTROLS}),
        ("strange", {"status": CONTROLS, "error": CONTROLS}),
        ("running", {"status": "running", "step": CONTROLS, "heartbeat": CONTROLS}),
    ):
        folder = root / f"{name} {CONTROLS[:100]}"
        make_run(folder, 1, "c")
        (folder / "summary.json").unlink()
        edit("status.json", **change)(folder)
    make_run(root / "key", 1, "c")
    edit("summary.json", test__accuracy={CONTROLS: CONTROLS})(root / "key")
    code, out, err = bakeoff("compare", str(root), "--format", kind)
    assert code == 7
    for character in (out + err).replace("\n", ""):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs"), ascii(character)
    for name in ("failed", "strange", "running", "key"):
        assert name in out + err
    code, out, err = bakeoff("compare", f"\x1b[2J{CONTROLS}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not set(err.rstrip("\n")) & set(CONTROLS)


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json"])
def test_a_foreign_config_is_text(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("CANARY", "xyzzy")
    (Path.cwd() / "canary_module.py").write_text("open('PWNED', 'w')\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    values = {
        "optim.name": "${oc.env:CANARY}", "optim.schedule": "${now:%Y}", "model._target_": "canary_module.run",
        "optim._target_": "os.system", "data.name": "!!python/object/apply:os.system ['touch PWNED']",
    }  # fmt: skip
    make_run(tmp_path / "r" / "1", 0, "a", changes=values, model="${oc.env:CANARY}")
    make_run(tmp_path / "r" / "2", 0, "b", model="${oc.env:CANARY}")  # else its own keys would not be shown
    before = set(sys.modules)
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
    assert (code, err) == (0, "")
    for text in ("${oc.env:CANARY}", "${now:%Y}", "canary_module.run", "os.system"):
        assert text in out
    assert "xyzzy" not in out
    assert not {"canary_module", "torch", "hydra"} & (set(sys.modules) - before)
    assert files_below(Path.cwd()) == ["canary_module.py"]


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json"])
def test_the_content_of_a_link_is_never_shown(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"model": "xyzzy", "status": "xyzzy", "error": "xyzzy"}')
    for name in ("summary.json", "config.json", "status.json", "predictions.npz"):
        make_run(tmp_path / "r" / name, 0, "a")
        if name == "status.json":
            (tmp_path / "r" / name / "summary.json").unlink()
        (tmp_path / "r" / name / name).unlink()
        (tmp_path / "r" / name / name).symlink_to(secret)
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
    assert code == 7
    assert "xyzzy" not in out + err
    assert (out + err).count("is a link") == 4


NAMES = [
    "a" * 255, " ", "a b", "-rf", "--help", "a=b", "a,b", "[x]", "$(touch PWNED)", ";touch PWNED", "'", '"', "`x`",
    "😀", "e\u0301", "é", "CON", "...", "a\nb", "\\", "%2e%2e", "{{7*7}}", "*",
]  # fmt: skip


def test_any_name_of_a_folder_works(bakeoff: Bakeoff, tmp_path: Path) -> None:
    names = [name for name in NAMES if not name.startswith(".")]
    for place, name in enumerate(names):
        make_run(tmp_path / "r" / name, place, "a")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", "json")
    assert code == 0
    (row,) = json.loads(out)["tables"][0]["settings"]
    assert row["runs"] == names
    assert files_below(Path.cwd()) == []
    for name in names:
        code, out, _ = bakeoff("compare", str(tmp_path / "r" / name), "--format", "json")
        assert (code, json.loads(out)["tables"][0]["settings"][0]["runs"]) == (0, [name])


def test_a_tree_with_every_kind_of_damage(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """As the tree above with a tenth broken, once with each kind of `BROKEN`; rows against the truth."""
    root, expected = tmp_path / "r", {}
    for number in range(60):
        summary = make_run(root / f"good{number:03}", number, f"s{number % 5}", train_seconds=number + 0.5)
        expected.setdefault(f"s{number % 5}", []).append(summary)
    for number, (damage, _) in enumerate(BROKEN):
        make_run(root / f"bad{number:03}", 1, f"s{number % 5}")
        edit("summary.json", identity=f"bad{number}")(root / f"bad{number:03}")
        damage(root / f"bad{number:03}")
    code, out, _ = bakeoff("compare", str(root), "--format", "json")
    assert code == 7
    result = json.loads(out)
    reasons = {problem["path"]: problem["reason"] for problem in result["problems"]}
    assert sorted(reasons) == [f"bad{number:03}" for number in range(len(BROKEN))]
    for number, (_, reason) in enumerate(BROKEN):
        assert reason in reasons[f"bad{number:03}"]
    rows = {row["setting"]: row for row in result["tables"][0]["settings"]}
    assert rows.keys() == expected.keys()
    for setting, summaries in expected.items():
        assert rows[setting]["seeds"] == [summary.seed for summary in summaries]
        for metric in ("accuracy", "macro_f1", "nll", "ece"):
            values = [getattr(summary.test, metric) for summary in summaries]
            found = rows[setting]["metrics"][metric]
            assert found["mean"] == pytest.approx(np.mean(values), abs=1e-12)
            assert found["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
        seconds = [summary.time.train_seconds for summary in summaries]
        assert rows[setting]["metrics"]["train_seconds"]["mean"] == pytest.approx(np.mean(seconds), abs=1e-12)
