"""Small pictures on disk, whole and broken ones, for tests of a user's own pictures."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bakeoff.config.schema import DataConfig


def picture(
    path: Path, seed: int = 0, size: tuple[int, int] = (12, 12), mode: str = "RGB", **options: Any
) -> Path:
    """Random smooth pixels, width and height in `size`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (6, 6) if mode == "L" else (6, 6, 3)
    pixels = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
    Image.fromarray(pixels).resize(size).save(path, **options)
    return path


def folder(
    root: Path, test: bool = True, count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), **options: Any
) -> Path:
    for label, name in enumerate(classes):
        for number in range(count):
            picture(root / "train" / name / f"{number:02}.png", 100 * label + number, **options)
        for number in range(count // 2 if test else 0):
            picture(root / "test" / name / f"{number:02}.png", 1000 + 100 * label + number, **options)
    return root


def tree(root: Path, *places: str, count: int = 4) -> Path:
    """Some different pictures in each of these folders; a name with a dot is one file of text."""
    for number, place in enumerate(places):
        if "." in place:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text("no picture")
            continue
        for each in range(count):
            picture(root / place / f"{each}.png", 100 * number + each)
    return root


def both(*parts: str) -> list[str]:
    return [f"{part}/{name}" for part in parts for name in ("cat", "dog")]


def config(root: Path, **options: Any) -> DataConfig:
    return DataConfig(name="image_folder", root=str(root), **({"image_size": 8} | options))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def broken_content(kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)).save(
        content, "JPEG"
    )
    return {
        "empty": b"",
        "text": b"no picture at all",
        "truncated": content.getvalue()[: len(content.getvalue()) // 2],
        "header alone": content.getvalue()[:20],
        "too large": png_claiming(100_000, 100_000),
        "less than it claims": png_claiming(64, 64),
        "GIF": b"GIF89a" + bytes(40),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }[kind]
