from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from tracker.config import DetectorConfig
from tracker.config.coco_classes import COCO_LABELS
from tracker.detect.engines.onnx import OnnxDetector
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import CheckpointError
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet
from tracker.nets.yolox import copy_yolox, read_convolutions

ANCHORS = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
ROWS = [COCO_LABELS.index(label) for label in LABELS]


def started(shared: Path) -> tuple[YoloNet, ModelCard]:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(norm=False))
    copy_yolox(network, shared / "data/pretrained/yolox_nano.onnx", LABELS, ANCHORS)
    return network.eval(), ModelCard(LABELS, ANCHORS, coefficients=network.config.coefficients)


def scene(shared: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(shared / "data/video/vtest.avi"))
    found, image = capture.read()
    capture.release()
    assert found
    return np.ascontiguousarray(image[:, :, ::-1])


@pytest.mark.shared
def test_before_training_each_anchor_answers_as_the_published_network(shared: Path) -> None:
    network, card = started(shared)
    image = cv2.resize(scene(shared), (416, 416))
    session = onnxruntime.InferenceSession(str(shared / "data/pretrained/yolox_nano.onnx"))
    planes = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1), np.float32)[None]
    expected = torch.from_numpy(session.run(None, {"images": planes})[0])[0]
    with torch.inference_mode():
        raw = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    start = 0
    for level, pairs, stride in zip(raw.levels, card.anchors, card.strides, strict=True):
        cells = level.shape[3] * level.shape[4]
        own = expected[start : start + cells]
        for answer, (width, height) in zip(level[0].flatten(2), pairs, strict=True):
            torch.testing.assert_close(answer[:2].T, own[:, :2], atol=1e-3, rtol=1e-3)
            sizes = answer[2:4].exp().T * torch.tensor((width, height))
            torch.testing.assert_close(sizes, own[:, 2:4].exp() * stride, atol=1e-2, rtol=1e-3)
            torch.testing.assert_close(answer[4].sigmoid(), own[:, 4], atol=1e-4, rtol=1e-3)
            classes = own[:, [5 + row for row in ROWS]]
            torch.testing.assert_close(answer[5:11].sigmoid().T, classes, atol=1e-4, rtol=1e-3)
        start += cells


@pytest.mark.shared
def test_before_training_the_same_objects_are_found(shared: Path) -> None:
    image = cv2.resize(scene(shared), (416, 416))
    config = DetectorConfig(conf=0.3, iou=0.45, classes=LABELS, imgsz=416, device="cpu")
    (ours,) = TorchDetector(started(shared), config).detect([image])
    published = OnnxDetector(shared / "data/pretrained/yolox_nano.onnx", config)
    (theirs,) = published.detect([image])
    assert len(ours) == len(theirs) > 3
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
    assert [ours_label(LABELS, row) for row in ours.class_ids] == [
        ours_label(published.labels, row) for row in theirs.class_ids
    ]


def ours_label(labels: tuple[str, ...], row: int) -> str:
    return labels[row]


@pytest.mark.shared
def test_a_network_with_batch_norm_cannot_take_folded_weights(shared: Path) -> None:
    with pytest.raises(CheckpointError, match="norm=False"):
        copy_yolox(YoloNet(NetworkConfig()), shared / "data/pretrained/yolox_nano.onnx", LABELS, ANCHORS)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"not a network at all")
    with pytest.raises(CheckpointError, match=r"no\.onnx"):
        read_convolutions(tmp_path / "no.onnx")
