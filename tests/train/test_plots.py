from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.evaluate.test_matching import LEFT, LOW, RIGHT, finds, sample
from tests.train.shapes import write_shapes
from tracker.evaluate.ground_truth import DataSet
from tracker.evaluate.matching import match_finds
from tracker.nets.checkpoint import save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet
from tracker.train import plots as plots
from tracker.train.data.augment import Truth
from tracker.train.data.detection import MASK_SIZE, load_data
from tracker.train.finalize import finish_detector
from tracker.train.plots import (
    count_mistakes,
    draw_confusion,
    draw_curves,
    draw_labels,
    draw_precision_recall,
    folded,
    image_with_ground_truth,
    means,
    sheet,
)
from tracker.train.tensorboard import board_values


def test_a_mask_is_drawn_only_where_its_object_shows() -> None:
    """The half that augmentation cut off is not taught, so it is not tinted either."""
    image = np.full((100, 100, 3), 90, np.uint8)
    visible, whole = np.array([[20, 40, 60, 60]], np.float32), np.array([[20, 40, 60, 80]], np.float32)
    mask, one = np.full((1, 64, 64), 255, np.uint8), np.ones((1, 1), np.float32)
    none, few = np.empty((0, 4), np.float32), np.ones(1, np.float32)
    ground_truth = Truth(visible, whole, one, one, few, mask, np.ones(1, bool), none, np.zeros(1, np.float32))
    changed = (image_with_ground_truth(image, ground_truth) != 90).any(axis=2)
    assert changed[45:55, 25:55].all()
    assert not changed[63:].any()


def test_boxes_masks_and_ignored_regions_are_drawn_where_they_are() -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    box = np.array([[20, 20, 60, 60]], np.float32)
    mask = np.zeros((1, MASK_SIZE, MASK_SIZE), np.uint8)
    mask[:, :, MASK_SIZE // 2 :] = 255
    one = np.ones((1, 1), np.float32)
    region = np.array([[70, 70, 95, 95]], np.float32)
    ground_truth = Truth(
        box, box, one, one, np.ones(1, np.float32), mask, np.ones(1, bool), region, np.zeros(one.shape[1], np.float32)
    )
    changed = np.abs(image_with_ground_truth(image, ground_truth).astype(int) - 90).sum(axis=2) > 0
    assert changed[40, 45:55].all()  # the covered half is tinted
    assert not changed[40, 25:35].any()
    assert changed[19:22, 40].any()  # an edge of the box
    assert changed[70:72, 70:95].any()
    assert not changed[80:85, 80:85].any()
    assert (image == 90).all()


def test_mistakes_are_objects_not_found_and_finds_of_nothing() -> None:
    samples = [sample([LEFT, RIGHT], [0, 0]), sample([LEFT], [0]), sample([], [])]
    found = [finds([LEFT], [0.9], [0]), finds([LEFT], [0.9], [0]), finds([LOW], [0.75], [0])]
    mistakes = count_mistakes(samples, match_finds(samples, found, 2), confidence=0.5)
    np.testing.assert_allclose(mistakes, [1.0, 0.0, 0.75])


def test_images_of_any_shape_share_a_sheet() -> None:
    shown = [np.full((20, 60, 3), 10, np.uint8), np.full((50, 10, 3), 200, np.uint8), np.zeros((9, 9, 3), np.uint8)]
    together = sheet(shown)
    assert together.shape == (640, 640, 3)
    assert (together[320 // 2, :320] == 10).all()


def test_curves_are_drawn_from_the_table_also_with_gaps(tmp_path: Path) -> None:
    table = "epoch,minutes,loss_box,ap50_car,mask_ap50_car\n1,0.5,2.0,0.1,nan\n2,1.0,1.0,0.4,nan\n"
    (tmp_path / "results.csv").write_text(table)
    draw_curves(tmp_path / "curves.png", tmp_path / "results.csv")
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image is not None
    assert image.std() > 5


def test_tensorboard_folds_figures_by_kind() -> None:
    row = {"epoch": 3, "loss_box": 1.5, "ap50_car": 0.4, "mask_ap50_car": 0.2, "score": 0.3}
    assert board_values(row) == {
        "epoch": 3.0,
        "loss/box": 1.5,
        "ap50/car": 0.4,
        "mask_ap50/car": 0.2,
        "score": 0.3,
    }


def test_a_thousand_classes_fit_in_one_confusion(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.0005, (1001, 1001))
    summed, names = folded(counts, [f"c{number}" for number in range(1000)])
    assert summed.shape == (42, 42)
    assert names[-2:] == ["960 others", "nothing"]
    assert summed.sum() == counts.sum()
    assert summed[-1, -1] == counts[-1, -1]
    assert summed[:, -1].sum() == counts[:, -1].sum()
    draw_confusion(tmp_path / "confusion.png", counts, [f"c{number}" for number in range(1000)])
    height, width = cv2.imread(str(tmp_path / "confusion.png")).shape[:2]
    assert max(height, width) < 4000


def test_few_classes_are_all_in_the_confusion() -> None:
    counts = np.arange(9).reshape(3, 3)
    summed, names = folded(counts, ["cat", "dog"])
    assert (summed == counts).all()
    assert names == ["cat", "dog", "nothing"]


@pytest.mark.parametrize("name", ["_private", "$x$", "$", "日本", "x" * 300, "a\\b", "%s {0}"])
def test_any_class_name_has_its_place_in_a_plot(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = (name, "other")
    samples = [sample([LEFT, RIGHT], [0, 1])]
    matches = match_finds(samples, [finds([LEFT, RIGHT], [0.9, 0.8], [0, 1])], 2)
    draw_precision_recall(tmp_path / "precision-recall.png", matches, names, confidence=0.5)
    draw_confusion(tmp_path / "confusion.png", np.eye(3, dtype=np.int64), names)
    draw_labels(tmp_path / "labels.png", DataSet(tuple(samples), names, names, {}))
    assert not caplog.records
    assert {path.name for path in tmp_path.iterdir()} == {"precision-recall.png", "confusion.png", "labels.png"}


def test_a_plot_that_fails_is_reported_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "results.csv").write_text("epoch,minutes,loss_box\n1,soon,2.0\n")
    draw_curves(tmp_path / "curves.png", tmp_path / "results.csv")
    assert "draw_curves failed (ValueError" in caplog.text


def test_very_many_curves_become_their_means() -> None:
    nan = float("nan")
    curves = {"ap50_a": [0.1, nan], "ap50_b": [0.3, nan], "mask_ap50_a": [0.5, 0.7]}
    assert means(curves)["mask_ap50, mean of 1 classes"] == [0.5, 0.7]
    boxes = means(curves)["ap50, mean of 2 classes"]
    assert boxes[0] == pytest.approx(0.2)
    assert np.isnan(boxes[1])


def test_the_network_is_exported_before_anything_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shapes(tmp_path, images=2, size=64)
    (train,) = load_data(tmp_path / "data.yaml")[0].values()
    config = NetworkConfig(classes=len(train.labels), anchors=1)
    card = ModelCard(train.labels, (((20.0, 20.0),), ((40.0, 40.0),), ((60.0, 60.0),)), input_size=64)
    best = tmp_path / "best.safetensors"
    save_detector(best, YoloNet(config), card)
    there: list[bool] = []

    def fail(*_: object, **__: object) -> None:
        there.append(best.with_suffix(".onnx").is_file())
        raise MemoryError

    monkeypatch.setattr(plots, "confuse", fail)
    onnx = finish_detector(best, train, recipe={}, precision=0.0, device="cpu", pictures=True)
    assert there == [True]
    assert onnx.is_file()
