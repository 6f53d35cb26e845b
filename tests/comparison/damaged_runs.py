"""Ways to damage a run directory, with what `bakeoff compare` says of each."""

import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_directories import predictions


@pytest.fixture(autouse=True)
def no_test_waits() -> Iterator[None]:
    """A reader that blocks on a pipe fails the test instead of the test run."""

    def late(*_: object) -> None:
        raise AssertionError("waited for more than 90 s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 90)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


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


ROWS = predictions(1)[1]


HUGE = "9" * 400  # no float


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
