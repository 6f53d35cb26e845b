"""A network as a drawing of boxes: its stages in order, with the shapes that they give. No torch here."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bakeoff.plots.lettering import drawable, fitted
from bakeoff.plots.style import own_style
from bakeoff.report.lab.layers import Layer, Network, shape_text

_IN_A_ROW = 4
_MOST = 24  # boxes; of more, those in the middle are left out
_WIDTH, _GAP, _LINE = 1.95, 0.42, 0.175  # inches: a box, between two, a line of text
_FILLS = ("#dbe9f6", "#fbe6cf", "#dff0d8", "#ece2f2", "#f3f0d5", "#e3e3e3")  # light in grey print, too
_EDGE, _INK = "#33475b", "#1d2733"
_SMALL = 8.2  # points
DPI = 160
PAGE_PIXELS = 760


@dataclass(frozen=True)
class Stage:
    """A box."""

    group: str  # the part of the network that it belongs to
    title: str
    lines: tuple[str, ...]
    shape: str
    count: int = 1


def stages(network: Network, num_classes: int) -> list[Stage]:
    """The boxes of a network: each layer with weights, and beside it what has none."""
    found: list[Stage] = []
    for main, around in _with_companions(network.layers):
        stage = _stage(main, around)
        last = found[-1] if found else None
        if last and replace(last, count=1) == replace(stage, count=1):
            found[-1] = replace(last, count=last.count + stage.count)
        else:
            found.append(stage)
    if len(found) > _MOST:
        half = _MOST // 2
        left = len(found) - 2 * half
        found = [*found[:half], Stage("", f"{left} more stages", ("see the table",), "…"), *found[-half:]]
    resized = network.fed is not None and network.fed != network.image
    fed = (f"resized to {shape_text(network.fed)}",) if resized else ()
    start = Stage("", "one image", fed, shape_text(network.image))
    return [start, *found, Stage("", "probabilities", (), f"{num_classes:,} classes")]


def _stage(main: Layer, around: Sequence[Layer]) -> Stage:
    place = around.index(main)
    first, after = around[:place], around[place + 1 :]
    free = [one for one in first if one.kind == "parameters"]
    first = [one for one in first if one.kind != "parameters"]
    parameters = main.parameters if main.count > 1 else sum(one.parameters * one.count for one in around)
    own = main.name.rpartition(".")[2]
    lines = [
        "" if own.isdecimal() or own == _group(main) else own,
        *(
            f"{word} {', '.join(map(_named, layers))}" if layers else ""
            for word, layers in (("after", first), ("then", after), ("with", free))
        ),
        f"{parameters:,} parameters{' each' if main.count > 1 else ''}" if parameters else "",
    ]
    shapes = [one.shape for one in around if one.shape and one.kind != "parameters"]
    title = f"{main.kind} (block)" if main.inner and "block" not in main.kind.lower() else main.kind
    shape = shape_text(shapes[-1] if shapes else main.shape)
    return Stage(_group(main), title, tuple(filter(None, lines)), shape, main.count)


def _group(layer: Layer) -> str:
    """The part of the network that it belongs to; a frame around all of it says nothing."""
    return layer.name.removeprefix("network.").partition(".")[0]


def _with_companions(layers: Sequence[Layer]) -> list[tuple[Layer, list[Layer]]]:
    """Layers with weights, each with those that follow in the same part and have none.

    Parameters that belong to no layer, and what begins a part, go with the next layer.
    """
    found: list[tuple[Layer, list[Layer]]] = []
    before: list[Layer] = []
    for layer in layers:
        main = found[-1][0] if found and not before else None
        joins = main is not None and _group(main) == _group(layer) and main.count == 1
        if layer.is_weighted or (not joins and layer.parameters and layer.kind != "parameters"):
            found.append((layer, [*before, layer]))
            before = []
        elif joins and layer.kind != "parameters":
            found[-1][1].append(layer)
        else:
            before.append(layer)
    if before:
        found.append((before[-1], before))
    return found


def _named(layer: Layer) -> str:
    text = layer.name.rpartition(".")[2] if layer.kind == "parameters" else layer.kind
    return f"{layer.count} × {text}" if layer.count > 1 else text


def drawn(network: Network, num_classes: int) -> bytes:
    """The drawing as PNG."""
    from matplotlib.figure import Figure

    boxes = stages(network, num_classes)
    groups = list(dict.fromkeys(stage.group for stage in boxes if stage.group))
    with own_style():
        texts = [_text(stage) for stage in boxes]
        rows = [range(start, min(start + _IN_A_ROW, len(boxes))) for start in range(0, len(boxes), _IN_A_ROW)]
        heights = [max(texts[place].count("\n") for place in row) * _LINE + 0.75 for row in rows]
        width = _IN_A_ROW * _WIDTH + (_IN_A_ROW - 1) * _GAP + 0.2
        height = sum(heights) + 0.5 * (len(rows) - 1) + 0.35
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.set_axis_off()
        top = height - 0.25
        for row, tall in zip(rows, heights, strict=True):
            for column, place in enumerate(row):
                left = 0.1 + column * (_WIDTH + _GAP)
                stage = boxes[place]
                fill = _FILLS[groups.index(stage.group) % len(_FILLS)] if stage.group else "#ffffff"
                _draw_box(axes, (left, top - tall, tall), texts[place], stage, fill)
                is_first = place == 0 or boxes[place - 1].group != stage.group
                if stage.group and (is_first or column == 0):
                    axes.text(
                        left + 0.03,
                        top + 0.05,
                        drawable(stage.group),
                        fontsize=8,
                        color=_EDGE,
                        style="italic",
                    )
                if place + 1 < len(boxes):
                    _draw_arrow(axes, left, column, top, tall)
            top -= tall + 0.5
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _text(stage: Stage) -> str:
    """What stands in the middle of a box, broken to its width."""
    return fitted((drawable(line) for line in stage.lines), _WIDTH - 0.15, _SMALL) if stage.lines else ""


def _draw_box(axes: Any, place: tuple[float, float, float], text: str, stage: Stage, fill: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, bottom, tall = place
    if stage.count > 1:  # a second sheet behind it
        axes.add_patch(_box(FancyBboxPatch, left + 0.06, bottom - 0.06, tall, fill))
    axes.add_patch(_box(FancyBboxPatch, left, bottom, tall, fill))
    middle, top = left + _WIDTH / 2, bottom + tall
    title = f"{stage.count} × {stage.title}" if stage.count > 1 else stage.title
    size = 10 if len(title) <= 20 else 8
    options = {"ha": "center", "color": _INK}
    axes.text(middle, top - 0.1, drawable(title), va="top", fontsize=size, weight="bold", **options)
    axes.text(middle, top - 0.32, text, va="top", fontsize=_SMALL, linespacing=1.25, **options)
    axes.text(middle, bottom + 0.08, drawable(stage.shape), va="bottom", fontsize=9.5, **options)


def _box(make: Any, left: float, bottom: float, tall: float, fill: str) -> Any:
    return make(
        (left, bottom),
        _WIDTH,
        tall,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=fill,
        edgecolor=_EDGE,
    )


def _draw_arrow(axes: Any, left: float, column: int, top: float, tall: float) -> None:
    """To the box at the right, or down and back to the first of the next row."""
    style = {"arrowstyle": "-|>", "color": _EDGE, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    right, middle = left + _WIDTH, top - tall / 2
    if column + 1 < _IN_A_ROW:
        axes.annotate("", (right + _GAP - 0.02, middle), (right + 0.07, middle), arrowprops=style)
        return
    below = top - tall - 0.17
    first = 0.1 + _WIDTH / 2
    axes.plot(
        [right - _WIDTH / 2] * 2 + [first], [top - tall - 0.06, below, below], color=_EDGE, linewidth=1.2
    )
    axes.annotate("", (first, top - tall - 0.5 + 0.01), (first, below), arrowprops=style)
