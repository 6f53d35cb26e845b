"""When a run's state is saved, by a pretended clock: saving takes its share of the time and no more."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy import toy_config, toy_state

from bakeoff.errors import ResourceError
from bakeoff.experiment import checkpointing
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.rundir import LOG, RunDir

HOUR, HOURS = 3600.0, 10


class Clock:
    """Seconds that pass when we say so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        time = SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)
        monkeypatch.setattr(checkpointing, "time", time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def keeper_of(tmp_path: Path, first_step: int = 0, **trainer: Any) -> Keeper:
    config = toy_config(**{f"trainer__{name}": value for name, value in trainer.items()})
    state = toy_state(config)
    state.step = first_step
    return Keeper(RunDir(tmp_path), state, config.trainer, 0.0, attempts.begin(tmp_path, {}))


def pretend_saves(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, seconds: Callable[[int], float], num_bytes: int = 1000
) -> list[float]:
    """Saves take so long, by their number; returns when they begin. A quarter of the bytes is the model's."""
    begun: list[float] = []

    def write(*_: object) -> Any:
        begun.append(clock.now)
        clock.now += seconds(len(begun))
        sizes = {
            "model.safetensors": num_bytes // 4,
            "optimizer.safetensors": num_bytes // 2,
            "state.json": 24,
        }
        if len(begun) > 1:  # the first one comes before a validation
            sizes["best.safetensors"] = num_bytes // 4
        return SimpleNamespace(files={name: {"bytes": size} for name, size in sizes.items()})

    monkeypatch.setattr(Checkpoints, "write", write)
    return begun


def train_for(keeper: Keeper, clock: Clock, seconds: float, step_seconds: float = 1.0) -> None:
    end = clock.now + seconds
    while clock.now < end:
        clock.now += step_seconds
        if keeper.is_due:
            keeper.save()


SAVES: dict[str, Callable[[int], float]] = {
    "fast": lambda _: 0.05,
    "slow": lambda _: 8.0,
    "slower by and by": lambda number: 0.5 * number,
    "slower by half each time": lambda number: min(60.0, 0.1 * 1.5**number),
    "slow from the fiftieth": lambda number: 0.1 if number < 50 else 30.0,
    "one that hangs": lambda number: 120.0 if number == 3 else 1.0,
}


@pytest.mark.parametrize("name", SAVES)
def test_saving_takes_at_most_its_share(
    name: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper = keeper_of(tmp_path)
    began = clock.now
    begun = pretend_saves(monkeypatch, clock, SAVES[name])
    train_for(keeper, clock, HOURS * HOUR)
    lengths = [SAVES[name](number) for number in range(1, len(begun) + 1)]
    assert len(begun) >= 10
    for number in range(1, len(begun)):
        # What a save that was slower than the one before has cost is made up for before the next.
        assert sum(lengths[:number]) <= 0.02 * (begun[number] - began)
        pause = begun[number] - begun[number - 1] - lengths[number - 1]
        assert pause > max(60.0, lengths[number - 1] / 0.02) - 1e-6
    # And no seldomer than need be: every minute, or with a pause of 400 s after 8 s.
    expected = {"fast": HOURS * 60, "slow": HOURS * HOUR / 408, "one that hangs": 490}
    if name in expected:
        assert len(begun) == pytest.approx(expected[name], rel=0.05)


def test_before_a_save_has_been_timed_its_size_counts(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkpointing, "_num_bytes", lambda _: 2_100_000_000)
    keeper = keeper_of(tmp_path)
    begun = pretend_saves(monkeypatch, clock, lambda _: 4.3)
    train_for(keeper, clock, 710.0)
    assert begun == [1700.0]  # 2.1 GB at 150 MB a second are 14 s, 2 % of 700


def test_without_an_interval_nothing_is_due(clock: Clock, tmp_path: Path) -> None:
    keeper = keeper_of(tmp_path, checkpoint_every_seconds=None)
    clock.now += 100 * HOUR
    assert not keeper.is_due


def test_a_save_that_fails_counts_as_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper = keeper_of(tmp_path)

    def write(*_: object) -> None:
        clock.now += 5.0
        raise OSError

    monkeypatch.setattr(Checkpoints, "write", write)
    clock.now += 61.0
    with pytest.raises(OSError):  # noqa: PT011 - raised above
        keeper.save()
    clock.now += 240.0
    assert not keeper.is_due
    clock.now += 300.0
    assert keeper.is_due


@pytest.mark.parametrize(
    ("num_bytes", "seconds", "said"),
    [
        (2_150_000_000, 9.0, "2.15 GB and 9.0 s; one is saved about every 8 minutes, so that saving takes at most 2% of the time; the newest 2 are kept"),
        (600_000_000, 1.0, "0.60 GB and 1.0 s; one is saved about every 60 seconds; the newest 2 are kept"),
        (1_000_000, 2.0, "1.0 MB and 2.0 s; one is saved about every 2 minutes, so that"),
        (1_000_000, 0.1, ""),
    ],
)  # fmt: skip
def test_what_large_or_slow_checkpoints_take_is_said_once_a_run(
    num_bytes: int, seconds: float, said: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper = keeper_of(tmp_path)
    pretend_saves(monkeypatch, clock, lambda _: seconds, num_bytes)
    for _ in range(3):
        clock.now += HOUR
        keeper.save()
    log = (tmp_path / LOG).read_text() if (tmp_path / LOG).exists() else ""
    assert log.count("a checkpoint takes") == bool(said)
    assert said in log
    later = tmp_path / "later"
    later.mkdir()
    keeper_of(later, first_step=7).save()  # a part that went on from a checkpoint
    assert not (later / LOG).exists()


def test_what_cannot_be_saved_is_said_once_until_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = iter(["full", "full", "", "full", "broken"])

    def write(*_: object) -> Any:
        if problem := next(problems):
            raise ResourceError(problem)
        return SimpleNamespace(files={"model.safetensors": {"bytes": 9}})

    keeper = keeper_of(tmp_path)
    monkeypatch.setattr(keeper.checkpoints, "write", write)
    for _ in range(5):
        keeper.save_or_say()
    said = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == ["full", "full", "broken"]
