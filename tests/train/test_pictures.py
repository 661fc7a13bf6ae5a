from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.evaluate.test_matching import LEFT, LOW, RIGHT, finds, sample
from tracker.evaluate.matching import match_finds
from tracker.train.augment import Truth
from tracker.train.board import board_values
from tracker.train.data import MASK_SIZE
from tracker.train.pictures import count_mistakes, draw_curves, picture_with_truth, sheet


def test_a_mask_is_drawn_only_where_its_object_shows() -> None:
    """The half that augmentation cut off is not taught, so it is not tinted either."""
    image = np.full((100, 100, 3), 90, np.uint8)
    visible, whole = np.array([[20, 40, 60, 60]], np.float32), np.array([[20, 40, 60, 80]], np.float32)
    mask, one = np.full((1, 64, 64), 255, np.uint8), np.ones((1, 1), np.float32)
    none, few = np.empty((0, 4), np.float32), np.ones(1, np.float32)
    truth = Truth(visible, whole, one, one, few, mask, np.ones(1, bool), none, np.zeros(1, np.float32))
    changed = (picture_with_truth(image, truth) != 90).any(axis=2)
    assert changed[45:55, 25:55].all()
    assert not changed[63:].any()


def test_boxes_masks_and_ignored_regions_are_drawn_where_they_are() -> None:
    image = np.full((100, 100, 3), 90, np.uint8)
    box = np.array([[20, 20, 60, 60]], np.float32)
    mask = np.zeros((1, MASK_SIZE, MASK_SIZE), np.uint8)
    mask[:, :, MASK_SIZE // 2 :] = 255
    one = np.ones((1, 1), np.float32)
    region = np.array([[70, 70, 95, 95]], np.float32)
    truth = Truth(
        box, box, one, one, np.ones(1, np.float32), mask, np.ones(1, bool), region, np.zeros(one.shape[1], np.float32)
    )
    changed = np.abs(picture_with_truth(image, truth).astype(int) - 90).sum(axis=2) > 0
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


def test_pictures_of_any_shape_share_a_sheet() -> None:
    pictures = [np.full((20, 60, 3), 10, np.uint8), np.full((50, 10, 3), 200, np.uint8), np.zeros((9, 9, 3), np.uint8)]
    together = sheet(pictures)
    assert together.shape == (640, 640, 3)
    assert (together[320 // 2, :320] == 10).all()


def test_curves_are_drawn_from_the_table_also_with_gaps(tmp_path: Path) -> None:
    table = "epoch,minutes,loss_box,ap50_car,mask_ap50_car\n1,0.5,2.0,0.1,nan\n2,1.0,1.0,0.4,nan\n"
    (tmp_path / "results.csv").write_text(table)
    draw_curves(tmp_path / "curves.png", tmp_path / "results.csv")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.std() > 5


def test_tensorboard_folds_figures_by_kind() -> None:
    row = {"epoch": 3, "loss_box": 1.5, "ap50_car": 0.4, "mask_ap50_car": 0.2, "score": 0.3}
    assert board_values(row) == {
        "epoch": 3.0,
        "loss/box": 1.5,
        "ap50/car": 0.4,
        "mask_ap50/car": 0.2,
        "score": 0.3,
    }
