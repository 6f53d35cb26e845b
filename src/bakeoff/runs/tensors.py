"""Named tensors as files of safetensors, whole or not at all. No torch at import."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.runs.storage import write_by_name_atomically
from bakeoff.text import one_line

if TYPE_CHECKING:
    from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, "Tensor"]) -> None:
    """Writes tensors by their names as safetensors, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain: dict[str, Tensor] = {}
    places = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().data_ptr() in places:  # safetensors takes no memory twice
            own = own.clone()
        places.add(own.untyped_storage().data_ptr())
        plain[name] = own

    def write(temporary: Path) -> None:
        try:
            save_file(plain, temporary)
        except SafetensorError as error:
            raise _as_os_error(error) from error

    # By name, so that no second copy of all weights stands in memory.
    write_by_name_atomically(path, write)


def _as_os_error(error: Exception) -> OSError:
    """What the system said, which safetensors hides in a text: "I/O error: ... (os error 28)"."""
    found = re.search(r"os error (\d+)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(one_line(error))
