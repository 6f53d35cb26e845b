"""`bakeoff show`: what there is of a run or a sweep, and only the commands that make sense for it."""

import importlib
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from listed_runs import DAY, DEAD, edit_json, finished, ledger, sweep_of_all_states, unfinished

from bakeoff.cli import COMMANDS
from bakeoff.commands.next_steps import of_run
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps.rows import run_row

OUTPUTS = Path("outputs")
RUN = OUTPUTS / DAY / "100000-cnn-digits-s0-aaaa"
SWEEP = OUTPUTS / "sweeps" / "night"


def shown(bakeoff: Bakeoff, *words: str) -> str:
    code, out, error = bakeoff("show", *words)
    assert (code, error) == (0, "")
    return out


def shown_json(bakeoff: Bakeoff, *words: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(shown(bakeoff, *words, "--json"))
    assert result["schema"] == 1
    return result


def section(text: str, title: str) -> list[str]:
    """The lines below a title."""
    found = text.partition(f"\n{title}\n")[2].partition("\n\n")[0]
    return [line.strip() for line in found.splitlines()]


def with_epochs(run: Path, num_epochs: int, best: int) -> None:
    lines = [
        json.dumps({
            "epoch": epoch, "step": 10 * epoch, "lr": 0.1, "train_loss": 1 / epoch, "train_loss_parts": {},
            "val": {"accuracy": 0.9 if epoch == best else 0.5, "macro_f1": 0.5, "nll": 1.0},
            "train_seconds": 1.0, "eval_seconds": 0.1, "train_images_per_second": 10.0,
        })
        for epoch in range(1, num_epochs + 1)
    ]  # fmt: skip
    (run / "epochs.jsonl").write_text("\n".join(lines) + "\n")


def test_a_finished_run(bakeoff: Bakeoff) -> None:
    finished(RUN, began="2026-01-02T08:00:00+00:00")
    (RUN / "plots").mkdir()
    for name in ("curves.png", "boxes.png", "notes.txt"):
        (RUN / "plots" / name).write_text("")
    (RUN / "plots" / "link.png").symlink_to("curves.png")
    (RUN / "weights.safetensors").write_text("")
    (RUN / "run.log").write_text("all is well\n")
    with_epochs(RUN, 1, 1)
    summary = json.loads((RUN / "summary.json").read_text())
    out = shown(bakeoff, "100000")
    assert out.startswith("100000-cnn-digits-s0-aaaa  finished\n  cnn on toy, seed 0; began 2026-01-02 ")
    accuracy, nll = (summary["test"][name] for name in ("accuracy", "nll"))
    test, *_, weights = section(out, "result")
    assert test.startswith(f"test        accuracy {100 * accuracy:.2f} %, macro-F1 ")
    assert test.endswith(f"loss (NLL) {nll:.4f}, 60 images")
    assert weights == "weights     of epoch 1 of 1"
    assert section(out, "pictures") == [f"{RUN}/plots/boxes.png", f"{RUN}/plots/curves.png"]
    assert section(out, "next") == [
        f"evaluate  bakeoff evaluate {RUN}",
        f"use       bakeoff predict {RUN} PICTURE",
        f"compare   bakeoff compare {RUN.parent}",
    ]
    assert len(section(out, "history")) == 3
    assert "all is well" not in out
    assert "why" not in out
    (RUN / "weights.safetensors").unlink()  # as prune leaves it
    assert section(shown(bakeoff, "latest"), "next") == [f"compare  bakeoff compare {RUN.parent}"]


def test_figures_that_do_not_hold_are_not_shown(bakeoff: Bakeoff) -> None:
    finished(RUN)
    summary = json.loads((RUN / "summary.json").read_text())
    edit_json(RUN / "summary.json", test=summary["test"] | {"accuracy": 0.999})
    out = shown(bakeoff, str(RUN))
    assert "99.9" not in out
    assert section(out, "result") == []
    assert any("accuracy" in line for line in section(out, "why it has no result"))


def test_a_run_without_a_result(bakeoff: Bakeoff) -> None:
    unfinished(RUN, "failed", "no memory\nat all")
    (RUN / "run.log").write_text("x" * 2**17 + "".join(f"line {number}\n\n" for number in range(1, 30)))
    with_epochs(RUN, 2, 1)
    out = shown(bakeoff, str(RUN))
    assert section(out, "why it has no result") == ["no memory\\x0aat all"]
    assert section(out, "last lines of run.log") == [f"line {number}" for number in range(20, 30)]
    assert len(section(out, "history")) == 4
    assert section(out, "next") == [
        f"resume      bakeoff resume {RUN}",
        f"train anew  bakeoff train --config {RUN} KEY=VALUE",
    ]
    assert "test" not in out.replace("latest", "")


def test_a_long_history_is_its_ends_and_the_best_epoch(bakeoff: Bakeoff) -> None:
    unfinished(RUN, "interrupted")
    edit_json(RUN / "config.json", trainer={"epochs": 200})
    with_epochs(RUN, 100, best=40)
    lines = section(shown(bakeoff, str(RUN)), "history")[2:]
    told = [line[:13] for line in lines]
    assert told == [
        "epoch   1/200", "epoch   2/200", "epoch   3/200", "...", "epoch  40/200", "...", "epoch  98/200",
        "epoch  99/200", "epoch 100/200",
    ]  # fmt: skip
    with_epochs(RUN, 10, best=4)
    assert len(section(shown(bakeoff, str(RUN)), "history")) == 12


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        ("interrupted", ["resume"]),
        ("failed", ["resume", "train"]),
        ("failed without a config", []),
        ("interrupted without a config", []),
        ("diverged", ["train"]),
        ("lost", ["resume"]),
        ("pruned", ["train"]),
        ("running", ["watch"]),
        ("queued", ["resume"]),
    ],
)
def test_only_commands_that_make_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, commands: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    word, changes = ("running", DEAD) if state == "lost" else (state.partition(" ")[0], {})
    run = unfinished(SWEEP / "cnn-digits-s0-00000000", word, "why", **changes)
    if state == "running":  # by this process
        RunDir(run).write_status("running", 1)
    if "without" in state:
        (run / "config.json").unlink()
    steps = of_run(run_row(run))
    assert [command.split()[1] for command in steps.values()] == commands
    assert all(str(run) in command for command in steps.values())
    ledger(SWEEP, ["cnn-digits-s0-00000000"])
    can_its_sweep = state not in ("diverged", "pruned", "running")
    assert ("resume its sweep" in of_run(run_row(run))) == can_its_sweep
    ledger(SWEEP, ["cnn-digits-s0-00000000"], owned=True)
    assert list(of_run(run_row(run))) == (["watch"] if state == "running" else ["watch its sweep"])


def test_every_command_that_it_names_is_one(bakeoff: Bakeoff) -> None:
    sweep_of_all_states(OUTPUTS)
    everything = [shown_json(bakeoff, "night")["next"], *(of_run(run_row(run)) for run in SWEEP.glob("cnn*"))]
    for steps in everything:
        for command in steps.values():
            program, name, *words = shlex.split(command)
            assert program == "bakeoff"
            assert name in COMMANDS
            if name != "train":
                importlib.import_module(f"bakeoff.commands.{name}").parser().parse_args(words)


def test_a_sweep(bakeoff: Bakeoff) -> None:
    sweep_of_all_states(OUTPUTS)
    out = shown(bakeoff, "night")
    assert out.startswith("night  unfinished\n  sweep of 9 runs: 1 finished, 1 running, ")
    assert "\n  bakeoff train --multirun model=cnn data=digits seed=0,1,2,3,4,5,6,7,8 optim.lr=0.5\n" in out
    table = out.split("\n\n")[1].splitlines()[1:]
    assert [line.split()[0].rpartition("-")[2] for line in table] == [  # as the command line has them
        "finished", "queued", "interrupted", "failed", "diverged", "lost", "pruned", "running", "gone",
    ]  # fmt: skip
    assert "no memory at all" in table[3]
    assert "step 7: not finite" in table[4]
    assert "no sign of life since" in table[5]
    assert "its directory is gone" in table[8]
    assert section(out, "next") == [
        f"resume                    bakeoff resume {SWEEP}",
        f"train diverged runs anew  bakeoff resume {SWEEP} --retry-diverged",
        f"compare                   bakeoff compare {SWEEP}",
        f"show in figures           bakeoff report {SWEEP}",
    ]
    result = shown_json(bakeoff, "night")
    assert (result["kind"], result["num_runs"], len(result["runs"])) == ("sweep", 9, 9)
    assert result["line"][0] == "model=cnn"


def test_a_long_reason_is_whole_in_a_pipe(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished(SWEEP / "cnn-toy-s0-00000000", "failed", " ".join(["again"] * 40))
    ledger(SWEEP, ["cnn-toy-s0-00000000"])
    assert shown(bakeoff, "night").count("again") == 40
    monkeypatch.setenv("COLUMNS", "80")
    out = shown(bakeoff, "night")
    assert 20 < out.count("again") < 30
    assert max(map(len, out.splitlines())) <= 80
    assert "optim.lr=0.5" in out


def test_a_sweep_that_is_worked_on_or_done(bakeoff: Bakeoff) -> None:
    run = finished(SWEEP / "cnn-toy-s0-00000000")
    other = unfinished(SWEEP / "cnn-toy-s1-00000000", "queued")
    ledger(SWEEP, [run.name, other.name], owned=True)
    steps = shown_json(bakeoff, "night")["next"]
    assert [command.split()[1] for command in steps.values()] == ["watch", "cancel", "compare", "report"]
    ledger(SWEEP, [run.name])
    for path in other.iterdir():
        path.unlink()
    other.rmdir()
    result = shown_json(bakeoff, "night")
    assert (result["state"], list(result["next"])) == ("finished", ["compare", "show in figures"])
    (SWEEP / "sweep.json").unlink()  # of an older version
    result = shown_json(bakeoff, "night")
    assert (result["state"], list(result["next"]), result["line"]) == (
        "finished",
        ["compare", "show in figures"],
        None,
    )


def test_what_differs_from_the_default_config(bakeoff: Bakeoff) -> None:
    (job,), _ = expand(
        parse_arguments(["model=vit", "data=digits", "optim.lr=0.5", "seed=7", "output_dir=x"])
    )
    unfinished(RUN, "interrupted")
    (RUN / "config.json").write_text(json.dumps({"schema": 1, **job.values}))
    out = shown(bakeoff, str(RUN))
    assert section(out, "config, where it differs from bakeoff train model=vit data=digits") == [
        "optim.lr  0.5  (default 0.002)"
    ]
    (job,), _ = expand(parse_arguments(["model=vit", "data=digits"]))
    (RUN / "config.json").write_text(json.dumps({"schema": 1, **job.values}))
    assert "\nconfig: that of bakeoff train model=vit data=digits\n" in shown(bakeoff, str(RUN))
    edit_json(RUN / "config.json", model={"name": "of somebody else", "family": "x"})
    assert section(shown(bakeoff, str(RUN)), "overrides") == [
        "model=cnn", "data=digits", "seed=0", "optim.lr=0.5", "sweep.name=s",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [["nosuch"], ["no/such"], ["n"], []])
def test_mistakes_are_one_line(bakeoff: Bakeoff, words: list[str]) -> None:
    ledger(OUTPUTS / "sweeps" / "night", [])
    ledger(OUTPUTS / "sweeps" / "noon", [])
    finished(RUN)
    code, out, error = bakeoff("show", *words)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")


def test_what_anybody_has_written_neither_acts_nor_breaks(bakeoff: Bakeoff) -> None:
    evil = "\x1b[31mred\n\u202e"
    values: list[Any] = [
        evil,
        None,
        [],
        {},
        7,
        True,
        -1,
        1e300,
        [evil],
        {evil: {evil: evil}},
        "x" * 9999,
        "cnn,vit",
    ]
    for number, value in enumerate(values):
        for kind in ("finished", "failed"):
            run = OUTPUTS / DAY / f"10000{number}-cnn-{kind}-s0-aaaa"
            if kind == "finished":
                finished(run)
                for changes in ({}, {"best_epoch": value, "test": value}, {"val": value, "model": value}):
                    edit_json(run / "summary.json", **changes)
            else:
                unfinished(run, "failed")
                edit_json(run / "status.json", status=value, error=value, step=value, heartbeat=value)
            edit_json(run / "config.json", model=value, data={"name": value, "title": value}, trainer=value)
            if isinstance(value, str):
                edit_json(run / "config.json", model={"name": value}, data={"name": "digits"})
            (run / "epochs.jsonl").write_text(
                f'{json.dumps({"epoch": value})}\n{json.dumps(value)}\n{{"epoch": 1'
            )
            (run / "run.log").write_bytes(b"\x1b[31m\xff\x00\xe2\x80\xae" * 99 + b"\n")
            (run / "overrides.yaml").write_text(json.dumps([value]))
            (run / "plots").mkdir()
            (run / "plots" / "\x1b[31m.png").write_text("")
            for words in ([], ["--json"]):
                out = shown(bakeoff, str(run), *words)
                assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", out)
    sweep = ledger(OUTPUTS / "sweeps" / "s", ["cnn-toy-s0-00000000"], [evil])
    edit_json(sweep.folder / "sweep.json", line=[evil, {"a": evil}])
    unfinished(sweep.folder / "cnn-toy-s0-00000000", "failed", evil)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", shown(bakeoff, "s"))


def test_links_and_pipes_are_not_followed(bakeoff: Bakeoff, tmp_path: Path) -> None:
    unfinished(RUN, "failed")
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "secret.png").write_text("")
    (RUN / "run.log").symlink_to(tmp_path / "secret")
    (RUN / "plots").symlink_to(tmp_path / "pictures")
    os.mkfifo(RUN / "epochs.jsonl")
    assert "secret" not in shown(bakeoff, str(RUN))
