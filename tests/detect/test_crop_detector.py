"""Proposals cover what stands out, crops keep their truth, and each way of detecting gives what it says."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.train.test_localizer import drawn
from tracker.cli import main
from tracker.commands.demo_data import SHAPES, draw_shapes, write_datasets
from tracker.detect.crop_detector import BACKGROUND, CropDetector, cut_crops, with_context
from tracker.detect.proposals import propose_regions
from tracker.errors import FormatError
from tracker.evaluate.ground_truth import DataSet
from tracker.geometry import iou
from tracker.train.data.region_crops import cut_regions


def test_proposals_cover_drawn_shapes() -> None:
    best = []
    for seed in range(8):
        drawing = draw_shapes(np.random.default_rng(seed), most=3, smallest=0.2, largest=0.35)
        proposed = propose_regions(drawing.image)
        assert (proposed[:, :2] >= 0).all()
        assert (proposed[:, 2:] <= 96).all()
        assert len(proposed) < 200
        best += iou(drawing.boxes, proposed).max(axis=1).tolist()
        np.testing.assert_array_equal(proposed, propose_regions(drawing.image))
    assert np.mean(np.array(best) > 0.5) > 0.85


def test_proposals_of_a_larger_image_are_in_its_pixels_and_a_plain_one_has_itself() -> None:
    image = np.full((300, 400, 3), 30, np.uint8)
    cv2.rectangle(image, (100, 60), (219, 179), (220, 200, 40), -1)
    assert iou(np.array([[100, 60, 220, 180]], np.float32), propose_regions(image)).max() > 0.9
    plain = propose_regions(np.full((60, 80, 3), 99, np.uint8))
    assert plain.tolist() == [[0, 0, 80, 60]]


def test_a_crop_is_the_frame_stretched_with_the_edge_repeated() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    frames = np.array([[8, 4, 24, 20], [-4, -4, 12, 12]], np.float32)
    first, second = cut_crops(image, frames, 16)
    np.testing.assert_array_equal(first, image[4:20, 8:24])
    np.testing.assert_array_equal(second[4:, 4:], image[:12, :12])
    np.testing.assert_array_equal(second[0, 4:], image[0, :12])
    np.testing.assert_allclose(with_context(np.array([[10, 10, 20, 30]], np.float32)), [[9, 8, 21, 32]])


def test_crops_of_objects_hold_their_box_and_others_are_background() -> None:
    data = drawn(6)
    crops = cut_regions(data, 32, seed=0)
    assert crops.names == (*SHAPES, BACKGROUND)
    objects = crops.labels < len(SHAPES)
    assert 20 < objects.sum() < len(crops)
    assert np.isnan(crops.boxes[~objects]).all()
    sides = crops.boxes[objects, 2:] - crops.boxes[objects, :2]
    assert (sides > 0.2).all()
    assert (np.abs(crops.boxes[objects] - 0.5) < 1.2).all()
    assert {int(sample.class_ids[0]) for sample in data.samples} == set(crops.labels[objects].tolist())
    assert crops.windows == tuple(sorted(crops.windows))
    assert 0.1 < crops.windows[0] < crops.windows[2] <= 1
    np.testing.assert_array_equal(crops.images, cut_regions(data, 32, seed=0).images)
    with pytest.raises(FormatError, match="shows an object"):
        cut_regions(DataSet((), SHAPES, SHAPES, {}), 32, seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_datasets(folder, images=8)
    return folder / "detect" / "data.yaml"


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of regions without padding, trained for a moment by the command."""
    out = tmp_path_factory.mktemp("regions")
    network = ["--backbone", "lenet5_common", "--set", "network.padding=false", "--image-size", "32"]
    options = ["--regions", "--epochs", "2", "--device", "cpu", "--out", str(out), *network]
    assert main(["train", "localizer", "--data", str(data), *options]) == 0
    return out / "best.safetensors"


def test_one_pass_finds_what_the_windows_find(model: Path) -> None:
    windows, whole = CropDetector(model, "windows"), CropDetector(model, "one pass")
    assert windows.padded == 0
    image = draw_shapes(np.random.default_rng(3), size=64, most=2).image
    (first,), (second,) = windows.detect([image]), whole.detect([image])
    assert windows.examined == whole.examined > 10
    assert len(first) == len(second) > 0
    partner = iou(first.boxes, second.boxes).argmax(axis=1)  # nearly equal scores may come in another order
    assert sorted(partner.tolist()) == list(range(len(first)))
    np.testing.assert_allclose(first.boxes, second.boxes[partner], atol=0.05)
    np.testing.assert_allclose(first.scores, second.scores[partner], atol=1e-4)


def test_boxes_as_proposed_are_the_proposals(model: Path) -> None:
    image = draw_shapes(np.random.default_rng(3), size=64, most=2).image
    (found,) = CropDetector(model, "proposals", regress=False).detect([image])
    assert len(found) > 0
    assert iou(found.boxes, propose_regions(image)).max(axis=1).min() > 0.75  # on whole pixels
    (moved,) = CropDetector(model, "proposals").detect([image])
    assert not np.array_equal(found.boxes, moved.boxes)


def test_one_table_has_every_way(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "rcnn", "--model", str(model), "--data", str(data), "--images", "2"]
    assert main([*command, "--draw", str(tmp_path / "ways.png")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["2", "images", "AP", "AP50", "parts", "an", "image", "ms", "an", "image"]
    assert [line[:26].strip() for line in said[1:]] == [
        "windows one by one",
        "all windows in one pass",
        "R-CNN, boxes as proposed",
        "R-CNN",
    ]
    assert cv2.imread(str(tmp_path / "ways.png")).std() > 10
    assert main([*command, "--json"]) == 0
    windows, whole, *_ = json.loads(capsys.readouterr().out)["ways"]
    assert windows["ap"] == pytest.approx(whole["ap"], abs=0.01)
    assert windows["parts"] == whole["parts"]


def test_a_localizer_of_whole_images_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tracker.nets.localizer import LocalizerConfig, LocalizerNet
    from tracker.nets.saved import save_network

    network = LocalizerNet(LocalizerConfig("lenet5_common", classes=2, hidden=4))
    description = {"network": {"backbone": "lenet5_common", "hidden": 4}, "labels": ["a", "b"], "image_size": 28}
    save_network(tmp_path / "l.safetensors", network, kind="localizer", description=description)
    assert main(["evaluate", "rcnn", "--model", str(tmp_path / "l.safetensors"), "--data", str(data)]) == 2
    assert "a localizer of whole images; detecting takes one that knows the background" in capsys.readouterr().err
