"""The configurations that race, and the run of each with a seed. No torch here."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.comparison.statistics.race import Rules
from bakeoff.config.adaptive import OF_VALIDATION_IMAGES, RaceConfig
from bakeoff.config.canonical import canonical_json
from bakeoff.config.job import Job
from bakeoff.data.sets import find_set
from bakeoff.errors import ConfigError
from bakeoff.sweeps.plan import Planned
from bakeoff.text import counted

MOST_ENTRANTS = 20  # more were never simulated
_SHARE = 0.01  # that a point of a percent is


@dataclass(frozen=True)
class Entrant:
    """One configuration, whatever its seed."""

    setting: str  # its key in summaries
    name: str  # for people; no other entrant has it
    model: str
    job: Job  # with the first seed

    def with_seed(self, seed: int) -> Job:
        """The job of one of its seeds."""
        values = copy.deepcopy(self.job.values)
        values["seed"] = seed
        words = [word for word in self.job.overrides if word.partition("=")[0].lstrip("+") != "seed"]
        return Job(values, [*words, f"seed={seed}"], self.job.file, self.job.file_keys)


def entrants_of(planned: Sequence[Planned]) -> list[Entrant]:
    """Of each configuration one.

    Args:
        planned: its run with the first seed.

    Raises:
        ConfigError: fewer than two, or too many to be judged together.
    """
    if len(planned) < 2:
        raise ConfigError("race: one configuration alone; name what races, as in model=cnn,vit")
    if len(planned) > MOST_ENTRANTS:
        told = counted(len(planned), "configuration")
        raise ConfigError(f"race: {told}; at most {MOST_ENTRANTS} race, compare more with bakeoff train -m")
    models = [item.entry.model for item in planned]
    names = [
        model if models.count(model) == 1 else _told(item) or item.entry.folder
        for model, item in zip(models, planned, strict=True)
    ]
    return [
        Entrant(item.entry.setting, name, item.entry.model, item.job)
        for item, name in zip(planned, names, strict=True)
    ]


def _told(item: Planned) -> str:
    """The words that only this one has; all have a seed of their own."""
    return " ".join(word for word in item.entry.shown.split(" ") if not word.startswith("seed="))


def first_seed(jobs: Sequence[Job], rules: Rules) -> int:
    """The seed to begin with; the race itself gives the others.

    Raises:
        ConfigError: several seeds are named.
    """
    seeds = list(dict.fromkeys(int(job.values["seed"]) for job in jobs))
    if len(seeds) > 1:
        raise ConfigError(
            f"seed={','.join(map(str, seeds))}: a race gives each model as many seeds as it needs, at most "
            f"{rules.looks[-1]} (race.looks); leave seed= out, or give the first one"
        )
    return seeds[0]


def check_data(jobs: Sequence[Job]) -> None:
    """That all will be judged on the same validation images, as far as configs tell.

    Raises:
        ConfigError: they will not, or there are none.
    """
    for key in OF_VALIDATION_IMAGES:
        if len(told := {canonical_json(job.values["data"].get(key)) for job in jobs}) > 1:
            values = " and ".join(sorted(told))
            raise ConfigError(f"data.{key}: {values}; all that race must have the same validation images")
    if len({job.values["trainer"]["overfit_batches"] for job in jobs}) > 1:
        raise ConfigError("trainer.overfit_batches: all that race must have the same validation images")
    data = jobs[0].values["data"]
    if data["val_fraction"] == 0 and not find_set(data["name"]).TRAITS.may_bring_val:
        raise ConfigError("data.val_fraction=0: a race is decided on validation images; leave it at 0.1")


def margin_of(options: RaceConfig) -> float | None:
    """In the metric's own unit.

    Raises:
        ConfigError: points of a percent make no sense for it.
    """
    if options.margin_points is not None and options.metric == "nll":
        raise ConfigError("race.margin_points: points of a percent, not with race.metric=nll; leave one out")
    return None if options.margin_points is None else options.margin_points * _SHARE
