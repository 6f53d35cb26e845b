"""How good predictions are: of pictures in folders of classes, and of several runs on their test images."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bakeoff.comparison.statistics.classical import wilson
from bakeoff.deploy.predict.answers import Answer
from bakeoff.text import counted, percent, printable, shortened

_MOST_NAMED = 5


@dataclass
class Tally:
    """Counts answers as they come."""

    num_all: int = 0
    num_broken: int = 0
    num_scored: int = 0
    num_right: int = 0
    num_none: int = 0  # of those that were scored
    notes: "Counter[str]" = field(default_factory=Counter)
    blank: list[str] = field(default_factory=list)  # pictures without ink

    def add(self, answer: Answer) -> None:
        """One more."""
        self.num_all += 1
        if answer.error is not None:
            self.num_broken += 1
            return
        if answer.is_blank:
            self.blank.append(answer.name)
        elif answer.note:
            self.notes[answer.note] += 1
        if answer.true is not None:
            self.num_scored += 1
            self.num_right += answer.predicted == answer.true
            self.num_none += answer.predicted is None

    def lines(self) -> Iterator[str]:
        """What is said at the end."""
        if self.notes:
            done = ", ".join(f"{count:,} {note}" for note, count in self.notes.most_common())
            of = counted(self.num_all - self.num_broken, "picture")
            yield f"made like the training images: {done} (of {of}); --as-is leaves them as they are"
        if self.blank:
            names = shortened([printable(name) for name in self.blank], _MOST_NAMED)
            yield f"no ink found in {counted(len(self.blank), 'picture')}, so not to be relied on: {names}"
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
