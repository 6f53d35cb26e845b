"""The section on the models: what each is, its layers, its drawing. No torch at import."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparison.group import config_of
from bakeoff.comparison.image_shapes import image_shapes
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.config.canonical import canonical_json
from bakeoff.config.explain import conf_dir, options
from bakeoff.config.meanings import header_of
from bakeoff.config.own_files import load_plain
from bakeoff.report.lab import drawing
from bakeoff.report.lab.document import Block, Grid, Heading, Paragraph, Picture, ToDo
from bakeoff.report.lab.layers import SOME, Layer, Network, shape_text
from bakeoff.report.lab.networks import NotRebuiltError, rebuild
from bakeoff.report.lab.recorded import NOT_RECORDED, of_summary, runs_of, told
from bakeoff.text import cut, shortened

_MOST_MODELS = 20
_MOST_INNER = 16  # layers of a block that are listed
_LONGEST_VALUE = 60  # characters
_READING = (
    "Shapes are for one image: channels × height × width, or numbers of values. A drawing shows the stages "
    "in the order in which the network holds them; paths inside of a block or beside it are not drawn. In a "
    "table, layers or blocks that are alike and follow one another share a row with their sum. Indented rows "
    "are the layers of one block, counted in the row above; blocks that are built alike are listed once."
)


@dataclass(frozen=True)
class _Model:
    """The rows that have the same network."""

    rows: list[SettingRow]
    class_names: Sequence[str]

    @property
    def run(self) -> Run:
        return self.rows[0].members[0]

    @property
    def section(self) -> dict[str, Any]:
        found = self.run.config.get("model")
        return found if isinstance(found, dict) else {}


def models_section(tables: Sequence[Table]) -> list[Block]:
    """A part for each network."""
    blocks: list[Block] = [Heading(2, "3. Models"), Paragraph(_READING)]
    models = _models(tables)
    names = [model.rows[0].model for model in models]
    for number, model in enumerate(models[:_MOST_MODELS], 1):
        name = names[number - 1]
        which = "" if names.count(name) == 1 else f" ({_where(model, tables)})"
        blocks.append(Heading(3, f"3.{number} {name}{which}"))
        blocks += _part(model, number)
    if len(models) > _MOST_MODELS:
        left = len(models) - _MOST_MODELS
        blocks.append(Paragraph(f"{left} more models are left out here; narrow the report with fewer runs."))
    return blocks


def _where(model: _Model, tables: Sequence[Table]) -> str:
    """Which of several models of a name it is: its rows, and their table where there are several."""
    titles = [table.title for table in tables if any(row in table.settings for row in model.rows)]
    rows = shortened([str(row.number) for row in model.rows], 5)
    which = f"{'row' if len(model.rows) == 1 else 'rows'} {rows}"
    return which if len(tables) == 1 else f"{shortened(titles, 3)}, {which}"


def _models(tables: Sequence[Table]) -> list[_Model]:
    """By what the section `model` says and by the images, in the order of the tables."""
    found: dict[str, _Model] = {}
    for table in tables:
        for row in table.settings:
            run = row.members[0]
            parts = (config_of(run).get("model"), list(table.class_names), image_shapes(run))
            key = canonical_json([*parts, of_summary([run], "cost.parameters")])
            found.setdefault(key, _Model([], table.class_names)).rows.append(row)
    return list(found.values())


def _part(model: _Model, number: int) -> list[Block]:
    blocks: list[Block] = [Paragraph(text) for text in (_sentences(model), _changed(model)) if text]
    (parameters,) = of_summary([model.run], "cost.parameters")
    recorded = None if parameters is None else int(parameters)
    try:
        network = rebuild(model.run.config, image_shapes(model.run), model.class_names, recorded)
    except NotRebuiltError as error:
        told_count = NOT_RECORDED if recorded is None else f"{recorded:,}"
        blocks.append(
            Paragraph(f"Parameters: {told_count}. No layer table: the network was not built again ({error}).")
        )
    else:
        blocks += _shown(model, network, number)
    blocks.append(
        ToDo(
            f"explain in your own words how {model.rows[0].model} works, and why it should suit these "
            "images. Cite the paper that it comes from."
        )
    )
    return blocks


def _shown(model: _Model, network: Network, number: int) -> list[Block]:
    name = model.rows[0].model
    png = drawing.drawn(network, len(model.class_names))
    runs = runs_of(model.rows)
    trainable = told(
        None if value is None else int(value) for value in of_summary(runs, "cost.trainable_parameters")
    )
    flops = told(
        None if value is None else f"{value:,.0f}"
        for value in of_summary(runs, "cost.forward_flops_per_image")
    )
    boxes = (
        " In a detector the first number of a shape may count boxes (n: as many as are proposed)."
        if _counts_boxes(network.layers)
        else ""
    )
    return [
        Paragraph(
            f"{network.parameters:,} parameters, of which trainable: {trainable}. Floating-point operations "
            f"for one image (forward): {flops}. Initial weights: {_weights(model)}."
        ),
        Picture(
            f"model-{number}",
            png,
            f"the stages of {name}, with the shape that each gives.",
            f"Block diagram of {name}: " + ", then ".join(_described(network, len(model.class_names))),
            drawing.PAGE_PIXELS,
        ),
        Grid(
            ("layer", "kind", "output shape", "parameters"),
            [*_rows(network.layers), ("total", "", "", f"{network.parameters:,}")],
            f"the layers of {name} for one image of {shape_text(network.image)}, by torchinfo.{boxes}",
            texts=2,
            has_total=True,
        ),
    ]


def _rows(layers: Sequence[Layer]) -> list[tuple[str, str, str, str]]:
    """A row for each layer or block; the layers of a block below the first of those that are built alike."""
    rows, listed = [], set()
    for layer in layers:
        rows.append((*_called(layer), shape_text(layer.shape), f"{layer.parameters * layer.count:,}"))
        build = (layer.kind, tuple((one.name, one.kind.partition(",")[0]) for one in layer.inner))
        if not layer.inner or build in listed:
            continue
        listed.add(build)
        for one in layer.inner[:_MOST_INNER]:
            name, kind = _called(one)
            rows.append((f"  {name}", kind, shape_text(one.shape), f"({one.parameters * one.count:,})"))
        if len(layer.inner) > _MOST_INNER:
            rows.append((f"  and {len(layer.inner) - _MOST_INNER} more", "", "", ""))
    return rows


def _called(layer: Layer) -> tuple[str, str]:
    """Name and kind, of several folded ones."""
    if layer.count == 1:
        return layer.name, layer.kind
    return f"{layer.name} to {layer.last_name}", f"{layer.count} × {layer.kind}"


def _counts_boxes(layers: Sequence[Layer]) -> bool:
    return any(
        layer.shape and (SOME in layer.shape or layer.name.startswith(("head.fc", "predictor.")))
        for layer in layers
    )


def _described(network: Network, num_classes: int) -> list[str]:
    """The boxes of the drawing, for those who do not see it."""
    boxes = drawing.stages(network, num_classes)
    return [
        f"{box.count} × {box.title} ({box.shape})" if box.count > 1 else f"{box.title} ({box.shape})"
        for box in boxes
    ]


def _weights(model: _Model) -> str:
    return told("from scratch" if row.weights == "none" else row.weights for row in model.rows)


def _sentences(model: _Model) -> str:
    """What the model is by its file's header, and what its family is by the beginning of its source."""
    name, family = (model.section.get(key) for key in ("name", "family"))
    own = header_of(conf_dir() / "model" / f"{name}.yaml").first_sentence if name in options("model") else ""
    about = _about_family(family)
    parts = [f"{own}." if own else "", f"Its family, {family}: {about}" if about else ""]
    return " ".join(filter(None, parts)) or "No file of bakeoff describes this model."


def _about_family(family: Any) -> str:
    """The first sentence of a family's source, which is read as text."""
    folder = Path(__file__).resolve().parents[2] / "models"
    path = next(
        (path for path in folder.glob("*.py") if path.stem == family and path.stem != "__init__"), None
    )
    if path is None:
        return ""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _changed(model: _Model) -> str:
    """Keys that are not as in the file that the header describes."""
    name = model.section.get("name")
    if name not in options("model"):
        return ""
    loaded = load_plain(conf_dir() / "model" / f"{name}.yaml")
    shipped = loaded.get("model", {}) if isinstance(loaded, dict) else {}
    given = config_of(model.run).get("model") or {}
    keys = [
        key
        for key in sorted(shipped)
        if key in given and canonical_json(given[key]) != canonical_json(shipped[key])
    ]
    said = [f"{key} is {cut(canonical_json(given[key]), _LONGEST_VALUE)}" for key in keys]
    return f"In these runs the model differs from that description: {'; '.join(said)}." if said else ""
