"""What a person types who does not know yet how a search is written, and what to type instead. No torch."""

import re
import shlex
from collections.abc import Callable, Sequence

from hydra.core.override_parser.types import Override, OverrideType

from bakeoff.config.adaptive import OF_VALIDATION_IMAGES
from bakeoff.config.search_space import EXAMPLE
from bakeoff.errors import ConfigError, nearest

# Functions that a searched value may be written with, and an example of each.
_FUNCTIONS = {
    "interval": "interval(1e-4,1e-2)", "choice": "choice(2,4,6)", "range": "range(1,5)",
    "tag": "tag(log,interval(1e-4,1e-2))", "int": "int(interval(2,6))", "float": "float(choice(1,2))",
    "str": "str(choice(1,2))", "bool": "bool(choice(0,1))", "sort": "sort(3,1,2)", "json_str": "",
    "shuffle": "", "glob": "", "extend_list": "",
}  # fmt: skip
# What other programs call them.
_OTHER_FUNCTIONS = {
    "uniform": "interval({})", "float_uniform": "interval({})", "suggest_float": "interval({})",
    "loguniform": "tag(log,interval({}))", "log_uniform": "tag(log,interval({}))",
    "log": "tag(log,interval({}))", "logspace": "tag(log,interval({}))",
    "randint": "int(interval({}))", "int_uniform": "int(interval({}))", "suggest_int": "int(interval({}))",
    "categorical": "choice({})", "choices": "choice({})", "grid": "choice({})", "grid_search": "choice({})",
    "linspace": "interval({})", "values": "choice({})",
}  # fmt: skip
_NUMBER = r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?"


def refuse_unreadable(words: Sequence[str], parses: Callable[[str], bool]) -> None:
    """Searched values that Hydra cannot read.

    Raises:
        ConfigError: for the first, with the cure.
    """
    for text in words:
        key, equals, value = text.partition("=")
        if equals and value and not parses(text) and (cure := _cure(key, value.strip(), parses)):
            raise ConfigError(f"{text}: {cure}")


def _cure(key: str, value: str, parses: Callable[[str], bool]) -> str:
    """An empty text if it is no slip of a search."""

    def write(*values: str) -> str:
        good = [f"{key}={one}" for one in values if parses(f"{key}={one}")]
        return f"write {' or '.join(map(shlex.quote, good))}" if good else f"write it {EXAMPLE}"

    missing = value.count("(") - value.count(")")
    if missing > 0 and parses(f"{key}={value}{')' * missing}"):
        return f"a bracket is not closed; {write(value + ')' * missing)}"
    if missing < 0 and parses(f"{key}={value[:missing]}"):
        return f"a bracket too many; {write(value[:missing])}"
    if numbers := re.fullmatch(rf"[({{]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[)}}]", value, re.IGNORECASE):
        ends = f"{numbers[1]},{numbers[2]}"
        return f"several values stand without brackets; {write(f'interval({ends})', ends)}"
    if listed := re.fullmatch(r"[({]([^(){}\[\]=]*)[)}]", value):
        return f"several values stand without brackets; {write(listed[1].replace(' ', ''))}"
    if function := re.fullmatch(r"(\w+)\((.*)\)", value):
        name, inside = function[1], function[2].replace(" ", "")
        if name in _OTHER_FUNCTIONS:
            return f"no such function; {write(_OTHER_FUNCTIONS[name].format(inside))}"
        if name not in _FUNCTIONS:
            known = [one for one, example in _FUNCTIONS.items() if example]
            return f"no such function{nearest(name, known)}; there are {', '.join(known)}"
        if name == "choice" and inside and parses(f"{key}={inside}"):  # of null
            return f"choice takes no such value; {write(inside)}"
        if example := _FUNCTIONS[name]:
            what = "two numbers" if name == "interval" else "other values"
            return f"{name} takes {what}, as in {key}={example}"
    return ""


def refuse_swept(swept: Sequence[Override]) -> None:
    """Keys that a search must not choose.

    Raises:
        ConfigError: for the first.
    """
    for one in swept:
        key, text = one.key_or_group, one.input_line
        if one.type is OverrideType.DEL:
            raise ConfigError(f"{text}: a key that is taken out has no values; leave ~ out")
        if key == "seed":
            raise ConfigError(
                f"{text}: all trials have one seed, and the best ones get new seeds afterwards "
                "(tune.confirm_seeds); give one seed"
            )
        if key in ("data", "trainer.overfit_batches", *(f"data.{name}" for name in OF_VALIDATION_IMAGES)):
            raise ConfigError(f"{text}: all trials are judged by the same validation images; give one value")
        if key == "experiment":
            raise ConfigError(f"{text}: one experiment a search; give one")
