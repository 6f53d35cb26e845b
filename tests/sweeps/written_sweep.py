"""A sweep whose directories a test writes, as a scheduler and its jobs would. No torch."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.runs.rundir import CONFIG, EPOCHS, STATUS, SUMMARY, RunDir
from bakeoff.runs.states import FINISHED, QUEUED, RUNNING
from bakeoff.runs.storage import write_json
from bakeoff.sweeps.ledger import Entry, Ledger

BEGAN = 1_800_000_000.0  # seconds since 1970, when the sweep was begun


def at(seconds: float) -> str:
    """A moment after the beginning, as the ledger has it."""
    return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat(timespec="seconds")


class WrittenSweep:
    """A ledger that this process owns, and its runs."""

    def __init__(self, folder: Path, models: list[str], at_once: int = 1, epochs: int = 10) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.ledger = Ledger(folder, ["model=..."], at(0), jobs_at_once=at_once)
        self.entries: list[Entry] = []
        for number, model in enumerate(models):
            entry = Entry(
                f"{model}-digits-s{number}-{number:08x}", f"{number:064x}", "s", f"model={model} seed={number}",
                model, "digits", number,
            )  # fmt: skip
            self.entries.append(entry)
            run = folder / entry.folder
            run.mkdir()
            (run / CONFIG).write_text(json.dumps({"trainer": {"epochs": epochs}}))
            if number == 0:
                RunDir(run).write_status(QUEUED, 0)
            else:  # the same, without waiting for the disk
                (run / STATUS).write_bytes((self.run(0) / STATUS).read_bytes())
        self.ledger.add(self.entries)
        self.write()

    def write(self, *, owned: bool = True) -> None:
        """Stores the ledger; this process is the one that works on it."""
        self.ledger.write(owned=owned)
        if self.ledger.parent:
            self.ledger.parent["started"] = at(0)

    def run(self, number: int) -> Path:
        """A job's directory."""
        return self.folder / self.entries[number].folder

    def note(self, number: int, **changes: Any) -> Entry:
        """Changes what the ledger says of a job."""
        self.ledger.set(self.entries[number].folder, **changes)
        return self.ledger.entries[self.entries[number].folder]

    def start(self, number: int, seconds: float = 0.0) -> Entry:
        """A job's process begins."""
        RunDir(self.run(number)).write_status(RUNNING, 0)
        return self.note(number, state=RUNNING, reason=None, started=at(seconds), ended=None)

    def epoch(self, number: int, epoch: int, accuracy: float | None, took: float = 2.0) -> None:
        """A job's next line of `epochs.jsonl`; three quarters of its time were training."""
        val = None if accuracy is None else {"accuracy": accuracy, "macro_f1": 0.5, "nll": 0.5}
        record = {
            "epoch": epoch, "step": epoch * 19, "lr": 0.01, "train_loss": 0.5, "train_loss_parts": {}, "val": val,
            "train_seconds": 0.75 * took, "eval_seconds": 0.25 * took, "train_images_per_second": 1000.0,
        }  # fmt: skip
        with (self.run(number) / EPOCHS).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, number: int, accuracy: float | None, took: float, total: float | None = None) -> Entry:
        """A job has its result, and the ledger knows it; `total` is what its summary says it took."""
        val = None if accuracy is None else {"accuracy": accuracy}
        summary = {
            "val": val,
            "test": {"accuracy": 0.123},
            "time": {"total_seconds": took if total is None else total},
            "epochs_run": 10,
        }
        write_json(self.run(number) / SUMMARY, summary)  # whole, as runs do: others look meanwhile
        return self.note(number, state=FINISHED, started=at(0), ended=at(took))

    def end(self, number: int, state: str, reason: str, seconds: float = 1.0) -> Entry:
        """A job ends in another way."""
        RunDir(self.run(number)).write_status(state, 19, reason)
        return self.note(number, state=state, reason=reason, ended=at(seconds))

    def status(self, number: int) -> dict[str, Any]:
        """What a job's directory says."""
        found: dict[str, Any] = json.loads((self.run(number) / STATUS).read_text())
        return found
