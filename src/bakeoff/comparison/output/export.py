"""Tables -> CSV or JSON, for programs. Numbers are unrounded. No torch here."""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakeoff.comparison.group import shown
from bakeoff.comparison.latency_budget import LatencyBudget
from bakeoff.comparison.open_studies import OpenStudy, open_studies
from bakeoff.comparison.output.csv_form import CsvForm, safe
from bakeoff.comparison.output.render import problem_lines, relative
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Estimate, Pair, SettingRow, StudyCurve, Table
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import without_nan

PARTS = ("mean", "std", "low", "high")


def as_csv(tables: Sequence[Table], problems: Sequence[Problem], root: Path, form: CsvForm) -> str:
    """One line for each setting; what is in no table goes to standard error."""
    rows = [row for table in tables for row in table.settings]
    keys = sorted({key for row in rows for key in row.changed})
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.metrics))
    text = io.StringIO()
    text.write("\N{ZERO WIDTH NO-BREAK SPACE}" if form.bom else "")  # by which Excel knows UTF-8
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\n")
    titles = ["data", "title", "test_fingerprint", "num_test_images", "setting", "name", "model", "weights"]
    titles += ["num_runs", "num_with_predictions", "seeds", "tie_group"]
    titles += [f"{metric}_{part}" for metric in metrics for part in PARTS]
    writer.writerow(safe(title) for title in titles + keys)
    for table in tables:
        for row in table.settings:
            values = [table.data, table.title, table.test_fingerprint, table.num_images]
            values += [row.setting, row.name, row.model, row.weights, row.num_runs, row.num_with_predictions]
            values += [" ".join(map(str, row.seeds)), row.tie_group or ""]
            values += [figure for metric in metrics for figure in figures(row.metrics.get(metric), "")]
            values += [_csv_value(row.changed.get(key, "")) for key in keys]
            writer.writerow(
                safe(value) if isinstance(value, str) else _number(value, form) for value in values
            )
    for line in problem_lines(problems, root):
        print(f"not in the table: {line}", file=sys.stderr)
    return text.getvalue()


def _number(value: Any, form: CsvForm) -> Any:
    return value if form.decimal == "." else str(value).replace(".", form.decimal)


def _csv_value(value: Any) -> Any:
    is_plain_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_plain_number else shown(value)


def figures(estimate: Estimate | None, missing: Any) -> list[Any]:
    """The `PARTS` of an estimate, with something in place of what there is not."""
    values = [getattr(estimate, part, None) for part in PARTS]
    return [missing if value is None else value for value in values]


def as_json(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> str:
    """The interface for scripts, schema 1. Fields are added freely and never renamed."""
    content = {
        "schema": SCHEMA,
        "problems": [{"path": relative(item.path, root), "reason": item.reason} for item in problems],
        "tables": [_table(table) for table in tables],
    }
    if studies := open_studies(problems):
        content["open_studies"] = [_open(study, root) for study in studies]
    # ASCII, so that nothing in a name can act on a terminal.
    return json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n"


def _open(study: OpenStudy, root: Path) -> dict[str, Any]:
    return {
        "path": relative(study.folder, root),
        "kind": study.kind,
        "metric": study.metric,
        "num_rated": study.num_rated,
        "best": [{"name": one.name, "value": one.value} for one in study.best],
        "says": study.says,
    }


def _table(table: Table) -> dict[str, Any]:
    content: dict[str, Any] = {
        "data": table.data,
        "title": table.title,
        "test_fingerprint": table.test_fingerprint,
        "num_images": table.num_images,
        "num_classes": len(table.class_names) or None,
        "settings": [_setting(row, is_tested=table.is_tested) for row in table.settings],
    }
    if table.is_tested:
        content |= {"verdict": table.verdict, "pairs": [_pair(pair) for pair in table.pairs]}
    if table.plan is not None:
        needs = [dataclasses.asdict(need) for need in table.plan.needs]
        content["plan"] = {"points": table.plan.points, "pairs": needs}
    if table.race is not None:
        content["race"] = dataclasses.asdict(table.race)
    if table.latency_budget is not None:
        content["latency_budget"] = _budget(table.latency_budget)
    if table.tuning:
        content["tuning"] = [_study(curve) for curve in table.tuning]
    return content | {"notes": table.notes}


def _budget(budget: LatencyBudget) -> dict[str, Any]:
    conditions = budget.conditions._asdict() if budget.conditions else None
    if conditions:
        threads = conditions["threads"]
        conditions["threads"] = int(threads) if threads.isdecimal() else None
    return dataclasses.asdict(budget) | {"conditions": conditions}


def _study(curve: StudyCurve) -> dict[str, Any]:
    facts = ("study", "model", "sweep", "metric", "num_trials", "num_pruned", "num_failed")
    return {
        **{name: getattr(curve, name) for name in facts},
        "settings": list(curve.settings),
        "expected_best": [dataclasses.asdict(point) for point in curve.points],
    }


def _setting(row: SettingRow, *, is_tested: bool) -> dict[str, Any]:
    parts = PARTS if is_tested else PARTS[:2]
    metrics = {
        name: estimate and {part: getattr(estimate, part) for part in parts}
        for name, estimate in row.metrics.items()
    }
    content: dict[str, Any] = {
        "setting": row.setting,
        "name": row.name,
        "model": row.model,
        "weights": row.weights,
        "changed": row.changed,
        "runs": row.runs,
        "seeds": row.seeds,
        "num_runs": row.num_runs,
        "num_with_predictions": row.num_with_predictions,
        "resolved": {"device": row.device, "precision": row.precision},
        "metrics": metrics,
    }
    if is_tested:
        content["tie_group"] = row.tie_group
    if row.seconds_to is not None:
        content["seconds_to"] = dataclasses.asdict(row.seconds_to) | {"median": row.seconds_to.median}
    if row.mark:
        content["mark"] = row.mark
    if row.on_front is not None:
        content["on_front"] = row.on_front
    return content


def _pair(pair: Pair) -> dict[str, Any]:
    result = pair.result
    return {
        "a": pair.a,
        "b": pair.b,
        "metric": pair.metric,
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "p": result.p,
        "p_adjusted": pair.p_adjusted,
        "df": result.df,
        "variance_images": result.variance_images,
        "variance_seeds": result.variance_seeds,
        "smallest_detectable_difference": pair.smallest_detectable_difference,
        "num_images": pair.num_images,
        "comparable": not pair.confounders,
        "confounders": list(pair.confounders),
        "mcnemar_mid_p": pair.mcnemar_mid_p,
        "classes": [dataclasses.asdict(item) for item in pair.classes],
    }
