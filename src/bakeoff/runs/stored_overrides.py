"""What a run's command line has overridden, read with distrust. No torch here."""

from contextlib import suppress
from pathlib import Path

import yaml

from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.runs.rundir import OVERRIDES

_MAX_BYTES = 2**18  # for which PyYAML takes a second


def stored_overrides(run: Path) -> list[str]:
    """What was overridden, as `write_config` has stored it; empty where that cannot be read."""
    # PyYAML follows nested lists by recursion.
    with suppress(UnreadableFileError, yaml.YAMLError, ValueError, RecursionError):
        found = yaml.safe_load(read_bytes(run / OVERRIDES, _MAX_BYTES))
        return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
    return []
