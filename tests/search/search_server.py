"""Starts processes of `bakeoff tune` in no time: each is a fork of one that has everything loaded.

    python search_server.py

Reads a JSON list of words a line from standard input, runs `bakeoff` with them in a process of its own (all it
says goes to `FOLDER/PID.log` of the folder that is worked in), and answers with the number of the process.
Trials are small programs that load nothing: their scores are a function of `optim.lr` alone.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

# What a trial does: epochs as a run writes them, a state to go on from, and a summary.
STAND_IN = r"""
import json, math, os, signal, socket, sys, time
run = sys.argv[1]
config = json.load(open(run + "/config.json"))
epochs, lr = config["trainer"]["epochs"], config["optim"]["lr"]
pause = float(os.environ.get("STAND_IN_SECONDS", "0.02"))
start = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
boot = open("/proc/sys/kernel/random/boot_id").read().strip()
def write(name, values):
    with open(f"{run}/{name}.new", "w") as file:
        json.dump(values, file)
    os.replace(f"{run}/{name}.new", f"{run}/{name}")
def says(status, error=None):
    write("status.json", dict(status=status, step=done, error=error, host=socket.gethostname(), pid=os.getpid(),
          process_started=f"{boot} {start}", heartbeat=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())))
def accuracy(epoch):
    return max(0.1, 1 - abs(math.log10(lr) + 2) / 3) * (1 - 0.6 ** epoch)
def saves(*_):
    says("interrupted", "stopped by SIGTERM")
    os._exit(75)
try:
    done = len(open(run + "/epochs.jsonl").read().splitlines())
except OSError:
    done = 0
signal.signal(signal.SIGTERM, saves)
says("running")
with open(run + "/began", "a") as file:
    file.write(f"{os.getpid()}\n")
while done < epochs:
    time.sleep(pause)
    if config["optim"]["weight_decay"] == 0.5:
        says("diverged", "no finite loss")
        os._exit(5)
    done += 1
    val = dict(accuracy=accuracy(done), macro_f1=accuracy(done), nll=1 - accuracy(done))
    with open(run + "/epochs.jsonl", "a") as file:
        file.write(json.dumps(dict(epoch=done, step=done, lr=lr, train_loss=1.0, val=val)) + "\n")
val = dict(accuracy=accuracy(done), macro_f1=accuracy(done), nll=1 - accuracy(done))
write("summary.json", dict(identity=sys.argv[sys.argv.index("--identity") + 1], epochs_run=done, val=val,
      test=dict(accuracy=float(os.environ.get("STAND_IN_TEST", "0.5"))), setting="s", seed=config["seed"],
      speed=dict(latency_ms_batch1=lr), cost=dict(parameters=10)))
says("finished")
with open(run + "/finished", "a") as file:
    file.write(f"{os.getpid()}\n")
"""
SERVER = [sys.executable, __file__]
SIZE = {"parameters": 10, "side": 8, "train_images": 10, "data_bytes": 10, "device": "cpu", "threads": None}


def patched(set_: Any) -> None:
    """Replaces what loads torch, and what reads a whole run, which these are not.

    Args:
        set_: sets an attribute of a dotted name.
    """
    from bakeoff.comparison.run import Run
    from bakeoff.runs.reading import read_json

    def checked(configs: Any, _stop: Any, sizes: int) -> int:
        alone = [{} if "config_alone" in config else SIZE for config in configs]
        os.write(sizes, json.dumps(alone).encode())
        return 0

    def read(path: Path, **_: Any) -> Run:
        return Run(path, read_json(path / "summary.json"), {})

    set_("bakeoff.sweeps.child._PYTHON", (sys.executable, "-S", "-c", STAND_IN))
    set_("bakeoff.sweeps.gates_child._run", checked)
    set_("bakeoff.sweeps.plan.read_run", read)
    set_("bakeoff.sweeps.search.run.compared", lambda _folder, failed=(), **_: 7 if list(failed) else 0)


def _set(name: str, value: Any) -> None:
    import importlib

    module, _, attribute = name.rpartition(".")
    setattr(importlib.import_module(module), attribute, value)


def _run(words: list[str]) -> None:
    from bakeoff.cli import main

    log = os.open(f"{os.getpid()}.log", os.O_WRONLY | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    code = 1
    try:
        code = main(words)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            print(f"exit code {code}", flush=True)
        os._exit(code)


def main() -> None:
    import optuna.storages
    import sqlalchemy.dialects.sqlite

    import bakeoff.commands.tune
    import bakeoff.sweeps.search.run

    _loaded = (optuna.storages, sqlalchemy.dialects.sqlite, bakeoff.commands.tune, bakeoff.sweeps.search.run)
    patched(_set)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(json.loads(line))
        print(child, flush=True)


if __name__ == "__main__":
    main()
