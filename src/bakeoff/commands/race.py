"""`bakeoff race`: several models race, and each gets only the seeds that are needed. No torch here."""

from dataclasses import replace

from bakeoff.arguments import Parser, help_width
from bakeoff.commands.section_help import help_text, section_parser
from bakeoff.config.adaptive import RaceConfig, refuse_dashes, take_section
from bakeoff.config.compose import expand, parse_arguments, with_file
from bakeoff.config.config_file import naming_file
from bakeoff.errors import OK, ConfigError
from bakeoff.machine.signals import SAVING_JOBS, StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.sweeps.naming import own_words, sweep_namer

USAGE = "race [KEY=VALUE ...]"
SUMMARY = "find the best of some models with few runs"
_KEYS = "Keys of the race; all keys of bakeoff train may be set, too:"
_HELP = """\
usage: bakeoff race [KEY=VALUE ...] [--dry-run]

Finds out which of some models is the best one, with as few runs as possible. Each gets a few seeds; then the
race looks at the validation images. Whoever is surely worse is out, the others get more seeds, until one is
left, all are equal within race.margin_points, or more seeds would not decide it. Then the test images are
opened, once, and compared. docs/race.md explains it.

options:
  --dry-run              check all, list the runs of the first round, and stop
  --config FILE          settings from a YAML file or a run directory
  -cd, --config-dir DIR  find config files of your own in DIR too
  --debug                show the traceback of an error

examples:
  bakeoff race model=cnn,vit data=mnist
  bakeoff race model=cnn,vit,faster_rcnn race.looks=[3,5,8,12] race.margin_points=0.5
  bakeoff race model=cnn optim.lr=0.001,0.003,0.01 race.max_seconds=7200 sweep.jobs=auto

The same command goes on with a race that was stopped; so does bakeoff resume SWEEP.

exit codes: 0 done; 2 usage or configuration; 3 data; 4 storage or memory; 6 its runs have changed;
            7 done, but some runs failed; 75 interrupted
"""


def race(words: list[str]) -> int:
    """Runs the command: overrides as in `train --multirun`, keys of `race`, and `--dry-run`.

    Raises:
        BakeoffError: with the exit code of what went wrong.
    """
    stop = StopSignal()
    with stop.caught():
        options, rest = parser().parse_known_args(words)
        refuse_dashes("race", rest)
        whole = parse_arguments(rest)
        if whole.helps:
            print(help_text("race", _HELP, _KEYS, help_width()))
            return OK
        if whole.shows:
            raise ConfigError("race: --cfg and --info are of train; give it the same words")
        section, overrides = take_section("race", RaceConfig, whole.overrides)
        line = replace(whole, overrides=overrides, multirun=True)
        if options.config is not None:
            line = with_file(line, options.config)
            own = [word for word in whole.overrides if word not in overrides]
            whole = replace(whole, overrides=[*line.overrides, *own])
        jobs, _ = expand(line, named=sweep_namer(whole, tell, "race"))
        stop.check()
        from bakeoff.sweeps.race.begin import rules_of, run_race  # SciPy takes a third of a second

        stop.first_words = SAVING_JOBS
        with naming_file(line.file, line.file_keys):
            rules = rules_of(section)
            return run_race(jobs, rules, section.max_seconds, own_words(whole), options.dry_run, stop)


def parser() -> Parser:
    """What completion and the command read its options from."""
    return section_parser("race", "check everything, list the first round and stop")
