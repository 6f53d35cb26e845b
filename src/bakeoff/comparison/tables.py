"""The plain records of a comparison: a table, its rows, and its tested pairs. No torch here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.comparison.statistics import ALPHA

if TYPE_CHECKING:
    from bakeoff.comparison.latency_budget import LatencyBudget
    from bakeoff.comparison.statistics.expected_best import ExpectedBest
    from bakeoff.comparison.statistics.pairs import Difference
    from bakeoff.comparison.statistics.values import Metric


@dataclass(frozen=True)
class Estimate:
    """Mean over the runs of a setting, its sample standard deviation and 95 % interval."""

    mean: float
    std: float | None  # None for one run
    low: float | None = None  # None where no interval can be given
    high: float | None = None


@dataclass(frozen=True)
class ClassDifference:
    """A class's recall, A minus B."""

    label: str
    difference: float
    p: float
    p_adjusted: float  # Benjamini and Hochberg over the classes of the pair


@dataclass(frozen=True)
class Pair:
    """Two settings under one metric, A minus B."""

    a: str
    b: str
    metric: "Metric"
    result: "Difference"
    p_adjusted: float  # Holm over the pairs of the metric
    smallest_detectable_difference: float | None
    num_images: int
    confounders: tuple[str, ...]  # what else tells the two apart
    mcnemar_mid_p: float | None  # of two single networks' accuracies
    noisy_side: bool  # few runs on the noisier side: a p near 0.05 is optimistic
    classes: tuple[ClassDifference, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the difference is real, as far as 95 of 100 such tables are right."""
        return self.p_adjusted < ALPHA


@dataclass(frozen=True)
class SecondsTo:
    """Seconds of training until a validation accuracy was reached, over the runs of a setting.

    Runs that never reached it are censored: they would have taken longer than they were trained.
    """

    accuracy: float
    reached: tuple[float, ...]  # seconds of the runs that reached it
    missed: tuple[float, ...]  # of those that did not: all they were trained

    @property
    def median(self) -> float | None:
        """Over all runs, of two middle ones their mean; None where a middle one did not reach it."""
        total = len(self.reached) + len(self.missed)
        if total // 2 >= len(self.reached):
            return None
        in_order = sorted(self.reached)
        return (in_order[(total - 1) // 2] + in_order[total // 2]) / 2


@dataclass(frozen=True)
class SettingRow:
    """The runs that differ in the seed alone."""

    setting: str  # its key: the stored setting, followed by what `auto` became where that parts its runs
    name: str  # unique in its table
    changed: dict[str, Any]
    members: tuple[Run, ...]
    metrics: dict[str, Estimate | None]  # None: not measured
    tie_group: str | None = None
    seconds_to: SecondsTo | None = None
    on_front: bool | None = None  # None: not asked for, or it cannot be told
    resolved: str = ""  # what `auto` became, such as "cuda, bf16", where that parts the runs of a setting
    number: int = 0  # its place in the table that is shown, from 1
    label: str = ""  # what sentences call it: a short name that no other row has, or its number
    mark: str = ""  # what a reader must see beside its name

    @property
    def model(self) -> str:
        """The model as the user calls it."""
        return str(self.members[0].summary["model"])

    @property
    def title(self) -> str:
        """A short name that other rows may have too: keys of the config tell them apart."""
        return f"{self.model} ({self.resolved})" if self.resolved else self.model

    @property
    def weights(self) -> str:
        """Where the first weights came from."""
        return self.members[0].text("weights")

    @property
    def runs(self) -> list[str]:
        """Run ids."""
        return [run.path.name for run in self.members]

    @property
    def seeds(self) -> list[int]:
        """One for each run."""
        return [run.summary["seed"] for run in self.members]

    @property
    def num_runs(self) -> int:
        """How many seeds were trained."""
        return len(self.members)

    @property
    def device(self) -> str:
        """The kind of device that its runs had, as far as they say."""
        return next((run.device for run in self.members if run.device != UNKNOWN), UNKNOWN)

    @property
    def precision(self) -> str:
        """What its runs computed in, as far as they say."""
        return next((run.precision for run in self.members if run.precision != UNKNOWN), UNKNOWN)

    @property
    def num_with_predictions(self) -> int:
        """How many runs have predictions that match their scores."""
        return sum(run.has_predictions for run in self.members)

    @property
    def has_predictions(self) -> bool:
        """Whether any predictions confirm the scores."""
        return self.num_with_predictions > 0

    def mean(self, metric: str) -> float | None:
        """Of a metric, if it was measured."""
        estimate = self.metrics.get(metric)
        return estimate.mean if estimate else None


@dataclass(frozen=True)
class RaceFacts:
    """Of the race that all runs of a table come from."""

    margin: float | None  # in the unit of the metric
    metric: str
    equal: tuple[tuple[str, str], ...]  # pairs of settings that the test images show to be closer than it


@dataclass(frozen=True)
class PairNeed:
    """What two settings need so that 80 of 100 comparisons would find a difference."""

    a: str
    b: str
    runs: int | None  # of each of the two; None: no number is enough, or nothing is known
    best_possible: float | None  # that endless runs would show, 0..1; None: nothing is known
    images: int | None  # with endless runs
    says: str = ""


@dataclass(frozen=True)
class Plan:
    """For a difference of accuracies that a reader wants to be shown."""

    points: float
    needs: tuple[PairNeed, ...]


@dataclass(frozen=True)
class StudyCurve:
    """What a study of a search (`bakeoff tune`) has found, and what fewer trials would have found."""

    study: str  # its name, which no other of the table has
    model: str
    sweep: str
    metric: str
    larger_is_better: bool
    num_trials: int  # with a value: what the points are made of
    num_pruned: int
    num_failed: int
    values: tuple[float, ...]
    points: "tuple[ExpectedBest, ...]"
    settings: tuple[str, ...]  # of the rows that it has chosen


@dataclass(frozen=True)
class Table:
    """All settings that were tested on the same images, best mean accuracy first."""

    data: str
    title: str  # how its runs call the data; no other table has it
    test_fingerprint: str
    num_images: int
    class_names: tuple[str, ...]  # empty if unknown
    settings: list[SettingRow]
    is_tested: bool = False  # whether statistics were asked for
    pairs: list[Pair] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reference: str | None = None  # the setting that the verdict holds each other against
    race: RaceFacts | None = None
    plan: Plan | None = None  # None: not asked for
    tuning: tuple[StudyCurve, ...] = ()  # of the searches that rows come from
    latency_budget: "LatencyBudget | None" = None  # None: not asked for

    def row(self, setting: str) -> SettingRow:
        """A setting that is shown."""
        return next(row for row in self.settings if row.setting == setting)


def best_first(rows: Iterable[SettingRow]) -> list[SettingRow]:
    """By mean accuracy, equal ones as they stand; what no predictions confirm comes after all others."""
    return sorted(rows, key=lambda row: (not row.has_predictions, -(row.mean("accuracy") or 0.0)))


_LONGEST_LABEL = 30  # characters


def numbered(rows: Sequence[SettingRow]) -> list[SettingRow]:
    """Rows in their order with numbers and labels: "vit", or "row 2 (cnn)" where several are called so."""
    titles = Counter(row.title for row in rows)

    def label(number: int, row: SettingRow) -> str:
        if len(row.title) > _LONGEST_LABEL:
            return f"row {number}"
        return row.title if titles[row.title] == 1 else f"row {number} ({row.title})"

    return [replace(row, number=number, label=label(number, row)) for number, row in enumerate(rows, 1)]
