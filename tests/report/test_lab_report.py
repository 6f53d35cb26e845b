"""A whole lab report: its parts, its numbers against those of `compare --format json` and `summary.json`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from read_lab import MADE, read_html, read_markdown, tables, texts
from run_directories import make_run

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.output.export import as_json
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import View
from bakeoff.errors import ConfigError
from bakeoff.report.lab.appendix import appendix_section
from bakeoff.report.lab.document import Document, Picture
from bakeoff.report.lab.write import lab_document, lab_report
from bakeoff.runs.locate import distinct_run_dirs
from bakeoff.runs.rundir import RunDir

pytestmark = pytest.mark.usefixtures("report_extra")

CNN = {
    "channels": [4], "kernel_sizes": 3, "strides": 1, "paddings": 1, "pools": None, "pooling": "max",
    "norm": "batch", "activation": "relu", "conv_dropout": 0.0, "global_pool": "max", "hidden_sizes": [],
    "dropout": 0.0,
}  # fmt: skip
CNN_PARAMETERS = 4 * 9 + 8 + 4 * 5 + 5  # convolution, batch norm, linear layer to five classes
PARTS = [
    "1. Objective", "2. Data", "3. Models", "4. Method", "5. Results", "6. Discussion", "7. Conclusion", "8. References",
    "Appendix A. How each number was computed", "Appendix B. The runs", "Appendix C. Commands",
    "Appendix D. Runs that are not in the tables",
]  # fmt: skip


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        section = content
        *parents, last = key.split("__")
        for name in parents:
            section = section[name]
        section[last] = value
    path.write_text(json.dumps(content))


def make_tree(root: Path) -> Path:
    """Three seeds of a network that can be built again, three of one that cannot, and a run that failed."""
    for seed in range(3):
        for name, error_rate in (("small", 0.1), ("other", 0.4)):
            run = root / f"{name}{seed}"
            make_run(run, seed, name, model=name, error_rate=error_rate, train_seconds=2.0 + seed)
            with open(run / "run.log", "w") as file:
                file.write(
                    "x small on toy: 1 parameters; 1,197 training, 200 validation and 60 test images; cpu\n"
                )
            with open(run / "epochs.jsonl", "w") as file:
                for epoch in (1, 2):
                    val = {"accuracy": 0.25 * epoch + 0.01 * seed, "macro_f1": 0.1, "nll": 2.0 / epoch}
                    file.write(
                        json.dumps({"epoch": epoch, "step": epoch, "val": val, "train_seconds": 1.0}) + "\n"
                    )
        config = json.loads((root / f"small{seed}" / "config.json").read_text())
        config["data"]["name"] = "mnist"
        config["model"] |= CNN
        (root / f"small{seed}" / "config.json").write_text(json.dumps(config))
        edit(root / f"small{seed}" / "summary.json", cost__parameters=CNN_PARAMETERS)
        edit(root / f"other{seed}" / "config.json", model__family="os")
    failed = RunDir.create(root / "failed")
    failed.write_config({"model": {"name": "x"}}, [])
    failed.write_status("diverged", 3, "a loss of NaN")
    return root


def compared(root: Path) -> tuple[list[Table], list[Problem]]:
    runs, problems = read_runs(distinct_run_dirs([root]))
    return compare_runs(runs, View(), statistics=True), problems


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("lab") / "runs")


@pytest.fixture(scope="module")
def made(root: Path) -> tuple[list[Table], list[Problem]]:
    return compared(root)


@pytest.fixture(scope="module")
def report(root: Path, made: tuple[list[Table], list[Problem]]) -> Path:
    """The folder with the report in both ways of writing; it is drawn once."""
    folder = root.parent
    document = lab_document(*made, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.report.lab.write.lab_document", lambda *_: document)
        for name in ("new/lab.md", "new/lab.html"):
            lab_report(*made, root, folder / name)
    return folder / "new"


def markdown(report: Path) -> str:
    return (report / "lab.md").read_text()


def test_both_ways_of_writing_say_the_same(report: Path) -> None:
    page, text = read_html((report / "lab.html").read_text()), read_markdown(markdown(report))
    assert texts(page) == texts(text)
    assert page.tags.count("img") == text.tags.count("img") == 4
    assert set(page.tags) | set(text.tags) <= MADE


def test_the_parts_stand_in_their_order(report: Path) -> None:
    blocks = read_markdown(markdown(report)).blocks
    assert [text for kind, text in blocks if kind == "h2"] == PARTS
    assert [text for kind, text in blocks if kind == "h3"] == ["3.1 small", "3.2 other"]
    assert ("h1", "Lab report: 2 models compared on toy") in blocks
    assert ("p", "Which of these 2 models classifies the images of toy best: small and other?") in blocks


def test_what_a_person_must_add_can_be_found(report: Path) -> None:
    lines = markdown(report).splitlines()
    todo = [line for line in lines if "TO DO" in line]
    assert len(todo) > 8
    assert all(line.startswith("> **TO DO (you):** ") for line in todo)


def test_pictures_are_where_the_text_says(report: Path) -> None:
    names = re.findall(r"\]\((lab_files/[^)]+)\)", markdown(report))
    assert sorted(names) == sorted(f"lab_files/{path.name}" for path in (report / "lab_files").iterdir())
    assert all((report / name).read_bytes().startswith(b"\x89PNG") for name in names)


def table_of(report: Path, words: str) -> list[list[str]]:
    (found,) = [rows for caption, rows in tables(markdown(report)).items() if words in caption]
    return found


def test_the_table_has_the_numbers_of_the_json(
    report: Path, root: Path, made: tuple[list[Table], list[Problem]]
) -> None:
    (table,) = json.loads(as_json(*made, root))["tables"]
    titles, *rows = table_of(report, "test scores, mean over n seeds")
    for row, setting in zip(rows, table["settings"], strict=True):
        cells = dict(zip(titles, row, strict=True))
        assert (cells["configuration"], cells["n"]) == (setting["name"], str(setting["num_runs"]))
        for title, name, factor, digits in (
            ("accuracy %", "accuracy", 100, 2), ("macro_f1 %", "macro_f1", 100, 2), ("nll (test loss)", "nll", 1, 4),
        ):  # fmt: skip
            one = setting["metrics"][name]
            mean, low, high = (f"{one[part] * factor:.{digits}f}" for part in ("mean", "low", "high"))
            assert cells[title] == f"{mean} [{low}, {high}]"
        seconds = setting["metrics"]["train_seconds"]
        assert cells["train_seconds"] == f"{seconds['mean']:.1f} ± {seconds['std']:.1f}"
        assert cells["parameters"] == f"{setting['metrics']['parameters']['mean']:,.0f}"
    titles, *pairs = table_of(report, "differences of test accuracy")
    wanted = [pair for pair in table["pairs"] if pair["metric"] == "accuracy"]
    names = {setting["setting"]: setting["name"] for setting in table["settings"]}
    for row, pair in zip(pairs, wanted, strict=True):
        difference, low, high = (f"{pair[part] * 100:+.2f}" for part in ("difference", "low", "high"))
        assert row[:4] == [names[pair["a"]], names[pair["b"]], difference, f"{low} to {high}"]
        assert row[4].replace("< ", "") == (
            "0.0001" if pair["p_adjusted"] < 1e-4 else f"{pair['p_adjusted']:.3g}"
        )
        assert row[5] == ("yes" if pair["p_adjusted"] < 0.05 else "no")
    said = [text for kind, text in read_markdown(markdown(report)).blocks if kind == "li"]
    assert set(table["verdict"]) <= set(said)


def test_runs_and_recalls_have_the_numbers_of_the_summaries(report: Path, root: Path) -> None:
    _, *rows = table_of(report, "the runs of this report")
    assert len(rows) == 6
    for name, folder, seed, accuracy, val, best, epochs, seconds in rows:
        summary = json.loads((root / folder / "summary.json").read_text())
        assert (name, seed) == (summary["model"], str(summary["seed"]))
        assert accuracy == f"{summary['test']['accuracy'] * 100:.2f}"
        assert (val, best, epochs) == ("not recorded", "1", "1")
        assert seconds == f"{summary['time']['train_seconds']:.1f}"
    titles, *rows = table_of(report, "recall of each class")
    assert titles == ["class", "test images", "small", "other"]
    for number, (label, count, *recalls) in enumerate(rows):
        for name, recall in zip(titles[2:], recalls, strict=True):
            of_runs = [
                json.loads((root / f"{name}{seed}" / "summary.json").read_text())["test"]["per_class"][number]
                for seed in range(3)
            ]
            assert (label, count) == (of_runs[0]["label"], str(of_runs[0]["support"]))
            assert recall == f"{sum(one['recall'] for one in of_runs) / 3 * 100:.2f}"


def test_the_layers_add_up_and_what_cannot_be_built_says_why(report: Path) -> None:
    titles, *rows = table_of(report, "the layers of small for one image of 1 × 28 × 28")
    assert titles == ["layer", "kind", "output shape", "parameters"]
    assert rows[0] == ["blocks.0", "Conv2d 3×3", "4 × 28 × 28", "36"]
    assert rows[-1] == ["total", "", "", str(CNN_PARAMETERS)]
    assert sum(int(row[3]) for row in rows[:-1]) == CNN_PARAMETERS
    assert not [caption for caption in tables(markdown(report)) if "layers of other" in caption]
    reason = (
        "Parameters: 1,234. No layer table: the network was not built again (model.family=os: no such family"
    )
    assert reason in markdown(report).replace("\\", "")


def test_what_was_not_recorded_says_so(report: Path) -> None:
    facts = {row[0]: row[1] for row in table_of(report, "the data of these runs")}
    assert [facts[f"{split} images"] for split in ("training", "validation", "test")] == [
        "1,197",
        "200",
        "60",
    ]
    assert facts["image size"] == "28 × 28 pixels"
    assert facts["fingerprint of the validation images (first 16 digits of SHA-256)"] == "not recorded"
    machine = {row[0]: row[1] for row in table_of(report, "machine and versions")}
    assert machine["torch"] == "not recorded"
    assert machine["time of all runs together"] == "42 s"


def test_failed_runs_and_commands_are_listed(report: Path) -> None:
    text = markdown(report)
    assert "* failed: diverged: a loss of NaN" in text
    commands = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert commands
    assert commands[1].splitlines() == [f"bakeoff train seed={seed}" for _ in range(2) for seed in range(3)]


def test_a_command_names_no_place_and_is_quoted(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "a", 0)
    words = ["output_dir=/secret", "sweep.name=x", "+model.x=a b; rm -rf /", "optim.lr=0.1"]
    (tmp_path / "r" / "a" / "overrides.yaml").write_text(json.dumps(words))
    lines = _code(appendix_section(*compared(tmp_path / "r"), tmp_path / "r"))
    assert lines == ["bakeoff train '+model.x=a b; rm -rf /' optim.lr=0.1"]
    (tmp_path / "r" / "a" / "overrides.yaml").unlink()
    lines = _code(appendix_section(*compared(tmp_path / "r"), tmp_path / "r"))
    assert lines == ["# a: its command line is not recorded"]


def _code(blocks: Sequence[Any]) -> list[str]:
    return next(list(block.lines) for block in blocks if hasattr(block, "lines"))


HOSTILE = ["<script>alert(1)</script>", "](javascript:x)", "a|b", "\x1b[2J", "{{ 7*7 }}", "`x`\n# y"]


def test_names_of_strangers_are_text_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "r"
    for number, text in enumerate(HOSTILE):
        run = root / f"run {number}"
        changes = {"optim.name": text, "trainer.select": [text], "data.augment": text, "model.family": text}
        make_run(run, 0, f"s{number}", model=text, changes=changes)
        edit(run / "summary.json", data_title=text)
        summary = json.loads((run / "summary.json").read_text())
        for one in summary["test"]["per_class"]:
            one["label"] = f"{one['label']} {text}"
        (run / "summary.json").write_text(json.dumps(summary))
        (run / "environment.json").write_text(json.dumps({"cpu": text, "torch": [text], "packages": text}))
    bad = RunDir.create(root / "bad <b>x")
    bad.write_config({"model": {"name": "x"}}, [])
    bad.write_status("failed", 3, "<img src=x onerror=alert(1)>")
    made = compared(root)
    document = lab_document(*made, root)
    monkeypatch.setattr("bakeoff.report.lab.write.lab_document", lambda *_: document)
    for kind, read in ((".md", read_markdown), (".html", read_html)):
        lab_report(*made, root, tmp_path / f"lab{kind}")
        content = (tmp_path / f"lab{kind}").read_text()
        reader = read(content)
        assert set(reader.tags) <= MADE
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", content)
        said = " ".join(texts(reader))
        for text in HOSTILE:
            assert text.replace("\x1b", "\\x1b").replace("\n", "\\x0a") in said, kind
        assert "<img src=x onerror=alert(1)>" in said
        attributes = {key for key, _ in reader.attributes}
        assert not {
            key for key in attributes if key.partition(".")[2].startswith("on") or key.endswith("href")
        }


def test_a_report_without_statistics_or_with_one_row_is_whole(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "a", 0)
    (tmp_path / "r" / "a" / "predictions.npz").unlink()
    runs, problems = read_runs([tmp_path / "r" / "a"], predictions=False)
    blocks = lab_document(compare_runs(runs, View(), statistics=False), problems, tmp_path).blocks
    said = " ".join(str(getattr(block, "text", "")) for block in blocks)
    assert "How accurately does cnn classify the images of toy?" in said
    assert "No statistics were computed, so no difference is proven." in said


def test_classes_whose_names_are_lost_are_numbers_in_the_confusion_matrix(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 0)
    file = tmp_path / "a" / "summary.json"
    summary = json.loads(file.read_text())
    summary["test"]["per_class"] = None
    file.write_text(json.dumps(summary))
    runs, problems = read_runs([tmp_path / "a"])
    blocks = lab_document(compare_runs(runs, View(), statistics=True), problems, tmp_path).blocks
    assert any(isinstance(block, Picture) and block.name == "confusion-1" for block in blocks)


@pytest.mark.parametrize("name", ["lab.pdf", "lab", "lab.txt", "lab.md.gz"])
def test_another_kind_of_file_is_refused(tmp_path: Path, made: Any, root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"a lab report is a file that ends with \.md or \.html"):
        lab_report(*made, root, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_run_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        lab_report([], [], tmp_path, tmp_path / "lab.md")


@pytest.mark.parametrize("module", ["torchinfo", "jinja2"])
def test_a_library_that_is_missing_is_named(
    tmp_path: Path, made: Any, root: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == module else name)
    with pytest.raises(ConfigError, match=rf"needs the extra bakeoff\[report\]: pip install {module}$"):
        lab_report(*made, root, tmp_path / "lab.html")
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_the_pictures_is_not_followed(tmp_path: Path, made: Any, root: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lab_files").symlink_to(tmp_path / "elsewhere")
    document = Document("x", [Picture("a", b"", "b", "c", 1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.report.lab.write.lab_document", lambda *_: document)
        with pytest.raises(Exception, match="lab_files"):
            lab_report(*made, root, tmp_path / "lab.md")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.slow  # trains
@pytest.mark.parametrize("model", ["cnn_small", "vit", "faster_rcnn", "shufflenet_small"])
def test_a_real_runs_layers_are_what_its_summary_counted(
    tmp_path: Path, model: str, no_pictures: None
) -> None:
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.experiment import train as experiment
    from bakeoff.machine.signals import StopSignal

    line = [
        f"model={model}",
        "data=digits",
        "trainer.epochs=1",
        "data.train_limit=60",
        f"output_dir={tmp_path / 'r'}",
    ]
    (job,), _ = expand(parse_arguments(line))
    run = experiment.train(job, StopSignal())
    lab_report(*compared(tmp_path / "r"), tmp_path / "r", tmp_path / "lab.md")
    count = json.loads((run / "summary.json").read_text())["cost"]["parameters"]
    (layers,) = [
        rows for words, rows in tables((tmp_path / "lab.md").read_text()).items() if "the layers of" in words
    ]
    assert layers[-1] == ["total", "", "", f"{count:,}"]
    assert f"the layers of {model} for one image of 1 × 8 × 8" in (tmp_path / "lab.md").read_text()
