from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tracker.nets.unet import UNet
from tracker.segment.score_layout import ScoreLayout, fitting_size, most_likely, valid_sides


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


def test_valid_convolutions_take_572_pixels_for_388_and_the_sides_are_those_of_the_network() -> None:
    assert valid_sides(388, 4) == (572, 388)
    network = UNet(2, width=2, depth=2, padded=False).eval()
    for side in (5, 36, 37, 50):
        taken, given_back = valid_sides(side, 2)
        assert given_back >= side
        with torch.no_grad():
            assert network(torch.zeros(1, 3, taken, taken)).shape[2:] == (given_back, given_back)


@given(height=st.integers(1, 99), width=st.integers(1, 99), multiple=st.sampled_from([1, 8, 32]))
def test_an_image_lies_at_the_corner_of_a_canvas_of_whole_multiples(height: int, width: int, multiple: int) -> None:
    image = np.random.default_rng(height).integers(0, 255, (height, width, 3), np.uint8)
    canvas = ScoreLayout(multiple=multiple).place(image)
    assert all(side % multiple == 0 for side in canvas.pixels.shape[:2])
    assert np.array_equal(canvas.pixels[: canvas.rows, : canvas.columns], image)


def test_valid_networks_see_their_image_mirrored_around_it() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    canvas = ScoreLayout(valid_depth=2).place(image)
    (tall, rows), (wide, columns) = valid_sides(40, 2), valid_sides(30, 2)
    assert canvas.pixels.shape == (tall, wide, 3)
    top, left = (tall - rows) // 2, (wide - columns) // 2
    assert np.array_equal(canvas.pixels[top : top + 40, left : left + 30], image)
    assert np.array_equal(canvas.pixels[top - 1, left : left + 30], image[1])


@pytest.mark.parametrize(
    ("size", "expected"), [((360, 480), (360, 480)), ((720, 960), (360, 480)), ((720, 1280), (312, 554))]
)
def test_images_keep_their_proportions_at_as_many_pixels_as_were_trained_on(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitting_size(*size, trained=(360, 480), finest=2) == expected
