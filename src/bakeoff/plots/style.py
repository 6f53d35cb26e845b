"""matplotlib as bakeoff uses it: its own canvas and style, whatever the user's environment asks for.

A notebook's kernel exports a backend for all its children, and a `matplotlibrc` in the current folder may
ask for LaTeX: both end in an error where a picture is drawn, hours after the start. No pyplot anywhere.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def own_style() -> Iterator[None]:
    """Default style inside the block; the user's own is back after it."""
    _import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def check() -> None:
    """Draws a small picture into memory; raises whatever is wrong here with matplotlib or its fonts."""
    with own_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(1, 1))
        figure.text(0.5, 0.5, "bakeoff")
        figure.savefig(io.BytesIO(), format="png")


def _import_matplotlib() -> None:
    """Imported for the first time it refuses a backend that is not installed, which we do not use."""
    if "matplotlib" in sys.modules:
        return
    wanted = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted
    if wanted:
        with suppress(ValueError):  # one that is not installed
            matplotlib.rcParams["backend"] = wanted  # as it does itself: a notebook's own pictures need it
