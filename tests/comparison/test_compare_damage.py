"""`bakeoff compare` on directories that are broken: named with the reason, never believed, never run."""

import io
import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff
from damaged_runs import (
    BROKEN,
    HUGE,
    ROWS,
    Bomb,
    Break,
    a_socket,
    arrays,
    damage_compressed,
    edit,
    flag_as_encrypted,
    folder,
    linked,
    loop,
    nest,
    no_test_waits,  # noqa: F401 - a fixture of every test here
    put,
    to_device,
    without_predictions,
    write,
)
from run_directories import make_run, predictions


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


def test_an_array_with_a_forged_size_is_refused(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "run", 1, "a")
    content = io.BytesIO()
    np.savez(content, index=np.arange(60), label=np.arange(60), probabilities=ROWS)
    forged = content.getvalue().replace(b"(60, 5)", b"(1<<60)".replace(b"1<<60", b"9" * 5))
    (tmp_path / "r" / "run" / "predictions.npz").write_bytes(forged)
    assert bakeoff("compare", str(tmp_path / "r"))[0] == 7


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
    ("rows that sum to 1.001", arrays(probabilities=ROWS * 1.001), "predictions.npz: rows that are no probabilities"),
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
