"""Which of Hydra's options a command offers at a TAB. No torch here."""

import argparse


def hydra_options(*shown: str) -> argparse.ArgumentParser:
    """Hydra's parser, as completion reads it; `shown` are the `dest`s of what means something to a command.

    The others stay, since they too may take a word, but hidden: Hydra takes them, bakeoff refuses some
    and has no use for the rest.
    """
    from hydra._internal.utils import get_args_parser

    parser: argparse.ArgumentParser = get_args_parser()
    for action in parser._actions:
        if action.dest not in shown:
            action.help = argparse.SUPPRESS
    # An option of every command, which `cli.main` takes out first.
    parser.add_argument("--debug", action="store_true")
    return parser
