"""How good predictions are: of pictures in folders of classes, and of several runs on their test images."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bakeoff.comparison.statistics.classical import wilson
from bakeoff.deploy.answers import Answer
from bakeoff.text import counted, percent


@dataclass
class Tally:
    """Counts answers as they come."""

    num_all: int = 0
    num_broken: int = 0
    num_scored: int = 0
    num_right: int = 0
    num_none: int = 0  # of those that were scored
    notes: "Counter[str]" = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        """One more."""
        self.num_all += 1
        if answer.error is not None:
            self.num_broken += 1
            return
        if answer.note:
            self.notes[answer.note] += 1
        if answer.true is not None:
            self.num_scored += 1
            self.num_right += answer.predicted == answer.true
            self.num_none += answer.predicted is None

    def lines(self) -> Iterator[str]:
        """What is said at the end."""
        if self.notes:
            (first, most), *others = self.notes.most_common()
            more = "".join(f", {count:,} {note}" for note, count in others)
            read = counted(self.num_all - self.num_broken, "picture")
            yield (
                f"{most:,} of {read} {first}{more}, as the images that the model was trained on; --as-is "
                "leaves them as they are"
            )
        if self.num_scored:
            none = f", {self.num_none:,} without a prediction" if self.num_none else ""
            share = self.num_right / self.num_scored
            yield (
                f"accuracy {percent(share)}: {self.num_right:,} of {counted(self.num_scored, 'picture')} "
                f"right{none} ({interval_text(share, self.num_scored)})"
            )
        if self.num_broken:
            yield f"{counted(self.num_broken, 'picture')} of {self.num_all:,} could not be read"


def interval_text(share: float, count: int) -> str:
    """Wilson's interval of a share."""
    low, high = wilson(share, count)
    return f"95 % interval: {100 * low:.2f} to {percent(high)}"
