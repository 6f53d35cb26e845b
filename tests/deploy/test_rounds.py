"""Calls that are timed in turn: their order, how many count, and what an error ends."""

from collections.abc import Callable

import pytest

from bakeoff.deploy.measure import rounds
from bakeoff.deploy.measure.rounds import ROUNDS, Timed, take_turns


class World:
    """A clock that only calls move, and what was called."""

    def __init__(self) -> None:
        self.now, self.called = 0.0, ""

    def call(self, name: str, seconds: float, first: float | None = None) -> Callable[[], None]:
        durations = iter([seconds if first is None else first])

        def call() -> None:
            self.called += name
            self.now += next(durations, seconds)

        return call

    def kind(self, name: str, seconds: float, first: float | None = None) -> Timed:
        made = Timed(
            self.call(name, seconds, first), lambda: setattr(self, "called", self.called + name.upper())
        )
        made.warm_up(self.clock)
        return made

    def clock(self) -> float:
        return self.now


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    turn = Timed.take_turn
    monkeypatch.setattr(Timed, "take_turn", lambda timed, number: turn(timed, number, made.clock))
    return made


def test_kinds_take_turns_and_are_prepared_before_each(world: World) -> None:
    kinds = [world.kind("a", 0.25), world.kind("b", 0.5)]
    world.called = ""
    borders: list[str] = []
    take_turns(kinds, lambda: borders.append(world.called))
    # Two seconds in five rounds: two calls of 0.25 s or one of 0.5 s, after one that does not count.
    assert world.called == "AaaaBbb" * ROUNDS
    assert len(borders) == 2 * ROUNDS
    assert [len(kind.seconds) for kind in kinds] == [2 * ROUNDS, ROUNDS]
    assert kinds[0].seconds == pytest.approx([0.25] * 10)


def test_the_first_calls_do_not_count(world: World) -> None:
    kind = world.kind("a", 0.25, first=100.0)
    assert kind.seconds == []
    assert world.called == "Aa"  # so long that another one would try a reader's patience
    slow_start = world.kind("b", 0.25, first=1.0)
    take_turns([slow_start], lambda: None)
    assert slow_start.seconds == pytest.approx([0.25] * 10)


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(1e-6, 100 * ROUNDS), (0.0, 100 * ROUNDS), (0.0625, 7 * ROUNDS), (1.9, ROUNDS), (2.1, 3)],
)
def test_how_many_calls_there_are(world: World, seconds: float, count: int) -> None:
    kind = world.kind("a", seconds)
    before = len(world.called)
    take_turns([kind], lambda: None)
    assert len(kind.seconds) == count
    warm_ups = 0 if seconds > rounds.SECONDS else ROUNDS
    turns = 3 if seconds > rounds.SECONDS else ROUNDS
    assert len(world.called) - before == count + warm_ups + turns


def test_a_first_estimate_that_was_disturbed_costs_no_calls(world: World) -> None:
    kind = world.kind("a", 0.0625)
    kind._estimate = 1.9
    take_turns([kind], lambda: None)
    assert len(kind.seconds) == 7 * ROUNDS


def test_an_error_ends_its_own_kind_alone(world: World) -> None:
    good = world.kind("a", 0.4)
    bad = world.kind("b", 0.4)

    def fail() -> None:
        raise MemoryError("no room")

    never = Timed(fail)
    never.warm_up(world.clock)
    bad.call = fail
    take_turns([never, bad, good], lambda: None)
    assert (str(never.error), str(bad.error), good.error) == ("no room", "no room", None)
    assert len(good.seconds) == ROUNDS
    assert bad.seconds == never.seconds == []


def test_what_is_raised_between_turns_ends_all(world: World) -> None:
    kind = world.kind("a", 0.4)
    with pytest.raises(KeyboardInterrupt):
        take_turns([kind], lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
