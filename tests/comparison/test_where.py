"""The language of `--where`: what holds, what is refused, and that nothing is executed."""

import random
from typing import Any

import pytest

from bakeoff.comparison.where import parse_where
from bakeoff.errors import ConfigError

VALUES: dict[str, Any] = {
    "model": "cnn", "optim.lr": 0.01, "seed": 3, "trainer.compile": False, "trainer.ema_decay": None,
    "model.channels": [32, 64], "true_name": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('model == "cnn"', True),
        ("model == 'cnn'", True),
        ('model != "cnn"', False),
        ("optim.lr < 0.1", True),
        ("optim.lr<1e-2", False),
        ("optim.lr <= 1E-2", True),
        ("0.001 < optim.lr <= 0.01", True),
        ("0.01 < optim.lr <= 1", False),
        ("seed > -4", True),
        ("seed >= .5", True),
        ("seed in [1, 2, 3]", True),
        ("seed not in [1, 2, 3]", False),
        ('model in ["vit", "cnn"]', True),
        ('"n" in model', True),
        ("seed in []", False),
        ("trainer.compile == false", True),
        ("trainer.compile == False", True),
        ("not trainer.compile == true", True),
        ("trainer.ema_decay == null", True),
        ("trainer.ema_decay != None", False),
        # null, truth values and texts are in no order with numbers; true is not 1.
        ("trainer.ema_decay < 1", False),
        ("trainer.ema_decay >= 1", False),
        ("model < 1", False),
        ('"a" < model', True),
        ("trainer.compile == 0", False),
        ("true_name > 0", False),
        ("model.channels == [32, 64]", True),
        # `not` binds closer than `and`, `and` closer than `or`.
        ('model == "vit" or seed == 3 and optim.lr == 0.01', True),
        ('(model == "vit" or seed == 3) and optim.lr == 1', False),
        ('not model == "vit" and seed == 3', True),
        ('not (model == "cnn" and seed == 3)', False),
        ("not not seed == 3", True),
        ("  seed==3  ", True),
    ],
)
def test_what_holds(text: str, expected: bool) -> None:
    assert parse_where(text, VALUES)(VALUES) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected a name, a number, a text in quotes or a list, found the end"),
        ("seed", "column 5: expected a comparison such as == or <, found the end"),
        ("seed ==", "column 8: expected a name, a number, a text in quotes or a list, found the end"),
        ("seed = 3", "column 6: '= 3' is not understood"),
        ("seed == 3 model == 'x'", "column 11: expected and, or, or the end, found model"),
        ("(seed == 3", r"column 11: expected \), found the end"),
        ("seed not 3", "column 10: expected in, found 3"),
        ("seed in [1 2]", r"column 12: expected , or \], found 2"),
        ("optim.lrr < 1", "column 1: optim.lrr: no such name; did you mean optim.lr\\?"),
        ("model == cnn", 'column 10: cnn: no such name; write a text in quotes: "cnn"'),
        ("model == 'cnn", 'column 10: "\'cnn" is not understood'),
        ("seed == 3; seed == 3", "column 10: '; seed == ' is not understood"),
        ("seed == 1x", "column 9: '1x' is not understood"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--where: {message}"):
        parse_where(text, VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch PWNED') == 0", "().__class__ == 1", "(lambda: 1)() == 1", "f'{seed}' == '3'",
        "model.__class__ == 'x'", "seed == 3 if model else 4", "[x for x in [1]] == [1]", "{} == 1", "seed ** 9 == 1",
        "(" * 200 + "seed == 3" + ")" * 200, "seed in " + "[" * 200 + "]" * 200, "not " * 200 + "seed == 3",
        "seed == 3" + " and seed == 3" * 300, "seed == \x00", "sееd == 3",
    ],
)  # fmt: skip
def test_nothing_else_is_understood(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_where(text, VALUES)


PIECES = [
    "seed", "model", "optim.lr", "==", "!=", "<", ">", "in", "not", "and", "or", "(", ")", "[", "]", ",", "3", "'a'",
    "null", "true", "x", "=", "-1", "'", ".",
]  # fmt: skip


def test_any_string_is_a_condition_or_a_config_error() -> None:
    source, understood = random.Random(0), 0
    for _ in range(5_000):
        text = source.choice(["", " "]).join(source.choices(PIECES, k=source.randint(0, 9)))
        try:
            condition = parse_where(text, VALUES)
        except ConfigError:
            continue
        understood += 1
        assert condition(VALUES) in (True, False)
    assert understood > 10


def some_expression(source: random.Random, depth: int) -> str:
    if depth == 0 or source.random() < 0.3:
        operands = [source.choice(["seed", "1", "2.5", "3", "-4"]) for _ in range(source.choice([2, 2, 3]))]
        operators = [source.choice(["==", "!=", "<", "<=", ">", ">="]) for _ in operands[1:]]
        return " ".join(piece for pair in zip(operands, [*operators, ""], strict=True) for piece in pair)
    inner = some_expression(source, depth - 1)
    kind = source.choice(["and", "or", "not", "()"])
    if kind == "not":
        return f"not ({inner})" if source.random() < 0.5 else f"not {inner}"
    return f"({inner})" if kind == "()" else f"{inner} {kind} {some_expression(source, depth - 1)}"


def test_expressions_mean_what_they_mean_in_python() -> None:
    """Numbers, chains and the precedence of the words are Python's own."""
    source = random.Random(1)
    for _ in range(2_000):
        text = some_expression(source, 4)
        expected = eval(text, {"__builtins__": {}}, {"seed": 3})  # the reference, on texts made here
        assert parse_where(text, VALUES)(VALUES) is expected, text
