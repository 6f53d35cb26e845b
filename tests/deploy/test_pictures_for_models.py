"""Any picture becomes what a model takes, read as its training pictures were."""

import io
from pathlib import Path

import numpy as np
import pytest
from picture_files import broken_content, picture
from PIL import Image

from bakeoff.config.schema import DataConfig
from bakeoff.data.pictures import BrokenPictureError, read_picture
from bakeoff.deploy.predict.pictures import bytes_of

FOLDER, MNIST, CIFAR = (DataConfig(name=name) for name in ("image_folder", "mnist", "cifar10"))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_read_as_for_training(tmp_path: Path, fit: str, channels: int) -> None:
    path = picture(tmp_path / "x.jpg", size=(90, 50))
    config = DataConfig(name="image_folder", fit=fit)  # type: ignore[arg-type]
    found = bytes_of(path, (channels, 16, 16), config)
    assert found.note is None
    assert np.array_equal(found.pixels, read_picture(path, 16, channels, fit))


@pytest.mark.parametrize("config", [FOLDER, MNIST, CIFAR])
def test_files_contents_and_held_pictures_give_the_same(tmp_path: Path, config: DataConfig) -> None:
    path = picture(tmp_path / "x.png", size=(90, 50))
    shape = (1, 28, 28) if config is MNIST else (3, 28, 28)
    found = [bytes_of(source, shape, config) for source in (path, path.read_bytes(), Image.open(path))]
    for other in found[1:]:
        assert np.array_equal(found[0].pixels, other.pixels)
        assert found[0].note == other.note


def test_pictures_of_the_sets_own_size_are_not_changed(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    grey = np.zeros((28, 28), np.uint8)
    grey[5:20, 8:14] = random.randint(0, 256, (15, 6))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    found = bytes_of(tmp_path / "grey.png", (1, 28, 28), MNIST)
    assert (found.note, found.pixels.tolist()) == (None, grey[None].tolist())
    colour = random.randint(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    assert np.array_equal(
        bytes_of(tmp_path / "colour.png", (3, 32, 32), CIFAR).pixels, colour.transpose(2, 0, 1)
    )


def test_a_photograph_of_writing_is_prepared_unless_it_is_to_stay(tmp_path: Path) -> None:
    sheet = np.full((200, 300, 3), 230, np.uint8)
    sheet[60:140, 200:212] = (30, 40, 120)
    Image.fromarray(sheet).save(tmp_path / "x.png")
    found = bytes_of(tmp_path / "x.png", (1, 28, 28), MNIST)
    assert found.note == "inverted and centred"
    assert found.pixels[0, 14, 14] == 255
    as_is = bytes_of(tmp_path / "x.png", (1, 28, 28), MNIST, as_is=True)
    assert as_is.note is None
    assert as_is.pixels[0, 0, 0] == 230
    clothes = bytes_of(tmp_path / "x.png", (1, 28, 28), DataConfig(name="fashion_mnist"))
    assert clothes.note is None


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_oblong_pictures_gets_them_as_they_are_and_others_fitted(
    tmp_path: Path, fit: str, channels: int
) -> None:
    config = DataConfig(name="image_folder", fit=fit)  # type: ignore[arg-type]
    own = picture(tmp_path / "own.png", size=(30, 20))
    shape = (channels, 20, 30)
    assert np.array_equal(bytes_of(own, shape, config).pixels, read_picture(own, None, channels))
    for size in ((60, 40), (50, 90), (7, 200)):
        found = bytes_of(picture(tmp_path / "other.png", size=size), shape, config).pixels
        assert (found.shape, found.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "too large", "postscript"])
@pytest.mark.parametrize("config", [FOLDER, MNIST])
def test_what_is_no_picture_says_so(tmp_path: Path, kind: str, config: DataConfig) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(broken_content(kind))
    reasons = []
    for source in (path, path.read_bytes()):
        with pytest.raises(BrokenPictureError) as raised:
            bytes_of(source, (1, 28, 28), config)
        reasons.append(str(raised.value))
    assert reasons[0] == reasons[1] != ""
    assert "\n" not in reasons[0]


def test_a_held_picture_that_breaks_off_says_so(tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(broken_content("truncated")))
    with pytest.raises(BrokenPictureError, match="truncated"):
        bytes_of(image, (1, 28, 28), MNIST)


def test_a_held_picture_stays_as_it_is(tmp_path: Path) -> None:
    image = Image.open(picture(tmp_path / "x.png", size=(90, 50)))
    before = np.asarray(image).copy()
    bytes_of(image, (1, 28, 28), MNIST)
    assert image.size == (90, 50)
    assert np.array_equal(np.asarray(image), before)
