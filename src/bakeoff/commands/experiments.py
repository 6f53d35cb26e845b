"""`bakeoff experiments`: what the experiments are, cost and reach. No torch here."""

from bakeoff.arguments import Parser
from bakeoff.commands.yaml_lists import listed, name_parser
from bakeoff.errors import OK

USAGE = "experiments [NAME]"
SUMMARY = "list the experiments, their cost and their result"


def experiments(words: list[str]) -> int:
    """Prints the headers of all experiments' files, or one with what it sets.

    Raises:
        ConfigError: no such experiment.
    """
    print(listed("experiment", parser().parse_args(words).name))
    return OK


def parser() -> Parser:
    """What completion and the command read its options from."""
    return name_parser("experiment", "Lists the experiments for train experiment=NAME.")
