"""How pictures that are no squares become squares, and how large a picture may be."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import config, folder, picture
from PIL import Image, ImageOps

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.image_folder import _notes_on_cutting
from bakeoff.data.pictures import BrokenPictureError, DecodingBudget, Header, read_header, read_picture
from bakeoff.deploy.finished import _add_later_keys
from bakeoff.errors import DataError

LARGE = (10_000, 9_000)  # 90 megapixels: Pillow's own limit, which only warns, is 89.5


def thirds(folder_: Path) -> Path:
    """A picture of 10x30 pixels: black, grey, white from left to right."""
    path = folder_ / "x.png"
    Image.fromarray(np.repeat(np.array([[0, 100, 200]], dtype=np.uint8), 10, axis=1).repeat(10, axis=0)).save(
        path
    )
    return path


def test_crop_takes_the_middle_stretch_and_pad_take_all(tmp_path: Path) -> None:
    path = thirds(tmp_path)
    assert set(np.unique(read_picture(path, 10, 1, "crop"))) == {100}
    stretched = read_picture(path, 30, 1, "stretch")[0]
    assert (stretched[:, [4, 15, 25]] == [0, 100, 200]).all()
    padded = read_picture(path, 30, 1, "pad")[0]
    assert (padded[10:20, [4, 15, 25]] == [0, 100, 200]).all()
    assert np.array_equal(padded[10:20], np.asarray(Image.open(path)))


def test_what_is_padded_has_the_mean_colour_of_the_border(tmp_path: Path) -> None:
    path = thirds(tmp_path)
    # 10 columns of each grey above and below, 8 black ones at the left and 8 white ones at the right.
    expected = round((20 * (0 + 100 + 200) + 8 * 0 + 8 * 200) / 76)
    padded = read_picture(path, 30, 1, "pad")[0]
    assert set(np.unique(padded[:10])) == set(np.unique(padded[20:])) == {expected}
    red = np.zeros((4, 8, 3), dtype=np.uint8) + np.array([250, 40, 10], dtype=np.uint8)
    Image.fromarray(red).save(tmp_path / "red.png")
    assert (read_picture(tmp_path / "red.png", 8, 3, "pad") == np.array([[[250]], [[40]], [[10]]])).all()


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 7), (64, 63), (8, 8)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_shape_becomes_a_square(tmp_path: Path, size: tuple[int, int], fit: str, channels: int) -> None:
    path = picture(tmp_path / "x.jpg", size=size)
    found = read_picture(path, 8, channels, fit)
    assert (found.shape, found.dtype) == ((channels, 8, 8), np.uint8)


@pytest.mark.parametrize("orientation", [None, 3, 6])
@pytest.mark.parametrize("size", [(41, 24), (24, 41), (30, 30)])
def test_crop_gives_the_bytes_that_it_always_gave(
    tmp_path: Path, size: tuple[int, int], orientation: int | None
) -> None:
    """Runs of earlier versions are evaluated on the same images."""
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path = picture(tmp_path / "x.png", size=size, exif=exif)
    whole = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    middle = whole.crop((left, top, left + side, top + side))
    expected = middle.resize((12, 12), Image.Resampling.BILINEAR, reducing_gap=3.0)
    assert np.array_equal(read_picture(path, 12, 3, "crop"), np.asarray(expected).transpose(2, 0, 1))


def test_a_jpeg_is_not_decoded_to_less_than_is_asked_for(tmp_path: Path) -> None:
    """At an eighth of their size, stripes of 4 pixels would be one grey."""
    stripes = np.tile(np.repeat(np.array([0, 255], dtype=np.uint8), 4), (64, 64))
    Image.fromarray(stripes).save(tmp_path / "x.jpg", quality=95)
    for fit, row in (("pad", 64), ("stretch", 64), ("crop", 64)):
        found = read_picture(tmp_path / "x.jpg", 128, 1, fit)[0, row].astype(int)
        assert found.max() - found.min() > 60


def test_by_default_nothing_of_a_picture_is_cut_off(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", size=(40, 10))
    for number, path in enumerate(root.rglob("*.png")):
        pixels = np.zeros((10, 40), dtype=np.uint8)
        pixels[:, :2] = pixels[:, -2:] = 255
        pixels[0, 4 + number] = 1  # no picture is another's copy
        Image.fromarray(pixels).save(path)
    loaded = data.load(config(root, image_size=40))
    pixels, _ = loaded.test.as_arrays()
    assert (pixels[:, 0, 20, [0, 39]] == 255).all()
    assert loaded.notes == ()


@pytest.mark.parametrize(("name", "fit"), [("image_folder", "crop"), ("mnist", DataConfig.fit)])
def test_a_run_from_before_the_key_is_evaluated_on_what_it_saw(name: str, fit: str) -> None:
    values: dict[str, Any] = {"data": {"name": name}}
    _add_later_keys(values)
    assert values["data"]["fit"] == fit
    values = {"data": {"name": name, "fit": "stretch"}}
    _add_later_keys(values)
    assert values["data"]["fit"] == "stretch"


def header_notes(fit: str, *sizes: tuple[int, int], image_size: int | None = 8) -> tuple[str, ...]:
    headers = {f"{number}.png": Header(*size, is_grey=True) for number, size in enumerate(sizes)}
    return _notes_on_cutting(headers, config(Path(), fit=fit, image_size=image_size))


def test_a_line_says_how_much_is_cut_off_and_which_key_changes_it() -> None:
    (note,) = header_notes("crop", (10, 10), (10, 20), (30, 10), (10, 10))
    assert note.startswith(
        "data.fit=crop cuts off more than a tenth of 2 of 4 pictures (58 % of their area on average, 67 % of 2.png); "
    )
    assert "data.fit=pad" in note
    assert header_notes("crop", (100, 100), (100, 111), (111, 100)) == ()
    assert len(header_notes("crop", (100, 100), (100, 112))) == 1
    for fit in ("pad", "stretch"):
        assert header_notes(fit, (10, 90)) == ()
    assert header_notes("crop", (10, 90), image_size=None) == ()


def test_loading_says_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", size=(40, 10))
    assert any(note.startswith("data.fit=crop") for note in data.load(config(root, fit="crop")).notes)


def test_a_large_scan_is_named_with_the_key_and_read_when_the_key_allows_it(tmp_path: Path) -> None:
    """Pillow's warning would be an error here: warnings are, in these tests."""
    path = tmp_path / "scan.png"
    Image.new("1", LARGE, 1).save(path)
    expected = r"^10000x9000 pixels are 90 megapixels, more than data\.max_megapixels=89 allows$"
    for read in (lambda: read_header(path, 89), lambda: read_picture(path, 8, 1, max_megapixels=89)):
        with pytest.raises(BrokenPictureError, match=expected):
            read()
    assert read_header(path, 90) == Header(9_000, 10_000, is_grey=True)
    assert (read_picture(path, 8, 1, "crop", 90) > 250).all()


def test_the_key_reaches_every_picture_of_a_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "d")
    picture(root / "train" / "cat" / "large.png", size=(400, 400))
    with pytest.raises(
        DataError, match=r"large\.png: too large a picture .*=0\.1 allows\); raise data\.max_megapixels, "
    ):
        data.load(config(root, max_megapixels=0.1))
    skipped = data.load(config(root, max_megapixels=0.1, skip_broken=True)).skipped
    assert [name for name, _ in skipped] == ["train/cat/large.png"]
    assert data.load(config(root, max_megapixels=0.2)).skipped == ()


def test_what_is_decoded_at_once_is_bounded() -> None:
    budget = DecodingBudget(10)
    inside, let_go = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with budget.taken(7_000_000):
            inside.set()
            let_go.wait(10)
            order.append("first ends")

    def second() -> None:
        with budget.taken(4_000_000):
            order.append("second begins")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    with budget.taken(3_000_000):  # there is room for this one
        threads[1].join(0.05)
        assert order == []
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first ends", "second begins"]


def test_one_picture_alone_always_gets_in_and_gives_its_room_back() -> None:
    budget = DecodingBudget(10)
    with budget.taken(99_000_000):
        pass
    with pytest.raises(ZeroDivisionError), budget.taken(10_000_000):
        raise ZeroDivisionError
    with budget.taken(10_000_000):
        pass


def test_a_picture_takes_what_it_is_decoded_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG that is decoded small leaves room for others; a progressive one is held whole."""
    taken: list[int] = []
    own = DecodingBudget.taken

    def counted(self: DecodingBudget, pixels: int):
        taken.append(pixels)
        return own(self, pixels)

    monkeypatch.setattr(DecodingBudget, "taken", counted)
    for name, options in (("x.png", {}), ("x.jpg", {}), ("y.jpg", {"progressive": True})):
        read_picture(picture(tmp_path / name, size=(320, 160), **options), 16, 3, "pad")
    assert taken == [320 * 160, 40 * 20, 320 * 160]
