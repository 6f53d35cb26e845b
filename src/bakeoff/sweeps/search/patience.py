"""A storage that does not answer for a while ends no search: its calls are made again. No torch here.

A call whose answer was lost may have been done all the same. So before one that changes something is
repeated, what is stored is read.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.errors import ResourceError
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import tell
from bakeoff.text import duration

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

MOST_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_SECONDS_UNTIL_TOLD = 2.0
_SLICE = 0.1  # seconds: how soon a signal is seen

Result = TypeVar("Result")


class Patience:
    """How often a call is made again, and who is told."""

    def __init__(self, most_seconds: float = MOST_SECONDS) -> None:
        self.most_seconds = most_seconds
        self.say: Callable[[str], None] = tell

    def call(self, make: Callable[[], Result], repeat: Callable[[], Result] | None = None) -> Result:
        """Makes a call until the storage answers.

        Args:
            make: the call.
            repeat: what to do in place of it from the second time on, if that is something else.

        Raises:
            ResourceError: it did not answer for too long.
            InterruptedRunError: a signal came while it did not answer.
        """
        began, pause, is_told = time.monotonic(), _FIRST_PAUSE, False
        attempt = make
        while True:
            try:
                found = attempt()
            except Exception as error:
                if not is_away(error):
                    raise
                waited = time.monotonic() - began
                if waited > self.most_seconds:
                    raise ResourceError(
                        f"tune.storage: no answer for {duration(waited)} ({reason(error)}); what is trained "
                        "is kept, and the same command goes on when it is back"
                    ) from None  # the error's own text may hold a password
                if waited > _SECONDS_UNTIL_TOLD and not is_told:
                    is_told = True
                    most = duration(self.most_seconds)
                    self.say(f"note: the study's storage does not answer; asking again, for at most {most}")
                _sleep(pause)
                pause, attempt = min(2 * pause, _LONGEST_PAUSE), repeat or make
            else:
                if is_told:
                    self.say("note: the study's storage answers again")
                return found


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check_stop()
        time.sleep(min(_SLICE, left))


def is_away(error: BaseException) -> bool:
    """Whether an error says that the storage does not answer now, and not that the call was wrong."""
    from sqlalchemy import exc

    # A connection that broke in the middle of something says so in many ways.
    broken = exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError
    if isinstance(error, ConnectionError | broken | exc.PendingRollbackError | exc.ResourceClosedError):
        return True
    if isinstance(error, exc.DBAPIError) and (
        error.connection_invalidated or type(error) is exc.DatabaseError
    ):
        return True
    return type(error).__name__ == "StorageInternalError" and (
        error.__cause__ is None or is_away(error.__cause__)
    )


def reason(error: BaseException) -> str:
    """What a driver says in its first line, without what was sent."""
    from bakeoff.sweeps.search.url import masked

    cause: BaseException = getattr(error, "orig", None) or error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return masked(lines[0][:200]) if lines else type(cause).__name__


def patient(inner: "BaseStorage", patience: Patience) -> "BaseStorage":
    """The same storage, whose every call is made again while it does not answer."""
    from optuna.storages import BaseStorage

    def passing(name: str) -> Callable[..., Any]:
        def method(_self: Any, *words: Any, **named: Any) -> Any:
            function, again = getattr(inner, name), _REPEATED.get(name)
            repeat = None if again is None else lambda: again(inner, *words, **named)
            return patience.call(lambda: function(*words, **named), repeat)

        return method

    names = [name for name in dir(BaseStorage) if not name.startswith("_")]
    members = {name: passing(name) for name in names if callable(getattr(BaseStorage, name))}
    made: BaseStorage = type("PatientStorage", (BaseStorage,), members)()
    return made


def _study_again(inner: "BaseStorage", directions: Any, study_name: str | None = None) -> int:
    from optuna.exceptions import DuplicatedStudyError

    try:
        return inner.create_new_study(directions, study_name)
    except DuplicatedStudyError:
        assert study_name is not None
        return inner.get_study_id_from_name(study_name)


def _trial_again(inner: "BaseStorage", study_id: int, template_trial: "FrozenTrial | None" = None) -> int:
    """One that was made, though nobody was told: only who holds the study's lock makes trials."""
    for trial in inner.get_all_trials(study_id, deepcopy=False):
        if not trial.state.is_finished() and not trial.user_attrs and not trial.params:
            return int(trial._trial_id)
    return inner.create_new_trial(study_id, template_trial)


def _param_again(
    inner: "BaseStorage", trial_id: int, param_name: str, value: float, distribution: Any
) -> None:
    if param_name not in inner.get_trial(trial_id).params:
        inner.set_trial_param(trial_id, param_name, value, distribution)


def _end_again(
    inner: "BaseStorage", trial_id: int, state: Any, values: Sequence[float] | None = None
) -> bool:
    if inner.get_trial(trial_id).state.is_finished():
        return True
    return inner.set_trial_state_values(trial_id, state, values)


_REPEATED: dict[str, Callable[..., Any]] = {
    "create_new_study": _study_again,
    "create_new_trial": _trial_again,
    "set_trial_param": _param_again,
    "set_trial_state_values": _end_again,
}
