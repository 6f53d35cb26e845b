"""Photographs of handwriting become images as a digit set has them; the set's own come through as they are."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_digits

from bakeoff.data.sets.digits import _images_and_labels
from bakeoff.deploy.predict.ink import Preparation, prepared

SEVEN = [[(0.2, 0.12), (0.8, 0.1), (0.45, 0.9)], [(0.4, 0.5), (0.75, 0.48)]]


def writing(
    side: int = 320, place: tuple[float, float] = (0.5, 0.5), size: float = 0.5, pen: float = 0.1
) -> np.ndarray:
    """Where a pen wrote a seven: 0..1, float [side, side]; the pen's width is a share of the digit's height."""
    image = Image.new("L", (2 * side, 2 * side))
    draw = ImageDraw.Draw(image)
    for stroke in SEVEN:
        points = [
            tuple(2 * side * (p + size * (one - 0.5)) for p, one in zip(place, xy, strict=True))
            for xy in stroke
        ]
        draw.line(points, 255, round(2 * side * size * pen), joint="curve")
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) / 255


def photograph(
    ink: np.ndarray, paper: float = 235, pen: float = 40, light: np.ndarray | float = 1.0, lines: float = 0
) -> np.ndarray:
    """Ink on paper, a little blurred and noisy; uint8."""
    sheet = np.full(ink.shape, float(paper))
    for row in range(15, ink.shape[0], 30):
        sheet[row : row + 3] -= lines
    pixels = (sheet + (pen - sheet) * ink) * light
    pixels = pixels + np.random.RandomState(0).normal(0, 2, ink.shape)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)))


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two images."""
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    """The seven in the middle of an even white sheet, prepared."""
    return prepared(photograph(writing()), 28)[0]


def test_dark_ink_is_inverted_scaled_and_centred_as_mnists_makers_did() -> None:
    pixels, done = prepared(photograph(writing(place=(0.35, 0.6), size=0.4)), 28)
    assert done is Preparation.INVERTED_AND_CENTRED
    assert (pixels.shape, pixels.dtype, pixels.max()) == ((28, 28), np.uint8, 255)
    rows, columns = (np.flatnonzero(pixels.max(axis=axis) > 40) for axis in (1, 0))
    assert 19 <= rows[-1] - rows[0] + 1 <= 21  # the longer side of the digit
    assert columns[-1] - columns[0] + 1 < 20
    y, x = (np.average(np.arange(28), weights=pixels.sum(axis=axis)) for axis in (1, 0))
    assert abs(y - 14) < 0.4
    assert abs(x - 14) < 0.4
    assert pixels[0].max() == pixels[-1].max() == 0


def shadow() -> np.ndarray:
    """Half of the sheet, beyond a slanting edge, has half the light."""
    y, x = np.mgrid[0:320, 0:320]
    return 1 - 0.5 / (1 + np.exp(-(x + 0.6 * y - 250) / 6.0))


def gradient() -> np.ndarray:
    return np.linspace(0.35, 1.05, 320)[None, :] * np.ones((320, 1))


@pytest.mark.parametrize(
    "picture",
    [
        photograph(writing(), light=gradient()),
        photograph(writing(), light=shadow()),
        photograph(writing(), lines=90, pen=120),
        photograph(writing(place=(0.3, 0.68), size=0.35)),
        photograph(writing(size=0.95)),  # cut tightly
        photograph(writing(), paper=120, pen=60, light=gradient()),  # a pencil in dim light
        photograph(writing(), paper=30, pen=210),  # chalk on a board
        photograph(writing(side=1000)),
        photograph(writing(side=60)),
    ],
    ids=[
        "uneven light", "shadow", "lined", "aside", "tight", "dim pencil", "chalk", "large", "small",
    ],
)  # fmt: skip
def test_whatever_the_paper_and_the_light_the_same_digit_comes_out(
    picture: np.ndarray, plain: np.ndarray
) -> None:
    pixels, _ = prepared(picture, 28)
    assert alike(pixels, plain) > 0.88


def test_a_table_around_the_paper_is_left_out(plain: np.ndarray) -> None:
    sheet = photograph(writing(size=0.4), light=gradient())
    image = Image.new("L", (400, 400), 70)
    mask = Image.new("L", (320, 320), 255).rotate(6, expand=True)
    image.paste(Image.fromarray(sheet).rotate(6, Image.Resampling.BICUBIC, expand=True), (20, 30), mask)
    pixels, done = prepared(np.asarray(image), 28)
    assert done is Preparation.INVERTED_AND_CENTRED
    assert alike(np.asarray(Image.fromarray(pixels).rotate(-6)), plain) > 0.85


@pytest.mark.parametrize("pen", [0.025, 0.05, 0.2])
def test_thin_and_thick_pens_become_as_thick_as_the_sets(pen: float) -> None:
    def ink(width: float) -> float:
        pixels, _ = prepared(photograph(writing(size=0.6, pen=width)), 28)
        return float(pixels.sum()) / 255

    usual = ink(0.12)
    assert 0.7 < ink(pen) / usual < 1.6


def test_parts_that_stand_apart_belong_to_the_digit_and_dirt_does_not() -> None:
    ink = writing(size=0.6)
    ink[150:162] = 0  # the pen skipped
    pixels, _ = prepared(photograph(ink), 28)
    whole, _ = prepared(photograph(writing(size=0.6)), 28)
    assert alike(pixels, whole) > 0.85
    ink = writing(size=0.6)
    ink[20:24, 30:34] = 1
    ink[5:60, 300:303] = 1
    assert alike(prepared(photograph(ink), 28)[0], whole) > 0.95


def ring(side: int = 320) -> np.ndarray:
    """A zero."""
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).ellipse([130, 100, 190, 200], outline=255, width=9)
    return np.asarray(image) / 255


def test_the_gap_inside_of_a_digit_is_not_the_digit() -> None:
    on_paper, _ = prepared(photograph(ring()), 28)
    on_board, done = prepared(photograph(ring(), paper=30, pen=210), 28)
    assert done is Preparation.CENTRED
    for pixels in (on_paper, on_board):
        assert pixels[14, 14] == 0
        assert pixels[14].max() > 150


def test_a_pen_that_lies_on_the_paper_is_not_the_digit(plain: np.ndarray) -> None:
    scene = writing()
    scene[294:304, 60:] = 1  # it comes in from the side
    assert alike(prepared(photograph(scene), 28)[0], plain) > 0.9


def digits_of_scikit_learn() -> np.ndarray:
    return np.round(_images_and_labels()[0] * (255 / 16)).astype(np.uint8)


def test_the_sets_own_images_come_through_bit_for_bit() -> None:
    for image in digits_of_scikit_learn():
        pixels, done = prepared(image, 8, "digits")
        assert done is Preparation.NONE
        assert np.array_equal(pixels, image)


@pytest.mark.mnist
def test_all_of_mnist_comes_through_bit_for_bit(mnist_root: str) -> None:
    from conftest import source_of

    from bakeoff.data.idx import read_idx

    folder = source_of("mnist").folder_in(mnist_root)
    for image in read_idx(folder / "t10k-images-idx3-ubyte", (28, 28)):
        pixels, done = prepared(image, 28)
        assert done is Preparation.NONE
        assert np.array_equal(pixels, image)


def test_a_negative_of_the_sets_own_is_only_inverted() -> None:
    image = digits_of_scikit_learn()[7]
    pixels, done = prepared(255 - image, 8, "digits")
    assert done is Preparation.INVERTED
    assert np.array_equal(pixels, image)


def test_an_enlarged_image_of_the_set_comes_back_nearly_the_same(plain: np.ndarray) -> None:
    large = np.asarray(Image.fromarray(plain).resize((280, 280), Image.Resampling.BICUBIC))
    for picture in (large, 255 - large):
        assert alike(prepared(picture, 28)[0], plain) > 0.92


def test_a_digit_for_the_small_set_fills_its_height() -> None:
    pixels, _ = prepared(photograph(writing()), 8, "digits")
    assert pixels[0].max() > 100
    assert pixels[-1].max() > 100


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_sheet_has_no_ink(value: int) -> None:
    pixels, done = prepared(np.full((90, 120), value, np.uint8), 28)
    assert done is Preparation.NO_INK
    assert pixels.shape == (28, 28)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (28, 28), (3, 7), (64, 1)])
def test_pictures_of_any_shape_are_taken(shape: tuple[int, int]) -> None:
    random = np.random.RandomState(0)
    for _ in range(3):
        pixels, _ = prepared(random.randint(0, 256, shape).astype(np.uint8), 28)
        assert (pixels.shape, pixels.dtype) == ((28, 28), np.uint8)


@pytest.mark.parametrize("how", [Image.Resampling.NEAREST, Image.Resampling.BICUBIC])
@pytest.mark.parametrize("factor", [2, 10])
def test_enlarged_images_of_the_set_stay_as_they_are(factor: int, how: Image.Resampling) -> None:
    """The digits fill their 8x8 and touch the border, where a photograph's writing does not."""
    images = (load_digits().images[:100] * 255 / 16).round().astype(np.uint8)
    for image in images:
        large = np.asarray(Image.fromarray(image).resize((8 * factor, 8 * factor), how))
        small = np.asarray(Image.fromarray(large).resize((8, 8), Image.Resampling.BILINEAR, reducing_gap=3.0))
        found, done = prepared(large, 8, "digits")
        assert done is Preparation.NONE
        np.testing.assert_array_equal(found, small)
        found, done = prepared(255 - large, 8, "digits")
        assert done is Preparation.INVERTED
        np.testing.assert_allclose(found.astype(int), small.astype(int), atol=1)  # rounded the other way


def test_small_writing_on_black_is_brought_to_its_size() -> None:
    black = np.zeros((280, 280), np.uint8)
    black[20:80, 30:38] = 255
    found, done = prepared(black, 28)
    assert done is Preparation.CENTRED
    rows = np.flatnonzero(found.max(axis=1) > 128)
    assert rows[-1] - rows[0] >= 18
