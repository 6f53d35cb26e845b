"""What Hydra and OmegaConf raise, as one line that names key or file, value and cure. No torch here."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bakeoff.config import schema as shared
from bakeoff.config.slips import Names
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest
from bakeoff.text import one_line

GROUPS = ("data", "model", "optim", "trainer", "experiment")
# Names of torchvision's networks; its own list would load torch.
_TORCHVISION = re.compile(
    r"resnet(18|34|50|101|152)|resnext(50_32x4d|101_32x8d|101_64x4d)|wide_resnet(50|101)_2|"
    r"densenet(121|161|169|201)|efficientnet_(b[0-7]|v2_[sml])|mobilenet_(v2|v3_small|v3_large)|"
    r"convnext_(tiny|small|base|large)|vit_([bl]_(16|32)|h_14)|swin_(v2_)?[tsb]|"
    r"regnet_[xy]_(400mf|800mf|1_6gf|3_2gf|8gf|16gf|32gf)|regnet_y_128gf|squeezenet1_[01]|"
    r"vgg(11|13|16|19)(_bn)?|googlenet|inception_v3|mnasnet(0_5|0_75|1_0|1_3)|maxvit_t|"
    r"shufflenet_v2_x(0_5|1_0|1_5|2_0)|alexnet"
)
# The beginning of such a name -> one that is there.
_ARCHITECTURES = {
    "wide_resnet": "wide_resnet50_2", "resnet": "resnet18", "resnext": "resnext50_32x4d",
    "densenet": "densenet121", "efficientnet": "efficientnet_b0", "mobilenet": "mobilenet_v3_small",
    "convnext": "convnext_tiny", "vit_": "vit_b_16", "swin": "swin_t", "regnet": "regnet_y_400mf",
    "squeezenet": "squeezenet1_1", "vgg": "vgg16", "googlenet": "googlenet", "inception": "inception_v3",
    "mnasnet": "mnasnet1_0", "maxvit": "maxvit_t", "shufflenet": "shufflenet_v2_x1_0", "alexnet": "alexnet",
}  # fmt: skip
_COMMANDS_WITH_KEYS = ("race", "tune")  # of their own
_NOISE = re.compile(
    r"\s*See https?://\S+ for details|\w+ raised while composing config: |"
    r"\s*full_key: (?!\w+=)\S*|\s*(reference|object)_type=\S+"
)


def conf_dir() -> Path:
    """The config tree: beside the package when installed, else at the top of the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def options(group: str, own: str | None = None) -> list[str]:
    """The names of a group's files, those of one's own folder among them."""
    folders = [conf_dir() / group, *([Path(own) / group] if own else [])]
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def names(overrides: Sequence[str], own: str | None = None) -> Names:
    """All that an override may name."""
    groups = {group: options(group, own) for group in GROUPS}
    return Names(groups, [*dotted_keys(shared.defaults()), *_model_keys(_model(overrides), own)])


@contextmanager
def config_errors(overrides: Sequence[str], own: str | None = None) -> Iterator[None]:
    """Turns what Hydra and OmegaConf raise into one line that names key, value and a near name.

    Raises:
        ConfigError: in place of it.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_broken_file(error)) from error
    except RecursionError as error:
        text = "config files: nested too deeply, or their defaults lists name each other in a circle"
        raise ConfigError(text) from error
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        # Hydra lets some of its own checks out as plain ValueErrors, as for `optim=3`.
        raise ConfigError(_explain(error, overrides, own)) from error


def _broken_file(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark else "a config file"
    problem = one_line(error.problem or error.context)
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented by spaces"
    if "found another document" in problem:
        problem = "a second document begins here; keep one of them"
    if "could not determine a constructor for the tag" in problem:
        problem = f"{problem.rpartition(' ')[2]} is not allowed; a file holds plain values only"
    return f"{where}: {problem}"


def _explain(error: Exception, overrides: Sequence[str], own: str | None) -> str:
    """Finds the override that Hydra stumbled over; its own text often names only the key."""
    text = str(error)
    groups = {name: options(name, own) for name in GROUPS}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        for choice in value.split(","):
            missing = f"{group}/{choice.strip()}'"
            unknown = group in groups and choice.strip() not in groups[group]
            if unknown and (missing in text or "Config group override" in text):
                return f"{override}: {_no_such_file(group, choice, groups[group])}"
        if f"'{key}'" in text and ("not in struct" in f"{text}{error.__cause__}" or "No match" in text):
            return f"{override}: {_no_such_key(key, overrides, own)}"
        if group in groups and override.startswith("+") and "Multiple values for" in text:
            return f"{override}: {group} is chosen already; write {group}={value}"
        if override.startswith("+") and f"at '{key}'" in text:
            return f"{override}: {key} has a value already; leave + out and write {key}={value}"
        if override.startswith("~") and "Could not delete" in text and f"'{key}" in text:
            return f"{override}: no key and no group can be taken out; give it another value"
        if group in groups and "${" in value and "interpolation keys" in text:
            return f"{override}: write the name of a file; there are {', '.join(groups[group])}"
    return _plainer(text, own)


def _plainer(text: str, own: str | None) -> str:
    """Hydra's and OmegaConf's own sentences without their names and addresses."""
    text = one_line(text, most=None)
    if found := re.search(r"Environment variable '([^']*)' not found.*full_key: (\S+)", text):
        return f"{found[2]}: the environment variable {found[1]} is not set; set it, or write the value"
    if found := re.search(r"Interpolation key '([^']*)' not found(?:.*full_key: (\S+))?", text):
        shell = f"for a variable of the shell write ${found[1]} without quotes"
        return f"{found[2] + '=' if found[2] else ''}${{{found[1]}}}: no such key; {shell}"
    if found := re.search(r"Unsupported interpolation type (\w+).*full_key: (\S+)", text):
        return f"{found[2]}=${{{found[1]}:...}}: no such function; write the value"
    if found := re.search(r"raised while resolving interpolation.*full_key: (\S+)", text):
        return f"{found[1]}: the function between ${{ and }} cannot be used so; write the value"
    if found := re.search(r"In '([^']*)': Could not load '(\w+)/([^']*)'", text):
        return (
            f"{found[1]}.yaml: its defaults name {found[3]}, which is no {found[2]}; write a file of another "
            f"group as override /GROUP: {found[3]}"
        )
    if found := re.search(r"In '([^']*)': .*not in 'HydraConf'.*full_key: (\S+)", text):
        return f"{found[1]}.yaml: {found[2]}: no such key"
    if found := re.search(r"In '([^']*)': .*Cannot merge DictConfig with ListConfig", text):
        return f"{found[1]}.yaml: a list stands where keys belong, as in model: and below it name: cnn"
    if found := re.search(r"Could not find '([a-z]+)/([^']*)'", text):
        problem = _no_such_file(found[1], found[2], options(found[1], own))
        return f"{found[2]}, in the defaults of a config file: {problem}"
    found = re.search(r"full_key: ([\w.]+)", text)
    key = f"{found[1]}: " if found and f"'{found[1]}'" not in text.partition("full_key")[0] else ""
    return key + re.sub(_NOISE, "", text)


def torchvision_name(name: str) -> str | None:
    """A name that torchvision has, for one as people write it: itself, or another of its kind."""
    spellings = (name, name.replace("-", "_"), re.sub("[-_]", "", name))
    whole = next((text for text in spellings if _TORCHVISION.fullmatch(text)), None)
    return whole or next((arch for start, arch in _ARCHITECTURES.items() if name.startswith(start)), None)


def _no_such_file(group: str, choice: str, known: Sequence[str]) -> str:
    name = choice.strip().lower()
    if group == "model" and name not in known and (arch := torchvision_name(name)):
        is_same = re.sub("[-_]", "", name) == arch.replace("_", "")
        others = "" if is_same else " or another of theirs"
        return f"no such model; for a network of torchvision write model=finetune model.arch={arch}{others}"
    if group == "data" and re.search(r"[/\\]|^\.", choice):
        return f"no such data; for a folder of pictures write data=image_folder data.root={choice}"
    return f"no such {group}; there are {', '.join(known)}{nearest(choice, known)}"


def _no_such_key(key: str, overrides: Sequence[str], own: str | None) -> str:
    model = _model(overrides)
    with_it = [name for name in options("model", own) if key in _model_keys(name, own)]
    if with_it and key.startswith("model."):
        chosen = "this model" if any("experiment=" in text for text in overrides) else f"model={model}"
        return f"{chosen} has no such key; those that have it: {', '.join(with_it)}"
    known = names(overrides, own)
    if key == "config":
        return "no such key; write --config FILE"
    if (command := key.partition(".")[0]) in _COMMANDS_WITH_KEYS:
        return f"a key of bakeoff {command} alone; write bakeoff {command} with the same words"
    meant = known.meant(key)
    hint = f"; did you mean {meant}?" if meant else nearest(key, [*known.keys, *known.groups])
    return f"no such key{hint or '; see bakeoff train --cfg job'}"


def _model(overrides: Sequence[str]) -> str:
    """The chosen model's file; of a sweep the first."""
    chosen = next((text[6:] for text in reversed(overrides) if text.startswith("model=")), "cnn")
    return chosen.partition(",")[0]


def _model_keys(model: str, own: str | None) -> list[str]:
    """The keys of a model's file, for a hint."""
    for folder in (*([Path(own)] if own else []), conf_dir()):
        path = folder / "model" / f"{model}.yaml"
        if path.is_file():
            loaded = OmegaConf.to_container(OmegaConf.load(path))
            section = loaded.get("model") if isinstance(loaded, dict) else None
            return list(dotted_keys({"model": section})) if isinstance(section, dict) else []
    return []
