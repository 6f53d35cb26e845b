"""What config files and keys mean, read where it is written: YAML headers, comments of dataclasses.

So help texts have no second list that could go wrong. No torch here: sources are read as text.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bakeoff.config.adaptive import SECTIONS

_PACKAGE = Path(__file__).resolve().parents[1]
# Every section `model` has these two; the rest is the family's own.
_OF_EVERY_MODEL = {
    "model.name": "name of the model in tables and run directories",
    "model.family": "file of models/ that builds the model",
}
_FOR_A_TOOL = re.compile(r"# ?(type|noqa|fmt|pragma)\b")


@dataclass(frozen=True)
class Header:
    """The comment that a config file begins with."""

    says: str  # what it is
    fields: dict[str, str] = field(default_factory=dict)  # command, cost, result, as far as they are given

    @property
    def first_sentence(self) -> str:
        """What it is, without the rest."""
        return re.split(r"(?<!et al)[.;] ", self.says, maxsplit=1)[0].removesuffix(".")


def header_of(path: Path) -> Header:
    """The header of a YAML file: sentences, then after an empty comment a line for each field."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @"):
            lines.append(line[1:].strip())
    says, _, rest = "\n".join(lines).partition("\n\n")
    fields: dict[str, str] = {}
    for line in rest.splitlines():
        name, _, value = line.partition(" ")
        fields[name] = value.strip()
    return Header(" ".join(says.split()), fields)


def meanings(family: str | None = None) -> dict[str, str]:
    """Dotted key -> its meaning, of the shared keys and of a family's; "" where the source says nothing."""
    found = dict(_of_section("config/schema.py", "Config", ""))
    if family is not None and re.fullmatch(r"\w+", family):
        found |= _OF_EVERY_MODEL | dict(_of_section(f"models/{family}.py", "Config", "model."))
    return found


def section_meanings(name: str) -> dict[str, str]:
    """Dotted key -> its meaning, of a section that one command has."""
    return dict(_of_section("config/adaptive.py", SECTIONS[name].__name__, f"{name}."))


def _of_section(file: str, name: str, prefix: str) -> Iterator[tuple[str, str]]:
    """The keys of a dataclass; a field whose type is another one of the file is a section of keys."""
    classes = _classes(file)
    for key, (kind, comment) in classes.get(name, {}).items():
        if kind in classes:
            yield from _of_section(file, kind, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", comment


@cache
def _classes(file: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Class -> field -> its type and the comment beside it, or else above it."""
    path = _PACKAGE / file
    if not path.is_file():
        return {}
    source = path.read_text("utf-8")
    comments = {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not _FOR_A_TOOL.match(token.string)
    }
    return {
        node.name: {
            item.target.id: (ast.unparse(item.annotation), _comment(item, comments))
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _comment(item: ast.AnnAssign, comments: dict[int, tuple[str, bool]]) -> str:
    lines = range(item.lineno, (item.end_lineno or item.lineno) + 1)
    found = [comments[line][0] for line in lines if line in comments]
    if not found:
        line = item.lineno - 1
        while line in comments and comments[line][1]:
            found.insert(0, comments[line][0])
            line -= 1
    text = " ".join(found).removesuffix(".")
    # A sentence begins in capitals, a remark beside a field does not: in a list they look alike.
    return text[:1].lower() + text[1:] if re.match(r"[A-Z]([a-z]|\b)", text) else text
