"""How a run ends when it does not finish: its status, its last good weights, its exit code."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bakeoff.config.schema import Config
from bakeoff.errors import (
    GO_ON,
    BakeoffError,
    ConfigError,
    DivergedError,
    InterruptedRunError,
    ResourceError,
    is_out_of_memory,
)
from bakeoff.exits import kind_and_text
from bakeoff.experiment.checkpointing import Keeper, TakenOverError
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.checkpoints import FOLDER as CHECKPOINTS
from bakeoff.runs.rundir import LAST_WEIGHTS, RunDir
from bakeoff.training.state import TrainState


@contextmanager
def outcome_recorded(
    run: RunDir, state: TrainState, config: Config, stop: StopSignal, keeper: Keeper
) -> Iterator[None]:
    """Writes into the run directory that it runs, then that it finished, or why not; lets errors go on.

    A second signal ends the process inside its handler: what is left to do then is the status.

    Raises:
        ResourceError: in place of what the allocators of host and device raise.
        BakeoffError: as it came.
    """
    try:
        # First, since a second signal may come while the status is written.
        stop.last_words = lambda text: run.abandon(state.step, text)
        stop.advice = _goes_on(run)
        run.write_status("running", state.step)
        with torch_errors_explained(config.trainer.batch_size):
            yield
        with suppress(ResourceError):  # the summary says the same, and wins
            run.write_status("finished", state.step)
    except TakenOverError:
        raise  # whatever stands there is the other process's
    except BaseException as error:
        if isinstance(error, InterruptedRunError) and state.step > 0 and state.epoch <= config.trainer.epochs:
            error.args = (f"{error} in step {state.step}, epoch {state.epoch}",)  # in a validation too
        # With its summary on the disk a run is a finished one, whatever failed then.
        status = "finished" if run.has_summary() else _status_of(error)
        keeper.check_owner()
        run.log(f"{status}: {kind_and_text(error, most=None)}")
        # Borders raise this, so that the state is whole.
        if isinstance(error, InterruptedRunError) and state.step > 0:
            keeper.save_or_say()
        # A full disk or a broken device may be the very reason; the first error is the one to show.
        with suppress(Exception):
            if status in ("diverged", "interrupted"):
                run.write_weights(state.model.state_dict(), finished=False)
        with suppress(Exception):  # last: from here on another process may go on with the run
            run.write_status(status, state.step, kind_and_text(error, most=None))
        if isinstance(error, BakeoffError):
            error.args = (f"{error}; {_what_is_left(run, config, status)}",)
        raise


def _goes_on(run: RunDir) -> str:
    return f"{GO_ON}bakeoff resume {shlex.quote(str(run.path))}"


def _what_is_left(run: RunDir, config: Config, status: str) -> str:
    """How the run goes on, or where its weights so far are and what can be done with them."""
    if status == "interrupted" or (status == "failed" and (run.path / CHECKPOINTS).exists()):
        return _goes_on(run)
    left = run.path / LAST_WEIGHTS
    if not left.exists():
        return f"see {run.path}"
    if "weights" not in config.model:  # this family begins from scratch alone
        return f"its weights so far are {left}; training cannot go on from them"
    name = config.model["name"]
    return (
        "training cannot go on, but a new run can begin from its weights so far (the last layer anew) with "
        f"model={name} model.weights={left}"
    )


@contextmanager
def torch_errors_explained(batch_size: int) -> Iterator[None]:
    """Turns running out of memory, on the host or on the device, into exit code 4.

    And what torch cannot compile, or normalise, into exit code 2.
    """
    try:
        yield
    except ValueError as error:
        if "Expected more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(
            f"trainer.batch_size={batch_size}: this model's batch norm cannot train on a single image; raise "
            "trainer.batch_size, or change the number of images by one"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            why = kind_and_text(error, most=None)[:160]
            raise ConfigError(
                f"trainer.compile=true: torch could not compile this model ({why}); set trainer.compile=false"
            ) from error
        if not is_out_of_memory(error):
            raise
        raise ResourceError(
            f"trainer.batch_size={batch_size}: out of memory ({kind_and_text(error, most=None)[:160]}); "
            "halve it or set data.residency=host"
        ) from error


def _status_of(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, InterruptedRunError | KeyboardInterrupt) else "failed"
