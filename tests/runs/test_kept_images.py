"""Test images beside the runs: written once by many, and read from folders that may be anybody's."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bakeoff.runs.array_files import ArrayStream
from bakeoff.runs.kept_images import keep_images, kept_images, scaled_down, write_test_images
from bakeoff.runs.locate import find_run_dirs

HASH = "0123456789abcdef" * 4


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / "s" / "run"
    folder.mkdir(parents=True)
    return folder


def smooth(count: int, channels: int, height: int, width: int) -> np.ndarray:
    """Images uint8 that change slowly, each another one."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    tones = [
        60 + 20 * (n % 3) + 80 * down + 40 * across * (c + 1) / channels
        for n in range(count)
        for c in range(channels)
    ]
    return np.array(tones).reshape(count, channels, height, width).astype(np.uint8)


def small(count: int = 50, channels: int = 1, side: int = 28) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (count, channels, side, side)).astype(np.uint8)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_small_images_come_from_the_archive_of_all(
    tmp_path: Path, run: Path, channels: int, side: int
) -> None:
    images = small(1500, channels, side)  # more than are in memory at a time
    write_test_images(tmp_path, HASH, images, np.zeros(1500, np.int64))
    wanted = [1499, 0, 7, 7, 700, 1500, -1]
    found = kept_images(run, HASH, wanted)
    assert sorted(found) == [0, 7, 700, 1499]
    for index, image in found.items():
        assert image.dtype == np.uint8
        assert np.array_equal(image, images[index].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((33, 33), (33, 33)),
        ((96, 64), (96, 64)),
        ((97, 97), (96, 96)),
        ((128, 64), (96, 48)),
        ((40, 400), (10, 96)),
        ((1000, 2), (96, 1)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_larger_ones_are_scaled_down_and_never_up(
    tmp_path: Path, run: Path, channels: int, size: tuple[int, int], kept: tuple[int, int]
) -> None:
    images = smooth(2, channels, *size)
    keep_images(tmp_path, HASH, [1], lambda places: images[places])
    found = kept_images(run, HASH, [0, 1])
    assert list(found) == [1]
    assert (found[1].shape, found[1].dtype) == ((*kept, channels), np.uint8)
    # The same picture: what is at a place of the large one is at this place of the small one.
    rows, columns = ((np.arange(n) + 0.5) * full / n for n, full in zip(kept, size, strict=True))
    same = images[1].transpose(1, 2, 0)[rows.astype(int)][:, columns.astype(int)]
    steepest = 120 * max(full / n for n, full in zip(kept, size, strict=True)) / min(size)
    assert np.abs(found[1].astype(int) - same).max() <= 2 + (steepest if min(size) > 2 else 80)


def test_fine_stripes_become_grey_and_a_map_stays_within_its_range() -> None:
    stripes = np.zeros((192, 192), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(scaled_down(stripes)[:, 4:-4].astype(int) - 127).max() < 8  # its border is another thing
    heat = (stripes > 0).astype(np.float32)
    heat[:96] = 1
    small = scaled_down(heat)
    assert (small.dtype, small.shape, small.min(), small.max()) == (np.float32, (96, 96), 0.5, 1)


def test_what_is_there_is_not_written_again_and_not_even_read(tmp_path: Path) -> None:
    asked: list[int] = []

    def pixels(places: list[int]) -> np.ndarray:
        asked.extend(places)
        return smooth(50, 3, 40, 40)[places]

    keep_images(tmp_path, HASH, [3, 1], pixels)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "datasets" / HASH).iterdir()}
    keep_images(tmp_path, HASH, range(40), pixels)
    assert asked == [3, 1, 0, 2, *range(4, 40)]
    assert sorted(path.name for path in files) == ["1.png", "3.png"]
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())
    assert len(list((tmp_path / "datasets" / HASH).iterdir())) == 40  # and nothing temporary


def test_what_a_power_cut_has_emptied_is_written_again(tmp_path: Path, run: Path) -> None:
    for _ in range(2):
        keep_images(tmp_path, HASH, [0, 1], lambda places: smooth(2, 3, 40, 40)[places])
        assert list(kept_images(run, HASH, [0, 1])) == [0, 1]
        (tmp_path / "datasets" / HASH / "0.png").write_bytes(b"")


def _keep(folder: Path, first: int) -> None:
    keep_images(folder, HASH, range(first, first + 15), lambda places: smooth(30, 3, 64, 64)[places])


def test_many_runs_at_once_lose_nothing(tmp_path: Path, run: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(_keep, tmp_path, first) for first in (0, 0, 5, 10, 15, 15)]:
            done.result()
    names = sorted(path.name for path in (tmp_path / "datasets" / HASH).iterdir())
    assert names == sorted(f"{index}.png" for index in range(30))
    images = smooth(30, 3, 64, 64)
    found = kept_images(run, HASH, range(30))
    assert all(np.array_equal(found[index], images[index].transpose(1, 2, 0)) for index in range(30))


def test_a_search_for_runs_passes_them_over(tmp_path: Path, run: Path) -> None:
    keep_images(tmp_path, HASH, [0], lambda places: smooth(1, 3, 64, 64))
    (run / "status.json").write_text("{}")
    # Whatever somebody puts there.
    for name in ("datasets", f"datasets/{HASH}", "datasets/cnn-digits-s0-abcd", "sweeps/s/datasets"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "status.json").write_text("{}")
    (tmp_path / "datasets" / "status.json").unlink()
    (tmp_path / "sweeps" / "s" / "datasets" / "status.json").unlink()
    assert find_run_dirs(tmp_path) == [run]


def test_the_nearest_folder_above_that_has_the_test_set_is_taken(tmp_path: Path) -> None:
    run = tmp_path / "1" / "2" / "3" / "4" / "5" / "6" / "run"
    run.mkdir(parents=True)
    for place, tone in ((".", 10), ("1", 20), ("1/2/3", 30)):
        keep_images(tmp_path / place, HASH, [0], lambda _, tone=tone: np.full((1, 3, 40, 40), tone, np.uint8))
    keep_images(tmp_path / "1/2/3/4", "f" * 64, [0], lambda _: np.zeros((1, 3, 40, 40), np.uint8))
    for place, tone in (("1/2/3/4/5/6/run", 30), ("1/2", 20)):
        assert kept_images(tmp_path / place, HASH, [0])[0].max() == tone
    (tmp_path / "1/2/3/datasets").rename(tmp_path / "1/2/3/gone")
    assert kept_images(run, HASH, [0])[0].max() == 20
    (tmp_path / "1/datasets").rename(tmp_path / "1/gone")
    assert kept_images(run, HASH, [0]) == {}  # seven folders up
    assert kept_images(run.parent, HASH, [0])[0].max() == 10


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../private",
        HASH[:-1],
        HASH.upper(),
        f"{HASH}\n",
        "a" * 65,
        "g" * 64,
        f"{HASH}/0",
        f"../{'e' * 61}",
    ],
)
def test_only_a_hash_names_a_test_set(tmp_path: Path, run: Path, name: str) -> None:
    """Whatever lies where a name leads."""
    keep_images(tmp_path, HASH, [0], lambda _: smooth(1, 3, 40, 40))
    write_test_images(tmp_path, name, small(), np.zeros(50))
    assert (tmp_path / "datasets" / f"{name}.npz").is_file()
    assert kept_images(run, name, [0]) == {}


def test_links_are_not_followed(tmp_path: Path, run: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    keep_images(elsewhere, HASH, [0, 1], lambda places: smooth(2, 3, 40, 40)[places])
    write_test_images(elsewhere, "e" * 64, small(), np.zeros(50))
    own, theirs = tmp_path / "datasets", elsewhere / "datasets"
    own.symlink_to(theirs)
    assert kept_images(run, HASH, [0]) == {}
    with pytest.raises(Exception, match="a link or a file has the folder's name"):
        keep_images(tmp_path, HASH, [0], lambda _: smooth(1, 3, 40, 40))
    own.unlink()
    own.mkdir()
    (own / HASH).symlink_to(theirs / HASH)
    (own / f"{'e' * 64}.npz").symlink_to(theirs / f"{'e' * 64}.npz")
    assert kept_images(run, HASH, [0]) == kept_images(run, "e" * 64, [0]) == {}
    (own / HASH).unlink()
    (own / HASH).mkdir()
    (own / HASH / "0.png").symlink_to(theirs / HASH / "0.png")
    os.mkfifo(own / HASH / "2.png")
    (own / HASH / "3.png").mkdir()
    for name in ("1.png", "-1.png"):
        (own / HASH / name).write_bytes((theirs / HASH / "1.png").read_bytes())
    assert list(kept_images(run, HASH, range(-2, 5))) == [1]


def png(shape: tuple[int, ...], kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros(shape, options.pop("dtype", np.uint8))).save(content, format=kind, **options)
    return content.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def claiming(width: int, height: int, more: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + more
        + chunk(b"IDAT", zlib.compress(bytes(60_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x89PNG\r\n\x1a\n", b"no picture", png((40, 40, 3))[:-30], png((97, 10)), png((10, 97, 3)),
        png((40, 40, 4)), png((40, 40), dtype=np.uint16), png((40, 40, 3), "JPEG"), png((40, 40, 3), "GIF"),
        claiming(2**31 - 1, 2**31 - 1), claiming(30_000, 30_000), claiming(0, 0), claiming(40, 0),
        claiming(40, 40, chunk(b"IHDR", struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0))),
        claiming(40, 40, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24)))),
        png((40, 40)) + bytes(2**16),
    ],
)  # fmt: skip
def test_a_file_that_is_no_small_picture_is_missing(tmp_path: Path, run: Path, content: bytes) -> None:
    """Without a warning: those fail a test."""
    keep_images(tmp_path, HASH, [1], lambda _: smooth(1, 3, 40, 40))
    (tmp_path / "datasets" / HASH / "0.png").write_bytes(content)
    assert list(kept_images(run, HASH, [0, 1])) == [1]


def test_an_honest_copy_of_the_claiming_picture_is_read(tmp_path: Path, run: Path) -> None:
    """So the ones above fail by what they claim."""
    keep_images(tmp_path, HASH, [1], lambda _: smooth(1, 3, 40, 40))
    (tmp_path / "datasets" / HASH / "0.png").write_bytes(claiming(40, 40))
    assert list(kept_images(run, HASH, [0, 1])) == [0, 1]


def saved(save: Callable[..., None] = np.savez_compressed, **arrays: Any) -> bytes:
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


def zipped(images: bytes, kind: int = zipfile.ZIP_DEFLATED, others: int = 0) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        archive.writestr("images.npy", images)
        for number in range(others):
            archive.writestr(f"{number:060}", b"")
    return content.getvalue()


def npy(values: np.ndarray, shape: str | None = None, version: bytes = b"\x01\x00") -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, values)
    header, rest = content.getvalue()[10:128], content.getvalue()[128:]
    if shape:
        header = header.replace(str(values.shape).encode(), shape.encode()).rstrip().ljust(117) + b"\n"
    length = struct.pack("<H", len(header))
    return b"\x93NUMPY" + version + length + header + rest


GOOD = small(20)
HOSTILE = {
    "cut off": saved(images=GOOD)[:-200],
    "half": saved(images=GOOD)[: len(saved(images=GOOD)) // 2],
    "empty": b"",
    "floats": saved(images=GOOD.astype(np.float32)),
    "signed": saved(images=GOOD.astype(np.int8)),
    "objects": saved(images=np.array([[[[None]]]], dtype=object)),
    "two sides": saved(images=GOOD[:, 0]),
    "two channels": saved(images=np.zeros((20, 2, 8, 8), np.uint8)),
    "too wide": saved(images=np.zeros((20, 1, 8, 97), np.uint8)),
    "no width": saved(images=np.zeros((20, 1, 8, 0), np.uint8)),
    "by columns": saved(images=np.asfortranarray(GOOD)),
    "no images": saved(labels=GOOD),
    "LZMA": zipped(npy(GOOD), zipfile.ZIP_LZMA),
    "more than it says": zipped(npy(GOOD) + b"x"),
    "less than it says": zipped(npy(GOOD, "(21, 1, 28, 28)")),
    "below nothing": zipped(npy(GOOD, "(-20, 1, 28, 28)")),
    "terabytes": zipped(npy(GOOD, "(9999999999, 1, 28, 28)")),
    "a header of another version": zipped(npy(GOOD, version=b"\x02\x00")),
    "many entries": zipped(npy(GOOD), others=500),
    "a comment": saved(images=GOOD)[:-2] + b"\x05\x00hello",
    "a comment that is not there": saved(images=GOOD)[:-2] + b"\x05\x00",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_is_not_ours_is_missing(tmp_path: Path, run: Path, name: str) -> None:
    """What is kept as pictures is found all the same."""
    keep_images(tmp_path, HASH, [1], lambda _: smooth(1, 3, 40, 40))
    (tmp_path / "datasets" / f"{HASH}.npz").write_bytes(HOSTILE[name])
    assert list(kept_images(run, HASH, [0, 1])) == [1]


def test_a_shape_below_nothing_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="another kind"):
        ArrayStream(io.BytesIO(npy(GOOD, "(-20, 1, 28, 28)")))


def test_the_same_archives_without_their_flaw_are_read(tmp_path: Path, run: Path) -> None:
    for content in (
        saved(images=GOOD),
        saved(np.savez, images=GOOD),
        zipped(npy(GOOD)),
        zipped(npy(GOOD, "(20, 1, 28, 28)")),
    ):
        (tmp_path / "datasets").mkdir(exist_ok=True)
        (tmp_path / "datasets" / f"{HASH}.npz").write_bytes(content)
        assert list(kept_images(run, HASH, [0, 1])) == [0, 1]


def test_a_flipped_bit_after_the_wanted_images_is_found(tmp_path: Path, run: Path) -> None:
    content = bytearray(saved(np.savez, images=GOOD))
    content[content.index(GOOD[19].tobytes()) + 5] ^= 1
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / f"{HASH}.npz").write_bytes(bytes(content))
    assert kept_images(run, HASH, [0]) == {}


def test_an_archive_that_grows_takes_no_memory(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigabyte of zeros in a megabyte: refused by its size, and before it is unpacked."""
    (tmp_path / "datasets").mkdir()
    path = tmp_path / "datasets" / f"{HASH}.npz"
    path.write_bytes(zipped(npy(np.zeros((20, 1, 28, 28), np.uint8), f"({2**31 // 784}, 1, 28, 28)")))
    monkeypatch.setattr("bakeoff.runs.array_files.ArrayStream.read", lambda *_: pytest.fail("unpacked"))
    assert kept_images(run, HASH, [0]) == {}
