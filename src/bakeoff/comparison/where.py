"""The little language of `--where`: comparisons of names and values. No torch here.

condition    comparison | "not" condition | condition "and" condition | condition "or" condition
comparison   operand (operator operand)+        as in 0.001 < optim.lr <= 0.01
operator     == != < <= > >= in "not in"
operand      name | 'text' | "text" | number | true | false | null | [operand, ...]

It is a part of Python's own language, so Python's parser reads it. Of the tree that it makes, only the
nodes that stand here by name are understood, and nothing is ever evaluated.
"""

import ast
import keyword
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from itertools import accumulate, pairwise
from typing import Any

from bakeoff.errors import ConfigError, nearest

_CONSTANTS = {"true": True, "false": False, "null": None}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_TEXT = re.compile(r"""'[^']*'|"[^"]*\"""")
_LONGEST = 2000  # characters
_DEEPEST = 50  # brackets, or words around a comparison
_OPERAND = "a name, a number, a text in quotes or a list"


class EitherText(str):
    """A name that something else is called by, too: equal to both, and else the name."""

    other: str

    def __new__(cls, name: str, other: str) -> "EitherText":
        """Of the name, and what it is called as well."""
        made = super().__new__(cls, name)
        made.other = other
        return made

    def __eq__(self, text: object) -> bool:
        return str.__eq__(self, text) is True or self.other == text

    def __ne__(self, text: object) -> bool:
        return not self == text

    __hash__ = str.__hash__


Values = Mapping[str, Any]
Condition = Callable[[Values], bool]
_Operand = Callable[[Values], Any]


def parse_where(text: str, names: Collection[str], shares: Collection[str] = ()) -> Condition:
    """An expression to a function of the values of one run.

    Args:
        text: as the user wrote it.
        names: all that an expression may name.
        shares: those of them that are in 0..1, and that one would like to write in percent.

    Raises:
        ConfigError: with the column and what was expected there.
    """
    if len(text) > _LONGEST:
        raise _error(f"longer than {_LONGEST:,} characters")
    without_texts = _TEXT.sub("", text)
    if max(accumulate((sign in "([{") - (sign in ")]}") for sign in without_texts), default=0) > _DEEPEST:
        raise _error(f"nested deeper than {_DEEPEST}")
    if "#" in without_texts:  # Python would pass over the rest
        raise _error(f"character {text.rindex('#') + 1}: a comment is not understood")
    # The expression may go on in a second line; a backslash in a text is a backslash.
    source = re.sub(r"\s", " ", text).strip().replace("\\", "\\\\")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of, such as `1or`, is an error
            tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise _not_understood(source, error) from error
    except (ValueError, RecursionError, MemoryError) as error:
        # A null byte, half a character; more nesting than Python's parser has room for.
        raise _error(f"not understood: {str(error) or 'nested too deep'}") from error
    return _Reader(source, names, shares).condition(tree, 1)


class _Reader:
    """Turns the nodes of one expression into functions."""

    def __init__(self, source: str, names: Collection[str], shares: Collection[str]) -> None:
        self.source = source
        self.names = names
        self.shares = shares

    def condition(self, node: ast.expr, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise _error(f"nested deeper than {_DEEPEST}")
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(part, depth + 1) for part in node.values]
            enough = all if isinstance(node.op, ast.And) else any
            return lambda values: enough(part(values) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            negated = self.condition(node.operand, depth + 1)
            return lambda values: not negated(values)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        raise self._unexpected(node, "a comparison such as == or <")

    def _comparison(self, node: ast.Compare) -> Condition:
        operands = [self._operand(operand) for operand in (node.left, *node.comparators)]
        if any(type(sign) not in _OPERATORS for sign in node.ops):
            raise self._unexpected(node, "== != < <= > >= in or not in")
        compares = [_OPERATORS[type(sign)] for sign in node.ops]
        self._refuse_percent([node.left, *node.comparators])

        def holds(values: Values) -> bool:
            sides = pairwise([operand(values) for operand in operands])
            return all(compare(left, right) for compare, (left, right) in zip(compares, sides, strict=True))

        return holds

    def _operand(self, node: ast.expr) -> _Operand:
        if isinstance(node, ast.List):
            members = [self._operand(member) for member in node.elts]
            return lambda values: [member(values) for member in members]
        if isinstance(node, ast.Constant) and self._is_allowed(node):
            return lambda _: node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            sign, number = _SIGNS.get(type(node.op)), node.operand.value
            if sign and _is_number(number):
                return lambda _: sign(number)
        if name := _dotted(node):
            return self._name(name, node)
        raise self._unexpected(node, _OPERAND)

    def _refuse_percent(self, operands: list[ast.expr]) -> None:
        """Of `accuracy > 90` nothing would be left, and nobody would know why."""
        share = next((name for node in operands if (name := _dotted(node)) in self.shares), None)
        for node in operands if share else ():
            number = node.value if isinstance(node, ast.Constant) else None
            if isinstance(number, int | float) and number > 1:
                told = f"{share} is a number from 0 to 1: write {number / 100:g} for {number:g} %"
                raise _error(f"character {self._column(node)}: {told}")

    def _is_allowed(self, node: ast.Constant) -> bool:
        """Python has more kinds of constants, and joins texts that stand side by side."""
        if isinstance(node.value, str):
            return _TEXT.fullmatch(ast.get_source_segment(self.source, node) or "") is not None
        return node.value is None or isinstance(node.value, bool) or _is_number(node.value)

    def _name(self, name: str, node: ast.expr) -> _Operand:
        if name in self.names:
            return lambda values: values.get(name)
        if name in _CONSTANTS:
            return lambda _: _CONSTANTS[name]
        hint = nearest(name, self.names) or f'; write a text in quotes: "{name}"'
        raise _error(f"character {self._column(node)}: {name}: no such name{hint}")

    def _column(self, node: ast.expr) -> int:
        """Counted from 1 in characters; Python counts bytes from 0."""
        return len(self.source.encode()[: node.col_offset].decode()) + 1

    def _unexpected(self, node: ast.expr, expected: str) -> ConfigError:
        found = (ast.get_source_segment(self.source, node) or "")[:40]
        return _error(f"character {self._column(node)}: expected {expected}, found {found}")


def _dotted(node: ast.expr) -> str:
    """`optim.lr` of its nodes; empty if they are no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def _not_understood(source: str, error: SyntaxError) -> ConfigError:
    if error.offset is None:
        return _error(f"not understood: {error.msg}")
    column = error.offset or len(source) + 1  # 0 for the end
    rest = source[column - 1 :]
    if not rest:
        return _error(f"character {column}: expected {_OPERAND}, found the end")
    word = re.split(r"\W", rest)[0]
    if keyword.iskeyword(word) and source[: column - 1].endswith("."):
        why = f": no name can be written here that holds {word}, a word of Python's own"
    elif rest.startswith("=") and not rest.startswith("=="):
        why = "; write == to compare"
    else:
        why = error.msg.removeprefix("invalid syntax").lstrip(". ").partition(" (detected at")[0]
        why = f": {why}" if why else ""
    return _error(f"character {column}: {rest[:10]!r} is not understood{why}")


def _error(text: str) -> ConfigError:
    return ConfigError(f"--where: {text}")


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


_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _is_in,
    ast.NotIn: lambda value, members: not _is_in(value, members),
}
