from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tracker.cli import main
from tracker.commands.options import score_thresholds
from tracker.config import DetectorConfig
from tracker.detect.class_thresholds import ClassThresholds, class_thresholds
from tracker.errors import ConfigError
from tracker.factory import make_detector
from tracker.types import Detections, Image

LABELS = ("person", "car", "dog")


class Scripted:
    """One find of every class at every tenth."""

    labels, conf, engine = LABELS, 0.3, "scripted"

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        scores = np.tile(np.arange(1, 10, dtype=np.float32) / 10, 3)
        boxes = np.tile(np.array([0, 0, 5, 5], np.float32), (27, 1))
        return [Detections(boxes, scores, np.repeat(np.arange(3, dtype=np.int32), 9)) for _ in images]


def test_each_class_counts_from_its_own_score_and_weaker_ones_stay_with_the_lowest() -> None:
    detector = ClassThresholds(Scripted(), class_thresholds(("person=0.55", "animals=0.85"), LABELS, 0.3))
    [found] = detector.detect([np.zeros((8, 8, 3), np.uint8)])
    least = {label: round(float(found.scores[found.class_ids == row].min()), 1) for row, label in enumerate(LABELS)}
    assert least == {"person": 0.6, "car": 0.1, "dog": 0.9}
    assert detector.conf == 0.3


@pytest.mark.parametrize(
    ("text", "conf", "single"),
    [
        ("0.4", 0.4, ()),
        ("person=0.5,car=0.35", None, ("person=0.5", "car=0.35")),
        ("0.3,person=0.5", 0.3, ("person=0.5",)),
    ],
)
def test_conf_takes_one_score_or_scores_of_classes(text: str, conf: float | None, single: tuple[str, ...]) -> None:
    assert score_thresholds(text) == (conf, single)


@pytest.mark.parametrize("text", ["person", "0.3,0.4", "person=2", "=0.5", "person=high", ""])
def test_a_threshold_that_is_none_is_refused_in_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "none.jpg", "--conf", text]) == 2
    assert "such as person=0.5" in capsys.readouterr().err


def test_the_network_is_asked_down_to_the_lowest_and_an_unknown_class_is_named() -> None:
    detector = make_detector(DetectorConfig(device="cpu", class_conf=("person=0.2", "car=0.7")), threads=1)
    assert detector.conf == pytest.approx(0.2)
    with pytest.raises(ConfigError, match="--conf unicorn"):
        make_detector(DetectorConfig(device="cpu", class_conf=("unicorn=0.2",)), threads=1)


def test_a_setting_that_is_no_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="expected CLASS=SCORE"):
        DetectorConfig(class_conf=("person",))


@pytest.mark.parametrize("again", ["person=0.1", "Person=0.99", "person=0.99"])
def test_a_class_has_one_threshold(again: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"two thresholds for (person|Person): person=0.99 and {again}; give one"):
        DetectorConfig(class_conf=("person=0.99", again))
    assert main(["detect", "none.png", "--conf", f"person=0.99,{again}"]) == 2
    assert "two thresholds for" in capsys.readouterr().err
