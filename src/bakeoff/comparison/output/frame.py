"""Run directories -> a pandas table for notebooks. No torch here; pandas is imported when asked for."""

import dataclasses
import math
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from bakeoff.comparison.group import shown
from bakeoff.comparison.output.export import PARTS, figures
from bakeoff.comparison.read import Run, read_runs
from bakeoff.comparison.tables import Pair, Table
from bakeoff.config.schema import Config
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError
from bakeoff.runs.locate import find_run_dirs, outputs_root
from bakeoff.runs.paths import home_path
from bakeoff.runs.records import Summary

if TYPE_CHECKING:
    import pandas as pd

_NO_KEYS = ("schema", "hydra")  # of a config, what is no key of bakeoff's
_DTYPES: dict[Any, str] = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}


def load_runs(path: str | Path | None = None) -> "pd.DataFrame":
    """Reads the finished runs at and below a path, those that count in a comparison.

    Args:
        path: a run directory or a folder to search; without one, $BAKEOFF_OUTPUTS or ./outputs.

    Returns:
        A row for each run: `run_id`, `path`, the fields of `summary.json` by their dotted names
        (`test.accuracy`, `time.train_seconds`; not the classes' own scores), and the keys of the
        config (`optim.lr`). Types are pandas' nullable ones; what a run does not have is `<NA>`; a
        list is text. `attrs["problems"]` lists the directories that are left out, with the reason.

    Raises:
        ConfigError: there is no such folder.
    """
    import pandas as pd

    root = outputs_root() if path is None else home_path(str(path))
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    runs, problems = read_runs(find_run_dirs(root))
    summaries = [dotted_keys(_without_classes(run.summary)) for run in runs]
    columns = {
        name: _column([values.get(name) for values in summaries], dtype) for name, dtype in _columns().items()
    }
    columns["path"] = pd.array([str(run.path) for run in runs], dtype="string")
    configs = [_config(run) for run in runs]
    known = _fields(Config)
    for key in sorted({key for config in configs for key in config} - columns.keys()):
        values = [config.get(key) for config in configs]
        columns[key] = _column(values, known.get(key) or _dtype(values))
    frame = pd.DataFrame(columns)
    frame.attrs["problems"] = [{"path": str(item.path), "reason": item.reason} for item in problems]
    return frame


def settings_frame(tables: Sequence[Table]) -> "pd.DataFrame":
    """A row for each configuration, with the columns of `bakeoff compare --format csv`, unrounded."""
    import pandas as pd

    rows = [row for table in tables for row in table.settings]
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.metrics))
    records = [
        {
            "data": table.data,
            "title": table.title,
            "test_fingerprint": table.test_fingerprint,
            "num_test_images": table.num_images,
            "setting": row.setting,
            "name": row.name,
            "model": row.model,
            "weights": row.weights,
            "num_runs": row.num_runs,
            "seeds": row.seeds,
            "tie_group": row.tie_group,
            **{
                f"{metric}_{part}": value
                for metric in metrics
                for part, value in zip(PARTS, figures(row.metrics.get(metric), math.nan), strict=True)
            },
            **row.changed,
        }
        for table in tables
        for row in table.settings
    ]
    return pd.DataFrame(records)


def pairs_frame(tables: Sequence[Table]) -> "pd.DataFrame":
    """A row for each pair of configurations and each metric that was tested."""
    import pandas as pd

    records = [
        _pair(table, pair, {row.setting: row.name for row in table.settings})
        for table in tables
        for pair in table.pairs
    ]
    return pd.DataFrame(records, columns=None if records else list(_PAIR_COLUMNS))


_PAIR_COLUMNS = ("title", "a", "b", "metric", "difference", "low", "high", "p", "p_adjusted", "differs")


def _pair(table: Table, pair: Pair, names: dict[str, str]) -> dict[str, Any]:
    result = pair.result
    values: list[Any] = [table.title, names[pair.a], names[pair.b], pair.metric, result.difference]
    values += [result.low, result.high, result.p, pair.p_adjusted, pair.differs]
    return {
        **dict(zip(_PAIR_COLUMNS, values, strict=True)),
        "num_images": pair.num_images,
        "smallest_detectable_difference": pair.smallest_detectable_difference,
        "confounders": list(pair.confounders),
        "a_setting": pair.a,
        "b_setting": pair.b,
    }


def _columns() -> dict[str, str]:
    return {"run_id": "string", "path": "string"} | _fields(Summary)


def _fields(record: Any, prefix: str = "") -> dict[str, str]:
    """Name and dtype of every plain field of a dataclass, nested ones by their dotted names."""
    hints = get_type_hints(record)
    columns: dict[str, str] = {}
    for item in dataclasses.fields(record):
        kind = hints[item.name]
        if get_origin(kind) in (Union, types.UnionType):  # X | None
            kind = next(option for option in get_args(kind) if option is not type(None))
        if dataclasses.is_dataclass(kind):
            columns |= _fields(kind, f"{prefix}{item.name}.")
        elif kind in _DTYPES:
            columns[prefix + item.name] = _DTYPES[kind]
    return columns


def _without_classes(summary: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {name: item for name, item in value.items() if name != "per_class"}
        if isinstance(value, dict)
        else value
        for key, value in summary.items()
    }


def _config(run: Run) -> dict[str, Any]:
    return dotted_keys({key: value for key, value in run.config.items() if key not in _NO_KEYS})


def _dtype(values: list[Any]) -> str:
    """The narrowest dtype that holds a config key's values."""
    kinds = {type(value) for value in values if value is not None}
    for kind in (bool, int):
        if kinds == {kind}:
            return _DTYPES[kind]
    return "Float64" if kinds and kinds <= {int, float} else "string"


def _column(values: list[Any], dtype: str) -> Any:
    """A column; what does not fit its type, in somebody else's summary, is missing."""
    import pandas as pd

    if dtype == "string":
        return pd.array([None if value is None else shown(value) for value in values], dtype="string")
    allowed = {"Int64": int, "Float64": int | float, "boolean": bool}[dtype]
    is_bool = dtype == "boolean"

    def fits(value: Any) -> bool:
        if not isinstance(value, allowed) or isinstance(value, bool) != is_bool:
            return False
        return dtype != "Int64" or -(2**63) <= value < 2**63

    kept: list[Any] = [value if fits(value) else None for value in values]
    return pd.array(kept, dtype=dtype)  # type: ignore[call-overload]
