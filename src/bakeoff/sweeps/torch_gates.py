"""A sweep's child that passes all jobs through the gates that need torch and the data.

Reads a JSON list of configs from standard input, and writes a JSON list of the size of each job's work
(`slots.Size`) to the descriptor that its parent gives; exits like any command.

Every config passes gates 1 and 2. A network is made once for all jobs of the same data, model and loop, as it
differs in its random numbers alone: 300 seeds take as long as one.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.config.canonical import canonical_json
from bakeoff.errors import OK
from bakeoff.machine.process import loading_torch, run_process
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.streams import run_command
from bakeoff.machine.waiting import doing, tell
from bakeoff.sweeps.child import end_with
from bakeoff.sweeps.gates_child import CONFIG_ALONE
from bakeoff.text import without_numbers

if TYPE_CHECKING:
    from bakeoff.data.splits import DataSet

# What gate 3 depends on; neither the seed nor the optimizer.
_OF_GATE_3 = ("model", "data", "trainer")


class Gates:
    """The gates for one job after the other; what the next one may need again is kept."""

    def __init__(self) -> None:
        self._dataset: DataSet | None = None  # of the job before: one at a time, as it may fill the memory
        self._data_key = ""
        # By what `_OF_GATE_3` names: size and notes.
        self._passed: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {}
        self._said: set[str] = set()

    def sizes(self, jobs: Sequence[dict[str, Any]], stop: StopSignal) -> list[dict[str, Any]]:
        """Passes all jobs, those of the same data one after the other; gives their sizes in their order.

        Raises:
            BakeoffError: of the first that does not pass, or for a signal.
        """
        sizes: list[dict[str, Any]] = [{}] * len(jobs)
        for done, number in enumerate(_by_data(jobs), start=1):
            stop.check()
            with doing(f"checking run {done} of {len(jobs)}"):
                sizes[number] = self._size(jobs[number])
        return sizes

    def _size(self, values: dict[str, Any]) -> dict[str, Any]:
        """Passes a job, says what a person should know of it and of none before, and gives its size.

        Raises:
            BakeoffError: as in `gates.prepare`.
        """
        from bakeoff.experiment.first_gate import check_shared
        from bakeoff.experiment.gates import notes_on
        from bakeoff.models.base import check_model

        if (alone := values.get(CONFIG_ALONE)) is not None:
            check_shared(alone)
            check_model(alone)
            return {}
        config = check_shared(values)
        key = canonical_json([values[name] for name in _OF_GATE_3])
        if key in self._passed:
            check_model(values)
        else:
            self._passed[key] = self._third_gate(values)
        size, notes = self._passed[key]
        for note in (*notes, *notes_on(config)):
            if without_numbers(note) not in self._said:
                self._said.add(without_numbers(note))
                tell(f"note: {note}")
        return size

    def _third_gate(self, values: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        from bakeoff.experiment.gates import prepare

        key = canonical_json(values["data"])
        dataset = self._dataset if key == self._data_key else None
        self._dataset = None  # it must not be held while the next one is read
        prepared = prepare(values, dataset)
        if values["trainer"]["overfit_batches"] is None:  # else its data are a few of them
            self._dataset, self._data_key = prepared.data, key
        splits = [split for _, split in prepared.data.splits() if split is not None]
        size = {
            "parameters": sum(parameter.numel() for parameter in prepared.model.parameters()),
            "side": max(prepared.data.image_shape[1:]),
            "train_images": len(prepared.data.train),
            "data_bytes": sum(split.num_bytes for split in splits),
            "device": str(prepared.runtime.device),
            "threads": prepared.config.trainer.threads,
        }
        return size, (*prepared.data.notes, *prepared.model.notes)


def _check(sizes_descriptor: int) -> int:
    stop = StopSignal()
    with stop.caught():
        jobs = json.load(sys.stdin)

        with loading_torch():
            from bakeoff.experiment import gates  # noqa: F401 - here, where a person is told

        sizes = Gates().sizes(jobs, stop)
        with os.fdopen(sizes_descriptor, "w") as file:
            json.dump(sizes, file)
    return OK


def _by_data(jobs: Sequence[dict[str, Any]]) -> list[int]:
    """The positions of the jobs, those of the same data one after the other."""
    keys = [canonical_json(values.get("data")) for values in jobs]
    first = {key: keys.index(key) for key in keys}
    return sorted(range(len(jobs)), key=lambda number: first[keys[number]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--sizes", type=int, required=True)
    return parser


if __name__ == "__main__":
    options = _parser().parse_args()
    end_with(options.parent)
    # It is no foreground process of its terminal: with `stty tostop` its first line would stop it for ever.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    # Its parent says what of the output is lost.
    run_process(lambda: run_command(lambda: _check(options.sizes), debug=False, only_shows=True))
