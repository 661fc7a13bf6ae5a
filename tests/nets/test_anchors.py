from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.detect.decode import AnchorLayout, decode_anchors
from tracker.nets.anchors import anchor_fit, decode, encode, find_anchors, flatten, lay_grid, ratio_matches
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet

ANCHORS = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
STRIDES = (8, 16, 32)
SHAPES = [(8, 12), (4, 6), (2, 3)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_decoding_an_encoded_box_gives_the_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = lay_grid(SHAPES, ANCHORS, STRIDES)
    low = rng.uniform(-20, 80, (len(grid.rows), 2))
    boxes = torch.from_numpy(np.concatenate((low, low + rng.uniform(2, 300, low.shape)), axis=1)).float()
    torch.testing.assert_close(decode(encode(boxes, grid), grid), boxes, atol=1e-2, rtol=1e-4)


def test_torch_and_numpy_decode_the_same_boxes() -> None:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=3, coefficients=4)).eval()
    with torch.inference_mode():
        raw = network(torch.rand(1, 3, 64, 96))
    flat = flatten(raw.levels)[0]
    grid = lay_grid([(level.shape[3], level.shape[4]) for level in raw.levels], ANCHORS, STRIDES)
    boxes = decode(flat[:, :4], grid)
    scores = (flat[:, 4:5].sigmoid() * flat[:, 5:8].sigmoid()).max(dim=1).values
    layout = AnchorLayout(STRIDES, ANCHORS, classes=3, coefficients=4)
    found = decode_anchors([level[0].numpy() for level in raw.levels], layout, conf=0.0)
    order, other = scores.numpy().argsort(kind="stable"), found.scores.argsort(kind="stable")
    np.testing.assert_allclose(scores.numpy()[order], found.scores[other], rtol=1e-5)
    np.testing.assert_allclose(np.sort(boxes.numpy(), axis=0), np.sort(found.boxes, axis=0), rtol=1e-4, atol=1e-3)


def test_anchors_found_are_the_cluster_centres() -> None:
    rng = np.random.default_rng(1)
    centres = np.array([(10.0, 30.0), (60.0, 40.0), (200.0, 150.0)])
    sizes = np.concatenate([centre * rng.uniform(0.9, 1.1, (50, 2)) for centre in centres])
    found = find_anchors(sizes, 3)
    np.testing.assert_allclose(found, centres, rtol=0.05)
    iou, recall = anchor_fit(sizes, found)
    assert iou > 0.85
    assert recall == 1.0


def test_too_few_boxes_for_anchors_are_refused() -> None:
    with pytest.raises(ValueError, match="at least as many boxes"):
        find_anchors(np.ones((2, 2)), 6)


def test_an_anchor_matches_within_the_ratio_in_both_sides() -> None:
    grid = lay_grid([(1, 1), (1, 1), (1, 1)], ANCHORS, STRIDES)
    fits, apart = ratio_matches(torch.tensor([[24.0, 22.0]]), grid, limit=4.0)
    assert fits[0].tolist() == [True, True, True, True, False, False]
    assert float(apart[0, 0]) == pytest.approx(np.log(2))
