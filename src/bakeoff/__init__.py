"""bakeoff: compare vision architectures fairly."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__version__ = "0.1.0"
__all__ = ["load_runs"]


def load_runs(path: "str | Path | None" = None) -> "pandas.DataFrame":
    """Reads the finished runs at and below a path into a table; see `comparison/output/frame.py`."""
    # Imported here, so that `import bakeoff` and the command line stay fast.
    from bakeoff.comparison.output import frame

    return frame.load_runs(path)
