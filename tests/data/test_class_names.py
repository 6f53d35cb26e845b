"""`data.classes` where the names of classes are numbers: what is a name, what a position, what is refused."""

import numpy as np
import pytest

from bakeoff.config.schema import DataConfig
from bakeoff.data.selection import select
from bakeoff.errors import ConfigError

NUMBERS = tuple(map(str, range(12)))


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        (NUMBERS, [10, 2], "2 10"),
        (NUMBERS, ["10", "2"], "2 10"),
        (("1", "2", "3"), [1, 3], "1 3"),  # names, not positions
        (("1", "2", "3"), ["3", "2"], "2 3"),
        (("00", "01", "02"), [0, 2], "00 02"),
        (("07", "08", "9"), [7, 9], "07 9"),
        (("7", "07"), [7, "07"], "7 07"),
        (("-1", "0", "1"), [-1, 1], "-1 1"),
        (("cat", "7", "1"), [1, 7], "7 1"),  # a name that matches wins over a position
        (("0", "1", "cat"), [0, 2], "0 cat"),  # here each number is its position as well
        (("0", "1", "A", "B"), [3, "A"], "A B"),
        (("ant", "bee", "cat"), [0, 2], "ant cat"),
        (("ant", "bee", "cat"), ["cat", 1], "bee cat"),
    ],
)
def test_a_class_is_named_before_it_is_counted(
    names: tuple[str, ...], classes: list[int | str], expected: str
) -> None:
    labels = np.arange(len(names))
    chosen = select(DataConfig(classes=classes), names, labels, None, labels)
    assert chosen.class_names == tuple(expected.split())
    assert [names[place] for place in chosen.test] == expected.split()


@pytest.mark.parametrize(
    ("names", "classes", "error"),
    [
        (
            ("1", "2", "3"),
            [0, 1],
            r"no class 0; these classes have numbers as names, so positions do not count: 1, 2, 3",
        ),
        (("cat", "7", "1"), [1, 2], r"no class 2; these classes have numbers as names, so positions do not"),
        (("1", "cat"), ["cat", 0], r"no class 0; these classes have numbers as names"),
        (NUMBERS, [10, 12], r"no class 12; there are numbers 0 to 11"),
        (("ant", "bee"), ["0", "1"], r"no class 0; there are numbers 0 to 1: ant, bee"),
        (("1", "2"), [1, "1"], "a class stands twice"),
        (("ant", "bee"), [0, "ant"], "a class stands twice"),
    ],
)
def test_a_number_that_may_mean_two_classes_is_refused(
    names: tuple[str, ...], classes: list[int | str], error: str
) -> None:
    labels = np.arange(len(names))
    with pytest.raises(ConfigError, match=error):
        select(DataConfig(classes=classes), names, labels, None, labels)
