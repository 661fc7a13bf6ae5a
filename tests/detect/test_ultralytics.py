from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tracker.config import DetectorConfig
from tracker.detect.ultralytics import UltralyticsDetector, _crop_masks
from tracker.errors import CheckpointError, ConfigError
from tracker.factory import make_detector


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained segmentation model in ultralytics' own file format."""
    os.environ["YOLO_CONFIG_DIR"] = str(tmp_path_factory.mktemp("ultralytics-settings"))
    os.environ["YOLO_VERBOSE"] = "false"
    from ultralytics import YOLO

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "untrained-seg.pt"
    model = YOLO("yolo11n-seg.yaml")
    model.model.names = {**model.model.names, 0: "person", 1: "bicycle", 2: "car"}
    head = model.model.model[-1]
    for branch in head.cv4:  # untrained masks are empty, and empty masks are thrown away with their boxes
        torch.nn.init.ones_(branch[-1].bias)
    torch.nn.init.ones_(head.proto.cv3.bn.bias)
    model.save(path)
    return path


def test_boxes_and_masks_come_in_our_form(checkpoint: Path) -> None:
    config = DetectorConfig(model=str(checkpoint), conf=1e-6, iou=0.5, imgsz=160, max_det=5, device="cpu")
    detector = make_detector(config, threads=1)
    assert isinstance(detector, UltralyticsDetector)
    assert detector.labels[:3] == ("person", "bicycle", "car")
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (120, 200, 3), np.uint8), random.integers(0, 255, (90, 90, 3), np.uint8)]
    found = detector.detect(images)
    assert len(found) == 2
    for detections, image in zip(found, images, strict=True):
        assert 0 < len(detections) <= 5
        assert detections.masks is not None
        assert detections.masks.shape == (len(detections), 64, 64)
        x1, y1, x2, y2 = detections.boxes.T
        height, width = image.shape[:2]
        assert ((x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)).all()


def test_loading_is_safe_and_installs_nothing(checkpoint: Path) -> None:
    UltralyticsDetector(checkpoint, DetectorConfig(device="cpu"))
    assert os.environ["ULTRALYTICS_SAFE_LOAD"] == "1"
    assert os.environ["YOLO_AUTOINSTALL"] == "false"


def test_a_class_the_model_does_not_know_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'person'"):
        UltralyticsDetector(checkpoint, DetectorConfig(classes=("persn",)))


def test_a_file_that_is_no_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "fake.pt"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(CheckpointError, match=r"fake\.pt: ultralytics cannot load it"):
        UltralyticsDetector(path, DetectorConfig())
    with pytest.raises(CheckpointError, match=r"none\.pt: no such model file"):
        UltralyticsDetector(tmp_path / "none.pt", DetectorConfig())


def test_a_mask_is_cut_out_where_its_box_lies() -> None:
    plane = np.zeros((1, 96, 160), np.float32)  # a 200 x 120 image at gain 0.8
    plane[0, 16:48, 40:80] = 1
    masks = _crop_masks(plane, np.array([[50, 20, 100, 60]], np.float32), width=200, height=120)
    assert (masks > 127).mean() > 0.95
    wider = _crop_masks(plane, np.array([[0, 20, 100, 60]], np.float32), width=200, height=120)
    covered = (wider[0] > 127).mean(axis=0)
    assert covered[:30].max() == 0
    assert covered[34:].min() == 1
