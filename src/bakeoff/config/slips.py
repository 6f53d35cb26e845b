"""What a person types who does not know Hydra's grammar yet, and what to type instead. No torch here.

A cure is only told if Hydra can read it: `parses` is asked. Everything here looks at words alone.
"""

import itertools
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.errors import ConfigError, nearest

EXAMPLE = "settings are written KEY=VALUE, as in model=cnn or optim.lr=0.01"
ADD_MULTIRUN = "add --multirun to train with each"
_QUOTES = "'\"“”„‘’`´«»"
# Words that other programs use for our keys, and what they mean here.
_OTHER_NAMES = {
    "lr": "optim.lr", "learning_rate": "optim.lr", "optimizer": "optim", "dataset": "data",
    "data_dir": "data.root", "data_path": "data.root", "data_root": "data.root", "root": "data.root",
    "output": "output_dir", "out": "output_dir", "outdir": "output_dir", "out_dir": "output_dir",
    "gpu": "trainer.device", "arch": "model", "net": "model", "network": "model",
    "bs": "trainer.batch_size", "num_epochs": "trainer.epochs", "max_epochs": "trainer.epochs",
    "random_seed": "seed", "scheduler": "optim.schedule", "wd": "optim.weight_decay",
}  # fmt: skip
# Keys that take a list; those of a model may.
_LISTS = ("data.classes", "model.")
# Options as other programs write them, and ours.
_OTHER_OPTIONS = {
    "--dry": "--dry-run", "--dryrun": "--dry-run", "--dry_run": "--dry-run", "-n": "--dry-run",
    "--multi-run": "--multirun", "--multi_run": "--multirun", "--multi": "--multirun",
    "--sweep": "--multirun", "-M": "--multirun", "--config-file": "--config FILE",
}  # fmt: skip
# Options of Hydra's that have no meaning here, and what does their work.
_REFUSED_OPTIONS = {
    "--package": "it would move all keys; leave it out",
    "-p": "it would move all keys; leave it out",
    "--config-name": "not used here; --config-dir DIR adds config files of your own",
    "--config-path": "not used here; --config-dir DIR adds config files of your own",
    "--experimental-rerun": "it would unpickle a file; repeat the command line instead",
}


@dataclass(frozen=True)
class Names:
    """What may stand left of "=", and what right of it."""

    groups: Mapping[str, Sequence[str]]  # group -> its files
    keys: Sequence[str]

    def group_of(self, choice: str) -> str | None:
        """The group that has a file of this name, in whatever case."""
        lower = choice.lower()
        return next((group for group, names in self.groups.items() if lower in names), None)

    def meant(self, name: str) -> str | None:
        """The key or group that a name stands for, if there is a likely one."""
        name = name.replace("-", "_")
        known = [*self.groups, *self.keys]
        if "." in name and name not in known:
            return self._other_name(name)
        if name in known or name in _OTHER_NAMES:
            return _OTHER_NAMES.get(name, name)
        found = re.search(r"did you mean (.*)\?", nearest(name, known))
        return found[1] if found else None

    def _other_name(self, key: str) -> str | None:
        """`optim.learning_rate` and `data.path`: by the last part, or by all of it."""
        for name in (key.replace(".", "_"), key.rpartition(".")[2]):
            meant = _OTHER_NAMES.get(name, "")
            if "." in meant and meant in self.keys:
                return meant
        return None


def refuse_options(words: Sequence[str], known: Sequence[str], names: Callable[[], Names]) -> None:
    """Options that are none of ours: most people mean a key.

    Raises:
        ConfigError: for the first.
    """
    for position, word in enumerate(words):
        if word == "--":
            return
        option, equals, value = word.partition("=")
        following = words[position + 1] if position + 1 < len(words) else ""
        if option in _REFUSED_OPTIONS:
            raise ConfigError(f"{option}: {_REFUSED_OPTIONS[option]}")
        if option in ("-c", "--cfg") and (file := re.fullmatch(r".*\.ya?ml", value or following)):
            raise ConfigError(f"{option} {file[0]}: write --config {shlex.quote(file[0])}")
        if option in _OTHER_OPTIONS and option not in known:
            raise ConfigError(f"{option}: no such option; write {_OTHER_OPTIONS[option]}")
        if not re.fullmatch(r"--?[A-Za-z][\w.-]*", option) or option in known:
            continue
        if any(text.startswith(option) for text in known if option.startswith("--")):
            continue  # abbreviated
        if re.fullmatch(r"-[a-z]+", option) and option[:2] in known:
            continue  # `-mc job`, `-cjob`
        if meant := names().meant(option.lstrip("-")):
            value = value if equals else following if following[:1] not in ("-", "") else "VALUE"
            if meant == "trainer.device":
                value = f"cuda:{value}" if value.isdecimal() else value.replace("VALUE", "cuda")
            raise ConfigError(f"{option}: keys are written without dashes; write {meant}={value}")
        raise ConfigError(f"{option}: no such option; {EXAMPLE}; see bakeoff train --help")


def refuse_words(words: Sequence[str], names: Callable[[], Names], parses: Callable[[str], bool]) -> None:
    """Words that are no KEY=VALUE.

    Raises:
        ConfigError: for the first, with the cure.
    """
    for position, word in enumerate(words):
        if word.lstrip("+~").startswith("hydra.sweeper.params="):
            raise ConfigError(f"{word}: write its values as they are, as in --multirun seed=0,1")
        if not parses(word):
            before, after = words[max(0, position - 1) : position], words[position + 1 :]
            raise ConfigError(_cure(word, before, after, names(), parses))


def _cure(
    word: str, before: Sequence[str], after: Sequence[str], names: Names, parses: Callable[[str], bool]
) -> str:
    if not word.strip():
        return f"an empty word: {EXAMPLE}"
    if word.startswith("#"):
        return f"{word}: the shell did not take this for a comment; leave it and what follows out"
    bare = word.strip(_QUOTES).strip()
    if bare != word and parses(bare):
        return f"{word}: quotes or spaces around it reached bakeoff; write {shlex.quote(bare)}"
    if cured := _joined(word, before, after, parses):
        return cured
    key, equals, value = word.partition("=")
    if not equals:
        return _without_value(word, before, after, names, parses)
    return _with_value(word, key, value, names, parses)


def _joined(word: str, before: Sequence[str], after: Sequence[str], parses: Callable[[str], bool]) -> str:
    """A setting that the shell has split at its spaces; an empty text if it is none."""
    whole = [*before, word, *after]
    at = len(before)
    for begin in range(max(0, at - 1), at + 1):
        for end in range(at + 1, min(len(whole), at + 64) + 1):
            parts = whole[begin:end]
            text = "".join(part.strip(_QUOTES) for part in parts)
            splits = len(parts) > 1 and all(
                re.search(r"[=,\[{(]$", left) or re.match(r"[=,\]})]", right) for left, right in _pairs(parts)
            )
            if not splits and not (len(parts) > 1 and re.search(r"=[\[{]", parts[0]) and text[-1:] in "]}"):
                continue
            if "=" in text[:-1] and text[-1:] != "=" and parses(text):
                shown = " ".join(parts)
                return f"{shown}: the shell splits words at spaces; write {text} without them"
    return ""


def _pairs(parts: Sequence[str]) -> list[tuple[str, str]]:
    return list(itertools.pairwise(parts))


def _without_value(
    word: str, before: Sequence[str], after: Sequence[str], names: Names, parses: Callable[[str], bool]
) -> str:
    if re.search(r"\.ya?ml$", word):
        return f"{word}: no KEY=VALUE; write --config {shlex.quote(word)}"
    if group := names.group_of(word):
        return f"{word}: no KEY=VALUE; write {group}={word.lower()}"
    for mark in (":", "=>", "->"):
        left, found, right = word.partition(mark)
        if found and right and names.meant(left) and parses(f"{left}={right}"):
            return f"{word}: no KEY=VALUE; write {names.meant(left)}={right}"
    if word in names.groups or word in names.keys:
        value = after[0] if after and "=" not in after[0] and parses(f"{word}={after[0]}") else "VALUE"
        listed = f" (one of {', '.join(names.groups[word])})" if word in names.groups else ""
        return f"{word}: its value is missing; write {word}={value}{listed}"
    if before and "=" in before[0]:
        key, _, value = before[0].partition("=")
        quoted = shlex.quote(f"{key}={value} {word}")
        if key in ("output_dir", "data.root", "model.weights") and parses(f"{key}={value} {word}"):
            return f"{word}: no KEY=VALUE; if it belongs to {key}, write {quoted}"
    return f"{word}: no KEY=VALUE; {EXAMPLE}"


def _with_value(word: str, key: str, value: str, names: Names, parses: Callable[[str], bool]) -> str:
    """The first cure that Hydra can read; quoted as a last one, which fits names of files."""
    name, bare = key.strip().strip(_QUOTES), value.strip().strip(_QUOTES)
    if (name != key or bare != value.strip(" ")) and parses(f"{name}={bare}"):
        return f"{word}: spaces or quotes do not belong here; write {shlex.quote(f'{name}={bare}')}"
    if value.startswith("~"):
        whole = (
            f"data=image_folder data.root=$HOME{value[1:]}" if name == "data" else f"{key}=$HOME{value[1:]}"
        )
        return f"{word}: the shell replaces ~ only at the beginning of a word; write {whole}"
    if value.startswith((",", ";", ":")) and value.strip(",;: ") and parses(f"{name}={value.strip(',;: ')}"):
        return f"{word}: leave out what precedes the value; write {name}={value.strip(',;: ')}"
    if value.endswith((",", ";", ":")) and parses(f"{name}={value.rstrip(',;: ')}"):
        return f"{word}: leave out what follows the value; write {name}={value.rstrip(',;: ')}"
    if cured := _bracketed(name, bare, parses):
        return f"{word}: {cured}"
    parts = word.split()
    if len(parts) > 1 and all("=" in part and parses(part) for part in parts):
        return f"{word}: several settings in one pair of quotes; write {' '.join(parts)}"
    if value.startswith("=") and parses(f"{name}={value.lstrip('=')}") and value.strip("="):
        return f"{word}: one = is enough; write {name}={value.lstrip('=')}"
    if name in names.groups and "=" in value and parses(f"{name}.{value}"):
        return f"{word}: one = is enough; write {name}.{value}"
    for mark in "\"'":
        quoted = f"{name}={mark}{value}{mark}"
        if mark not in value and value.strip("=") and parses(quoted):
            return f"{word}: a value with such signs needs quotes within quotes; write {shlex.quote(quoted)}"
    if not names.meant(name):
        return f"{word}: no such key, and no value that can be read; {EXAMPLE}"
    return f"{word}: this value cannot be read; {EXAMPLE}"


def _bracketed(name: str, value: str, parses: Callable[[str], bool]) -> str:
    """Several values in brackets that Hydra cannot read; an empty text if they are none."""
    parts = re.findall(r"[^\s,;(){}\[\]]+", value)
    if cured := _quoted_list(name, value, parses):
        return f"a name with such signs needs quotes within quotes; write {shlex.quote(cured)}"
    if not parts or "=" in value or not re.match(r"[\[({]", value):
        return ""
    several = f"{name}={','.join(parts)}"
    if value[0] != "[" and not name.startswith(_LISTS) and parses(several):
        return f"values of a sweep stand without brackets; write --multirun {several}"
    if parses(f"{name}=[{','.join(parts)}]"):
        return f"a list stands in square brackets, without spaces; write {name}=[{','.join(parts)}]"
    return ""


def _quoted_list(name: str, value: str, parses: Callable[[str], bool]) -> str:
    """A list whose texts get quotes where they need them; an empty text if that is no cure."""
    found = re.fullmatch(r"\[([^\[\]{}\"']*)\]", value)
    parts = [part.strip() for part in found[1].split(",")] if found else []
    if not parts or not all(parts):
        return ""
    quoted = [part if re.fullmatch(r"[\w.-]+", part, re.ASCII) else f'"{part}"' for part in parts]
    cured = f"{name}=[{','.join(quoted)}]"
    # Numbers that a shell has split are no names.
    return cured if any(re.search(r"[^\W\d]", part) for part in parts) and parses(cured) else ""


def refuse_sweep(override: str, has_list: bool) -> None:
    """Several values without `--multirun`.

    Raises:
        ConfigError: always; names what else may be meant.
    """
    key, _, value = override.partition("=")
    meant = ""
    if re.fullmatch(r"[\w.-]+(,[\w.-]+)+", value):
        if has_list or key in _LISTS:
            meant = f"; for one list write {key}=[{value}]"
        elif re.fullmatch(r"\d+,\d+", value) and key.startswith("optim."):
            meant = f"; a decimal point is a dot, as in {key}={value.replace(',', '.')}"
    raise ConfigError(f"{override}: several values are a sweep; {ADD_MULTIRUN}{meant}")
