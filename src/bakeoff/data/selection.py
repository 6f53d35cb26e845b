"""Which images of a data set a run uses: validation split, classes, limits. Pure functions of labels."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.config.schema import DataConfig
from bakeoff.errors import ConfigError, nearest

# The splits as people call their images.
MEANINGS = {"train": "training", "val": "validation", "test": "test"}
# Shared by all runs, so that every model is chosen by the same images. Never the run's seed.
VALIDATION_SEED = 20_240_229


@dataclass(frozen=True)
class Selection:
    """What is left of three parts: positions int64 within each, and the classes' new numbers."""

    class_names: tuple[str, ...]
    train: np.ndarray
    val: np.ndarray | None
    test: np.ndarray
    new_label: np.ndarray  # int64 [old classes], -1 for a class that is left out


def select(
    config: DataConfig,
    class_names: Sequence[str],
    train_labels: np.ndarray,
    val_labels: np.ndarray | None,
    test_labels: np.ndarray,
) -> Selection:
    """Applies `data.classes` to all parts and then `data.train_limit` to the training images.

    The validation images of some classes are those of the whole data set: nothing moves between
    training and validation because a class is left out.

    Raises:
        ConfigError: a class or a number of images that is not there.
    """
    chosen = _class_numbers(config.classes, class_names)
    new_label = np.full(len(class_names), -1, dtype=np.int64)
    new_label[chosen] = np.arange(len(chosen))

    def of_chosen(labels: np.ndarray) -> np.ndarray:
        return np.flatnonzero(new_label[labels] >= 0)

    train = of_chosen(train_labels)
    if config.train_limit is not None:
        train = train[_limited(train_labels[train], config.train_limit, len(chosen))]
    val = None if val_labels is None else of_chosen(val_labels)
    return Selection(
        tuple(class_names[number] for number in chosen), train, val, of_chosen(test_labels), new_label
    )


def stratified(labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions into (kept, held back), each class in proportion; both sorted.

    `round(n * fraction)` are held back: of each class its whole share, and one more of those whose
    share was cut most.
    """
    return stratified_count(labels, round(len(labels) * fraction), fraction)


def stratified_groups(
    labels: np.ndarray, groups: np.ndarray, fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same for images of which some belong together (copies): a group is held back whole or not at all.

    Without groups it is `stratified`, bit for bit. With them each class's share is met as near as whole
    groups allow, and every class keeps an image on the first side.

    Args:
        labels: classes, int64 [n].
        groups: int64 [n], equal for images that belong together; such may be of several classes.
        fraction: share to hold back.

    Returns:
        Positions (kept, held back), each sorted.
    """
    if len(np.unique(groups)) == len(groups):
        return stratified(labels, fraction)
    classes = np.unique(labels).tolist()
    sizes, order = _targets(labels, round(len(labels) * fraction), fraction)
    left = dict(zip(classes, sizes.tolist(), strict=True))
    kept = Counter(labels.tolist())
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
        counts[group][label] += 1
    waiting = dict.fromkeys(groups[np.concatenate(order)].tolist())
    taken: set[int] = set()
    # What fits goes first; then what brings a class nearer to its share than without it.
    for least in (1.0, 0.5):
        for group in waiting:
            of_group = counts[group].items()
            if all(left[label] >= least * count and kept[label] > count for label, count in of_group):
                taken.add(group)
                kept -= counts[group]
                for label, count in of_group:
                    left[label] -= count
        waiting = {group: None for group in waiting if group not in taken}
    held_back = np.flatnonzero(np.isin(groups, list(taken)))
    return np.setdiff1d(np.arange(len(labels)), held_back), held_back


def stratified_count(
    labels: np.ndarray, count: int, fraction: float, at_least: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The same for a number of images; `fraction` is that number's share of all.

    With `at_least=1` no class goes without an image: a rare one gets the last image of the class that is
    most above its share.

    `RandomState` and not `default_rng`, because NumPy froze its stream: the split, and with it every
    fingerprint, stays the same for ever.
    """
    sizes, order = _targets(labels, count, fraction, at_least)
    held = np.sort(np.concatenate([positions[:size] for positions, size in zip(order, sizes, strict=True)]))
    return np.setdiff1d(np.arange(len(labels)), held), held


def _targets(
    labels: np.ndarray, count: int, fraction: float, at_least: int = 0
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Of each class that is there: how many images are held back, and its positions in the order of draw."""
    random = np.random.RandomState(VALIDATION_SEED)
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * fraction
    sizes = np.floor(shares + 1e-9).astype(np.int64)
    missing = count - sizes.sum()
    sizes[np.argsort(sizes - shares, kind="stable")[:missing]] += 1
    for rare in np.flatnonzero(sizes < at_least):
        sizes[np.argmax(np.where(sizes > at_least, sizes - shares, -np.inf))] -= 1
        sizes[rare] += 1
    return sizes, [random.permutation(np.flatnonzero(labels == label)) for label in classes]


def _limited(labels: np.ndarray, limit: int, num_classes: int) -> np.ndarray:
    if limit > len(labels):
        raise ConfigError(f"data.train_limit={limit}: there are only {len(labels):,} training images")
    if limit < num_classes:
        raise ConfigError(f"data.train_limit={limit}: fewer images than there are classes ({num_classes})")
    return stratified_count(labels, limit, limit / len(labels), at_least=1)[1]


def _class_numbers(classes: Sequence[int | str] | None, class_names: Sequence[str]) -> list[int]:
    """Numbers of the chosen classes, in the data set's own order whatever the order asked for.

    What is the name of a class is that class. Another number is a position, as long as no class's name is a
    number that stands at another position: there it could be meant in two ways.
    """
    if classes is None:
        return list(range(len(class_names)))
    by_number = {int(name): place for place, name in enumerate(class_names) if _is_number(name)}
    numbered_otherwise = any(number != place for number, place in by_number.items())
    numbers = []
    for name in classes:
        if str(name) in class_names:
            numbers.append(list(class_names).index(str(name)))
        elif isinstance(name, int) and name in by_number:  # 7 is the class 07
            numbers.append(by_number[name])
        elif isinstance(name, int) and 0 <= name < len(class_names) and not numbered_otherwise:
            numbers.append(name)
        else:
            raise ConfigError(_no_class(classes, name, class_names, numbered_otherwise))
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"data.classes={list(classes)}: a class stands twice")
    return sorted(numbers)


def _no_class(
    classes: Sequence[int | str], name: int | str, class_names: Sequence[str], by_name: bool
) -> str:
    shown = ", ".join(class_names[:12]) + (", ..." if len(class_names) > 12 else "")
    what = f"data.classes={list(classes)}: no class {name}; "
    if by_name:
        what += f"these classes have numbers as names, so positions do not count: {shown}"
    else:
        what += f"there are numbers 0 to {len(class_names) - 1}: {shown}"
    # A number that is none of them is like no other one.
    return what if _is_number(str(name)) else f"{what}{nearest(str(name), class_names)}"


def _is_number(name: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", name) is not None
