"""Each family through export and back: the same probabilities, for any number of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shipped import TASKS, build_model

from bakeoff.comparison.run import Run
from bakeoff.config.schema import Config
from bakeoff.deploy.export import check, write
from bakeoff.deploy.export.graph import output_names, traced
from bakeoff.deploy.export.onnx_write import refuse_large
from bakeoff.deploy.export.opened import open_exported
from bakeoff.deploy.trained import Trained
from bakeoff.errors import ConfigError, RunsDifferError
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import Classifier, TaskSpec

RUNTIME = Runtime(torch.device("cpu"), "fp32", channels_last=True)
# A line of suppression for each proposal: few of them, as tracing takes half a second for each.
FEW = ("model.proposals_before_nms=6", "model.proposals=3", "model.score_threshold=0")


def some_images(task: TaskSpec, count: int) -> torch.Tensor:
    """Noise with bright bars at other places in each."""
    generator = torch.Generator().manual_seed(1)
    shape = (count, task.channels, task.height, task.width)
    images = torch.randint(0, 60, shape, generator=generator, dtype=torch.uint8)
    for index in range(count):
        images[index, :, index % task.height] = 250
        images[index, :, :, 3 * index % task.width] = 200
    return images


def trained(model_name: str, task: TaskSpec, overrides: tuple[str, ...] = ()) -> Trained:
    """An untrained network of a shipped config, moved off its beginning so that classes differ."""
    model = build_model(model_name, task, overrides=overrides)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and ("head" in name or "predictor" in name):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return wrapped(model.eval(), model_name, task)


def wrapped(model: Classifier, name: str, task: TaskSpec) -> Trained:
    run = Run(Path("some-run"), {"run_id": "some-run", "data": "toy"}, {})
    config = Config(model={"name": name, "family": "toy"})
    return Trained(run, config, task, model.to(memory_format=torch.channels_last), RUNTIME)


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_extra")
@pytest.mark.parametrize(
    ("model_name", "task", "overrides"),
    [
        ("cnn", TASKS[0], ()),
        ("vit", TASKS[0], ("model.depth=1", "model.pooling=class_token")),
        ("faster_rcnn", TASKS[0], FEW),
        ("finetune", TASKS[2], ("model.arch=resnet18", "model.image_size=40")),  # which resizes in the graph
    ],
)
def test_every_family_is_exported_and_checked(
    tmp_path: Path,
    model_name: str,
    task: TaskSpec,
    overrides: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
) -> None:
    of_run, images = trained(model_name, task, overrides), some_images(task, 300)
    if model_name == "faster_rcnn":  # half of the images are to have no detection
        of_run.model.config.score_threshold = float(np.median(of_run.probabilities(images).max(axis=1)))
    own = of_run.probabilities(images)
    assert own.std(axis=0).max() > 1e-3
    for form in ("onnx", "pt2"):
        path = tmp_path / f"model.{form}"
        written = write.export(of_run, form, path, images[:64])
        assert written.outputs == output_names(of_run.model)
        assert written.agreement is not None
        assert written.agreement.num_images == 64
        exported = open_exported(path, threads=1)
        assert (exported.shape, exported.class_names) == (of_run.shape, task.class_names)
        for count in (0, 1, 2, 300):
            rows = exported.probabilities(images[:count].numpy())
            np.testing.assert_allclose(rows, own[:count], atol=1e-5)
        assert np.array_equal(exported.probabilities(images.numpy()).argmax(axis=1), own.argmax(axis=1))
        if model_name == "faster_rcnn":
            with torch.no_grad():
                found = of_run.model.detect(images)  # type: ignore[operator]
            assert 0 < found.found.sum() < 300  # some images have no detection
            _, boxes, scores = exported.outputs(images.numpy())
            np.testing.assert_allclose(boxes, found.boxes.numpy(), atol=1e-3)
            np.testing.assert_allclose(scores, found.rows.amax(dim=1).numpy(), atol=1e-5)
            assert (scores[~found.found.numpy()] == 0).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_torchvisions_detector_cannot_be_traced() -> None:
    """The day it can, the command need not refuse it."""
    with pytest.raises(Exception, match="torch cannot trace this network"):
        traced(trained("faster_rcnn_resnet50", TASKS[0]))


class Fixed:
    """An exported file that gives what it is told to."""

    def __init__(self, **values: Any) -> None:
        self.__dict__ |= values


def test_what_differs_too_much_is_named() -> None:
    of_run = wrapped(build_model("cnn", TASKS[0]).eval(), "cnn", TASKS[0])
    own = np.full((4, 10), 0.1, np.float32)
    assert check.compare(of_run, own, own) == check.Agreement(0.0, 4, 0)
    near = own + np.float32(9e-5)
    near[0, 3] += np.float32(5e-6)
    assert check.compare(of_run, own, near).num_other_class == 1
    for other in (own + 2e-4, own * np.nan, own * np.inf):
        with pytest.raises(RunsDifferError, match=r"differ from the model's by up to .* nothing was written"):
            check.compare(of_run, own, other.astype(np.float32))


def test_other_outputs_or_classes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    of_run = wrapped(build_model("cnn", TASKS[0]).eval(), "cnn", TASKS[0])
    images = some_images(TASKS[0], 3)
    for names, classes in ((("boxes",), of_run.class_names), (("probabilities",), ("a", "b"))):
        monkeypatch.setattr(
            check, "open_exported", lambda _, o=names, c=classes: Fixed(output_names=o, class_names=c)
        )
        with pytest.raises(RunsDifferError, match="other outputs or classes"):
            check.check_file(of_run, Path("x"), images)


def test_boxes_elsewhere_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    of_run = trained("faster_rcnn", TASKS[1], FEW)
    images = some_images(TASKS[1], 8)
    own = of_run.probabilities(images)
    found = of_run.model.detect(images)  # type: ignore[operator]
    outputs = [own, found.boxes.numpy(), found.rows.amax(dim=1).numpy()]
    exported = Fixed(
        output_names=output_names(of_run.model),
        class_names=of_run.class_names,
        probabilities=lambda given: own[: len(given)],
        outputs=lambda _: outputs,
    )
    monkeypatch.setattr(check, "open_exported", lambda _: exported)
    assert check.check_file(of_run, Path("x"), images).difference == 0
    outputs[1] = outputs[1] + 0.1
    with pytest.raises(RunsDifferError, match=r"boxes differ from the model's by up to 0\.1 pixels"):
        check.check_file(of_run, Path("x"), images)
    outputs[1:] = [found.boxes.numpy(), outputs[2] + 0.1]
    with pytest.raises(RunsDifferError, match="probabilities differ"):
        check.check_file(of_run, Path("x"), images)


def test_weights_too_large_for_a_file_are_refused() -> None:
    half = torch.empty(2**28, device="meta")  # 1 GiB
    refuse_large("large", [half])
    with pytest.raises(ConfigError, match=r"^large: 2,147,483,648 bytes of weights, more than an ONNX file"):
        refuse_large("large", [half, half])
