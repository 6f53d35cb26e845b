"""A user's own pictures: what counts as one, how it is read, how the splits are made."""

import io
import json
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from PIL import Image

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.folders import list_pictures
from bakeoff.data.pictures import BrokenPictureError, read_header, read_picture
from bakeoff.errors import ConfigError, DataError


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


def config(root: Path, **options: Any) -> DataConfig:
    return DataConfig(name="image_folder", root=str(root), **({"image_size": 8} | options))


# One picture


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
        found = read_picture(tmp_path / f"{name}.png", 5, 1)
        assert found.shape == (1, 5, 5)
        assert (found == 200).all()


def test_scaling_down_takes_every_pixel_into_account(tmp_path: Path) -> None:
    """Without antialiasing a fine checkerboard would come out black or white."""
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "x.png")
    assert np.abs(read_picture(tmp_path / "x.png", 8, 1).astype(int) - 127).max() < 12


def test_a_very_long_picture_takes_no_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 60_000), dtype=np.uint8)).save(tmp_path / "x.png")
    tracemalloc.start()
    assert read_picture(tmp_path / "x.png", 512, 1).shape == (1, 512, 512)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


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


BROKEN = [
    "empty",
    "text",
    "truncated",
    "header alone",
    "too large",
    "less than it claims",
    "GIF",
    "postscript",
]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_exit_3_and_named(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    root = folder(tmp_path / "d")
    bad = root / "train" / "cat" / "07.png"
    bad.write_bytes(broken_content(kind))
    code, _, err = bakeoff("train", "data=image_folder", f"data.root={root}", "data.image_size=8")
    assert code == 3
    assert err.startswith(f"error: {bad}: broken picture (")
    assert "data.skip_broken=true" in err
    assert err.count("\n") == 1
    assert not Path("outputs").exists()
    with pytest.raises(BrokenPictureError):
        read_picture(bad, 8, 3)


def test_broken_pictures_can_be_left_out_and_are_counted(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = folder(tmp_path / "d")
    for number, kind in enumerate(BROKEN):
        part, place = ("train", number) if number < 6 else ("test", number - 6)
        (root / part / "cat" / f"{place:02}.png").write_bytes(broken_content(kind))
    code, out, _ = bakeoff(
        "train", "data=image_folder", f"data.root={root}", "data.image_size=8", "data.skip_broken=true",
        "model=cnn_small", "trainer.epochs=1", "data.augment.shift_pixels=0",
    )  # fmt: skip
    assert code == 0
    assert f"{len(BROKEN)} broken pictures left out" in out
    (run,) = Path("outputs").glob("*/*-image_folder-*")
    skipped = json.loads((run / "skipped_files.json").read_text())
    assert sorted(skipped) == sorted(
        [f"train/cat/{place:02}.png" for place in range(6)]
        + [f"test/cat/{place:02}.png" for place in range(2)]
    )
    assert all(skipped.values())
    summary = json.loads((run / "summary.json").read_text())
    assert summary["num_skipped_pictures"] == len(BROKEN)
    files = json.loads((run / "files.json").read_text())
    assert len(files["test"]) == summary["test"]["num_images"] == 8
    assert not set(skipped) & {name for names in files.values() for name in names}


def test_rows_close_up_over_broken_ones(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=6)
    names = sorted(path.relative_to(root).as_posix() for path in (root / "test").rglob("*.png"))
    (root / names[1]).write_bytes(broken_content("truncated"))
    (root / names[3]).write_bytes(broken_content("empty"))
    loaded = data.load(config(root, skip_broken=True, val_fraction=0.0))
    assert loaded.files is not None
    assert loaded.files["test"] == [name for place, name in enumerate(names) if place not in (1, 3)]
    pixels, labels = loaded.test.as_arrays()
    for name, row, label in zip(loaded.files["test"], pixels, labels, strict=True):
        assert np.array_equal(row, read_picture(root / name, 8, 3)), name
        assert loaded.class_names[label] == name.split("/")[1]


def test_only_broken_pictures_are_no_data_set(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    for path in root.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="no picture can be read"):
        data.load(config(root, skip_broken=True))


# The folder


def test_classes_labels_and_order(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", classes=("dog", "Ant", "cat"))
    loaded = data.load(config(root))
    assert loaded.class_names == ("Ant", "cat", "dog")
    assert loaded.image_shape == (3, 8, 8)
    assert loaded.files is not None
    assert loaded.val is not None
    for split, part in ((loaded.train, "train"), (loaded.val, "val"), (loaded.test, "test")):
        pixels, labels = split.as_arrays()
        names = loaded.files[part]
        assert names == sorted(names)
        assert [loaded.class_names[label] for label in labels] == [name.split("/")[1] for name in names]
        assert np.array_equal(pixels[-1], read_picture(root / names[-1], 8, 3))
    assert not set(loaded.files["train"]) & set(loaded.files["val"])
    assert len(loaded.files["train"]) + len(loaded.files["val"]) == 30
    assert {name.split("/")[0] for name in loaded.files["test"]} == {"test"}


def test_what_is_no_picture_by_name_is_passed_over(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=2)
    for name in (".DS_Store", "Thumbs.db", "notes.txt", ".hidden.png", "x.gif", "noextension"):
        (root / "train" / "cat" / name).write_bytes(b"x")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "README.md").write_text("x")
    picture(root / "train" / "cat" / "UPPER.PNG")
    picture(root / "train" / "cat" / "inner" / "Photo.Jpeg")
    names = [item.name for item in list_pictures(root).train]
    assert names == [
        "train/cat/00.png", "train/cat/01.png", "train/cat/UPPER.PNG", "train/cat/inner/Photo.Jpeg",
        "train/dog/00.png", "train/dog/01.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda root: (root / "train").rename(root / "training"), r"train/ cannot be read .*train/<class>/"),
        (
            lambda root: [path.unlink() for path in (root / "train" / "cat").iterdir()],
            r"train/cat: no pictures",
        ),
        (
            lambda root: picture(root / "test" / "owl" / "x.png"),
            r"test/owl: a class that train/ does not have",
        ),
        (
            lambda root: [path.unlink() for path in (root / "test").rglob("*.png")],
            r"test: no pictures; remove it",
        ),
        (lambda root: (root / "train" / "cat").rename(root / "elsewhere"), r"one class in train/"),
    ],
)
def test_a_folder_of_another_shape_is_explained(tmp_path: Path, spoil: Any, error: str) -> None:
    root = folder(tmp_path / "d", count=2)
    spoil(root)
    with pytest.raises(DataError, match=error):
        data.load(config(root))


def test_pictures_of_many_sizes_need_one(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    picture(root / "train" / "cat" / "odd.png", size=(9, 30))
    with pytest.raises(DataError, match=r"pictures of 2 sizes .*set data\.image_size"):
        data.load(config(root, image_size=None))
    assert data.load(config(root)).image_shape == (3, 8, 8)
    (root / "train" / "cat" / "odd.png").unlink()
    assert data.load(config(root, image_size=None)).image_shape == (3, 12, 12)


def test_grey_pictures_alone_have_one_channel(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4, mode="L")
    assert data.load(config(root)).image_shape == (1, 8, 8)
    picture(root / "test" / "cat" / "colour.png")
    assert data.load(config(root)).image_shape == (3, 8, 8)


def test_without_test_pictures_a_part_is_set_apart_the_same_for_all(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = folder(tmp_path / "d", test=False, count=20)
    found = []
    for seed in (0, 1):
        code, out, _ = bakeoff(
            "train", "data=image_folder", f"data.root={root}", "data.image_size=8", f"seed={seed}",
            "model=cnn_small", "trainer.epochs=1", "data.augment.shift_pixels=0",
        )  # fmt: skip
        assert code == 0
        assert "no test/ folder, so 8 of 40 pictures are set apart" in out
        (run,) = Path("outputs").glob(f"*/*-s{seed}-*")
        found.append(json.loads((run / "files.json").read_text()))
    assert found[0] == found[1]
    assert len({name for names in found[0].values() for name in names}) == 40
    assert [name.split("/")[1] for name in found[0]["test"]] == ["cat"] * 4 + ["dog"] * 4
    code, out, _ = bakeoff("compare")
    assert (code, "image_folder: 8 test images, 2 classes" in out) == (0, True)


def test_a_run_on_photographs_is_evaluated_again_and_named_in_tables(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    root = folder(tmp_path / "d", classes=("T-shirt/top".replace("/", " or "), "[x] dog"))
    code, _, err = bakeoff(
        "train", "data=image_folder", f"data.root={root}", "data.image_size=16", "model=cnn_small",
        "trainer.epochs=2", "data.augment.flip=true",
    )  # fmt: skip
    assert (code, err) == (0, "")
    code, out, _ = bakeoff("evaluate", "latest")
    assert code == 0
    assert "T-shirt or top" in out
    assert "[x] dog" in out
    summary = json.loads(next(Path("outputs").glob("*/*/summary.json")).read_text())
    assert [item["label"] for item in summary["test"]["per_class"]] == ["T-shirt or top", "[x] dog"]


def test_the_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", count=4)
    first = data_fingerprint("image_folder", str(root))
    assert data_fingerprint("image_folder", str(root)) == first
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    assert data_fingerprint("image_folder", str(moved)) == first
    path = moved / "train" / "cat" / "00.png"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert data_fingerprint("image_folder", str(moved)) != first
    path.write_bytes(content)
    assert data_fingerprint("image_folder", str(moved)) == first
    path.rename(path.with_name("zz.png"))
    assert data_fingerprint("image_folder", str(moved)) != first


def test_classes_and_limits_hold_for_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", classes=("ant", "bee", "cat"), count=10)
    loaded = data.load(config(root, classes=["cat", 0], train_limit=6))
    assert loaded.class_names == ("ant", "cat")
    assert loaded.files is not None
    assert len(loaded.train) == 6
    assert {name.split("/")[1] for names in loaded.files.values() for name in names} == {"ant", "cat"}
    assert set(loaded.test.as_arrays()[1]) == {0, 1}
    with pytest.raises(ConfigError, match=r"no class caat; .*did you mean cat\?"):
        data.load(config(root, classes=["caat", "ant"]))
