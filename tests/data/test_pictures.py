"""One picture file to bytes: formats, modes, EXIF, scaling."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from picture_files import picture
from PIL import Image

from bakeoff.data.pictures import read_header, read_picture


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_bytes_are_the_pictures_own(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path)
    assert np.array_equal(read_picture(path, None, 3), pixels.transpose(2, 0, 1))
    assert (read_header(path).height, read_header(path).width) == (5, 7)
    assert not read_header(path).is_grey


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_are_near(tmp_path: Path, suffix: str) -> None:
    path = picture(tmp_path / f"x.{suffix}", size=(32, 32), quality=95)
    exact = picture(tmp_path / "x.png", size=(32, 32))
    difference = read_picture(path, None, 3).astype(int) - read_picture(exact, None, 3)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    grey = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    elif mode != "L":
        image = image.convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    expected = np.where(grey > 127, 255, 0) if mode == "1" else grey
    is_grey = mode in ("1", "L", "LA", "I;16", "P")
    assert read_header(path).is_grey == is_grey
    for channels in (1, 3):
        found = read_picture(path, None, channels).astype(int)
        assert found.shape == (channels, 8, 8)
        tolerance = {"CMYK": 12, "1": 255}.get(mode, 1)  # the mode 1 is dithered
        assert np.abs(found - expected).max() <= tolerance
        if mode == "1":
            assert set(np.unique(found)) <= {0, 255}


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32_768, 65_535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png", None, 1).tolist() == [[[0, 0, 1, 1, 128, 255]]]


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette"])
def test_what_is_transparent_shows_white(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    if kind == "palette":
        image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("L").convert("P")
        image.putpalette([10, 20, 30, 40, 50, 60])
        image.save(path, transparency=0)
        expected = [[255, 40], [255, 50], [255, 60]]
    else:
        colours = {"RGBA": [[10, 20, 30, 0], [40, 50, 60, 255]], "LA": [[10, 0], [40, 255]]}[kind]
        Image.fromarray(np.array([colours], dtype=np.uint8)).save(path)
        expected = [[255, 40], [255, 50], [255, 60]] if kind == "RGBA" else [[255, 40]] * 3
    assert read_picture(path, None, 3)[:, 0].tolist() == expected


def test_half_transparent_is_between(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[0, 0, 0, 128]]], dtype=np.uint8)).save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png", None, 1)[0, 0, 0] == pytest.approx(127, abs=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(tmp_path: Path, orientation: int) -> None:
    """Against the table of EXIF 2.32 by hand: where the stored top left corner belongs."""
    stored = np.zeros((16, 32), dtype=np.uint8)
    stored[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "x.jpg", exif=exif, quality=100)
    found = read_picture(tmp_path / "x.jpg", None, 1)[0]
    height, width = (16, 32) if orientation < 5 else (32, 16)
    assert found.shape == (height, width)
    header = read_header(tmp_path / "x.jpg")
    assert (header.height, header.width) == (height, width)
    corner = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left"}
    corner |= {5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left"}
    rows = slice(0, 8) if "top" in corner[orientation] else slice(height - 8, height)
    columns = slice(0, 8) if "left" in corner[orientation] else slice(width - 8, width)
    assert found[rows, columns].mean() > 200
    assert found.sum() - found[rows, columns].sum() < 0.2 * found.sum()


def test_the_middle_square_is_scaled(tmp_path: Path) -> None:
    wide = np.zeros((10, 30), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.T.copy()).save(tmp_path / "tall.png")
    for name in ("wide", "tall"):
        found = read_picture(tmp_path / f"{name}.png", 5, 1, "crop")
        assert found.shape == (1, 5, 5)
        assert (found == 200).all()


def test_scaling_down_takes_every_pixel_into_account(tmp_path: Path) -> None:
    """Without antialiasing a fine checkerboard would come out black or white."""
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "x.png")
    assert np.abs(read_picture(tmp_path / "x.png", 8, 1).astype(int) - 127).max() < 12


def test_a_very_long_picture_takes_no_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 60_000), dtype=np.uint8)).save(tmp_path / "x.png")
    for fit in ("crop", "pad", "stretch"):
        tracemalloc.start()
        assert read_picture(tmp_path / "x.png", 512, 1, fit).shape == (1, 512, 512)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
        tracemalloc.stop()
