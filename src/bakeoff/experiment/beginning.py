"""What a run began with: written at its first start, and checked before it goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import identifying_config
from bakeoff.config.strict import STRICT, dotted_keys, parse_section
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import ConfigError, ResumeError
from bakeoff.experiment.code import changed_files, code_files
from bakeoff.experiment.gates import Prepared
from bakeoff.machine.runtime import num_threads
from bakeoff.runs import attempts
from bakeoff.runs.records import Environment, Origin
from bakeoff.runs.rundir import ENVIRONMENT
from bakeoff.training.state import TrainState

# What should be as it was for the same last bits, and what to call it.
_VERSIONS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "cuda": "CUDA",
    "cpu": "the processor",
    "cpu_capability": "the processor's instructions",
    "device_name": "the device",
}


@dataclass(frozen=True)
class Beginning:
    """Plain values, as they stand in the record of a run's first attempt."""

    __pydantic_config__ = STRICT

    identity: str
    setting: str
    weights: str
    config: dict[str, Any]  # what of it identifies
    data: str  # fingerprint
    code: dict[str, str]
    threads: int
    device: str  # its kind
    precision: str
    versions: dict[str, str | None]
    resumed_from: Origin | None


def beginning(values: dict[str, Any], prepared: Prepared, environment: Environment) -> Beginning:
    """Of a run that starts now."""
    return Beginning(
        prepared.identity,
        prepared.setting,
        prepared.weights,
        identifying_config(values),
        data_fingerprint(prepared.config.data.name, prepared.config.data.root),
        code_files(values),
        num_threads(),
        prepared.runtime.device.type,
        prepared.runtime.precision,
        {name: getattr(environment, name) for name in _VERSIONS},
        prepared.resumed_from,
    )


def claim(
    run: Path,
    first: Beginning,
    environment: Environment,
    state: TrainState,
    after: int = 0,
    before: Sequence[dict[str, Any]] = (),
) -> attempts.Attempt:
    """Makes a run this process's, and writes what it began with and from where it goes on.

    Args:
        run: the run directory.
        first: what it began with.
        environment: of this process.
        state: where it goes on.
        after: the number of its newest attempt when the state was read.
        before: the `attempts.history` of the run whose state it is, if that is another one.

    Raises:
        ResumeError: another process works on it.
        ResourceError: nothing can be written there.
    """
    part = {
        "device_name": environment.device_name,
        "from_step": state.step,
        "seconds_before": state.total_seconds,
    }
    more = {"before": list(before)} if before else {}
    return attempts.begin(run, {**part, **more, "first": asdict(first)}, after)


def read_beginning(run: Path) -> Beginning | None:
    """What a run began with; None if it was killed before it had begun.

    Raises:
        ResumeError: its records are not there, though it had begun.
    """
    found = attempts.records(run)
    if not found and not (run / ENVIRONMENT).exists():
        return None
    try:
        return parse_section(Beginning, found[0].get("first") if found else None, attempts.FOLDER)
    except ConfigError as error:
        raise ResumeError(
            f"{run}: nothing says what it began with (another version made it); train it anew"
        ) from error


def changes_since(first: Beginning, values: dict[str, Any]) -> dict[str, str]:
    """The keys and files that are not as they were, and the data's folder; each with how to say it."""
    before, now = dotted_keys(first.config), dotted_keys(identifying_config(values))
    changed = {
        key: f"{key}={now.get(key)} (it began with {before.get(key)})"
        for key in {**before, **now}
        if before.get(key, ...) != now.get(key, ...)
    }
    changed |= {name: name for name in changed_files(first.code, values)}
    root = values["data"]["root"]
    if data_fingerprint(values["data"]["name"], root) != first.data:
        changed[root] = f"the data in {root}"
    return changed


def other_versions(first: Beginning, environment: Environment) -> Iterator[str]:
    """What may change the last bits of a run that goes on here, in words."""
    for name, word in _VERSIONS.items():
        before, now = first.versions.get(name), getattr(environment, name)
        if before != now:
            yield f"{word} was {before} when the run began and is {now} now"
