"""Where a training is, written into memory that it shares with its parent and that outlives it."""

import ctypes
import mmap
import time
from collections.abc import Callable
from typing import Any

SET_UP, TRAINING, VALIDATION, SAVE, FINISH = PHASES = (
    "set-up", "an epoch", "validation", "a save", "the finish",
)  # fmt: skip
BEFORE = "before the first checkpoint"  # in whichever phase


class Board(ctypes.Structure):
    """What the processes of a run write down, in memory that no kill takes away."""

    phase: int
    trained: int
    unsaved: int
    _fields_ = (
        ("phase", ctypes.c_int64),  # its place in `PHASES`
        ("trained", ctypes.c_int64),  # steps, by all parts
        ("unsaved", ctypes.c_int64),  # of them those since the last checkpoint of this part
        ("seconds", ctypes.c_double * len(PHASES)),
        ("entered", ctypes.c_int64 * len(PHASES)),
    )

    @classmethod
    def shared(cls) -> "Board":
        """In memory that a forked process shares."""
        return cls.from_buffer(mmap.mmap(-1, ctypes.sizeof(cls)))

    def mean_seconds(self, phase: str) -> float:
        """How long a phase lasts."""
        place = PHASES.index(phase)
        return float(self.seconds[place]) / max(1, int(self.entered[place]))

    def during(self, phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which says when it begins and ends."""
        place = PHASES.index(phase)

        def told(*arguments: Any, **options: Any) -> Any:
            before, self.phase, start = self.phase, place, time.perf_counter()
            try:
                return work(*arguments, **options)
            finally:
                self.phase = before
                self.seconds[place] += time.perf_counter() - start
                self.entered[place] += 1

        return told


def watch(board: Board) -> None:
    """Lets this process say on the board where it is."""
    from bakeoff.evaluation import prediction
    from bakeoff.experiment import checkpointing, extras, part
    from bakeoff.plots import style
    from bakeoff.runs.checkpoints import Checkpoints
    from bakeoff.training import loop

    step, validate, predict = loop.train_step, prediction.validate, prediction.predict
    write, forget = Checkpoints.write, checkpointing.Keeper.forget
    began: list[float] = []

    def counted_step(*arguments: Any) -> Any:
        board.phase = PHASES.index(TRAINING)
        board.trained += 1
        board.unsaved += 1
        return step(*arguments)

    def counted_write(*arguments: Any) -> Any:
        saved = write(*arguments)
        board.unsaved = 0
        return saved

    def last_predict(*arguments: Any, **options: Any) -> Any:
        board.phase = PHASES.index(FINISH)
        began.append(time.perf_counter())
        return predict(*arguments, **options)

    def last_forget(keeper: Any) -> None:
        forget(keeper)
        board.seconds[PHASES.index(FINISH)] += time.perf_counter() - began[0]
        board.entered[PHASES.index(FINISH)] += 1

    for owner, name, ours in (
        (loop, "train_step", counted_step),
        (loop, "validate", board.during(VALIDATION, validate)),
        (Checkpoints, "write", board.during(SAVE, counted_write)),
        (part, "predict", last_predict),
        (checkpointing.Keeper, "forget", last_forget),
        (checkpointing, "_LARGEST_SHARE", 1.0),  # saves as often as the interval says
        (extras.Extras, "make", lambda self, *_: self.summary),
        (style, "check", lambda: None),
    ):
        setattr(owner, name, ours)
