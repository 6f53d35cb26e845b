"""The lines of epochs: a table with as many columns as there is room for. No torch here."""

from collections.abc import Mapping

from bakeoff.runs.records import EpochRecord
from bakeoff.text import percent

# The columns of an epoch's line: two lines of heading, which are as wide as the figures.
_COLUMNS = {
    "epoch": ("", ""),
    "train_loss": ("training", "loss"),
    "val_accuracy": ("validation", "accuracy"),
    "val_loss": ("validation", "loss (NLL)"),
    "lr": ("learning", "rate"),
    "seconds": ("", "     time"),
    "images_per_second": ("images", "/ second"),
}
# What a narrow terminal does without, the first first.
_LEAST_WANTED = ("images_per_second", "lr", "val_loss", "train_loss", "seconds")


def epoch_line(record: EpochRecord, epochs: int, width: int | None, planned: int | None = None) -> str:
    """The figures of an epoch, each in its column; as many columns as there is room for.

    Args:
        record: the epoch.
        epochs: the most that there may be, which the column has room for.
        width: columns of the terminal; None for a file.
        planned: how many there are to be, if a budget plans fewer.
    """
    figures = {
        "epoch": _number(record.epoch, planned or epochs),
        "train_loss": _loss(record.train_loss),
        "val_accuracy": percent(record.val.accuracy) if record.val else "",
        "val_loss": _loss(record.val.nll) if record.val else "",
        "lr": f"{record.lr:.3g}",
        "seconds": f"{record.train_seconds:,.1f} s",
        "images_per_second": f"{record.train_images_per_second:,.0f}",
    }
    return _row(figures, _widths(record, epochs, width))


def headings(record: EpochRecord, epochs: int, width: int | None) -> list[str]:
    """The two lines above the first of them."""
    widths = _widths(record, epochs, width)
    return [_row({name: texts[line] for name, texts in _COLUMNS.items()}, widths) for line in (0, 1)]


def _widths(record: EpochRecord, epochs: int, width: int | None) -> dict[str, int]:
    """The columns that there is room for, and how wide each is."""
    widths = {name: max(map(len, texts)) for name, texts in _COLUMNS.items()}
    widths["epoch"] = len(_number(epochs, epochs))
    if not record.val:
        del widths["val_accuracy"], widths["val_loss"]
    for unwanted in _LEAST_WANTED:
        if width is not None and sum(widths.values()) + 2 * (len(widths) - 1) > width:
            widths.pop(unwanted, None)
    return widths


def _row(texts: Mapping[str, str], widths: Mapping[str, int]) -> str:
    return "  ".join(texts[name].rjust(width) for name, width in widths.items())


def _number(epoch: int, epochs: int) -> str:
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}"


def _loss(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"
