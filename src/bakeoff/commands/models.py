"""`bakeoff models`: what the models are, cost and reach, without importing any of them."""

from bakeoff.arguments import Parser
from bakeoff.commands.yaml_lists import listed, name_parser
from bakeoff.errors import OK

USAGE = "models [NAME]"
SUMMARY = "list the models, their cost and their accuracy"


def models(words: list[str]) -> int:
    """Prints the headers of all models' files, or one with its keys.

    Raises:
        ConfigError: no such model.
    """
    print(listed("model", parser().parse_args(words).name))
    return OK


def parser() -> Parser:
    """What completion and the command read its options from."""
    return name_parser(
        "model", "Lists the models for train model=NAME: what each is, its cost and its accuracy."
    )
