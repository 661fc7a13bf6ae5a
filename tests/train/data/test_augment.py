from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.train.shapes import write_shapes
from tracker.train.data.augment import AugmentConfig, TrainingSample, make_sample, mirror, place
from tracker.train.data.detection import load_data
from tracker.train.distil import DistillConfig, known_truth


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingSample]:
    data = load_data(write_shapes(tmp_path_factory.mktemp("shapes") / "s", images=6))[0]["train"]
    tables = data.targets()
    return [TrainingSample(s.read(), known_truth(s, data, None, DistillConfig(), tables)) for s in data.samples]


def reddish(sample: TrainingSample) -> np.ndarray:
    """Pixels of the discs, which are painted red."""
    red, green, blue = np.moveaxis(sample.image.astype(int), -1, 0)
    return (red > green + 60) & (red > blue + 60)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.sampled_from((0.0, 1.0)))
def test_boxes_and_masks_move_with_the_pixels(samples: list[TrainingSample], seed: int, mosaic: float) -> None:
    config = AugmentConfig(mosaic=mosaic, mixup=0.0, copy_paste=0.0, colour=0.0)
    rng = np.random.default_rng(seed)
    sample = make_sample(seed % 6, samples.__getitem__, 6, 192, rng, config)
    assert sample.image.shape == (192, 192, 3)
    ground_truth, red = sample.ground_truth, reddish(sample)
    columns, rows = np.meshgrid(np.arange(192) + 0.5, np.arange(192) + 0.5)
    painted = np.zeros((192, 192), bool)
    for box, full, kind, mask in zip(
        ground_truth.boxes, ground_truth.full_boxes, ground_truth.classes, ground_truth.masks, strict=True
    ):
        if not kind[0]:
            continue
        x1, y1, x2, y2 = box
        fx1, fy1, fx2, fy2 = full
        size = mask.shape[0]
        across = np.clip((columns - fx1) / (fx2 - fx1) * size, 0, size - 1).astype(int)
        down = np.clip((rows - fy1) / (fy2 - fy1) * size, 0, size - 1).astype(int)
        inside = (columns > x1) & (columns < x2) & (rows > y1) & (rows < y2)
        painted |= inside & (mask[down, across] > 127)
    if painted.sum() > 200:
        assert (painted & red).sum() / painted.sum() > 0.85
    known = painted.copy()
    for x1, y1, x2, y2 in ground_truth.ignored:
        known |= (columns > x1 - 2) & (columns < x2 + 2) & (rows > y1 - 2) & (rows < y2 + 2)
    assert (red & ~known).sum() <= 0.15 * max(red.sum(), 200)


def test_mirroring_twice_changes_nothing(samples: list[TrainingSample]) -> None:
    twice = mirror(mirror(samples[0]))
    assert np.array_equal(twice.image, samples[0].image)
    np.testing.assert_allclose(twice.ground_truth.boxes, samples[0].ground_truth.boxes, atol=1e-4)
    assert np.array_equal(twice.ground_truth.masks, samples[0].ground_truth.masks)


def test_the_same_generator_gives_the_same_image(samples: list[TrainingSample]) -> None:
    config = AugmentConfig(mixup=0.5, copy_paste=0.5)
    one, other = (
        make_sample(2, samples.__getitem__, 6, 160, np.random.default_rng((1, 2, 3)), config) for _ in range(2)
    )
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.ground_truth.boxes, other.ground_truth.boxes)


def test_what_hardly_shows_is_ignored_not_background(samples: list[TrainingSample]) -> None:
    sample = samples[0]
    x1, y1, x2 = sample.ground_truth.boxes[0, :3]
    canvas = np.zeros((160, 160, 3), np.uint8)
    left = -(x2 - 0.1 * (x2 - x1))  # a tenth of the first object remains
    ground_truth = place(canvas, sample, scale=1.0, left=float(left), top=0.0, window=(0, 0, 160, 160))
    assert any(abs(region[0]) < 1 and abs(region[1] - y1) < 1 for region in ground_truth.ignored)
    assert not any(abs(box[1] - y1) < 0.1 and box[0] < 1 for box in ground_truth.boxes)


def test_pasted_objects_bring_their_outline(samples: list[TrainingSample]) -> None:
    config = replace(AugmentConfig(), mosaic=0.0, copy_paste=1.0, mixup=0.0, zoom=1.5)
    plain = replace(config, copy_paste=0.0)
    more = 0
    for seed in range(10):
        with_paste = make_sample(0, samples.__getitem__, 6, 320, np.random.default_rng(seed), config)
        without = make_sample(0, samples.__getitem__, 6, 320, np.random.default_rng(seed), plain)
        more += len(with_paste.ground_truth.boxes) - len(without.ground_truth.boxes)
        assert with_paste.ground_truth.has_mask.all()
    assert more > 0
