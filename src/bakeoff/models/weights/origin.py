"""Where a network's first weights come from: what `model.weights` names. No torch here.

`none`, a set of weights that torchvision knows by name, a file of tensors, or a run directory. Files
and runs are known by what they hold, not by where they lie: a file by its hash; a run by its setting and,
where two runs must be told apart, by the hash of its weights as well.
"""

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

from bakeoff.data.fingerprint import file_hash
from bakeoff.errors import ConfigError, DataError, nearest
from bakeoff.runs.folders import is_run_dir
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY, WEIGHTS

NONE = "none"
IMAGENET = "imagenet"
COCO = "coco"
NAMES = (NONE, IMAGENET, COCO)
# What names of such files end with; a file that is there may be called anything.
_FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".th", ".pkl")
_DETECTOR = "fasterrcnn_resnet50_fpn"  # the one network with weights of COCO
_BLOCK = re.MULTILINE | re.DOTALL
_SHOWN_DIGITS = 8


def weights_origin(weights: str) -> str:
    """`none`, `imagenet`, `coco`, `file:<SHA-256>` or `run:<setting>`.

    Raises:
        ConfigError: neither a name nor a path.
        DataError: no such file, or a run directory without a finished run.
    """
    if weights in NAMES:
        return weights
    if not weights:
        raise ConfigError(f"model.weights: empty; there are {', '.join(NAMES)}, a file or a run directory")
    path = Path(weights)
    if path.is_dir():
        return f"run:{_setting(path)}"
    if path.is_file():
        return f"file:{file_hash(path)}"
    if path.exists():
        raise ConfigError(f"model.weights={weights}: not a file of weights (it is no regular file)")
    if path.suffix in _FILE_SUFFIXES:
        raise DataError(f"model.weights={weights}: no such file")
    if "/" in weights:
        raise DataError(f"model.weights={weights}: no such run directory or file")
    raise ConfigError(
        f"model.weights={weights}: no such weights; there are {', '.join(NAMES)}, or the path of a "
        f"{' or '.join(_FILE_SUFFIXES[:2])} file or of a run directory{nearest(weights, NAMES)}"
    )


def exact_origin(weights: str) -> str:
    """The origin and, of a run, the hash of its weights: runs of one setting differ by their seeds.

    Raises:
        ConfigError, DataError: as `weights_origin`; a run without its weights.
    """
    origin = weights_origin(weights)
    if not origin.startswith("run:"):
        return origin
    path = Path(weights) / WEIGHTS
    if not path.is_file():
        raise DataError(f"model.weights={weights}: it has no {WEIGHTS} (bakeoff prune removes them)")
    return f"{origin}:{file_hash(path)}"


def library_version(weights: str, arch: str | None) -> str | None:
    """What torchvision calls the weights that it gives by a short name now, such as IMAGENET1K_V1.

    Its sources are read and not imported, which would load torch.

    Args:
        weights: what `model.weights` says.
        arch: the network; None for the detector.

    Returns:
        None for weights from elsewhere, and where the library has none of this network.
    """
    network = arch if weights == IMAGENET else _DETECTOR if weights == COCO else None
    return _default_version(network) if network else None


@cache
def _default_version(network: str) -> str | None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "models"
    builder = re.compile(rf"^def {re.escape(network)}\(", re.MULTILINE)
    for path in (*sorted(folder.glob("*.py")), *sorted(folder.glob("detection/*.py"))):
        source = path.read_text(encoding="utf-8")
        if found := builder.search(source):
            # def resnet50(*, weights: Optional[ResNet50_Weights] = None, ...); its class names the default.
            enum = re.search(r"\bweights: (?:Optional\[)?(\w+)", source[found.end() :])
            body = re.search(rf"^class {enum[1]}\(.*?$(?=\n\S)", source, _BLOCK) if enum else None
            default = re.search(r"^    DEFAULT = (\w+)$", body[0], re.MULTILINE) if body else None
            return default[1] if default else None
    return None


def origin_of(model: Any) -> str:
    """The origin of the weights in a config's section `model`; a family without the key has `none`.

    Raises:
        ConfigError, DataError: as `weights_origin`.
    """
    weights = model.get("weights") if isinstance(model, dict) else None
    return weights_origin(weights) if isinstance(weights, str) else NONE


def shown_origin(origin: str) -> str:
    """An origin with its hash cut to 8 digits, as a summary and a table show it."""
    kind, _, digest = origin.partition(":")
    return f"{kind}:{digest[:_SHOWN_DIGITS]}" if digest else kind


def _setting(run: Path) -> str:
    if not is_run_dir(run):
        raise DataError(f"model.weights={run}: no run directory (it has no {SUMMARY})")
    try:
        setting = read_json(run / SUMMARY).get("setting")
    except UnreadableFileError as error:
        raise DataError(f"model.weights={run}: not a finished run ({error})") from error
    if not isinstance(setting, str):
        raise DataError(f"model.weights={run}: {SUMMARY} names no setting")
    return setting
