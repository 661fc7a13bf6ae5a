"""The networks that come with the program: what the manifest says of them is true."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tracker.commands.demo_clip import frames
from tracker.config import DetectorConfig
from tracker.config.coco_classes import COCO_LABELS
from tracker.embedded import embedded_networks, embedded_segmenters, segmentation_file
from tracker.evaluate.pixel_accuracy import SegmentationScore
from tracker.factory import DEFAULT_NETWORK, make_detector
from tracker.geometry import iou
from tracker.nets.checkpoint import load_detector
from tracker.segment.labeller import PixelLabeller
from tracker.train.data.segmentation import IGNORED, load_pixel_labels

WEIGHTS = Path(__file__).parents[1] / "weights"
MANIFEST = tomllib.loads((WEIGHTS / "manifest.toml").read_text())
NETWORKS = MANIFEST["networks"]
LARGEST = {"sightline-anchors": 3_000_000, "sightline-nano": 6_000_000, "sightline-small": 12_000_000}


def test_the_manifest_names_every_network_and_the_default_is_one_of_them() -> None:
    assert set(NETWORKS) == set(embedded_networks()) == set(MANIFEST["measured"]) & set(NETWORKS)
    assert DEFAULT_NETWORK in NETWORKS
    assert set(MANIFEST["sha256"]) == set(MANIFEST["files"])


@pytest.mark.parametrize("name", MANIFEST["files"])
def test_files_are_those_of_the_manifest_and_small(name: str) -> None:
    content = (WEIGHTS / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MANIFEST["sha256"][name]
    assert len(content) < LARGEST[Path(name).stem]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_agrees_with_the_manifest(name: str) -> None:
    _, card = load_detector(WEIGHTS / f"{name}.safetensors")
    assert card.labels == COCO_LABELS == tuple(NETWORKS[name]["labels"])
    assert card.input_size == NETWORKS[name]["input_size"]
    assert card.training["data"] == "weights/data80.yaml"
    assert (WEIGHTS.parent / NETWORKS[name]["recipe"].partition(",")[0]).is_file()


@pytest.mark.parametrize("name", NETWORKS)
def test_both_files_find_the_same(name: str) -> None:
    image = next(iter(frames())).image
    onnx, torch = (
        make_detector(DetectorConfig(model=str(WEIGHTS / f"{name}.{kind}"), device="cpu", conf=0.3), threads=1)
        for kind in ("onnx", "safetensors")
    )
    assert onnx.conf == torch.conf
    (a,), (b,) = onnx.detect([image]), torch.detect([image])
    assert len(a) == len(b) >= 2
    partner = iou(a.boxes, b.boxes).argmax(axis=1)
    assert np.abs(a.boxes - b.boxes[partner]).max() < 0.5
    assert np.abs(a.scores - b.scores[partner]).max() < 1e-3


SEMANTIC = WEIGHTS / "semantic"
STREET = tomllib.loads((SEMANTIC / "manifest.toml").read_text())


def test_the_segmentation_network_is_the_one_of_its_manifest_and_small() -> None:
    assert set(embedded_segmenters()) == {STREET["name"]}
    for name in STREET["files"]:
        content = (SEMANTIC / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == STREET["sha256"][name]
        assert len(content) < 6_000_000
    assert PixelLabeller(segmentation_file(STREET["name"])).labels == tuple(STREET["labels"])


def test_both_files_of_the_segmentation_network_label_alike() -> None:
    image = next(iter(frames())).image
    onnx, torch = (PixelLabeller(SEMANTIC / name) for name in STREET["files"])
    labels = onnx(image)
    assert (labels == torch(image)).mean() > 0.99
    people = np.isin(labels, [onnx.labels.index("pedestrian"), onnx.labels.index("bicyclist")])
    assert 0.01 < people.mean() < 0.6  # the photographs show some


@pytest.mark.shared
def test_the_segmentation_network_labels_streets_as_well_as_its_manifest_says(shared: Path) -> None:
    data = load_pixel_labels(shared / "data/camvid.tar", "val", classes=11, size=(360, 480), ignore=[11])
    labeller = PixelLabeller(segmentation_file(STREET["name"]))
    score = SegmentationScore(11, ignore=IGNORED)
    for image, labels in zip(data.images[::10], data.labels[::10], strict=True):
        score.add(labeller(np.ascontiguousarray(image.transpose(1, 2, 0))), labels)
    assert 100 * score.mean_iou > STREET["measured"]["CamVid val, mean IoU"] - 8  # a tenth of the images
