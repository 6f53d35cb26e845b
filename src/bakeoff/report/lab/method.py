"""The section on the method: how the models were trained and tested, on what. No torch here."""

from collections.abc import Callable, Sequence
from typing import Any

from bakeoff.comparison.figures import value_at
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import Table
from bakeoff.report.lab.document import Block, Grid, Heading, Paragraph, ToDo
from bakeoff.report.lab.recorded import NOT_RECORDED, of_environment, of_summary, plain, runs_of, told
from bakeoff.text import duration

Ask = Callable[[Run], Any]


def _key(path: str, none: str = "none") -> Ask:
    """The value of a key; a stored null means `none`, a missing key that nobody recorded it."""

    def ask(run: Run) -> Any:
        section, _, key = path.partition(".")
        keys = run.config.get(section)
        if not isinstance(keys, dict) or key not in keys:
            return None
        return none if keys[key] is None else plain(keys[key])

    return ask


def _warmup(run: Run) -> Any:
    share, epochs = (value_at(run.config, f"optim.{key}") for key in ("warmup", "warmup_epochs"))
    if share is not None:
        return f"{plain(share)} of all epochs"
    return None if epochs is None else f"{plain(epochs)} epochs"


def _epochs_done(run: Run) -> Any:
    return run.summary.get("epochs_run")


_SETTINGS: dict[str, Ask] = {
    "optimizer": _key("optim.name"),
    "highest learning rate": _key("optim.lr"),
    "momentum (beta1 of Adam)": _key("optim.momentum"),
    "weight decay": _key("optim.weight_decay"),
    "schedule of the learning rate": _key("optim.schedule"),
    "warm-up": _warmup,
    "gradient clipping: largest norm": _key("optim.clip_norm", "no limit"),
    "batch size (images)": _key("trainer.batch_size"),
    "epochs planned": _key("trainer.epochs"),
    "epochs done": _epochs_done,
    "time limit (seconds)": _key("trainer.max_seconds"),
    "early stopping after epochs without gain": _key("trainer.early_stopping_patience_epochs", "never"),
    "epoch whose weights are tested": _key("trainer.select"),
    "label smoothing": _key("trainer.label_smoothing"),
    "moving average of the weights": _key("trainer.ema_decay"),
    "number format": lambda run: run.precision,
    "device": lambda run: run.device,
    "CPU threads": lambda run: run.threads,
    "runs at once": lambda run: run.environment.get("jobs_at_once"),
}
_MACHINE = {
    "processor": "cpu",
    "device": "device_name",
    "cores": "cores",
    "Python": "packages.python",
    "torch": "torch",
    "torchvision": "torchvision",
    "CUDA of torch": "cuda",
    "numpy": "packages.numpy",
    "scikit-learn": "packages.scikit-learn",
    "git commit": "git_commit",
}


def method_section(tables: Sequence[Table]) -> list[Block]:
    """How it was done."""
    blocks: list[Block] = [Heading(2, "4. Method"), Paragraph(_protocol(tables))]
    for table in tables:
        blocks += _settings(table)
    runs = runs_of(row for table in tables for row in table.settings)
    rows = [(title, of_environment(runs, path)) for title, path in _MACHINE.items()]
    seconds = [value for value in of_summary(runs, "time.total_seconds") if value is not None]
    rows.append(
        ("time of all runs together", duration(sum(seconds)) if len(seconds) == len(runs) else NOT_RECORDED)
    )
    blocks += [
        Grid(("", "in these runs"), rows, "machine and versions", texts=2),
        ToDo("say which of these settings you chose yourself, and why."),
    ]
    return blocks


def _protocol(tables: Sequence[Table]) -> str:
    runs = runs_of(row for table in tables for row in table.settings)
    selects = [value_at(run.config, "trainer.select") for run in runs]
    if all(select == "best" for select in selects) and all(run.summary.get("val") for run in runs):
        chosen = (
            "After each epoch the network was scored on the validation images; the weights of the epoch "
            "with the best validation accuracy were kept (of equal ones, those with the lower loss) and "
            "tested."
        )
    elif all(select == "last" for select in selects):
        chosen = "The weights of the last epoch were tested."
    else:
        chosen = (
            "Which epoch's weights were tested differs between the runs, or is not recorded: see the table."
        )
    return (
        f"{_seeds(tables)} {chosen} The test images were used once in each run, after its training had "
        "ended; no decision used them. The seed sets the initial weights, the order of the images and their "
        "augmentation."
    )


def _seeds(tables: Sequence[Table]) -> str:
    seeds = {tuple(row.seeds) for table in tables for row in table.settings}
    if len(seeds) > 1:
        return "The configurations were trained with different seeds (listed in the appendix)."
    (own,) = seeds
    if len(own) == 1 and sum(len(table.settings) for table in tables) == 1:
        return f"The network was trained once, with the seed {own[0]}."
    listed = ", ".join(map(str, own))
    return f"Each configuration was trained {len(own)} times, with the seeds {listed}." if len(own) > 1 else (
        f"Each configuration was trained once, with the seed {listed}."
    )  # fmt: skip


def _settings(table: Table) -> list[Block]:
    """What all rows have alike, then what differs."""
    by_setting = {
        title: [told(ask(run) for run in row.members) for row in table.settings]
        for title, ask in _SETTINGS.items()
    }
    same = [(title, values[0]) for title, values in by_setting.items() if len(set(values)) == 1]
    differing = {title: values for title, values in by_setting.items() if len(set(values)) > 1}
    which = "all configurations" if len(table.settings) > 1 else table.settings[0].label
    blocks: list[Block] = [Grid(("setting", which), same, f"training settings, {table.title}", texts=2)]
    if differing:
        labels = [row.label for row in table.settings]
        rows = [
            (label, *(values[place] for values in differing.values())) for place, label in enumerate(labels)
        ]
        blocks.append(
            Grid(("configuration", *differing), rows, f"training settings that differ, {table.title}")
        )
    return blocks
