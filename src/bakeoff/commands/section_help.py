"""What `race` and `tune`, which have a section of their own, have alike: options and help. No torch here."""

import dataclasses

from bakeoff.arguments import Parser, laid_out
from bakeoff.commands.hydra_words import hydra_options
from bakeoff.commands.train_help import lines_of_keys
from bakeoff.config.adaptive import SECTIONS
from bakeoff.config.meanings import section_meanings
from bakeoff.runs.paths import expanded


def section_parser(name: str, dry_run: str) -> Parser:
    """Its own options; what it does not know are Hydra's options and overrides.

    Args:
        name: of the command and its section.
        dry_run: what `--dry-run` does.
    """
    parser = Parser(f"bakeoff {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    parser.add_argument(
        "--config", type=expanded, metavar="FILE", help="settings from a YAML file or a run directory"
    )
    parser.rest = hydra_options("config_dir")
    return parser


def help_text(name: str, text: str, title: str, width: int) -> str:
    """A command's help, and below it the keys of its section with their meanings.

    Args:
        name: of the command and its section.
        text: the help.
        title: above the keys.
        width: columns.
    """
    values = dataclasses.asdict(SECTIONS[name]())
    keys = {f"{name}.{key}": value for key, value in values.items()}
    lines = lines_of_keys(keys, section_meanings(name), width)
    return "\n".join([laid_out(text, width), laid_out(title, width), *lines])
