"""The little language of `--where`: comparisons of names and values. Parsed by hand, nothing is evaluated.

expression   any ("or" any)*            any    all ("and" all)*
all          "not" all | "(" expression ")" | comparison
comparison   operand (operator operand)+        as in 0.001 < optim.lr <= 0.01
operator     == != < <= > >= in "not in"
operand      name | 'text' | "text" | number | true | false | null | [operand, ...]
"""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from bakeoff.errors import ConfigError, nearest

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<name>[A-Za-z_][\w.]*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_WORDS = ("and", "or", "not", "in")
_LONGEST = 2000  # characters
_DEEPEST = 50  # parentheses

Values = Mapping[str, Any]
Condition = Callable[[Values], bool]
_Operand = Callable[[Values], Any]


class _Token(NamedTuple):
    kind: str  # number, text, name, sign, word, end
    text: str
    column: int  # counted from 1


def parse_where(text: str, names: Collection[str]) -> Condition:
    """An expression to a function of the values of one run.

    Args:
        text: as the user wrote it.
        names: all that an expression may name.

    Raises:
        ConfigError: with the column and what was expected there.
    """
    return _Parser(text, names).parse()


class _Parser:
    def __init__(self, text: str, names: Collection[str]) -> None:
        if len(text) > _LONGEST:
            raise ConfigError(f"--where: longer than {_LONGEST:,} characters")
        self.names = names
        self.tokens = _tokens(text)
        self.place = 0
        self.depth = 0

    def parse(self) -> Condition:
        condition = self._any()
        if self._now.kind != "end":
            raise self._error("and, or, or the end")
        return condition

    @property
    def _now(self) -> _Token:
        return self.tokens[self.place]

    def _take(self, *texts: str) -> str | None:
        """Goes on if the next token is one of these signs or words."""
        if self._now.kind in ("sign", "word") and self._now.text in texts:
            self.place += 1
            return self.tokens[self.place - 1].text
        return None

    def _error(self, expected: str) -> ConfigError:
        found = self._now.text or "the end"
        return ConfigError(f"--where: column {self._now.column}: expected {expected}, found {found}")

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda values: any(part(values) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda values: all(part(values) for part in parts)

    def _one(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ConfigError(f"--where: nested deeper than {_DEEPEST}")
        try:
            if self._take("not"):
                negated = self._one()
                return lambda values: not negated(values)
            if self._take("("):
                inner = self._any()
                if not self._take(")"):
                    raise self._error(")")
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Condition:
        operands, operators = [self._operand()], []
        while compare := self._operator():
            operators.append(compare)
            operands.append(self._operand())
        if not operators:
            raise self._error("a comparison such as == or <")

        def holds(values: Values) -> bool:
            found = [operand(values) for operand in operands]
            return all(compare(found[i], found[i + 1]) for i, compare in enumerate(operators))

        return holds

    def _operator(self) -> Callable[[Any, Any], bool] | None:
        if self._now.text == "not" and self._now.kind == "word":
            self.place += 1
            if not self._take("in"):
                raise self._error("in")
            return lambda value, members: not _is_in(value, members)
        sign = self._take(*_OPERATORS)
        return _OPERATORS[sign] if sign else None

    def _operand(self) -> _Operand:
        token = self._now
        if token.kind == "number":
            self.place += 1
            number = float(token.text)
            return lambda _: number
        if token.kind == "text":
            self.place += 1
            return lambda _: token.text[1:-1]
        if token.kind == "name":
            self.place += 1
            return self._name(token)
        if self._take("["):
            return self._list()
        raise self._error("a name, a number, a text in quotes or a list")

    def _name(self, token: _Token) -> _Operand:
        if token.text in self.names:
            return lambda values: values.get(token.text)
        if token.text in _CONSTANTS:
            constant = _CONSTANTS[token.text]
            return lambda _: constant
        hint = nearest(token.text, self.names) or f'; write a text in quotes: "{token.text}"'
        raise ConfigError(f"--where: column {token.column}: {token.text}: no such name{hint}")

    def _list(self) -> _Operand:
        members: list[_Operand] = []
        while not self._take("]"):
            if members and not self._take(","):
                raise self._error(", or ]")
            self.depth += 1
            if self.depth > _DEEPEST:
                raise ConfigError(f"--where: nested deeper than {_DEEPEST}")
            members.append(self._operand())
            self.depth -= 1
        return lambda values: [member(values) for member in members]


def _tokens(text: str) -> list[_Token]:
    found, end = [], 0
    while text[end:].strip():
        match = _TOKEN.match(text, end)
        if match is None:
            at = end + len(text[end:]) - len(text[end:].lstrip())
            raise ConfigError(f"--where: column {at + 1}: {text[at : at + 10]!r} is not understood")
        kind = match.lastgroup or ""
        word = match[kind]
        found.append(
            _Token("word" if kind == "name" and word in _WORDS else kind, word, match.start(kind) + 1)
        )
        end = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(a: Any, b: Any) -> bool:
    # True is 1 to Python; a config tells them apart.
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Numbers with numbers and texts with texts; anything else, null too, is in no order."""

    def holds(a: Any, b: Any) -> bool:
        alike = (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str))
        return alike and compare(a, b)

    return holds


def _is_in(value: Any, members: Any) -> bool:
    if isinstance(value, str) and isinstance(members, str):
        return value in members
    return isinstance(members, list) and any(_equal(value, member) for member in members)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda a, b: not _equal(a, b),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _is_in,
}
