"""A search's values: what Hydra's sweep grammar means, and that each value comes through exactly."""

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from bakeoff.config.search_slips import refuse_unreadable
from bakeoff.config.search_space import Choice, Interval, Space, space_of
from bakeoff.errors import BakeoffError, ConfigError


def _space(*words: str) -> Space:
    return space_of(OverridesParser.create().parse_overrides(list(words)))


def _only(word: str) -> Interval | Choice:
    (found,) = _space(word).dimensions.values()
    return found


@pytest.mark.parametrize(
    ("value", "meant", "told"),
    [
        ("interval(1e-4,1e-2)", Interval(1e-4, 1e-2, log=True, is_int=False), "0.0001 to 0.01, log scale"),
        ("interval(3e-05,3e-04)", Interval(3e-5, 3e-4, log=True, is_int=False), "3e-05 to 0.0003, log scale"),
        ("interval(0.1,0.9)", Interval(0.1, 0.9, log=False, is_int=False), "0.1 to 0.9"),
        ("interval(0,1)", Interval(0.0, 1.0, log=False, is_int=False), "0 to 1"),
        ("tag(linear,interval(1e-4,1e-2))", Interval(1e-4, 1e-2, log=False, is_int=False), "0.0001 to 0.01"),
        ("tag(log,interval(1,2))", Interval(1.0, 2.0, log=True, is_int=False), "1 to 2, log scale"),
        ("int(interval(2,6))", Interval(2, 6, log=False, is_int=True), "2 to 6"),
        ("range(1,5)", Interval(1, 4, log=False, is_int=True), "1 to 4"),
        ("range(0,6,2)", Choice((0, 2, 4)), "0, 2 or 4"),
        ("range(0,1,0.5)", Choice((0.0, 0.5)), "0.0 or 0.5"),
        ("choice(2,4,6)", Choice((2, 4, 6)), "2, 4 or 6"),
        ("0.1,0.2,0.1", Choice((0.1, 0.2)), "0.1 or 0.2"),
        ("choice(1,1.0,true)", Choice((1, 1.0, True)), "1, 1.0 or true"),
        ("choice(7)", Choice((7,)), "7"),
        ("[8],[8,16]", Choice(([8], [8, 16])), "[8] or [8,16]"),
        ("null,'null',\"a b\",'7',x/y", Choice((None, "null", "a b", "7", "x/y")),
         "null, 'null', 'a b', '7' or x/y"),
    ],
)  # fmt: skip
def test_a_value_of_the_sweep_grammar(value: str, meant: Interval | Choice, told: str) -> None:
    found = _only(f"key={value}")
    assert repr(found) == repr(meant)  # 1 and 1.0 and True are equal
    assert str(found) == told


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("optim.lr=interval(1,0.1)", "first end must be below"),
        ("optim.lr=interval(1,1)", "first end must be below"),
        ("optim.lr=interval(0,inf)", "first end must be below"),
        ("optim.lr=tag(log,interval(0,1))", "log scale needs ends above 0"),
        ("optim.lr=tag(fast,interval(1,2))", "tag fast"),
        ("optim.lr=tag(log,choice(1,2))", "of intervals alone"),
        ("optim.lr=1,range(1,3)", "stands alone"),
        ("optim.lr=shuffle(1,2)", "leave shuffle out"),
        ("optim.lr=glob(*)", "list the values"),
        ("optim.lr=range(1,5,0)", "must not be zero"),
        ("optim.lr=range(5,1)", "no value"),
        ("optim.lr=range(0,100000,2)", "more than 1,000 values"),
    ],
)
def test_what_makes_no_sense_in_a_search_is_one_line(word: str, says: str) -> None:
    with pytest.raises(BakeoffError) as caught:
        _space(word)
    assert str(caught.value).startswith(f"{word}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_stands_there_once() -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr stands there twice"):
        _space("optim.lr=1,2", "++optim.lr=interval(1,2)")


def test_the_order_of_a_command_line_makes_no_difference() -> None:
    one, other = _space("b=1,2", "a=interval(0,1)"), _space("a=interval(0,1)", "b=1,2")
    assert list(one.dimensions) == list(other.dimensions) == ["a", "b"]


def test_how_many_combinations_there_are() -> None:
    assert _space("a=1,2,3", "b=int(interval(2,6))").size == 15
    assert _space("a=1,2,3", "b=interval(2,6)").size is None


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$"), max_size=12)
    | st.sampled_from(
        ["null", "True", "1e-05", "1_000", "inf", "-inf", "a b", "", "x/y", "\\", "it's", "\\'"]
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(_VALUES)
@example(1e-05)
@example(0.1 + 0.2)
@example(["1", 1, 1.0, None, True, "a,b"])
def test_a_value_is_read_again_exactly(value: Any) -> None:
    space = Space({"model.key": Choice((value,))})
    (word,) = space.words({"model.key": value})
    (read,) = OverridesParser.create().parse_overrides([word])
    assert not read.is_sweep_override()
    assert repr(_only(f"{word},0").samples[0]) == repr(value)


def _parses(text: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([text])
    except Exception:  # noqa: BLE001 - whatever it raises
        return False
    return True


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("model.depth=choice(2,4", "a bracket is not closed; write 'model.depth=choice(2,4)'"),
        ("optim.lr=tag(log,interval(1,2)", "write 'optim.lr=tag(log,interval(1,2))'"),
        ("model.depth=choice(2,4))", "a bracket too many; write 'model.depth=choice(2,4)'"),
        ("optim.lr=(1e-4,1e-2)", "write 'optim.lr=interval(1e-4,1e-2)' or optim.lr=1e-4,1e-2"),
        ("model.depth={2,4,6}", "write model.depth=2,4,6"),
        ("optim.lr=uniform(1,2)", "no such function; write 'optim.lr=interval(1,2)'"),
        ("optim.lr=loguniform(1e-4,1e-2)", "write 'optim.lr=tag(log,interval(1e-4,1e-2))'"),
        ("model.depth=randint(2, 6)", "write 'model.depth=int(interval(2,6))'"),
        ("optim.lr=intervall(1,2)", "no such function; did you mean interval?"),
        ("optim.lr=interval(1e-4)", "interval takes two numbers, as in optim.lr=interval(1e-4,1e-2)"),
        ("optim.lr=interval(a,b)", "interval takes two numbers"),
        ("model.depth=choice()", "choice takes other values"),
        ("optim.clip_norm=choice(null,1)", "choice takes no such value; write optim.clip_norm=null,1"),
    ],
)
def test_a_slip_gets_its_cure(word: str, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_unreadable(["model=cnn", word], _parses)
    assert str(caught.value).startswith(f"{word}: ")
    assert cure in str(caught.value)
    for written in str(caught.value).split("write ")[1:]:
        assert _parses(written.split(" or ")[0].strip("'"))
