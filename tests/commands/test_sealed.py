"""While a race or a search goes on, no command says anything of its test images."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Bakeoff
from listed_runs import edit_json, ledger
from run_directories import NAMES, make_run
from searched import ENDED, trial, write_race, write_tune

from bakeoff.cli import COMMANDS
from bakeoff.comparison.output.frame import load_runs
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.runs.records import SplitScores

# Of commands that show nothing of a finished run, or train: what they print at the end is tested elsewhere.
SHOW_NOTHING = {"train", "race", "tune", "preview", "models", "experiments", "doctor", "cancel"}
COUNT = 97  # test images: a prime number gives digits that nothing else has
VAL = 0.8125


def write_runs(folder: Path, models: tuple[str, ...] = ("cnn", "vit"), seeds: int = 2) -> list[Path]:
    """Finished runs; one of them has a summary that its predictions do not bear out."""
    runs = []
    for place, model in enumerate(models):
        for seed in range(seeds):
            run = folder / f"{model}-toy-s{seed}"
            labels = np.arange(COUNT) % len(NAMES)
            random = np.random.default_rng(10 * place + seed)
            rows = random.dirichlet(np.ones(len(NAMES)), COUNT).astype(np.float32)
            rows[np.arange(COUNT), labels] += 0.6
            make_run(run, seed, f"{model}-setting", model=model, stored=(labels, rows / 1.7))
            scores = SplitScores(VAL + place / 100, VAL, 0.25, 0.0, 20, 0, [])
            edit_json(run / "summary.json", val=dataclasses.asdict(scores))
            (run / "weights.safetensors").write_bytes(b"")
            (run / "plots").mkdir(exist_ok=True)
            for name in ("curves.png", "confusion.png"):
                (run / "plots" / name).write_bytes(b"")
            runs.append(run)
    ledger(folder, [run.name for run in runs], ["model=cnn,vit"])
    return runs


def canaries(run: Path) -> set[str]:
    """All ways in which its test scores could be written, in three digits or more."""
    test = json.loads((run / "summary.json").read_text())["test"]
    figures = [test[name] for name in ("accuracy", "macro_f1", "nll", "ece")]
    figures += [item[name] for item in test["per_class"] for name in ("precision", "recall", "f1")]
    wanted = set()
    for figure in figures:
        if 0 < figure < 1 and len(f"{figure:.6f}".rstrip("0")) > 6:  # no round number
            wanted |= {f"{figure:.4f}", f"{figure * 100:.2f}", f"{figure:.3f}"}
    assert len(wanted) > 10
    return wanted


def shown(text: str, numbers: set[str]) -> set[str]:
    """Which of the numbers stand in a text, also as the beginning of a longer one."""
    found = set(re.findall(r"\d+\.\d+", text))
    return {number for number in numbers if any(one.startswith(number) for one in found)}


_OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("race", "unreadable")]


@pytest.fixture(params=["search", *_OTHERS])
def sweep(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "sweeps" / "night"
    runs = write_runs(folder)
    if request.param == "race":
        write_race(folder)
    elif request.param == "search":
        write_tune(folder, [trial(run.name[:3], n, VAL, run.name) for n, run in enumerate(runs)])
    else:
        (folder / "tune.json").write_text("{")
    return folder


def lines_of(sweep: Path, tmp_path: Path) -> dict[str, list[list[str]]]:
    run, other = str(sweep / "cnn-toy-s0"), str(sweep / "vit-toy-s1")
    everywhere = str(sweep.parent.parent)
    page = str(tmp_path / "page.html")
    formats = [["--format", name] for name in ("table", "markdown", "csv", "json", "latex")]
    options = [*formats, ["--no-statistics"], ["--all"], ["--plan", "1"], ["--max-latency", "2ms"]]
    return {
        "list": [[everywhere], [everywhere, "--json"], [str(sweep)], [everywhere, "--runs", "--json"]],
        "show": [[run], [run, "--json"], [str(sweep)], [str(sweep), "--json"]],
        "compare": [[path, *words] for path in (everywhere, run) for words in options]
        + [[everywhere, "--format", "html", "-o", page]],
        "report": [[everywhere, "-o", page], [everywhere, "--all", "-o", page],
                   [everywhere, "--as", "lab", "-o", str(tmp_path / "lab.md")],
                   [everywhere, "--as", "lab", "-o", str(tmp_path / "lab.html")]],
        "diff": [[run, other], [run, other, "--json"], [run, str(tmp_path / "free" / "mlp-toy-s0")]],
        "evaluate": [[run]],
        "export": [[run, "--format", form] for form in ("onnx", "pt2", "state_dict")],
        "predict": [[run, str(tmp_path)], [run, "--evaluate"], [run, "--evaluate", "--json"]],
        "measure": [[run, "--batch-sizes", "1"]],
        "resume": [[run]],
        "watch": [[run], [str(sweep)]],
        "prune": [[everywhere]],
    }  # fmt: skip


@pytest.mark.usefixtures("report_extra")
def test_no_command_shows_a_test_figure(bakeoff: Bakeoff, sweep: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "free", ("mlp",), 1)
    runs = sorted(path for path in sweep.iterdir() if path.is_dir())
    numbers = set().union(*map(canaries, runs))
    damaged = sweep / "cnn-toy-s1" / "summary.json"
    test = json.loads(damaged.read_text())["test"]
    numbers.add("0.4242")
    commands = lines_of(sweep, tmp_path)
    assert {*commands} == {*COMMANDS} - SHOW_NOTHING
    for is_damaged in (False, True):
        if is_damaged:
            edit_json(damaged, test=test | {"accuracy": 0.4242})
        for command, lines in commands.items():
            for words in lines:
                if is_damaged and "-o" in words:
                    continue  # a page has the lines that the others have
                code, out, error = bakeoff(command, *words)
                assert "Traceback" not in error
                files = [path for path in tmp_path.glob("*.*") if path.is_file()]
                texts = [
                    out,
                    error,
                    *(path.read_text().partition("<body")[2] or path.read_text() for path in files),
                ]
                found = [shown(text, numbers) for text in texts]
                assert not any(found), (command, words, code, found)
                for path in files:
                    path.unlink()


def test_the_walk_finds_what_is_shown(bakeoff: Bakeoff, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "night"
    run = write_runs(folder)[0]
    write_race(folder, ended=ENDED)
    for words in (
        ["compare", str(run)],
        ["show", str(run), "--json"],
        ["diff", str(run), str(run.parent / "vit-toy-s0")],
    ):
        assert shown(bakeoff(*words)[1], canaries(run)), words


def test_frames_have_no_runs_of_it(sweep: Path) -> None:
    frame = load_runs(sweep.parent.parent)
    assert len(frame) == 0
    assert len(frame.attrs["problems"]) == 4


def test_evaluate_is_refused(bakeoff: Bakeoff, sweep: Path) -> None:
    code, out, error = bakeoff("evaluate", str(sweep / "cnn-toy-s0"))
    assert (code, out) == (ConfigError.exit_code, "")
    assert "its race or search has not ended, and until then nobody looks at its test images" in error


def test_diff_compares_no_images(bakeoff: Bakeoff, sweep: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "free", ("mlp",), 1)
    run, other = str(sweep / "cnn-toy-s0"), str(tmp_path / "free" / "mlp-toy-s0")
    for words in ([run, other], [other, run]):
        told = " ".join(bakeoff("diff", *words)[1].split())
        assert "images not compared: a race or search of theirs has not ended" in told
        assert "parameters" in told
        found = json.loads(bakeoff("diff", *words, "--json")[1])
        assert {*found["images"]} == {"reason"}
        assert not {"accuracy", "macro_f1", "nll", "ece"} & {*found["metrics"]}


def test_show_says_why(bakeoff: Bakeoff, sweep: Path) -> None:
    run = sweep / "cnn-toy-s0"
    code, out, _ = bakeoff("show", str(run))
    assert code == OK
    assert "test        not shown until its race or search has ended" in out
    assert "validation  accuracy 81.25 %" in out
    assert "curves.png" in out
    assert "confusion.png" not in out
    assert "bakeoff evaluate" not in out
    shown_ = json.loads(bakeoff("show", str(run), "--json")[1])
    assert {*shown_["scores"]} == {"val"}
    assert shown_["test_accuracy"] is None


def test_compare_tells_where_it_stands(bakeoff: Bakeoff, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "night"
    runs = write_runs(folder)
    results = [trial("cnn", n, 0.9 + n / 100, run.name) for n, run in enumerate(runs)]
    results += [trial("cnn", 9, 0.99, "gone", state="pruned"), trial("cnn", 10, None)]
    write_tune(folder, results, trials=50)
    code, out, _ = bakeoff("compare", str(folder))
    told = " ".join(out.split())
    assert code == OK
    assert (
        "night: the search has not ended: 4 of 50 trials finished; best on the validation images: cnn "
        "optim.lr=0.004, 93.00 %; its test images are opened when it has ended (bakeoff resume"
    ) in told
    assert (
        "night, val.accuracy on the validation images, best first (all): 93.00 % cnn optim.lr=0.004 92.00"
        in told
    )
    found = json.loads(bakeoff("compare", str(folder), "--format", "json")[1])
    assert found["tables"] == []
    assert [one["reason"] for one in found["problems"]][:1] == [
        "its race or search has not ended, so its test scores are not shown; validation accuracy 81.25 %"
    ]
    (study,) = found["open_studies"]
    assert (study["kind"], study["metric"], study["num_rated"]) == ("search", "val.accuracy", 4)
    assert study["best"][0] == {"name": "cnn optim.lr=0.004", "value": 0.93}


def test_compare_tells_where_a_race_stands(bakeoff: Bakeoff, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "night"
    write_runs(folder)
    write_race(folder, seeds=3)
    told = " ".join(bakeoff("compare", str(folder))[1].split())
    assert (
        "the race has not ended: 4 runs finished, last look at 3 seeds of each; best on the validation images: "
        "vit (2 seeds), 82.25 %"
    ) in told


def test_a_failed_trial_is_still_told(bakeoff: Bakeoff, sweep: Path) -> None:
    shutil.rmtree(sweep / "cnn-toy-s1")
    from listed_runs import unfinished

    unfinished(sweep / "cnn-toy-s1", "failed", "no memory")
    code, out, _ = bakeoff("compare", str(sweep))
    assert code == SOME_RUNS_BAD
    assert "failed: no memory" in out
