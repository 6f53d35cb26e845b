"""A named pipe where a command takes a file: named in one line, never waited on."""

import os
import re
from pathlib import Path

import pytest
from conftest import Bakeoff


@pytest.mark.parametrize(
    ("line", "exit_code", "said"),
    [
        ("train --config-dir own experiment=pipe", 2, "own/experiment/pipe.yaml: no regular file; a config is"),
        ("train --config-dir own model=pipe model.chanels=[8]", 2, "own/model/pipe.yaml: no regular file"),
        ("train data=digits model=shufflenet_small model.weights=pipe.pth", 2, "pipe.pth: not a file of weights"),
        ("train data=digits model=shufflenet_small model.weights=run", 3, "run: not a finished run .*not a regular file"),
        ("train data=image_folder data.root=pipe.pth", 3, "data.root=pipe.pth: no folder; expected train/<class>/"),
        ("evaluate run", 7, "run: summary.json: not a regular file"),
        ("compare run", 7, "run: summary.json: not a regular file"),
    ],
)  # fmt: skip
def test_a_pipe_is_named(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, exit_code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("own/experiment/pipe.yaml", "own/model/pipe.yaml", "pipe.pth", "run/summary.json"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    code, out, err = bakeoff(*line.split())
    assert code == exit_code
    assert re.search(said, out + err)
