"""What a person reads of measurements: a table, and how exported files stand to their runs. No torch here."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bakeoff.runs.measurements import Measurement
from bakeoff.terminal import columns_of, padded, painted, wrapped
from bakeoff.text import counted, printable

if TYPE_CHECKING:
    from bakeoff.deploy.measure.kinds import Taken

_GAP = "  "
_NAME = "model"
# The title of each column, with its unit, and its cells.
_COLUMNS: dict[str, Callable[[Measurement], str]] = {
    "threads": lambda one: str(one.threads),
    "batch": lambda one: f"{one.batch_size:,}",
    "median ms": lambda one: _three_digits(one.latency_ms_median),
    "p95 ms": lambda one: _three_digits(one.latency_ms_p95),
    "images/s": lambda one: f"{one.images_per_second:,.0f}",
    "memory MB": lambda one: "?" if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 1e6:,.0f}",
    "calls": lambda one: str(one.repeats),
}
# What goes first where even the figures are too wide.
_LEAST_WANTED = ("calls", "memory MB", "threads")


def table(taken: "Sequence[Taken]", width: int | None, *, colour: bool) -> list[str]:
    """A line for each measurement; where names leave no room beside the figures, they stand above them."""
    measured = [one for one in taken if one.measurements]
    all_of_them = [one for each in measured for one in each.measurements]
    if not all_of_them:
        return []
    widths = {
        title: max(map(columns_of, (title, *map(make, all_of_them)))) for title, make in _COLUMNS.items()
    }
    names = [_name(each) for each in measured]
    longest = max(map(columns_of, (_NAME, *names)))
    has_room = width is None or longest + _figures_width(widths) <= width
    for title in _LEAST_WANTED:
        if not has_room and width is not None and _figures_width(widths) > width:
            del widths[title]

    def line(name: str, cells: Mapping[str, str]) -> str:
        figures = [padded(cells[title], wide, right=True) for title, wide in widths.items()]
        return _GAP.join([padded(name, longest if has_room else 0, right=False), *figures]).rstrip()

    titles = {title: title for title in _COLUMNS}
    lines = [painted(line(_NAME if has_room else "", titles), "bold", colour)]
    for name, each in zip(names, measured, strict=True):
        if not has_room:
            lines += [painted(part, "bold", colour) for part in wrapped(name, width)]
        for one in each.measurements:
            cells = {title: make(one) for title, make in _COLUMNS.items()}
            lines.append(line(name if has_room else "", cells))
    return lines


def _figures_width(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(_GAP) * len(widths)


def caption(taken: "Sequence[Taken]") -> str:
    """What the columns are, and where it was measured."""
    first = next(one for each in taken for one in each.measurements)
    on_gpu = any(one.device_name != one.cpu for each in taken for one in each.measurements)
    device = next(
        (one.device_name for each in taken for one in each.measurements if one.device_name != one.cpu), ""
    )
    memory = "resident, on the GPU allocated" if on_gpu else "resident"
    return printable(
        "time of a call, from the bytes of a batch of images to their probabilities; p95: 95 of 100 calls "
        f"take at most so long; memory: the most that the process held ({memory}); on {first.host}, "
        f"{first.cpu}{f' and {device}' if on_gpu else ''}, torch {first.torch}"
    )


def against_runs(taken: "Sequence[Taken]") -> list[str]:
    """How fast each exported file is, where its run was measured in the same way."""
    of_run = {
        (each.run_id, one.threads, one.batch_size): one
        for each in taken
        if not each.subject.is_file
        for one in each.measurements
    }
    lines = []
    for each in taken:
        told = [
            f"{_ratio(own.latency_ms_median / one.latency_ms_median)} at batch {one.batch_size:,}, "
            f"{counted(one.threads, 'thread')}"
            for one in each.measurements
            if each.subject.is_file and (own := of_run.get((each.run_id, one.threads, one.batch_size)))
        ]
        if told:
            first, *others = told
            how = first.replace(" at", " times as fast at", 1)
            lines.append(printable(f"{each.subject.name} against its run: {'; '.join([how, *others])}"))
    return lines


def _name(taken: "Taken") -> str:
    one = taken.measurements[0]
    return printable(
        f"{taken.subject.name} ({one.engine + ', ' if one.file else ''}{one.device}, {one.precision})"
    )


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".removesuffix(".")
