from __future__ import annotations

import subprocess
import sys

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tracker.nets.segmenter import SegmentationConfig, SegmentationNet
from tracker.segment import label_map, most_likely


@settings(max_examples=20, deadline=None)
@given(classes=st.integers(2, 5), height=st.integers(6, 40), width=st.integers(6, 40), seed=st.integers(0, 99))
def test_the_most_likely_label_is_that_of_logits_enlarged_all_at_once(
    classes: int, height: int, width: int, seed: int
) -> None:
    logits = np.random.default_rng(seed).normal(size=(classes, 6, 6)).astype(np.float32)
    found = most_likely(logits, height=height, width=width)
    enlarged = functional.interpolate(torch.from_numpy(logits)[None], size=(height, width), mode="bilinear")[0]
    margin = enlarged.topk(2, dim=0).values.diff(dim=0).abs()[0].numpy()
    clear = margin > 1e-3
    assert found.shape == (height, width)
    assert (found == enlarged.argmax(dim=0).numpy())[clear].all()


def test_a_label_map_has_the_size_of_its_image() -> None:
    network = SegmentationNet(SegmentationConfig("unet", classes=3, width=2, depth=2)).eval()
    with torch.no_grad():
        network.network.classify.weight.zero_()
        network.network.classify.bias.copy_(torch.tensor([0.0, 2.0, 1.0]))
    image = np.zeros((37, 53, 3), np.uint8)
    image.flags.writeable = False
    labels = label_map(network, image, size=(16, 24))
    assert labels.dtype == np.uint8
    assert labels.shape == (37, 53)
    assert (labels == 1).all()


def test_importing_the_labeller_does_not_import_torch() -> None:
    code = "import sys, tracker.segment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
