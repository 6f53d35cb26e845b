"""Exports a trained model: traced, written to a temporary file, checked, and only then put in place."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import UInt8
from torch import Tensor

from bakeoff.deploy.export import state_dict
from bakeoff.deploy.export.check import MOST_DIFFERENCE, Agreement, check_file, check_reloaded
from bakeoff.deploy.export.graph import output_names, traced
from bakeoff.deploy.export.metadata import Metadata, from_entries, storable
from bakeoff.deploy.export.pt2_write import to_pt2
from bakeoff.errors import ConfigError, RunsDifferError
from bakeoff.runs.storage import write_where_told

if TYPE_CHECKING:
    from bakeoff.deploy.trained import Trained

_PLACE = "file with -o"


@dataclass(frozen=True)
class Written:
    """A file that was checked and kept."""

    path: Path
    num_bytes: int
    outputs: tuple[str, ...]  # none where only weights were written
    agreement: Agreement | None  # None: only the weights were compared


def export(trained: "Trained", form: str, path: Path, images: UInt8[Tensor, "n c h w"]) -> Written:
    """Writes a model as `onnx`, `pt2` or `state_dict`.

    Args:
        trained: in fp32 on the CPU.
        form: the format.
        path: what stands there is replaced, if all goes well.
        images: to check it with.

    Raises:
        ConfigError: it cannot be written in this format.
        ResourceError: the file cannot be written.
        RunsDifferError: what was written does not give the same; nothing is kept.
    """
    metadata = _metadata(trained)
    agreement: Agreement | None
    if form == "state_dict":
        agreement = _export_weights(trained, path, metadata, images)
        return Written(path, path.stat().st_size, (), agreement)
    agreement = _export_graph(trained, form, path, metadata, images)
    return Written(path, path.stat().st_size, output_names(trained.model), agreement)


def _export_graph(
    trained: "Trained", form: str, path: Path, metadata: Metadata, images: UInt8[Tensor, "n c h w"]
) -> Agreement:
    program, found = traced(trained), []
    if form == "onnx":
        from bakeoff.deploy.export.onnx_write import to_onnx

        content = to_onnx(program, output_names(trained.model), metadata).SerializeToString()
    else:
        content = to_pt2(program, metadata)

    def write_and_check(file: Any) -> None:  # an open file, whose types from `typing` cannot be checked
        file.write(content)
        file.flush()
        found.append(check_file(trained, Path(file.name), images))
        if form == "pt2":
            check_reloaded(trained, content, images)

    write_where_told(path, write_and_check, _PLACE)
    return found[0]


def _export_weights(
    trained: "Trained", path: Path, metadata: Metadata, images: UInt8[Tensor, "n c h w"]
) -> Agreement | None:
    from safetensors.torch import load, save

    content = save(state_dict.named_tensors(trained.model), state_dict.entries(trained, metadata))
    difference = state_dict.check(trained, load(content), images)
    if difference is not None and not difference <= MOST_DIFFERENCE:
        raise RunsDifferError(
            f"{trained.run.path}: a network of torchvision with these weights differs by up to "
            f"{difference:.2g} in a probability, more than {MOST_DIFFERENCE:g}; nothing was written"
        )
    write_where_told(path, lambda file: file.write(content), _PLACE)
    return None if difference is None else Agreement(difference, len(images), 0)


def _metadata(trained: "Trained") -> Metadata:
    """What a file says of itself.

    Raises:
        ConfigError: names that a file could not be read with.
    """
    run = trained.run
    metadata = Metadata(
        run_id=storable(run.text("run_id")),
        class_names=trained.class_names,
        shape=trained.shape,
        model=storable(str(trained.config.model["name"])),
        data=storable(run.data_title),
    )
    try:
        from_entries(metadata.entries())
    except ValueError as error:
        raise ConfigError(f"{run.path}: cannot be exported: {error}") from error
    return metadata
