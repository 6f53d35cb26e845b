"""One part of a run: from its start, or from a checkpoint, to its end or to the next stop.

The test split is evaluated exactly once, after training, with the chosen weights. A signal is read at the
borders between.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from bakeoff.config.schema import Config
from bakeoff.data.batches import num_batches
from bakeoff.data.splits import Split
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.evaluation.prediction import Predictions, predict
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.extras import Extras, attempt
from bakeoff.experiment.gates import Prepared
from bakeoff.experiment.progress import Pace, ProgressReport, conclude, epochs_left, say
from bakeoff.experiment.results import write_results
from bakeoff.machine.runtime import Runtime, free_memory_bytes
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import Bar, doing
from bakeoff.plots import style
from bakeoff.runs.records import EpochRecord, Fingerprints, Summary
from bakeoff.runs.rundir import RunDir
from bakeoff.text import counted
from bakeoff.training.loop import fit
from bakeoff.training.state import TrainState

_HEARTBEAT_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class Part:
    """What a part needs to go on."""

    run: RunDir
    prepared: Prepared
    state: TrainState
    stop: StopSignal
    keeper: Keeper
    fingerprints: Fingerprints
    began: float  # of the run, by `time.perf_counter`; moved on by the time between its parts
    part_began: float


def train_and_test(part: Part) -> tuple[Predictions, Summary]:
    """From where the state stands to the result on the disk."""
    prepared, state, run = part.prepared, part.state, part.run
    config, runtime = prepared.config, prepared.runtime
    with doing("checking whether pictures can be drawn"):
        attempt(run, "pictures", style.check)  # now, and not after hours
    train_split = _resident(prepared.data.train, config, runtime)
    val_split = _resident(prepared.data.val, config, runtime) if prepared.data.val else None
    state.times.seconds["setup"] = state.times["setup"] + time.perf_counter() - part.part_began
    part.stop.check()
    # Another number would change last bits: the memory that is free now does not count in a later part.
    images_at_once = config.trainer.eval_batch_size or state.eval_batch_size
    eval_batch = EvaluationBatch(images_at_once, lambda text: say(run, text))
    _run_loop(part, train_split, val_split, eval_batch)
    with (
        _chosen_weights(state, config.trainer.select == "best"),
        state.memory.phase("eval", runtime.device),
        state.times.phase("eval", runtime.synchronize),
    ):
        # The one time in a run that test images go through the model.
        test = _rated(state, prepared.data.test, "test", runtime, eval_batch, config.optim.lr)
        val = None
        if val_split:
            val = _rated(state, val_split, "validation", runtime, eval_batch, config.optim.lr)
    # From here to the summary no signal is read: a finished training is not thrown away.
    part.keeper.check_owner()
    with doing("writing weights and predictions"):
        summary = write_results(run, prepared, state, test, val, part.fingerprints, part.began)
    return test, summary


def finish(part: Part, test: Predictions, summary: Summary) -> Path:
    """What may fail without a loss, and the last lines."""
    part.keeper.forget()
    summary = Extras(part.run, part.prepared, part.state, test, summary).make(part.stop, part.began)
    conclude(part.run, summary)
    return part.run.path


@contextmanager
def _chosen_weights(state: TrainState, by_validation: bool) -> Iterator[None]:
    """Puts the chosen weights into the model, for good; if the test is stopped, those of the last step."""
    if by_validation and state.best:
        chosen = state.best.weights
    else:
        chosen = state.ema.model.state_dict() if state.ema else {}
    _exchange(state.model, chosen)
    try:
        yield
    except BaseException:
        _exchange(state.model, chosen)  # the state is saved as training left it
        raise


@torch.no_grad()
def _exchange(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """In place, one after another: no second copy of all weights stands in memory."""
    own = model.state_dict()
    for name, theirs in weights.items():
        ours = own[name].clone()
        own[name].copy_(theirs)
        theirs.copy_(ours)


def _rated(
    state: TrainState, split: Split, title: str, runtime: Runtime, eval_batch: EvaluationBatch, lr: float
) -> Predictions:
    with Bar(title, len(split)) as bar:
        return predict(state.model, split, runtime, eval_batch, rated=bar.move_to, lr=lr)


def _run_loop(part: Part, train_split: Split, val_split: Split | None, eval_batch: EvaluationBatch) -> None:
    """Consumes the loop: history, heartbeat, checkpoints, early stopping, interruption."""
    run, state, stop, keeper, config = part.run, part.state, part.stop, part.keeper, part.prepared.config
    report = ProgressReport(len(train_split), len(val_split or ()), config.trainer.epochs)
    patience = config.trainer.early_stopping_patience_epochs
    if patience and state.epochs_without_gain >= patience:
        say(
            run,
            f"it had stopped early, after {counted(patience, 'epoch')} without a better validation accuracy",
        )
        return
    steps_per_epoch = num_batches(len(train_split), config.trainer.batch_size)
    beat = time.monotonic()
    pace = Pace(config.trainer.epochs, patience, beat, state.epoch + (state.step_in_epoch > 0))
    events = fit(
        state,
        train_split,
        val_split,
        config,
        part.prepared.runtime,
        pause=lambda: (
            stop.name is not None
            or keeper.is_due
            or report.has_news(state)
            or time.monotonic() - beat > _HEARTBEAT_SECONDS
        ),
        progress=report,
        eval_batch=eval_batch,
        rated=report.rated,
    )
    with closing(report):  # however it ends
        done = min(state.step_in_epoch * config.trainer.batch_size, len(train_split))
        report.begin_epoch(state.epoch, done)
        for event in events:
            with state.times.phase("save", part.prepared.runtime.synchronize):
                keeper.check_owner()
                state.eval_batch_size = eval_batch.chosen
                if report.has_news(state):
                    report.tell_plan(run, state, steps_per_epoch)
                if isinstance(event, EpochRecord):
                    run.append_epoch(event)
                    report.end_epoch(run, event)
                    most_left = epochs_left(state, event, config.trainer.max_seconds)
                    if rest := pace.after(event.epoch, time.monotonic(), most_left):
                        say(run, rest)
                run.write_status("running", state.step)
                beat = time.monotonic()
                if keeper.is_due:
                    keeper.save_or_say()
            stop.check()
            if isinstance(event, EpochRecord) and patience and state.epochs_without_gain >= patience:
                say(run, f"no better validation accuracy for {counted(patience, 'epoch')}: stopped early")
                break
            if isinstance(event, EpochRecord):
                report.begin_epoch(event.epoch + 1)


def _resident(split: Split, config: Config, runtime: Runtime) -> Split:
    """Moves a split to the device if asked to, or if it takes less than half of the free memory."""
    free = free_memory_bytes(runtime.device)
    fits = free is None or split.num_bytes < free / 2
    wanted = config.data.residency
    return split.to(runtime.device) if wanted == "device" or (wanted == "auto" and fits) else split
