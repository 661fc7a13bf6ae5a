"""A localizer learns what and where on few drawn images, and is put to work by localize, export, summary."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_classify import write_classifier
from tracker.cli import main
from tracker.commands.demo_data import SHAPES, draw_shapes
from tracker.errors import FormatError
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.geometry import iou
from tracker.nets.localizer import LocalizerConfig, load_localizer, localize
from tracker.train.data.classification import AugmentImages
from tracker.train.localizer import LocalizerTraining, _LocalizerTask, load_single_objects, overlap, train_localizer
from tracker.train.trainer import FitConfig


def drawn(count: int, *, seed: int = 0) -> DataSet:
    """Shapes, one an image."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        one = draw_shapes(rng, size=64, smallest=0.3)
        polygons = (None,) * len(one.boxes)
        samples.append(
            Sample(
                Path("drawn"), 64, 64, one.boxes, one.classes, polygons, tuple(range(6)), np.zeros((0, 4)), one.image
            )
        )
    return DataSet(tuple(samples), SHAPES, SHAPES, {})


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 8), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_the_overlap_is_the_iou_of_each_pair(rows: list[tuple[float, ...]]) -> None:
    corners = np.array(rows, np.float32).reshape(-1, 2, 2, 2)
    one, other = (
        np.concatenate((pair.min(axis=1), pair.max(axis=1) + 0.01), axis=1) for pair in corners.swapaxes(0, 1)
    )
    np.testing.assert_allclose(overlap(one, other), np.diag(iou(one, other)), atol=1e-4)


def test_mirrored_images_have_mirrored_boxes() -> None:
    data = load_single_objects(drawn(12), 64)
    task = _LocalizerTask(LocalizerTraining(batch=12, fit=FitConfig(device="cpu")), data, None)
    (batch,) = task.batches(0)
    plain = {tuple(box) for box in np.round(data.boxes, 4).tolist()}
    mirrored = {(round(1 - x2, 4), y1, round(1 - x1, 4), y2) for x1, y1, x2, y2 in plain}
    boxes = [tuple(box) for box in np.round(batch.boxes.numpy(), 4).tolist()]
    near = [min(max(abs(a - b) for a, b in zip(box, one, strict=True)) for one in plain | mirrored) for box in boxes]
    assert max(near) < 1e-3
    assert sum(min(max(abs(a - b) for a, b in zip(box, one, strict=True)) for one in plain) > 1e-3 for box in boxes) > 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images learned by heart."""
    data = load_single_objects(drawn(8), 64)
    network = LocalizerConfig("resnet18", hidden=64)
    fit = FitConfig(epochs=30, learning_rate=1e-3, device="cpu", average=0.9)
    config = LocalizerTraining(network=network, batch=4, image_size=64, augment=AugmentImages(), fit=fit)
    lines: list[str] = []
    result = train_localizer(config, data, data, tmp_path_factory.mktemp("localizer"), report=lines.append)
    assert result.measures["accuracy"] == 1.0
    assert result.measures["mean_iou"] > 0.6
    return result.best


def test_the_file_says_what_and_where_and_its_export_agrees(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_single_objects(drawn(8), 64)
    network, description = load_localizer(model)
    probabilities, boxes = localize(network, data.images)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), data.labels)
    assert overlap(boxes, data.boxes).mean() > 0.6
    assert description["labels"] == list(SHAPES)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(data.images):
        big = cv2.resize(image.transpose(1, 2, 0)[..., ::-1], (128, 64), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), big)
    export = tmp_path / "shapes.onnx"
    assert main(["export", str(model), "--out", str(export)]) == 0
    assert "largest difference of the answers" in capsys.readouterr().out
    answers = []
    for path in (model, export):
        out = tmp_path / f"{path.suffix[1:]}.json"
        arguments = ["localize", str(tmp_path / "photos"), "--model", str(path), "--out", str(out)]
        assert main([*arguments, "--draw", str(tmp_path / "drawn")]) == 0
        answers.append(json.loads(out.read_text()))
    for first, second in zip(*answers, strict=True):
        assert (first["image"], first["label"]) == (second["image"], second["label"])
        np.testing.assert_allclose(first["box"], second["box"], atol=0.3)
    found = np.array([row["box"] for row in answers[0]], np.float32) / np.array([128, 64, 128, 64], np.float32)
    assert overlap(found, data.boxes).mean() > 0.6
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 8
    capsys.readouterr()
    assert main(["summary", str(model)]) == 0
    assert f"{sum(each.numel() for each in network.parameters()):,} parameters" in capsys.readouterr().out


def test_other_kinds_are_refused_with_what_they_are_for(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = write_classifier(tmp_path / "c.safetensors")
    assert main(["localize", str(tmp_path), "--model", str(classifier)]) == 2
    assert "expected a localizer, found a classifier, which is for `classify`" in capsys.readouterr().err
    assert main(["classify", str(tmp_path), "--model", str(model)]) == 2
    assert "expected a classifier, found a localizer, which is for `localize`" in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((64, 64, 3), np.uint8))
    assert main(["detect", str(tmp_path / "photo.png"), "--model", str(model)]) == 2
    assert "expected a detector, found a localizer" in capsys.readouterr().err


def test_images_without_just_one_object_are_left_out() -> None:
    data = drawn(2)
    none = Sample(
        Path("none"), 64, 64, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), (), (0,), np.zeros((0, 4)), None
    )
    assert load_single_objects(DataSet((*data.samples, none), SHAPES, SHAPES, {}), 32).skipped == 1
    with pytest.raises(FormatError, match="none of 1 images shows just one object"):
        load_single_objects(DataSet((none,), SHAPES, SHAPES, {}), 32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dropout", "2"], "dropout must be from 0 to below 1"),
        (["--batch", "0"], "batch and image_size must be 1 or more"),
        (["--box-weight", "-1"], "box_weight must be 0 or more"),
        (["--image-size", "4", "--backbone", "alexnet"], "give another --image-size"),
        (["--set", "box_los=mse"], "box_loss"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tracker.commands.demo_data import write_datasets

    write_datasets(tmp_path / "data", images=6)
    data = str(tmp_path / "data" / "localize" / "data.yaml")
    assert (
        main(["train", "localizer", "--data", data, "--out", str(tmp_path / "run"), "--device", "cpu", *options]) == 2
    )
    assert said in capsys.readouterr().err


def test_both_distances_train(tmp_path: Path) -> None:
    data = load_single_objects(drawn(4), 64)
    losses = {}
    for name in ("mse", "smooth_l1"):
        config = LocalizerTraining(box_loss=name, batch=4, fit=FitConfig(device="cpu"))  # type: ignore[arg-type]
        task = _LocalizerTask(config, data, None)
        torch.manual_seed(0)
        from tracker.nets.localizer import LocalizerNet

        network = LocalizerNet(LocalizerConfig("resnet18", classes=6)).train()
        (batch,) = task.batches(0)
        losses[name] = float(task.losses(network, batch)["box"].detach())
    assert losses["mse"] != losses["smooth_l1"]
    assert min(losses.values()) > 0
