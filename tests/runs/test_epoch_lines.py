"""`epochs.jsonl` read while it grows, is replaced, or is damaged."""

import math
import os
from pathlib import Path

from bakeoff.runs.epoch_lines import EpochLines

LINE = '{"epoch": %d, "step": %d, "lr": 0.1, "train_loss": 1, "val": {"accuracy": %s}}\n'


def accuracies(lines: EpochLines) -> list[float]:
    lines.look()
    return [record.val.accuracy for record in lines.records if record.val]


def test_only_whole_lines_count_and_each_once(tmp_path: Path) -> None:
    lines = EpochLines(tmp_path)
    assert accuracies(lines) == []
    file = tmp_path / "epochs.jsonl"
    file.write_text(LINE % (1, 9, 0.25) + (LINE % (2, 18, 0.5))[:20])
    assert accuracies(lines) == [0.25]
    with file.open("a") as more:
        more.write((LINE % (2, 18, 0.5))[20:] + LINE % (3, 27, 0.75))
    assert accuracies(lines) == accuracies(lines) == [0.25, 0.5, 0.75]
    assert lines.written == file.stat().st_mtime


def test_a_file_in_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A run that goes on from a checkpoint drops the epochs after it."""
    lines, file = EpochLines(tmp_path), tmp_path / "epochs.jsonl"
    file.write_text(LINE % (1, 9, 0.1) + LINE % (2, 18, 0.2))
    assert accuracies(lines) == [0.1, 0.2]
    (tmp_path / "new").write_text(LINE % (1, 9, 0.1) + LINE % (2, 18, 0.3) + LINE % (3, 27, 0.4))
    os.replace(tmp_path / "new", file)
    assert accuracies(lines) == [0.1, 0.3, 0.4]
    file.write_text(LINE % (1, 9, 0.6))  # the same file, cut
    assert accuracies(lines) == [0.6]


def test_what_is_no_epoch_is_passed_over(tmp_path: Path) -> None:
    wrong = [
        "",
        "nonsense",
        "[" * 5000,
        "[1]",
        '{"epoch": "1", "step": 2}',
        '{"epoch": -1, "step": 2}',
        "\ufffd",
    ]
    lines = EpochLines(tmp_path)
    (tmp_path / "epochs.jsonl").write_text(
        "\n".join(wrong) + "\n" + LINE % (1, 9, "null") + LINE % (2, 18, "1e999")
    )
    lines.look()
    assert [(record.epoch, record.step) for record in lines.records] == [(1, 9), (2, 18)]
    assert all(record.val and math.isnan(record.val.accuracy) for record in lines.records)
    assert math.isnan(lines.records[0].train_seconds)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(LINE % (1, 9, 0.5))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "epochs.jsonl").symlink_to(tmp_path / "elsewhere")
    assert accuracies(EpochLines(tmp_path / "run")) == []
