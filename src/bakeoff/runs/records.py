"""The plain records that cross the disk. Units stand in the field names. No torch here.

Fields are added freely and never renamed: run directories of older versions stay readable.
"""

from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class ValidationScores:
    """What an epoch says of the validation images."""

    accuracy: float
    macro_f1: float
    nll: float


@dataclass(frozen=True)
class EpochRecord:
    """A line of `epochs.jsonl`."""

    epoch: int  # counted from 1
    step: int  # optimizer steps done in all
    lr: float  # of the last step
    train_loss: float  # mean over the images of the epoch; not comparable between families
    train_loss_parts: dict[str, float]
    val: ValidationScores | None
    train_seconds: float
    eval_seconds: float
    train_images_per_second: float


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class SplitScores:
    """Scores of one split, computed once from its stored predictions."""

    accuracy: float
    macro_f1: float
    nll: float
    ece: float
    num_images: int
    num_no_answer: int
    per_class: list[ClassScores]
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Times:
    """Seconds by phase. Evaluation and saving are never part of training."""

    setup_seconds: float
    train_seconds: float
    first_epoch_seconds: float
    eval_seconds: float
    save_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class Speed:
    """Rates, from bytes on the device to probabilities on the device; None where nothing was measured."""

    train_images_per_second: float
    latency_ms_batch1: float | None = None
    images_per_second_batch256: float | None = None  # also where memory does not hold so many at once
    latency_ms_batch1_p95: float | None = None  # 95th percentile; latency_ms_batch1 is the median
    latency_batch_size: int | None = None  # images
    threads: int | None = None  # of the CPU
    load_average: float | None = None  # of the minute before the measurement, the run itself included


@dataclass(frozen=True)
class Cost:
    """What a model takes."""

    parameters: int
    trainable_parameters: int
    forward_flops_per_image: int | None
    peak_memory_bytes: int  # resident on the CPU, allocated on a GPU
    peak_train_memory_bytes: int | None = None  # while it trained
    peak_eval_memory_bytes: int | None = None  # while images were rated, for validation and for the test


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 of what went in, as hex."""

    train_split: str
    val_split: str | None
    test_split: str
    code: str


@dataclass(frozen=True)
class Resolved:
    """What `auto` and null became: runs of one identity are the same run only if it agrees."""

    device: str  # the kind: cpu, cuda, mps
    precision: str
    threads: int
    eval_batch_size: int | None = None  # images; changes last bits alone, so runs may differ in it


@dataclass(frozen=True)
class RunPart:
    """A stretch of a run's work in one process: a run that was stopped and resumed has several."""

    started: str  # ISO 8601, UTC
    host: str
    device_name: str
    from_step: int  # optimizer steps that were done before it
    seconds_before: float  # that the parts before it took, as far as their work counts


@dataclass(frozen=True)
class Origin:
    """The stopped run that a run goes on from with another config."""

    run_id: str
    step: int
    changed: dict[str, Any]  # dotted key -> its value in this run


@dataclass(frozen=True)
class ImageShape:
    """The images that a model is given."""

    channels: int  # 1 for grey, 3 for RGB
    height: int  # pixels
    width: int


@dataclass(frozen=True)
class Summary:
    """`summary.json`: the result of a finished run."""

    schema: int
    run_id: str
    identity: str
    setting: str
    status: str
    model: str
    family: str
    weights: str
    data: str
    seed: int
    epochs_run: int
    best_epoch: int  # of the chosen weights
    test: SplitScores
    val: SplitScores | None
    train_loss_final: float
    time: Times
    speed: Speed
    cost: Cost
    fingerprint: Fingerprints
    num_skipped_pictures: int = 0  # broken ones, with data.skip_broken
    resolved: Resolved | None = None  # older versions did not say
    steps_run: int | None = None  # optimizer steps; older versions did not say
    # Steps that were predicted to fit into trainer.max_seconds; None without it, or where it was over before.
    planned_steps: int | None = None
    data_title: str | None = None  # how the data are called; `data` is the set's name
    parts: list[RunPart] = field(default_factory=list)  # older versions had one, and did not say
    resumed_from: Origin | None = None
    input: ImageShape | None = None  # older versions did not say


@dataclass(frozen=True)
class Environment:
    """`environment.json`: on what and with what a run was made."""

    device: str
    device_name: str
    torch: str
    torchvision: str
    cuda: str | None
    driver: str | None
    cpu: str
    threads: int
    precision: str
    host: str
    git_commit: str | None
    git_dirty: bool | None
    argv: list[str]
    packages: dict[str, str]
    started: str  # ISO 8601, UTC
    code: dict[str, str] = field(default_factory=dict)  # each source that training executes -> its SHA-256
    fp32: str | None = None  # what fp32 means: ieee or tf32
    cores: int | None = None  # of the machine
    load_average: float | None = None  # of the minute before the start
    load_of_others: float | None = None  # what of others ran or waited for a core at the start
    cpu_capability: str | None = None  # the instructions that torch uses: AVX2, AVX512
    weights_sha256: str | None = None  # of the file of the first weights; None: from scratch
    jobs_at_once: int = 1  # of the sweep that the run belongs to: what else may have run beside it


@dataclass(frozen=True)
class Status:
    """`status.json`: how far a run is. Where it disagrees with `summary.json`, the summary wins."""

    status: str  # of `runs/states.py`
    step: int
    error: str | None
    host: str
    pid: int
    heartbeat: str  # ISO 8601, UTC
    process_started: str | None = None  # tells the process from a later one of its number; liveness.py
