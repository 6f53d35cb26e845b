"""The language of `--where`: what holds, what is refused, and that nothing is executed."""

import random
from typing import Any

import pytest

from bakeoff.comparison.where import parse_where
from bakeoff.errors import ConfigError

VALUES: dict[str, Any] = {
    "model": "cnn", "optim.lr": 0.01, "seed": 3, "trainer.compile": False, "trainer.ema_decay": None,
    "model.channels": [32, 64], "true_name": True, "folder": r"a\n",
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
        ("seed == 3\n  and model == 'cnn'\n", True),
        ("seed == +3", True),
        # A backslash is a backslash, and a bracket or a # in a text is a part of it.
        (r"folder == 'a\n'", True),
        (r"folder != '\'", True),
        ("model != '#'", True),
        ("model != '" + "(" * 60 + "'", True),
        ("model in ['a', 'cnn'] and seed in [1, 3, -4]", True),
        ("seed == true", False),
        ("seed not in 'abc'", True),
    ],
)
def test_what_holds(text: str, expected: bool) -> None:
    assert parse_where(text, VALUES)(VALUES) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 1: expected a name, a number, a text in quotes or a list, found the end"),
        ("seed", "character 1: expected a comparison such as == or <, found seed"),
        ("seed ==", "character 8: expected a name, a number, a text in quotes or a list, found the end"),
        ("seed = 3", "character 6: '= 3' is not understood; write == to compare"),
        ("seed == 3 model == 'x'", 'character 11: "model == \'" is not understood$'),
        ("(seed == 3", r"character 1: '\(seed == 3' is not understood: '\(' was never closed"),
        ("seed not 3", "character 10: '3' is not understood"),
        ("seed in [1 2]", r"character 10: '1 2\]' is not understood"),
        ("optim.lrr < 1", "character 1: optim.lrr: no such name; did you mean optim.lr\\?"),
        ("model == cnn", 'character 10: cnn: no such name; write a text in quotes: "cnn"'),
        ("model == 'cnn", 'character 10: "\'cnn" is not understood'),
        ("seed == 3; seed == 3", "character 10: '; seed == ' is not understood"),
        ("seed == 1x", "character 9: '1x' is not understood"),
        ("seed == 1or seed == 2", "character 9: '1or seed =' is not understood"),
        ("model == 'ü' and sed == 3", "character 18: sed: no such name; did you mean seed\\?"),
        (
            "model.class == 1",
            "character 7: 'class == 1' is not understood: no name can be written here that holds class",
        ),
        ("seed is 3", "character 1: expected == != < <= > >= in or not in, found seed is 3"),
        (
            "(seed == 3) == true",
            "character 2: expected a name, a number, a text in quotes or a list, found seed == 3",
        ),
        ("seed == 3 # or seed == 4", "character 11: a comment is not understood"),
        (
            "model in ['a' 'b']",
            "character 11: expected a name, a number, a text in quotes or a list, found 'a' 'b'",
        ),
        ("seed == -true", "character 9: expected a name, a number, a text in quotes or a list, found -true"),
        ("seed == 3 and model", "character 15: expected a comparison such as == or <, found model"),
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
        "seed == 3" + " and seed == 3" * 300, "seed == \x00", "sееd == 3", "seed == '\udcff'", "b'cnn' == model",
        "r'cnn' == model", "'''cnn''' == model", "seed == 3j", "seed == ...", "seed in (3, 4)", "seed in {3}", "seed in [*model]",
        "seed == not true", "(x := 3) == 3", "seed == ~3", "seed == - -3", "-seed == 3", "await seed == 3", "seed[0] == 3",
        "seed == " + "-" * 1_900 + "1", "1" + "**1" * 600, "lambda:" * 280 + "1", "seed" + ".a" * 990 + " == 3",
    ],
)  # fmt: skip
def test_nothing_else_is_understood(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_where(text, VALUES)
    assert "\n" not in str(error.value)


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


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), ValueError("null bytes")])
def test_what_pythons_parser_cannot_take_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which texts end in these depends on Python's version."""

    def parse(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:  # pytest parses as well, when a test has ended
        patch.setattr("ast.parse", parse)
        with pytest.raises(ConfigError, match=r"^--where: not understood: [a-z ]+$"):
            parse_where("seed == 3", VALUES)
