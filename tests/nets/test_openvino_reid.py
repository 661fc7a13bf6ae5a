from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tracker.detect.reid_embedder import CropEmbedder
from tracker.errors import CheckpointError
from tracker.nets.openvino_reid import copy_openvino, settle_norms
from tracker.nets.reid import OSNet, ReidConfig, make_reid

NETWORK = "data/pretrained/person-reidentification-retail-0288.onnx"
WEIGHTS = Path(__file__).parents[2] / "weights"


def fresh(height: int = 256, width: int = 128) -> OSNet:
    network = make_reid(ReidConfig(dimensions=256, height=height, width=width, layout="openvino"))
    assert isinstance(network, OSNet)
    return network.eval()


@pytest.mark.shared
def test_the_published_layers_answer_in_our_network_as_in_the_file(shared: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    image = np.kron(image[::20, ::20], np.ones((20, 20, 1), np.uint8))
    boxes = np.array([[0, 0, 128, 256], [150, 20, 278, 276], [260, 40, 388, 296]], np.float32)
    network = fresh()
    copy_openvino(network, shared / NETWORK)
    ours, theirs = CropEmbedder(network)(image, boxes), CropEmbedder(shared / NETWORK)(image, boxes)
    assert ((ours * theirs).sum(axis=1) > 0.9999).all()
    assert (theirs[0] * theirs[1]).sum() < 0.99


def test_norms_take_the_statistics_of_crops_and_nothing_changes() -> None:
    torch.manual_seed(0)
    network = fresh(64, 32)
    crops = torch.rand(16, 3, 64, 32)
    with torch.inference_mode():
        before = network(crops)
    settle_norms(network, crops)
    with torch.inference_mode():
        torch.testing.assert_close(network(crops), before, rtol=1e-3, atol=1e-4)
        in_training = network.train()(crops)
    assert (functional.cosine_similarity(in_training, before) > 0.999).all()


def test_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="not person-reidentification-retail-0288: expected a layer"):
        copy_openvino(fresh(), WEIGHTS / "sightline-nano.onnx")
    plain = make_reid(ReidConfig())
    assert isinstance(plain, OSNet)
    with pytest.raises(CheckpointError, match="osnet_x0_25 of layout openvino"):
        copy_openvino(plain, WEIGHTS / "sightline-nano.onnx")
