from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from tests.archives import unpack
from tracker.config import DetectorConfig
from tracker.detect.decode import Candidates, suppress, to_detections
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import CheckpointError
from tracker.evaluate.detection import average_precision
from tracker.evaluate.ground_truth import Sample
from tracker.geometry import Letterbox, cxcywh_to_xyxy
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics
from tracker.types import Detections

PAIRS = (((8.0, 8.0), (12.0, 30.0)), ((16.0, 16.0), (30.0, 60.0)), ((32.0, 32.0), (200.0, 100.0)))
HEIGHT, WIDTH = 160, 224


def published(shared: Path, name: str, images: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(shared / f"data/pretrained/{name}.onnx"))
    outputs: list[np.ndarray] = session.run(None, {"images": images.numpy()})
    return outputs


@pytest.mark.shared
@pytest.mark.parametrize("anchors", [None, PAIRS])
@pytest.mark.parametrize("name", ["yolo26n", "yolo11n-seg"])
def test_before_training_each_anchor_answers_as_the_published_network(
    shared: Path, name: str, anchors: tuple[tuple[tuple[float, float], ...], ...] | None
) -> None:
    network, card, fresh = open_ultralytics(shared / f"data/pretrained/{name}.safetensors", anchors=anchors)
    images = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    output, *prototypes = published(shared, name, images)
    with torch.inference_mode():
        raw = network(images)
    cx, cy, width, height, *classes = output[0]
    expected = np.stack((cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2), axis=1)
    k = len(card.anchors[0])
    for answer in range(k):
        flat = flatten([level[:, answer : answer + 1] for level in raw.levels])[0]
        pairs = [(level[answer],) for level in card.anchors]
        grid = lay_grid([(HEIGHT // s, WIDTH // s) for s in card.strides], pairs, card.strides)
        np.testing.assert_allclose(decode(flat[:, :4], grid).numpy(), expected, atol=5e-3)
        scores = flat[:, 4:5].sigmoid() * flat[:, 5:85].sigmoid()
        np.testing.assert_allclose(scores.numpy().T, np.array(classes[:80]), atol=1e-4)
        if prototypes:
            np.testing.assert_allclose(flat[:, 85:].numpy().T, np.array(classes[80:]), atol=1e-3)
    if prototypes:
        np.testing.assert_allclose(raw.prototypes.numpy(), prototypes[0], atol=1e-3)
    assert bool(fresh) == (not prototypes)


@pytest.mark.shared
def test_before_training_average_precision_is_the_published_networks(shared: Path, coco_people: list[Sample]) -> None:
    """On 50 photos, within 0.1 of what its ONNX file reaches."""
    network, card, _ = open_ultralytics(shared / "data/pretrained/yolo26n.safetensors")
    config = DetectorConfig(conf=0.05, iou=0.6, imgsz=320, masks=False, device="cpu")
    ours = TorchDetector((network, card), config, floor=0.05)
    session = onnxruntime.InferenceSession(str(shared / "data/pretrained/yolo26n.onnx"))

    def theirs(sample: Sample) -> Detections:
        letterbox = Letterbox.fit(sample.width, sample.height, 320)
        planes = letterbox.apply(sample.read()).transpose(2, 0, 1)[None].astype(np.float32) / 255
        output = session.run(None, {"images": planes})[0][0].T
        scores = output[:, 4:].max(axis=1)
        rows = scores >= 0.05
        found = Candidates(
            cxcywh_to_xyxy(output[rows, :4]),
            scores[rows],
            output[rows, 4:].argmax(axis=1).astype(np.int32),
            np.zeros((int(rows.sum()), 0), np.float32),
        )
        kept = suppress(found, iou=0.6, max_det=config.max_det)
        return to_detections(kept, letterbox, image_width=sample.width, image_height=sample.height)

    names = {0: "person"}
    own = average_precision(coco_people, [ours.detect([sample.read()])[0] for sample in coco_people], names)
    start = average_precision(coco_people, [theirs(sample) for sample in coco_people], names)
    assert start["person"].ap > 0.25
    assert abs(own["person"].ap - start["person"].ap) < 0.001


@pytest.fixture(scope="module")
def coco_people(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    import tarfile

    folder = tmp_path_factory.mktemp("coco")
    with tarfile.open(shared / "data/detection/coco-people.tar") as content:
        members = content.getmembers()
        images = sorted(member.name for member in members if member.name.endswith(".jpg"))[:50]
        wanted = {*images, *(name.replace("images", "labels").replace(".jpg", ".txt") for name in images)}
    unpack(shared / "data/detection/coco-people.tar", folder, lambda name: name in wanted)
    samples = []
    for name in images:
        image = cv2.imread(str(folder / name))
        assert image is not None
        height, width = image.shape[:2]
        text = (folder / name.replace("images", "labels").replace(".jpg", ".txt")).read_text()
        rows = [np.array(line.split()[1:], np.float32) for line in text.splitlines()]
        sides = []
        for row in rows:
            if len(row) == 4:
                sides.append((row[:2] - row[2:] / 2, row[:2] + row[2:] / 2))
            else:
                sides.append((row.reshape(-1, 2).min(axis=0), row.reshape(-1, 2).max(axis=0)))
        boxes = np.array(sides, np.float32).reshape(-1, 4) * np.array((width, height, width, height), np.float32)
        none = np.zeros((0, 4), np.float32)
        count = len(boxes)
        samples.append(
            Sample(folder / name, width, height, boxes, np.zeros(count, np.int64), (None,) * count, (0,), none)
        )
    return samples


def test_other_tensors_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"model.0.conv.weight": torch.zeros(32, 3, 3, 3)}, file)
    assert not is_ultralytics_weights(file)
    with pytest.raises(CheckpointError, match="not a YOLO26 nano or YOLO11 nano"):
        open_ultralytics(file)


@pytest.mark.shared
def test_a_tensor_of_another_shape_is_named(shared: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(shared / "data/pretrained/yolo26n.safetensors")
    tensors["model.9.cv1.conv.weight"] = torch.zeros(64, 256, 1, 1)
    save_file(tensors, tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.9\.cv1\.conv\.weight has shape \(64, 256, 1, 1\)"):
        open_ultralytics(tmp_path / "cut.safetensors")
