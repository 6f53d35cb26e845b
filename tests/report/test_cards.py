"""The gallery of a page: what rows showed of their decisions."""

from pathlib import Path

import numpy as np
from reported_runs import table_of
from run_directories import make_run

from bakeoff.report.charts.theme import labels
from bakeoff.report.evidence import evidence_of
from bakeoff.report.page.cards import cards_of
from bakeoff.runs.explanations import Explanation, write_explanations
from bakeoff.runs.kept_images import write_test_images
from bakeoff.runs.rundir import RunDir


def test_of_many_rows_that_show_something_some_are_drawn_the_images_own_first(tmp_path: Path) -> None:
    test_hash = "5e" * 32
    write_test_images(tmp_path, test_hash, np.zeros((60, 1, 8, 8), dtype=np.uint8), np.zeros(60))
    box = Explanation("box", None, np.ones((1, 4), dtype=np.float32), ["a"], [1.0], None, 8, 8)
    for place in range(12):
        run = tmp_path / "runs" / str(place)
        make_run(run, place, str(place), model=f"m{place}", test_split=test_hash)
        write_explanations(RunDir(run), dict.fromkeys(range(60), box))
    table = table_of(tmp_path / "runs")
    evidence = evidence_of(table)
    assert evidence is not None
    cards = cards_of(evidence, labels(table), test_hash)
    assert len({card.row for card in cards.mistakes}) > 8
    assert all(len(card.overlays) == 5 for card in cards.mistakes)
    assert all(card.overlays[0].row == card.row for card in cards.mistakes)
