"""Opens a user's picture files with few decoders, and without a word of theirs to the terminal. No torch."""

import ctypes
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import (  # each import registers a decoder
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    _imaging,
)

from bakeoff.runs.reading import open_regular

# The decoders that may see a user's bytes. JPEG's also reads what some cameras call MPO.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")

# What is wrong with a picture is said in one line, with its name. Pillow's own warnings name no file, and its
# copy of libtiff would print past Python.
warnings.filterwarnings("ignore", module=r"PIL\.")
for _handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
    with suppress(OSError, AttributeError):  # a Pillow that is built otherwise only says more
        getattr(ctypes.CDLL(_imaging.__file__), _handler)(None)


@contextmanager
def opened_picture(source: Path | bytes) -> Iterator[Image.Image]:
    """Opens a picture, which is not decoded yet: of a GIF the first frame, of a TIFF the first page.

    Args:
        source: the file, or its content.

    By an open file, not by its path: else Pillow maps an uncompressed TIFF into memory, and reads one whose
    orientation turns it a quarter with rows as columns.

    Raises:
        Exception: Pillow's decoders raise a dozen kinds.
    """
    content = io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)
    with content as file, Image.open(file, formats=FORMATS) as image:
        if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
            raise ValueError(
                "32-bit, signed or decimal values: black and white are unknown; save 8 or 16 bits"
            )
        yield image
