from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.train.test_classifier import stripes
from tracker.train.classifier_plots import draw_classifier, most_wrong


def test_the_wrong_images_come_surest_first_and_right_ones_not_at_all() -> None:
    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.95, 0.05], [0.4, 0.6]], np.float32)
    assert most_wrong(labels, probabilities).tolist() == [2, 1, 3]


def test_curves_confusion_and_wrong_images_are_drawn(tmp_path: Path) -> None:
    data = stripes(20)
    probabilities = np.tile(np.array([0.8, 0.2], np.float32), (20, 1))
    (tmp_path / "results.csv").write_text(
        "epoch,minutes,loss_cross_entropy,score,error\n1,0.1,0.9,0.4,0.6\n2,0.2,0.5,0.7,0.3\n"
    )
    draw_classifier(tmp_path, data, probabilities, results=tmp_path / "results.csv")
    for name in ("results.png", "confusion.png", "wrong.png"):
        image = cv2.imread(str(tmp_path / name))
        assert image is not None, name
        assert image.std() > 5


def test_nothing_wrong_leaves_no_page_of_wrong_images(tmp_path: Path) -> None:
    data = stripes(6)
    (tmp_path / "results.csv").write_text("epoch,minutes,score\n1,0.1,1\n")
    draw_classifier(tmp_path, data, np.eye(2, dtype=np.float32)[data.labels], results=tmp_path / "results.csv")
    assert not (tmp_path / "wrong.png").exists()
