from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tracker.commands.demo_clip import frames, true_boxes
from tracker.detect.reid_embedder import BATCH, CropEmbedder, cut_out
from tracker.errors import CheckpointError
from tracker.nets.export_reid import export_reid
from tracker.nets.reid import ReidConfig, make_reid

BOXES = np.array([[10, 10, 50, 110], [100, 20, 160, 140], [200.4, 5.2, 230.7, 80.9]], np.float32)


def image(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (15, 24, 3), np.uint8)
    return cv2.resize(coarse, (240, 150), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def embedder() -> CropEmbedder:
    torch.manual_seed(0)
    return CropEmbedder(make_reid(ReidConfig(dimensions=24, height=64, width=32)))


def test_vectors_are_of_unit_length_and_the_same_for_the_same_image(embedder: CropEmbedder) -> None:
    vectors = embedder(image(), BOXES)
    assert vectors.shape == (3, 24)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ embedder(image(), BOXES).T
    np.testing.assert_allclose(likeness.diagonal(), 1, atol=1e-5)
    assert (likeness[~np.eye(3, dtype=bool)] < 0.9999).all()


def test_many_at_once_are_as_each_alone(embedder: CropEmbedder) -> None:
    many = np.repeat(BOXES, BATCH // 2, axis=0)  # more than one batch
    alone = np.concatenate([embedder(image(), box[None]) for box in BOXES])
    np.testing.assert_allclose(embedder(image(), many), np.repeat(alone, BATCH // 2, axis=0), atol=1e-4)


def test_nobody_gives_no_vectors_and_what_lies_outside_is_like_nothing(embedder: CropEmbedder) -> None:
    assert embedder(image(), np.empty((0, 4), np.float32)).shape == (0, 24)
    outside = np.array([[300, 10, 340, 60], [np.nan, 0, 5, 5], [20, 30, 20.2, 60]], np.float32)
    vectors = embedder(image(), np.concatenate([outside, BOXES[:1]]))
    assert not vectors[:3].any()
    assert vectors[3].any()


def test_a_crop_is_what_lies_under_its_box() -> None:
    image = np.zeros((150, 240, 3), np.uint8)
    image[20:140, 100:160] = (200, 100, 50)
    crop = cut_out(image, BOXES[1], (32, 64))
    assert crop is not None
    assert crop.shape == (64, 32, 3)
    assert (crop == (200, 100, 50)).all()


@pytest.mark.shared
def test_people_are_told_apart_by_a_published_network(shared: Path) -> None:
    embedder = CropEmbedder(shared / "data/pretrained/osnet_x0_25_msmt17.pt")
    shots = list(frames())
    first, later = (embedder(shots[place].image, true_boxes(place)[1].astype(np.float32)) for place in (0, 20))
    likeness = first @ later.T
    assert likeness.diagonal().min() > likeness[~np.eye(len(likeness), dtype=bool)].max() + 0.1


def test_an_exported_network_answers_as_it_does_in_torch(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = make_reid(ReidConfig(dimensions=24, height=64, width=32, identities=5, layout="openvino")).eval()
    export_reid(tmp_path / "reid.onnx", network)
    exported = CropEmbedder(tmp_path / "reid.onnx")
    assert exported.dimensions == 24
    np.testing.assert_allclose(exported(image(), BOXES), CropEmbedder(network)(image(), BOXES), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_that_nobody_knows_how_to_normalise_for_is_refused(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    torch.onnx.export(network, (torch.zeros(1, 3, 32, 16),), str(tmp_path / "x.onnx"), dynamo=False)
    with pytest.raises(CheckpointError, match=r"x\.onnx: not a re-identification network that can be read"):
        CropEmbedder(tmp_path / "x.onnx")
    with pytest.raises(CheckpointError, match="not a re-identification network that can be read"):
        CropEmbedder(Path(__file__).parents[2] / "weights" / "sightline-nano.onnx")


def test_the_network_that_comes_with_the_program_is_that_of_its_manifest() -> None:
    folder = Path(__file__).parents[2] / "weights" / "reid"
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == manifest["sha256"][name]
        assert len(content) < 1_500_000
    both = [CropEmbedder(folder / name)(image(), BOXES) for name in manifest["files"]]
    assert both[0].shape[1] == manifest["dimensions"]
    assert ((both[0] * both[1]).sum(axis=1) > 0.9999).all()
