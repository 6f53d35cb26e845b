"""A user's own pictures below `data.root`; `data/image_folder.py` reads them."""

from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import folder_fingerprint
from bakeoff.data.sets import Traits

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet

TRAITS = Traits(may_bring_val=True, own_keys=("image_size", "fit", "max_megapixels", "skip_broken"))
SOURCE = None


def fingerprint(root: str) -> str:
    """Of all names and contents."""
    return folder_fingerprint(Path(root))


def load(config: "DataConfig") -> "DataSet":
    """Reads the pictures."""
    from bakeoff.data.image_folder import load as read_folder

    return read_folder(config)
