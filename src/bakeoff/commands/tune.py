"""`bakeoff tune`: a search for good hyper-parameters, in which each trial is a run. No torch here."""

from dataclasses import replace

from bakeoff.arguments import Parser, help_width
from bakeoff.commands.section_help import help_text, section_parser
from bakeoff.config.adaptive import TuneConfig, refuse_dashes, take_section
from bakeoff.config.compose import CommandLine, parse_arguments, with_file
from bakeoff.config.config_file import naming_file
from bakeoff.errors import OK, ConfigError
from bakeoff.machine.signals import SAVING_JOBS, StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.sweeps.naming import own_words, sweep_namer

USAGE = "tune [KEY=VALUE ...]"
SUMMARY = "search for good hyper-parameters"
_KEYS = "Keys of the search; all keys of bakeoff train may be set or searched, too:"
_HELP = """\
usage: bakeoff tune [KEY=VALUE ...] [--dry-run]

Searches for good hyper-parameters. A key with several values, or with an interval, is searched; each
trial trains one configuration. Trials that look bad are stopped early. The best few are trained again with
new seeds, because the best of many is lucky; then the test images are opened, once. docs/tune.md explains it.

what is searched, in quotes where it has brackets:
  'optim.lr=interval(1e-4,1e-2)'   any number; wide intervals on a log scale
  'model.depth=int(interval(2,6))' any whole number
  model.depth=2,4,6                one of these
  model=cnn,vit                    each for itself, with as many trials

If no key is, conf/search says what to search for the model's family.

options:
  --dry-run              check all, say what is searched and how long it takes, and stop
  --config FILE          settings from a YAML file or a run directory
  -cd, --config-dir DIR  find config files of your own in DIR too
  --debug                show the traceback of an error

examples:
  bakeoff tune model=vit data=mnist
  bakeoff tune 'optim.lr=interval(1e-4,1e-2)' trainer.batch_size=64,128
  bakeoff tune model=cnn,vit data=digits tune.trials=30 sweep.jobs=auto
  bakeoff tune model=vit tune.metric=[val.accuracy,latency]

The same command goes on with a search that was stopped, and helps one that goes on; so does
bakeoff resume SWEEP.

exit codes: 0 done; 2 usage or configuration; 3 data; 4 storage or memory; 6 its runs have changed;
            7 done, but some trials failed; 75 interrupted
"""


def tune(words: list[str]) -> int:
    """Runs the command: overrides as in `train`, searched keys, keys of `tune`, and `--dry-run`.

    Raises:
        BakeoffError: with the exit code of what went wrong.
    """
    stop = StopSignal()
    with stop.caught():
        options, rest = parser().parse_known_args(words)
        refuse_dashes("tune", rest)
        whole = parse_arguments(rest)
        if whole.helps:
            print(help_text("tune", _HELP, _KEYS, help_width()))
            return OK
        _refuse_options(whole)
        section, overrides = take_section("tune", TuneConfig, whole.overrides)
        line = replace(whole, overrides=overrides)
        if options.config is not None:
            line = with_file(line, options.config)
            own = [word for word in whole.overrides if word not in overrides]
            whole = replace(whole, overrides=[*line.overrides, *own])
        stop.check()
        from bakeoff.sweeps.search.run import run_tune  # needs a moment to load

        stop.first_words = SAVING_JOBS
        with naming_file(line.file, line.file_keys):
            named = sweep_namer(whole, tell, "tune")
            return run_tune(line, section, named, own_words(whole), options.dry_run, stop)


def _refuse_options(line: CommandLine) -> None:
    """Options of `train` that mean nothing here.

    Raises:
        ConfigError: says what to do.
    """
    if line.multirun:
        raise ConfigError("--multirun: tune chooses the combinations itself; leave it out")
    if line.shows:
        raise ConfigError("tune: --cfg and --info are of train; give it one value for each key")
    if mode := next((word for word in line.overrides if word.lstrip("+").startswith("hydra.mode")), None):
        raise ConfigError(f"{mode}: tune chooses the combinations itself; leave it out")


def parser() -> Parser:
    """What completion and the command read its options from."""
    return section_parser("tune", "check everything, say what is searched and stop")
