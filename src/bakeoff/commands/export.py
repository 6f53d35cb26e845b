"""`bakeoff export RUN`: a trained model as a file for other programs, checked before it is kept."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.arguments import Parser
from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.deploy.export import extra
from bakeoff.deploy.finished import finished_run, refuse_sealed
from bakeoff.errors import OK, ConfigError, ResourceError
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.folders import refuse_run_files
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.paths import expanded, home_path
from bakeoff.text import printable

if TYPE_CHECKING:
    from bakeoff.deploy.export.write import Written
    from bakeoff.deploy.trained import Trained

USAGE = "export RUN"
SUMMARY = "write a trained model as an ONNX or pt2 file"
ONNX, PT2, WEIGHTS = "onnx", "pt2", "state_dict"
# What a file of each format ends with; the first is the default.
_ENDINGS = {ONNX: ".onnx", PT2: ".pt2", WEIGHTS: ".safetensors"}
# Families whose networks no format can hold, and why.
_NOT_EXPORTED = {
    "torchvision_detector": "torchvision's detector works on one image after the other, with as many boxes "
    "as it finds, and such a program torch.export cannot trace; --format state_dict writes its weights, and "
    "model=faster_rcnn is a detector that can be exported"
}


def export(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        ConfigError: no such run, a network that cannot be exported, a format that does not fit the file, or
            the extra is not installed.
        ResourceError: the file cannot be written.
        RunsDifferError: the run is not finished or cannot be read, or the file would not give the same.
    """
    options = parser().parse_args(words)
    form = _format(options)
    if form == ONNX:
        extra.check_installed()
    path = find_run(options.run, outputs_root())
    refuse_sealed(path)
    run = finished_run(path, "exported")
    if form != WEIGHTS:
        _refuse_network(run)
    file: Path = options.output or Path(f"{path.resolve().name}{_ENDINGS[form]}")
    _check_place(file)
    with loading_torch():
        from bakeoff.deploy.export.images import images_for_check
        from bakeoff.deploy.export.write import export as write
        from bakeoff.deploy.trained import open_trained

    with StopSignal().caught():
        trained = open_trained(path, "cpu", precision="fp32")
        images, what = images_for_check(trained, options.data_root)
        with doing(f"exporting to {file.name}"):
            written = write(trained, form, file, images)
    _tell(trained, written, form, what)
    return OK


def _format(options: argparse.Namespace) -> str:
    """The format that was asked for, or the one that the file's name has.

    Raises:
        ConfigError: the two do not fit.
    """
    output: Path | None = options.output
    form: str | None = options.form
    ending = output.suffix.lower() if output else ""
    by_name = next((name for name, own in _ENDINGS.items() if own == ending), None)
    if form is None:
        if output is not None and by_name is None:
            endings = ", ".join(_ENDINGS.values())
            raise ConfigError(f"-o {output}: a file ends with {endings}; or say which it is with --format")
        return by_name or ONNX
    if output is not None and by_name != form:
        raise ConfigError(f"-o {output}: a file of --format {form} ends with {_ENDINGS[form]}")
    return form


def _refuse_network(run: Run) -> None:
    """Before any work, what is known to fail.

    Raises:
        ConfigError: with the reason.
    """
    section = run.config.get("model")
    family = section.get("family") if isinstance(section, dict) else None
    if isinstance(family, str) and (reason := _NOT_EXPORTED.get(family)):
        raise ConfigError(f"{run.path}: cannot be exported: {reason}")


def _check_place(file: Path) -> None:
    """A folder that is not there is noticed before the work, not after it.

    Raises:
        ConfigError: the file's name is a folder's.
        ResourceError: it cannot be written there.
    """
    refuse_run_files(file)
    if file.exists() and not file.is_file() and not file.is_dir():
        raise ConfigError(f"-o {file}: no regular file; give the name of one")
    if file.is_dir():
        raise ConfigError(f"-o {file}: is a folder; give the name of a file in it")
    if not file.parent.is_dir():
        raise ResourceError(f"-o {file}: there is no folder {file.parent}; make it, or give another file")
    if not os.access(file.parent, os.W_OK):
        raise ResourceError(f"-o {file}: {file.parent} cannot be written to; give another file")


def _tell(trained: "Trained", written: "Written", form: str, what: str) -> None:
    """What was written, how it was checked, and what goes in and comes out."""
    run, shape = trained.run, ", ".join(map(str, trained.shape))
    name = printable(str(trained.config.model["name"]))
    tell(f"{run.path}: {name} on {printable(run.data_title)}")
    tell(f"exported to  {printable(str(written.path))} ({form}, {written.num_bytes:,} bytes)")
    if (found := written.agreement) is None:
        tell("checked      the file holds the run's weights, by bakeoff's own names")
    else:
        same = f"differ by at most {found.difference:.1g}" if found.difference else "are equal"
        others = f"; {found.num_other_class} with another class" if found.num_other_class else ""
        tell(f"checked on   {what}: probabilities {same}{others}")
    sizes = {
        "probabilities": f"[batch, {len(trained.class_names)}]",
        "boxes": "[batch, 4]",
        "scores": "[batch]",
    }
    if written.outputs:
        tell(f"input        images, uint8 [batch, {shape}]: pixels as the data set has them")
        outputs = ", ".join(f"{output} {sizes[output]}" for output in written.outputs)
        tell(f"output       {outputs}, float32")
    if run.precision not in ("fp32", UNKNOWN):
        was = f"the run was tested in {run.precision}"
        tell(f"note         {was}, the file computes in fp32: scores may differ a little")
    if form == WEIGHTS and found is not None:
        tell("note         preprocessing is not inside: its numbers are in the metadata (docs/export.md)")
    if form != WEIGHTS:
        file = shlex.quote(str(written.path))
        tell(f"next         bakeoff evaluate {shlex.quote(str(run.path))} --onnx {file}")


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff export",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Writes the model of a finished run for other programs, with its preprocessing, its\n"
        "class names and the run's name inside. Before the file is kept, it must give the same\n"
        "probabilities (within 0.0001) on 256 test images.",
        epilog="""examples:
  bakeoff export latest -o digits.onnx
  bakeoff export latest -o digits.pt2
  bakeoff export latest -o weights.safetensors

exit codes: 0 written; 2 a network or a name that cannot be exported; 4 the file cannot be written;
            7 not a finished run, or the file would not give the same (then there is no file)""",
    )
    parser.add_argument("run", metavar="RUN", help="a path, the beginning of a run's name, or latest")
    parser.add_argument(
        "--format",
        dest="form",
        choices=tuple(_ENDINGS),
        help="onnx: for onnxruntime and most others; pt2: for torch.export.load; state_dict: the weights "
        "alone, as safetensors, by torchvision's own names for its networks (default: by the name of FILE, "
        "else onnx)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=home_path,
        metavar="FILE",
        help="write to this file (default: the run's name, in the current folder)",
    )
    parser.add_argument(
        "--data-root",
        type=expanded,
        metavar="DIR",
        help="the folder of the data on this machine, to check the file with; default: test images kept "
        "beside the runs",
    )
    return parser
