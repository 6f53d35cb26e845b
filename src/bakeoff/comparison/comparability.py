"""What else than their settings tells two groups of runs apart, and whether their times may be ranked.

No torch here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from bakeoff.comparison.figures import TOTAL_SECONDS, value_at
from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.config.canonical import canonical_json
from bakeoff.text import shortened

# A job starts while the one before it still writes its log; less is no overlap.
_SECONDS_BETWEEN_JOBS = 3.0


def _config(*names: str) -> Callable[[Run], str]:
    def value(run: Run) -> str:
        part: Any = run.config
        for name in names:
            part = part.get(name) if isinstance(part, dict) else None
        return part if isinstance(part, str) else canonical_json(part)

    return value


def _environment(name: str) -> Callable[[Run], str]:
    def value(run: Run) -> str:
        fact = run.environment.get(name)
        return UNKNOWN if fact is None else str(fact)

    return value


def _epochs(run: Run) -> str:
    """Of a run that its budget ended, the number is only a limit: it had as many as fit."""
    limit = _config("trainer", "epochs")(run)
    done = str(run.summary.get("epochs_run"))
    return limit if run.max_seconds is None or done == limit else "as many as fit"


def _budget(run: Run) -> str:
    return "none" if run.max_seconds is None else f"{run.max_seconds:g} s"


# What should be alike where architectures are compared: its name and where it stands.
_FACTS: dict[str, Callable[[Run], str]] = {
    "test images": lambda run: run.text("fingerprint", "test_split"),
    "training images": lambda run: run.text("fingerprint", "train_split"),
    "validation images": lambda run: run.text("fingerprint", "val_split"),
    "classes": _config("data", "classes"),
    "data limit": _config("data", "train_limit"),
    "first weights": lambda run: run.text("weights"),
    "epochs": _epochs,
    "time for training": _budget,
    "device": lambda run: f"{_environment('device')(run)} {_environment('device_name')(run)}",
    "precision": lambda run: run.precision,
    "threads": lambda run: run.threads,
    "torch": _environment("torch"),
    "torchvision": _environment("torchvision"),
}
HASHES = ("test images", "training images", "validation images")
_LONGEST_VALUE = 40  # characters
Facts = Mapping[str, tuple[str, ...]]


def facts(runs: Sequence[Run]) -> Facts:
    """Name of a fact -> its values among some runs, sorted."""
    return {
        name: tuple(sorted({value(run)[:_LONGEST_VALUE] for run in runs})) for name, value in _FACTS.items()
    }


def confounders(ours: Facts, theirs: Facts) -> tuple[str, ...]:
    """What should be alike and is not, such as "epochs: 3 against 10"; empty if the two may be compared."""
    texts = [
        name if name in HASHES else f"{name}: {', '.join(ours[name])} against {', '.join(theirs[name])}"
        for name in _FACTS
        if ours[name] != theirs[name] or len(ours[name]) > 1
    ]
    if ours["test images"] == theirs["test images"] == (UNKNOWN,):
        texts.append("test images: not recorded")
    return tuple(texts)


def all_alike(groups: Sequence[Sequence[Run]]) -> bool:
    """Whether nothing but their settings tells some groups of runs apart."""
    of_groups = [facts(group) for group in groups]
    return not any(confounders(of_groups[0], other) for other in of_groups)


def mixed_facts(runs: Sequence[Run]) -> list[str]:
    """What differs within the runs of one setting, which should differ in their seeds alone."""
    return [f"{name} ({', '.join(values)})" for name, values in facts(runs).items() if len(values) > 1]


def other_code(runs: Sequence[Run]) -> str | None:
    """That runs of one setting come from several versions of the code, with the files; None if not."""
    versions = {run.text("fingerprint", "code") for run in runs}
    if len(versions) < 2:
        return None
    hashes: dict[str, set[str]] = {}
    for run in runs:
        recorded = run.environment.get("code")
        for name, own in recorded.items() if isinstance(recorded, dict) else ():
            hashes.setdefault(str(name), set()).add(str(own))
    changed = sorted(name for name, own in hashes.items() if len(own) > 1)
    files = f" (changed: {shortened(changed, 3)})" if changed else ""
    return f"its runs come from {len(versions)} versions of the code{files}"


def why_times_differ(runs: Sequence[Run]) -> str | None:
    """Why the times of some runs must not be ranked together; None if they may be."""
    stretches = [stretch for run in runs for stretch in _stretches(run)]
    machines = {stretch.machine for stretch in stretches}
    if any(UNKNOWN in machine for machine in machines):
        return "the machine of some runs is not recorded"
    if len(machines) > 1:
        return f"the runs come from {len(machines)} machines"
    threads = {run.threads for run in runs}
    if len(threads) > 1:
        return f"the runs had different numbers of threads ({', '.join(sorted(threads))})"
    at_once = {run.jobs_at_once for run in runs}
    if len(at_once) > 1:
        return f"{' and '.join(map(str, sorted(at_once)))} runs at once: more at once take longer"
    known = sorted(stretch.span for stretch in stretches if stretch.span is not None)
    if len(known) < len(stretches):
        return "when some runs ran is not recorded"
    if _most_at_once(known) > max(at_once, default=1):
        return "some runs ran side by side"
    return None


def _most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many of some stretches of time lie side by side."""
    moments = [(began, 1) for began, _ in spans]
    # The shortest one is something, too.
    moments += [(max(began + 1e-3, ended - _SECONDS_BETWEEN_JOBS), -1) for began, ended in spans]
    return max(accumulate(change for _, change in sorted(moments)), default=0)


class _Stretch(NamedTuple):
    """Work without a break: a run that was stopped and resumed has several."""

    machine: tuple[str, str]  # host and device
    span: tuple[float, float] | None  # seconds since 1970


def _stretches(run: Run) -> list[_Stretch]:
    parts = run.summary.get("parts")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        parts = [{**run.environment, "seconds_before": 0}]  # of an older version
    ends = [part.get("seconds_before") for part in parts[1:]] + [value_at(run.summary, TOTAL_SECONDS)]
    return [_stretch(part, end) for part, end in zip(parts, ends, strict=True)]


def _stretch(part: Mapping[str, Any], seconds_after: Any) -> _Stretch:
    host, device_name = (
        value if isinstance(value := part.get(name), str) else UNKNOWN for name in ("host", "device_name")
    )
    span, before = None, part.get("seconds_before")
    with suppress(ValueError, OverflowError, OSError):
        began = datetime.fromisoformat(str(part.get("started"))).timestamp()
        if isinstance(before, int | float) and isinstance(seconds_after, int | float):
            span = began, began + max(0.0, seconds_after - before)
    return _Stretch((host, device_name), span)
