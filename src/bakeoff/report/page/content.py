"""What a page holds: a part for each table, with its figures, its gallery and how it was made."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.comparison.output.captions import captions, remarks
from bakeoff.comparison.output.columns import make_grid
from bakeoff.comparison.recipes import without_option
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import View
from bakeoff.report.charts import theme
from bakeoff.report.charts.classes import agreement_figure, class_figure, reliability_figure
from bakeoff.report.charts.confusion import confusion_figures
from bakeoff.report.charts.curves import curve_figure
from bakeoff.report.charts.figure import Figure
from bakeoff.report.charts.scores import cost_figure, interval_figure, pair_figure
from bakeoff.report.evidence import evidence_of
from bakeoff.report.facts import KeyValues, RunFacts, key_values, machine_facts, run_facts, split_sizes
from bakeoff.report.headline import Headline, headline
from bakeoff.report.learning import learning_points
from bakeoff.report.page.cards import Cards, cards_of
from bakeoff.report.page.rows import PageTable, page_table
from bakeoff.text import counted, printable


@dataclass(frozen=True)
class Part:
    """One table with all that is shown of it."""

    key: str  # t1, t2, ...: the beginning of its anchors
    table: Table
    labels: tuple[str, ...]  # of the rows, as figures call them
    headline: Headline
    title: str
    caption: str
    against: str  # the row that the verdict's sentences hold each other one against
    verdict: Sequence[str]
    notes: Sequence[str]
    grid: PageTable
    results: Sequence[Figure]
    mistakes: Sequence[Figure]
    cards: Cards | None
    keys: Sequence[KeyValues]
    machines: Sequence[tuple[str, list[tuple[str, int]]]]
    sizes: dict[str, str]
    runs: Sequence[RunFacts]

    @property
    def figures(self) -> list[Figure]:
        """All of them, in the order of the page."""
        return [*self.results, *self.mistakes]


def part_of(number: int, table: Table, view: View, problems: Sequence[Problem]) -> Part:
    """Reads what the table's runs have stored, and makes its figures."""
    with theme.unchecked():
        return _part(number, table, view, problems)


def _left_out(view: View) -> list[str]:
    """Which options leave out rows, which no number of a page says."""
    where = [f"only runs with {printable(view.where)} (--where)"] if view.where else []
    return where + ([f"at most {counted(view.top, 'row')} (--top)"] if view.top else [])


def _part(number: int, table: Table, view: View, problems: Sequence[Problem]) -> Part:
    names = theme.labels(table)
    by_number = {row.number: names[row.setting] for row in table.settings}
    grid = make_grid(table, view)
    title, caption = captions(table, grid.columns)
    verdict, notes = remarks(table)
    results = [
        interval_figure(table, names),
        pair_figure(table, names),
        curve_figure(learning_points(table), by_number),
        cost_figure(table, names),
    ]
    evidence = evidence_of(table)
    mistakes: list[Figure | None] = []
    if evidence:
        mistakes = [
            *confusion_figures(evidence, names),
            class_figure(evidence, names),
            reliability_figure(evidence, names),
            agreement_figure(evidence.rows, names),
        ]
    members = [run for row in table.settings for run in row.members]
    return Part(
        key=f"t{number}",
        table=table,
        labels=tuple(names.values()),
        headline=headline(table, problems),
        title=title,
        caption="; ".join([caption, *_left_out(view)]),
        against=names.get(table.reference or "", "") if table.pairs else "",
        verdict=verdict,
        notes=[without_option(note) for note in notes],
        grid=page_table(table, grid),
        results=[figure for figure in results if figure],
        mistakes=[figure for figure in mistakes if figure],
        cards=cards_of(evidence, names, table.test_fingerprint) if evidence else None,
        keys=key_values(table),
        machines=machine_facts(members),
        sizes=split_sizes(members),
        runs=run_facts(table),
    )
