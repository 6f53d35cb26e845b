"""`bakeoff compare` on names and texts of strangers: shown, never acted on, and no link is followed."""

import json
import os
import sys
import unicodedata
from pathlib import Path

import pytest
from conftest import Bakeoff, files_below
from damaged_runs import (
    edit,
    no_test_waits,  # noqa: F401 - a fixture of every test here
)
from run_directories import make_run

from bakeoff.comparison.output.printing import FORMATS

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
