from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tracker.cli import main
from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import ConfigError
from tracker.explain.evidence import METHODS, QUANTITIES, Evidence, Method, Quantity, find_evidence
from tracker.explain.features import draw_maps, feature_maps
from tracker.explain.layer_summary import summarise
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet
from tracker.video import open_source

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))
CARD = ModelCard(("disc", "box"), ANCHORS, input_size=128, confidence=0.001)


@pytest.fixture(scope="module")
def network() -> YoloNet:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=2)).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 96, 96))
    return network.eval()


def scene() -> np.ndarray:
    image = np.full((96, 128, 3), 90, np.uint8)
    image[20:60, 70:110] = (240, 40, 30)
    return image


def test_evidence_covers_the_picture_and_leaves_the_network_as_it_was(network: YoloNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    box = np.array([70, 20, 110, 60], np.float32)
    evidence = find_evidence(network, CARD, scene(), box)
    assert evidence.heat.shape == (96, 128)
    assert evidence.heat.min() >= 0
    assert evidence.heat.max() == pytest.approx(1.0)
    x1, y1, x2, y2 = evidence.box
    assert max(x1, 70) < min(x2, 110)
    assert max(y1, 20) < min(y2, 60)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_evidence_is_zero_where_the_map_says_nothing(network: YoloNet) -> None:
    """An activation map is a weighted sum of the map's channels: a map of zeros gives no heat at all."""

    class Blind(nn.Module):
        strides = network.backbone.strides
        padded = network.backbone.padded

        def maps_and_embedding(self, images: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], None]:
            return tuple(torch.zeros_like(level) for level in network.backbone(images)), None

    copy = YoloNet(network.config)
    copy.load_state_dict(network.state_dict())
    copy.backbone = Blind()  # type: ignore[assignment]
    evidence = find_evidence(copy.eval(), CARD, scene(), np.array([70, 20, 110, 60], np.float32))
    assert evidence.heat.max() == 0


@pytest.mark.parametrize(
    ("method", "quantity"),
    [*((method, "score") for method in METHODS), *(("layercam", quantity) for quantity in QUANTITIES)],
)
def test_every_method_explains_every_quantity(network: YoloNet, method: Method, quantity: Quantity) -> None:
    box = np.array([70, 20, 110, 60], np.float32)
    evidence = find_evidence(network, CARD, scene(), box, method=method, quantity=quantity)
    assert evidence.heat.shape == (96, 128)
    assert np.isfinite(evidence.heat).all()
    assert evidence.heat.min() >= 0
    assert 0 <= evidence.fraction_inside() <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stride": 64}, "no map at stride 64 .* 8, 16, 32"),
        ({"stride": 4}, "no map at stride 4"),
        ({"method": "gradcamera"}, "no method 'gradcamera'; there are layercam"),
        ({"quantity": "colour"}, "no quantity 'colour'; there are score"),
    ],
)
def test_what_does_not_exist_is_refused(network: YoloNet, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        find_evidence(network, CARD, scene(), np.zeros(4, np.float32), **options)


def test_the_fraction_inside_and_the_peak_are_those_of_the_heat() -> None:
    heat = np.zeros((10, 20), np.float32)
    heat[2:4, 5:10] = 0.5
    heat[8, 15] = 1.0
    evidence = Evidence(np.array([5, 2, 10, 4], np.float32), 0.9, 0, heat)
    assert evidence.fraction_inside() == pytest.approx(5 / 6)
    assert evidence.peak() == (15.5, 8.5)


@pytest.mark.shared
def test_the_heat_lies_on_the_people_it_explains(shared: Path) -> None:
    """Of the default network's detections in a video it never saw; Grad-CAM's own heat lies elsewhere."""
    network, card = load_detector(Path(__file__).parents[2] / "weights" / "sightline-nano.safetensors")
    detector = TorchDetector((network, card), DetectorConfig(conf=0.8, device="cpu"))
    inside: dict[str, list[float]] = {"layercam": [], "gradcam": []}
    peaks = []
    with contextlib.closing(open_source(shared / "data/video/vtest.avi", vid_stride=200)) as source:
        for frame in source:
            (found,) = detector.detect([frame.image])
            for box in found.boxes[found.class_ids == card.labels.index("person")][:2]:
                for method, fractions in inside.items():
                    evidence = find_evidence(network, card, frame.image, box, method=method)  # type: ignore[arg-type]
                    fractions.append(evidence.fraction_inside())
                    if method == "layercam":
                        x, y = evidence.peak()
                        peaks.append(box[0] <= x <= box[2] and box[1] <= y <= box[3])
    assert len(peaks) >= 5
    assert np.mean(inside["layercam"]) >= 0.55
    assert np.mean(peaks) >= 0.8
    assert np.mean(inside["gradcam"]) < np.mean(inside["layercam"])


def test_feature_maps_are_the_backbones(network: YoloNet) -> None:
    maps = feature_maps(network, scene(), size=128)
    assert set(maps) == set(network.backbone.strides)
    assert maps[8].shape[1:] == (12, 16)
    sheet = draw_maps(maps[8], count=9, side=32)
    assert sheet.shape == (3 * (24 + 2), 3 * (32 + 2), 3)
    assert sheet.std() > 5


def test_the_summary_counts_what_there_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.Flatten())
    network.append(nn.Linear(8 * 4 * 4, 10))
    summary = summarise(network, torch.zeros(1, 3, 8, 8))
    assert summary.parameters == sum(p.numel() for p in network.parameters())
    assert summary.multiply_adds == 8 * 8 * 8 * 27 + 128 * 10
    assert [layer.kind for layer in summary.layers] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "Linear"]
    assert f"{summary.parameters:,} parameters" in summary.table()


def test_a_class_with_a_slash_in_its_name_still_gives_a_picture_in_the_folder(tmp_path: Path, network: YoloNet) -> None:
    labels = tuple(f"{label}/crate ü" for label in CARD.labels)
    save_detector(tmp_path / "n.safetensors", network, replace(CARD, labels=labels))
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "1", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    (written,) = (tmp_path / "out").glob("evidence-*")
    assert written.is_file()


def test_the_command_leaves_pictures_and_a_summary(
    tmp_path: Path, network: YoloNet, capsys: pytest.CaptureFixture[str]
) -> None:
    save_detector(tmp_path / "n.safetensors", network, CARD)
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "2", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sum(name.startswith("evidence-") for name in written) == 2
    assert "features-stride-16.png" in written
    assert "summary.txt" in written
    assert main(["explain", str(tmp_path / "scene.png"), *options, "--most", "1"]) == 0
    assert len(list((tmp_path / "out").glob("evidence-*"))) == 1
    assert main(["explain", str(tmp_path / "gone.png"), *options]) == 2
    assert "gone.png" in capsys.readouterr().err
