"""GIF and TIFF: the first frame or page, the right way up, and no word of the decoders to the terminal."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bakeoff.data.pictures import BrokenPictureError, read_header, read_picture

COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (8, 12, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["gif", "tif", "TIFF"])
def test_the_first_frame_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels()).save(path, save_all=True, append_images=[Image.new("RGB", (12, 8))])
    header = read_header(path)
    assert (header.height, header.width, header.is_grey) == (8, 12, False)
    assert np.array_equal(read_picture(path, None, 3), pixels().transpose(2, 0, 1))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int, compression: str) -> None:
    """As the same picture in a PNG is; Pillow turns a TIFF by itself, and an uncompressed one wrongly."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for stored in (pixels(), pixels()[..., 0].copy()):
        Image.fromarray(stored).save(tmp_path / "x.tif", exif=exif, compression=compression)
        Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
        for size in (None, 4):
            expected = read_picture(tmp_path / "x.png", size, 3)
            assert np.array_equal(read_picture(tmp_path / "x.tif", size, 3), expected)
        assert read_header(tmp_path / "x.tif") == read_header(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "I;16B", "CMYK"])
def test_modes_of_tiff(tmp_path: Path, mode: str) -> None:
    grey = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)
    image = Image.fromarray(grey)
    if mode.startswith("I;16"):
        image = Image.fromarray(grey.astype(">u2" if mode == "I;16B" else "<u2") * 257)
    elif mode == "CMYK":
        image = image.convert("RGB").convert(mode)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "x.tif")
    assert read_header(tmp_path / "x.tif").is_grey == (mode not in ("RGBA", "CMYK"))
    expected = np.asarray(image.convert("L")) if mode == "1" else grey
    assert np.array_equal(read_picture(tmp_path / "x.tif", None, 1)[0], expected)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_without_a_known_range_are_refused(tmp_path: Path, kind: type) -> None:
    """Shares of one would become black, and large numbers white, without a word."""
    values = pixels()[..., 0].astype(kind) * (1 / 255 if kind is np.float32 else 999)
    Image.fromarray(values.astype(kind)).save(tmp_path / "x.tif")
    for read in (read_header, lambda path: read_picture(path, 8, 1)):
        with pytest.raises(BrokenPictureError, match="black and white are unknown; save 8 or 16 bits"):
            read(tmp_path / "x.tif")


def test_damaged_ones_are_refused_or_read_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """libtiff writes to the terminal by itself, and Pillow warns; a person reads one line with the file's name."""
    random = np.random.RandomState(0)
    refused = 0
    for form in (*COMPRESSIONS, "jpeg", "gif"):
        content = io.BytesIO()
        options = {"format": "GIF"} if form == "gif" else {"format": "TIFF", "compression": form}
        Image.fromarray(pixels()).resize((48, 48)).save(content, **options)
        for number in range(12):
            damaged = bytearray(content.getvalue())
            if number % 2:
                damaged = damaged[: random.randint(8, len(damaged))]
            for _ in range(4):
                damaged[random.randint(len(damaged))] = random.randint(256)
            (tmp_path / "x.png").write_bytes(bytes(damaged))
            try:
                assert read_picture(tmp_path / "x.png", 8, 3).shape == (3, 8, 8)
            except BrokenPictureError:
                refused += 1
    assert refused > 24
    assert capfd.readouterr() == ("", "")
