"""`bakeoff race` from the command line to the verdict, with jobs that write the worked example."""

import json
import shutil
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from raced_children import LINE, NIGHT, SWEPT, failing, record, trained_as_in_the_example
from sweep_children import Ended, children_here, job_here

from bakeoff.cli import main
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, InterruptedRunError, ResumeError

RACE = ["race", *LINE, SWEPT]
Work = Callable[[Namespace], int]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    children_here(monkeypatch, trained_as_in_the_example)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of a race that nothing has disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        children_here(patch, trained_as_in_the_example)
        assert main(RACE) == OK
        return dict(record())


def rounds() -> list[dict[str, Any]]:
    found = record()["rounds"]
    assert isinstance(found, list)
    return found


def names(settings: list[str]) -> str:
    """Letters for configurations, in the order of the command line."""
    first = {one["setting"]: one["name"] for one in record()["settings"]}  # type: ignore[attr-defined]
    return "".join("ABCD"[int(first[setting].partition("[")[2][0]) - 4] for setting in settings)


def decisions() -> list[Any]:
    """What was decided, in names that do not depend on the order of anything."""
    told = []
    for one in rounds():
        drops = sorted(
            (names([drop["setting"]]), names([drop["by"]]), drop["p_adjusted"]) for drop in one["drops"]
        )
        left = sorted(
            (names([each["setting"]]), each["difference"], each["chance"]) for each in one["contenders"]
        )
        told.append((one["seeds"], drops, names([one["best"]]), left, one["verdict"], one["bottleneck"]))
    return told


def test_the_worked_example_is_decided_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RACE) == OK
    printed = capsys.readouterr().out
    first, second, third = rounds()
    assert [names([drop["setting"]]) for one in (first, second, third) for drop in one["drops"]] == ["D", "C"]
    assert first["drops"][0]["p_adjusted"] == pytest.approx(8.88568911638e-06, rel=1e-9)
    assert (third["seeds"], third["verdict"], third["bottleneck"]) == (8, "hopeless", "images")
    for one, expected in ((first, "3333"), (second, "5553"), (third, "8883")):
        seeds = sorted((names([setting]), own) for setting, own in one["runs"].items())
        assert [own for _, own in seeds] == [[*range(int(count))] for count in expected]
    (of_a,) = third["contenders"]
    assert of_a["difference"] == pytest.approx(-0.00333333333333, abs=1e-9)
    assert of_a["chance"] == pytest.approx(0.00043657464383, abs=1e-9)
    stored = {run.name: yaml.safe_load((run / "overrides.yaml").read_text()) for run in NIGHT.glob("cnn-*")}
    assert all(sum(word.startswith("seed=") for word in words) == 1 for words in stored.values())
    assert "27 of 48 runs trained, 21 saved (44 %)" in printed
    assert "undecided after 8 seeds between" in printed
    assert record()["verdict"] == {
        "kind": "hopeless", "best": third["best"], "bottleneck": "images", "out_of_time": False,
        "sentence": "undecided after 8 seeds between model.channels=[5], model.channels=[4]: up to 12 seeds would "
        "hardly decide it (a chance under 5 %)",
    }  # fmt: skip
    assert len([*NIGHT.glob("*/summary.json")]) == 27
    out_after = {one["name"].partition("[")[2][0]: one["out_after"] for one in record()["settings"]}  # type: ignore[attr-defined]
    assert out_after == {"4": None, "5": None, "6": 8, "7": 3}
    assert main(["show", "night"]) == OK
    shown = " ".join(capsys.readouterr().out.split())
    assert "race: undecided after 8 seeds between model.channels=[5], model.channels=[4]" in shown
    assert "out of the race: model.channels=[6] after 8 seeds, model.channels=[7] after 3 seeds" in shown


@pytest.mark.slow
def test_with_a_margin_it_ends_as_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RACE, "race.margin_points=2"]) == OK
    assert rounds()[-1]["verdict"] == "equal"
    assert "equal within 2.00 points after 8 seeds" in capsys.readouterr().out


@pytest.mark.slow
def test_a_smaller_loss_is_better() -> None:
    assert main([*RACE, "race.metric=nll"]) == OK
    assert names([rounds()[0]["best"]]) in "AB"
    assert "D" in {names([drop["setting"]]) for drop in rounds()[0]["drops"]}


@pytest.mark.slow
def test_without_the_hopeless_stop_all_seeds_are_trained() -> None:
    assert main([*RACE, "race.hopeless=false"]) == OK
    assert [one["seeds"] for one in rounds()] == [3, 5, 8, 12]
    assert rounds()[-1]["verdict"] == "budget"


def test_no_test_image_has_a_part_in_it(monkeypatch: pytest.MonkeyPatch, expected: dict[str, Any]) -> None:
    noise = partial(trained_as_in_the_example, noise=np.random.default_rng(0))
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(noise))
    assert main(RACE) == OK
    for key in ("rounds", "settings", "verdict"):
        assert record()[key] == expected[key]


@pytest.mark.slow
def test_the_order_of_names_and_of_stored_images_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(RACE) == OK
    expected = decisions()
    shutil.rmtree("outputs")
    order = np.random.default_rng(0).permutation(600)
    shuffled = partial(trained_as_in_the_example, order=order)
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(shuffled))
    assert main(["race", "model.channels=[7],[5],[4],[6]", *reversed(LINE)]) == OK
    assert decisions() == expected


class _KilledError(BaseException):
    """In place of SIGKILL: nothing catches it."""


@pytest.mark.parametrize(
    "killed_at", [13, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 5, 12, 20, 26))]
)
def test_killed_in_any_round_it_goes_on_to_the_same_decisions(
    monkeypatch: pytest.MonkeyPatch, expected: dict[str, Any], killed_at: int
) -> None:
    begun = 0

    def dies(options: Namespace) -> int:
        nonlocal begun
        begun += 1
        if begun == killed_at + 1:
            raise _KilledError
        return trained_as_in_the_example(options)

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(dies))
    with pytest.raises(_KilledError):
        main(RACE)
    kept = {path: path.stat().st_mtime_ns for path in NIGHT.glob("*/summary.json")}
    assert len(kept) == killed_at
    assert main(RACE) == OK
    assert record()["rounds"] == expected["rounds"]
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items())


@pytest.mark.slow
def test_resume_goes_on_without_the_command_line(
    monkeypatch: pytest.MonkeyPatch, expected: dict[str, Any]
) -> None:
    def dies(options: Namespace) -> int:
        if len([*NIGHT.glob("*/summary.json")]) == 14:
            raise _KilledError
        return trained_as_in_the_example(options)

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(dies))
    with pytest.raises(_KilledError):
        main(RACE)
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(trained_as_in_the_example))
    moved = Path("elsewhere/sweeps/day")
    moved.parent.mkdir(parents=True)
    NIGHT.rename(moved)
    assert main(["resume", str(moved)]) == OK
    assert record(moved)["rounds"] == expected["rounds"]


@pytest.mark.slow
def test_a_race_that_has_ended_trains_nothing_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(RACE) == OK
    before = (NIGHT / "race.json").read_bytes()

    def trains(options: Namespace) -> int:
        pytest.fail(f"trains {options.run} again")

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(trains))
    capsys.readouterr()
    assert main(RACE) == OK
    assert "undecided after 8 seeds between" in capsys.readouterr().out
    assert (NIGHT / "race.json").read_bytes() == before


@pytest.mark.slow
def test_failed_runs_are_no_runs_and_a_setting_without_two_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = failing(lambda setting, seed: setting == 3 or (setting, seed) == (0, 1))
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(fails))
    assert main(RACE) == SOME_RUNS_BAD
    first = rounds()[0]
    assert names(first["failed"]) == "D"
    assert first["drops"] == []
    of_a = next(setting for setting in first["runs"] if names([setting]) == "A")
    assert first["runs"][of_a] == [0, 2]
    why = {one["why"] for one in record()["settings"] if one["out_after"] == 3}  # type: ignore[attr-defined]
    assert why == {"failed"}


@pytest.mark.slow
def test_a_failed_run_of_a_judged_round_that_succeeds_later_changes_no_decision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies_late(options: Namespace) -> int:
        if len([*NIGHT.glob("*/summary.json")]) == 15:
            raise _KilledError
        return failing(lambda setting, seed: (setting, seed) == (0, 1))(options)

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(dies_late))
    with pytest.raises(_KilledError):
        main(RACE)
    judged = rounds()
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(trained_as_in_the_example))
    failed = next(run for run in NIGHT.glob("*-s1-*") if not (run / "summary.json").exists())
    assert main(["resume", str(failed)]) in (OK, SOME_RUNS_BAD)
    main(RACE)
    assert rounds()[: len(judged)] == judged
    of_a = next(setting for setting in judged[0]["runs"] if names([setting]) == "A")
    assert all(1 not in one["runs"][of_a] for one in rounds())


@pytest.mark.slow
def test_runs_that_were_changed_or_removed_after_a_look_are_not_believed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(RACE) == OK
    capsys.readouterr()
    removed = next(NIGHT.glob("*-s0-*"))
    shutil.rmtree(removed)
    assert main(RACE) == ResumeError.exit_code
    assert "cannot be made again" in capsys.readouterr().err


@pytest.mark.slow
def test_an_edited_record_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RACE) == OK
    whole = json.loads((NIGHT / "race.json").read_text())
    first, *_, last = whole["rounds"]
    other = {**first, "runs": {"x": [0]}}
    for changes in (
        {"settings": [{}]}, {"settings": 3}, {"rounds": [{**first, "drops": [3]}]},
        {"rounds": [{**first, "contenders": [{}]}]}, {"rounds": [other]}, {"rounds": whole["rounds"] * 3},
        {"rounds": []}, {"rounds": whole["rounds"][:-1]}, {"rounds": [{**first, "best": "x"}]}, {"looks": 3},
        {"rounds": [{**first, "runs": {name: [None] for name in first["runs"]}}]}, {"rounds": [last]},
    ):  # fmt: skip
        (NIGHT / "race.json").unlink()
        (NIGHT / "race.json").write_text(json.dumps(whole | changes))
        capsys.readouterr()
        assert main(RACE) in (ConfigError.exit_code, ResumeError.exit_code)
        error = capsys.readouterr().err
        assert "bug" not in error
        assert error.startswith("error: ")
        assert main(["compare", "night"]) in (OK, SOME_RUNS_BAD)
        assert "bug" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_race_that_was_moved_out_of_its_place_is_not_trained_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(RACE) == OK
    Path("elsewhere").mkdir()
    NIGHT.rename("elsewhere/night")
    assert main(["resume", "elsewhere/night"]) == ResumeError.exit_code
    assert "move it to sweeps/night" in " ".join(capsys.readouterr().err.split())
    assert not Path("sweeps").exists()


@pytest.mark.slow
def test_time_that_was_spent_before_a_kill_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(options: Namespace) -> int:
        if len([*NIGHT.glob("*/summary.json")]) == 5:
            raise _KilledError
        time.sleep(0.05)
        return trained_as_in_the_example(options)

    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(dies))
    with pytest.raises(_KilledError):
        main(RACE)
    assert record()["seconds"] > 0.2  # type: ignore[operator]


@pytest.mark.slow
def test_the_plan_is_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RACE) == OK
    for word in ("race.looks=[3,5]", "race.margin_points=1", "race.hopeless=false", "race.metric=nll"):
        assert main([*RACE, word]) == ConfigError.exit_code
        assert "fixed before its first run" in " ".join(capsys.readouterr().err.split())
    assert main(["race", *LINE, "model.channels=[4],[5]"]) == ConfigError.exit_code
    assert "other configurations" in capsys.readouterr().err
    assert main(["train", "-m", *LINE, SWEPT, "seed=20,21"]) == ConfigError.exit_code
    assert "a sweep of bakeoff race" in capsys.readouterr().err


@pytest.mark.slow
def test_a_time_that_is_over_ends_it_and_more_time_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RACE, "race.max_seconds=0.000001"]) == InterruptedRunError.exit_code
    error = " ".join(capsys.readouterr().err.split())
    assert "were over before the first look; 0 of 12 runs of its round are trained" in error
    assert record()["ended"] is None
    monkeypatch.setattr("bakeoff.sweeps.race.run.Race._seconds_of_round", lambda _: 1e9)
    assert main([*RACE, "race.max_seconds=1000"]) == OK
    printed = capsys.readouterr().out
    assert "undecided after 3 seeds between" in printed
    assert "12 of 48 runs trained\n" in printed
    assert "caution" not in printed.partition("undecided")[0]
    assert main([*RACE, "race.max_seconds=1e11"]) == OK
    assert "caution: this race had ended" in capsys.readouterr().out
    assert rounds()[-1]["verdict"] == "hopeless"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=cnn"], "one configuration alone"),
        (["model=cnn,vit", "seed=0,1"], "a race gives each model as many seeds as it needs"),
        (["model=cnn,vit", "data=digits,mnist"], "must have the same validation images"),
        (["model=cnn,vit", "data.val_fraction=0", "data=mnist", "trainer.select=last"], "validation images"),
        (["model=cnn,vit", "race.looks=3,5"], "race.looks=[3,5]"),
        (["model=cnn", "trainer.overfit_batches=1,2"], "must have the same validation images"),
        (["model=cnn,vit", "race.loks=[3,5]"], "did you mean race.looks?"),
        (["model=cnn,vit", "race.metric=nll", "race.margin_points=1"], "not with race.metric=nll"),
        pytest.param(
            [f"optim.lr={','.join(str(n / 1000) for n in range(1, 22))}"],
            "at most 20 race",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_race_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    words = words if any(word.startswith("data=") for word in words) else ["data=digits", *words]
    assert main(["race", *words]) == ConfigError.exit_code
    error = capsys.readouterr().err
    assert told in " ".join(error.split())
    assert "Traceback" not in error
    assert not Path("outputs").exists()


def test_dry_run_lists_the_first_round_and_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RACE, "--dry-run"]) == OK
    assert "a race takes 12 to 48 runs" in capsys.readouterr().out
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_a_cancelled_race_goes_on_with_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancels(options: Namespace) -> int:
        if len([*NIGHT.glob("*/summary.json")]) == 14:
            (NIGHT / ".cancel").touch()
        return trained_as_in_the_example(options)

    monkeypatch.setattr("bakeoff.sweeps.scheduler._SECONDS_BETWEEN_CANCEL_LOOKS", 0.0)
    monkeypatch.setattr(Ended, "send", lambda *_: None)  # it has ended already
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(cancels))
    assert main(RACE) == InterruptedRunError.exit_code
    assert record()["ended"] is None
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(trained_as_in_the_example))
    assert main(RACE) == OK
    assert rounds()[-1]["verdict"] == "hopeless"
