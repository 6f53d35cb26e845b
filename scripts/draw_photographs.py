"""Draws 40 photographs of handwritten digits; says how well a run knows them, prepared and as they are.

usage: .venv/bin/python scripts/draw_photographs.py FOLDER [--count 40] [--seed 0] [--run RUN] [KEY=VALUE ...]

No camera is at hand: a digit is drawn by a pen along curves whose points shake, on paper that may be ruled
and may lie on a table, turned a little, in uneven light, and stored as a blurred and noisy JPEG. Its folder
is named by the digit, so that `bakeoff predict RUN FOLDER` scores it. Without --run a model is trained first
(model=cnn data=mnist, or what the keys say).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Strokes = list[list[Point]]
# Ways to write each digit: curves through points, x and y in 0..1, y downwards. Written for this script.
DIGITS: dict[int, list[Strokes]] = {
    0: [
        [[(0.5, 0), (0.15, 0.3), (0.15, 0.72), (0.5, 1), (0.85, 0.7), (0.85, 0.28), (0.5, 0)]],
        [[(0.6, 0.02), (0.2, 0.2), (0.1, 0.65), (0.45, 1), (0.85, 0.75), (0.82, 0.25), (0.5, 0.02)]],
    ],
    1: [
        [[(0.5, 0), (0.5, 0.5), (0.5, 1)]],
        [[(0.28, 0.24), (0.54, 0)], [(0.54, 0), (0.52, 0.5), (0.5, 1)]],
    ],
    2: [
        [[(0.12, 0.24), (0.4, 0), (0.78, 0.2), (0.6, 0.55), (0.1, 0.97)], [(0.1, 0.97), (0.9, 0.97)]],
        [[(0.15, 0.2), (0.5, 0), (0.8, 0.25), (0.45, 0.7), (0.1, 0.95), (0.5, 0.86), (0.92, 0.97)]],
    ],
    3: [
        [
            [(0.14, 0.12), (0.5, 0), (0.8, 0.2), (0.4, 0.46)],
            [(0.4, 0.46), (0.86, 0.68), (0.6, 0.98), (0.1, 0.9)],
        ],
        [[(0.15, 0.1), (0.6, 0.02), (0.72, 0.25), (0.4, 0.46), (0.85, 0.7), (0.5, 1), (0.12, 0.86)]],
    ],
    4: [
        [[(0.25, 0), (0.12, 0.58)], [(0.12, 0.58), (0.92, 0.56)], [(0.72, 0.1), (0.66, 1)]],
        [[(0.62, 0), (0.08, 0.66)], [(0.08, 0.66), (0.94, 0.66)], [(0.62, 0), (0.62, 1)]],
    ],
    5: [
        [
            [(0.2, 0.02), (0.86, 0.02)],
            [(0.2, 0.02), (0.17, 0.42)],
            [(0.17, 0.42), (0.6, 0.36), (0.86, 0.66), (0.55, 0.98), (0.1, 0.9)],
        ],
        [
            [(0.24, 0.03), (0.18, 0.44), (0.62, 0.4), (0.84, 0.7), (0.5, 1), (0.1, 0.9)],
            [(0.24, 0.03), (0.8, 0)],
        ],
    ],
    6: [
        [[(0.7, 0), (0.3, 0.3), (0.14, 0.7), (0.45, 1), (0.82, 0.78), (0.55, 0.54), (0.17, 0.72)]],
        [[(0.45, 0), (0.2, 0.4), (0.14, 0.75), (0.45, 1), (0.8, 0.8), (0.55, 0.58), (0.18, 0.76)]],
    ],
    7: [
        [[(0.1, 0.05), (0.88, 0.04)], [(0.88, 0.04), (0.6, 0.5), (0.4, 1)]],
        [[(0.1, 0.06), (0.86, 0.03)], [(0.86, 0.03), (0.42, 1)], [(0.38, 0.5), (0.82, 0.48)]],
    ],
    8: [
        [
            [
                (0.5, 0.47), (0.2, 0.24), (0.5, 0), (0.8, 0.22), (0.5, 0.47),
                (0.16, 0.75), (0.5, 1), (0.84, 0.76), (0.5, 0.47),
            ]
        ],
        [
            [
                (0.78, 0.14), (0.45, 0), (0.22, 0.22), (0.5, 0.46), (0.82, 0.74),
                (0.5, 1), (0.18, 0.76), (0.5, 0.46), (0.78, 0.14),
            ]
        ],
    ],
    9: [
        [[(0.8, 0.22), (0.45, 0.02), (0.16, 0.28), (0.42, 0.54), (0.8, 0.24)], [(0.8, 0.22), (0.72, 1)]],
        [[(0.78, 0.2), (0.4, 0), (0.16, 0.3), (0.45, 0.5), (0.78, 0.22), (0.74, 0.7), (0.4, 1)]],
    ],
}  # fmt: skip
# Colour and width of a pen, as shares of the digit's height.
PENS = {
    "black marker": ((25, 25, 28), (0.10, 0.16)),
    "blue ballpoint": ((38, 56, 140), (0.03, 0.05)),
    "black fineliner": ((35, 35, 38), (0.025, 0.05)),
    "pencil": ((118, 118, 120), (0.04, 0.07)),
    "red felt pen": ((190, 40, 45), (0.06, 0.10)),
    "green felt pen": ((40, 120, 70), (0.06, 0.10)),
}
PAPERS = {
    "white": (244, 244, 240),
    "cream": (240, 230, 205),
    "recycled": (205, 203, 196),
    "yellow note": (245, 226, 120),
    "lined": (242, 242, 240),
    "squared": (240, 242, 244),
}
TABLES = {"wood": (150, 105, 65), "dark desk": (45, 42, 40), "grey desk": (130, 132, 136)}
LINES = {"lined": (150, 175, 215), "squared": (180, 200, 220)}
BOARD, CHALK = (38, 52, 46), (225, 225, 215)


@dataclass(frozen=True)
class Photograph:
    """A picture and what is to be seen on it."""

    image: Image.Image
    digit: int
    told: str


def photograph(digit: int, random: np.random.Generator) -> Photograph:
    """Draws one. Everything but the digit comes from the generator."""
    width, height = ((480, 640), (640, 480), (900, 1200), (700, 700))[random.integers(4)]
    pen = list(PENS)[random.integers(len(PENS))]
    paper = list(PAPERS)[random.integers(len(PAPERS))]
    on_board = random.random() < 0.08
    table = None if on_board or random.random() < 0.55 else list(TABLES)[random.integers(len(TABLES))]
    scene = _surface(width, height, BOARD if on_board else PAPERS[paper], random)
    if paper in LINES and not on_board:
        _rule(scene, paper, random)
    share = random.uniform(0.28, 0.5) if table else random.uniform(0.28, 0.75)
    ink = _ink(digit, width, height, share * min(width, height), PENS[pen][1], random)
    colour = CHALK if on_board else PENS[pen][0]
    scene = Image.composite(Image.new("RGB", scene.size, colour), scene, ink)
    if table:
        scene = _on_table(scene, TABLES[table], random)
    told = (
        f"{'chalk on a board' if on_board else f'{pen} on {paper} paper'}{f', on a {table}' if table else ''}"
    )
    return Photograph(_taken(scene, random), digit, f"{told}, {width}x{height}")


def _surface(width: int, height: int, colour: tuple[int, ...], random: np.random.Generator) -> Image.Image:
    """A sheet with a grain."""
    grain = random.normal(0, 2.5, (height // 2, width // 2, 1))
    pixels = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)


def _rule(sheet: Image.Image, paper: str, random: np.random.Generator) -> None:
    """Printed lines, turned a little."""
    draw = ImageDraw.Draw(sheet)
    step = int(min(sheet.size) * random.uniform(0.07, 0.14))
    slope = np.tan(np.radians(random.uniform(-5, 5)))
    thickness = max(1, round(min(sheet.size) * random.uniform(0.002, 0.004)))
    longest = max(sheet.size)
    for place in range(-longest, 2 * longest, step):
        draw.line([(0, place), (longest, place + slope * longest)], LINES[paper], thickness)
        if paper == "squared":
            draw.line([(place, 0), (place - slope * longest, longest)], LINES[paper], thickness)


def _ink(
    digit: int, width: int, height: int, size: float, widths: tuple[float, float], random: np.random.Generator
) -> Image.Image:
    """Where the pen went, as a mask of the whole sheet."""
    ways = DIGITS[digit]
    strokes = ways[random.integers(len(ways))]
    thickness = max(2.0, size * random.uniform(*widths))
    aspect, slant = random.uniform(0.55, 0.8), random.normal(0, 0.1)
    angle = np.radians(random.uniform(-10, 10))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    room = (min(width, height) - 1.15 * size) / 2
    middle = np.array([width / 2, height / 2]) + random.uniform(-0.6, 0.6, 2) * max(0.0, room)
    sheet = Image.new("L", (2 * width, 2 * height))
    draw = ImageDraw.Draw(sheet)
    for stroke in strokes:
        points = np.array(stroke) + random.normal(0, 0.02, (len(stroke), 2))
        if len(stroke) > 2 and stroke[0] == stroke[-1]:
            points[-1] = points[0] + random.normal(0, 0.012, 2)
        path = (_curve(points) - 0.5) * size
        path[:, 0] = path[:, 0] * aspect - slant * path[:, 1]
        path = 2 * (path @ turn.T + middle)
        for place, (x, y) in enumerate(path):
            # Pressure changes along a stroke.
            radius = thickness * (1 + 0.12 * np.sin(place / 9 + stroke[0][0]))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return sheet.resize((width, height), Image.Resampling.BOX)


def _curve(points: np.ndarray) -> np.ndarray:
    """Catmull-Rom through points [k, 2], close enough for a pen; [n, 2]."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    share = np.linspace(0, 1, 60)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(
            0.5
            * (
                2 * b
                + (c - a) * share
                + (2 * a - 5 * b + 4 * c - d) * share**2
                + (3 * b - a - 3 * c + d) * share**3
            )
        )
    return np.concatenate(parts)


def _on_table(sheet: Image.Image, colour: tuple[int, ...], random: np.random.Generator) -> Image.Image:
    """The sheet, smaller and turned a little, on a table that shows at its sides."""
    width, height = sheet.size
    stripes = random.normal(0, 6, (1, width, 1)) + random.normal(0, 3, (height, width, 1))
    table = Image.fromarray(np.clip(np.array(colour) + stripes, 0, 255).astype(np.uint8))
    table = table.filter(ImageFilter.GaussianBlur(1.5))
    scale = random.uniform(0.72, 0.9)
    small = sheet.resize((int(width * scale), int(height * scale)), Image.Resampling.BILINEAR)
    angle = random.uniform(-7, 7)
    turned = small.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", small.size, 255).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    place = (
        (width - turned.width) // 2 + int(random.uniform(-0.05, 0.05) * width),
        (height - turned.height) // 2 + int(random.uniform(-0.05, 0.05) * height),
    )
    shade = Image.new("L", table.size)
    shade.paste(mask, (place[0] + width // 90, place[1] + height // 90))
    shade = shade.filter(ImageFilter.GaussianBlur(width / 80)).point(lambda value: value // 2)
    table = Image.composite(Image.new("RGB", table.size, (0, 0, 0)), table, shade)
    table.paste(turned, place, mask)
    return table


def _taken(scene: Image.Image, random: np.random.Generator) -> Image.Image:
    """What a camera makes of it: uneven light, perhaps a shadow, blur and noise."""
    width, height = scene.size
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    angle = random.uniform(0, 2 * np.pi)
    across = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    light = 1 + random.uniform(0, 0.6) * across
    light -= random.uniform(0, 0.5) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    if random.random() < 0.4:  # a hand or a telephone keeps light away
        angle, place = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.25)
        depth, softness = random.uniform(0.25, 0.5), random.uniform(0.02, 0.15)
        beyond = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) - place) / softness
        light *= 1 - depth / (1 + np.exp(-np.clip(beyond, -50, 50)))
    tint = np.array([1, random.uniform(0.93, 1), random.uniform(0.82, 1)])
    blurred = scene.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.8)))
    pixels = np.asarray(blurred) * (random.uniform(0.7, 1.02) * light)[..., None] * tint
    pixels += random.normal(0, random.uniform(1, 6), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def draw(folder: Path, count: int, seed: int) -> list[tuple[Path, int, str]]:
    """Writes JPEGs into a folder for each digit: path, digit, what is to be seen."""
    random = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        found = photograph(number % 10, random)
        path = folder / str(found.digit) / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        found.image.save(path, quality=int(random.integers(55, 92)))
        drawn.append((path, found.digit, found.told))
    return drawn


def score(run: Path, folder: Path) -> None:
    """Prints the accuracy of a run with the preparation and without."""
    from bakeoff.deploy.predict.ensemble import open_ensemble
    from bakeoff.deploy.predict.predicting import Wishes, answers
    from bakeoff.deploy.predict.scoring import Tally, interval_text
    from bakeoff.deploy.predict.sources import sources_of

    ensemble = open_ensemble([run], None)
    sources = sources_of([str(folder)], ensemble.class_names)
    for said, as_is in (("prepared", False), ("as they are", True)):
        tally = Tally()
        for answer in answers(ensemble, sources, Wishes(as_is=as_is)):
            tally.add(answer)
        share = tally.num_right / tally.num_scored
        interval = interval_text(share, tally.num_scored)
        print(f"{said:12} {tally.num_right} of {tally.num_scored} right, {100 * share:.1f} % ({interval})")


def main() -> None:
    """Draws, and scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="a path, the beginning of a run's name, or latest")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args()  # keys may stand behind options
    for path, _, told in draw(options.folder, options.count, options.seed):
        print(f"{path}: {told}")
    from bakeoff.runs.locate import find_run, outputs_root

    if options.run is None:
        import bakeoff

        run = bakeoff.train("model=cnn", "data=mnist", *options.overrides).path
    else:
        run = find_run(options.run, outputs_root())
    score(run, options.folder)


if __name__ == "__main__":
    main()
