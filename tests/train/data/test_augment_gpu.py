from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.train.shapes import write_shapes
from tracker.train.data.augment import AugmentConfig, TrainingSample, Truth
from tracker.train.data.augment_gpu import DeviceData, Tiles
from tracker.train.data.batches import Batch, to_device
from tracker.train.data.detection import load_data
from tracker.train.distil import DistillConfig, known_truth
from tracker.train.truth_batch import TruthTensors

CPU = torch.device("cpu")
PLAIN = AugmentConfig(mosaic=0.5, flip=0.5, colour=0.0, copy_paste=0.0, mixup=0.0)


def square(left: int, top: int, side: int, *, width: int = 120, height: int = 90) -> TrainingSample:
    """A red square on grey, with a mask that covers its right half."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[top : top + side, left : left + side] = (250, 20, 20)
    box = np.array([[left, top, left + side, top + side]], np.float32)
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, :, 32:] = 255
    one = np.ones((1, 1), np.float32)
    none = np.empty((0, 4), np.float32)
    unlabelled = np.zeros(one.shape[1], np.float32)
    ground_truth = Truth(box, box, one, one, np.ones(1, np.float32), mask, np.ones(1, bool), none, unlabelled)
    return TrainingSample(image, ground_truth)


def reddish(image: np.ndarray) -> np.ndarray:
    red, green, _ = np.moveaxis(image.astype(int), -1, 0)
    return red > green + 100


@pytest.fixture(scope="module")
def data() -> DeviceData:
    samples = [square(20 + 9 * n, 10 + 4 * n, 24 + 2 * n) for n in range(6)]
    return DeviceData(samples, size=128, device=CPU)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.sampled_from((0.0, 1.0)))
def test_boxes_lie_where_the_squares_are_drawn(data: DeviceData, seed: int, mosaic: float) -> None:
    (batch,) = data.epoch(epoch=0, batch_size=6, sizes=(128,), augment=replace(PLAIN, mosaic=mosaic), seed=seed)
    assert batch.images.shape == (6, 128, 128, 3)
    for image, ground_truth in zip(batch.images.numpy(), batch.truths, strict=True):
        assert isinstance(ground_truth, TruthTensors)
        drawn = reddish(image)
        rows, columns = np.mgrid[:128, :128] + 0.5
        expected = np.zeros_like(drawn)
        for x1, y1, x2, y2 in (*ground_truth.boxes.tolist(), *ground_truth.ignored.tolist()):
            expected |= (columns > x1 - 1) & (columns < x2 + 1) & (rows > y1 - 1) & (rows < y2 + 1)
        assert not (drawn & ~expected).any()  # nothing red outside boxes and ignored regions
        for x1, y1, x2, y2 in ground_truth.boxes.tolist():
            inside = (columns > x1 + 1) & (columns < x2 - 1) & (rows > y1 + 1) & (rows < y2 - 1)
            assert drawn[inside].all()


@pytest.mark.parametrize("flipped", [False, True])
def test_masks_turn_with_the_image(data: DeviceData, flipped: bool) -> None:
    empty = torch.zeros(1, 4, 4)
    empty[0, 0] = torch.tensor([0.0, 0.0, 128.0, 128.0])
    still = Tiles(
        torch.zeros((1, 4), dtype=torch.long),
        torch.ones(1, 4),
        torch.zeros(1, 4),
        torch.zeros(1, 4),
        torch.full((1, 4), flipped),
        empty,
    )
    (ground_truth,) = data.move_truth(still)
    left, right = ground_truth.masks[0, :, :32].float().mean(), ground_truth.masks[0, :, 32:].float().mean()
    assert (float(left), float(right)) == ((255.0, 0.0) if flipped else (0.0, 255.0))
    factor = 128 / 120
    x1 = (120 - 20 - 24 if flipped else 20) * factor
    np.testing.assert_allclose(ground_truth.boxes[0, [0, 2]].numpy(), [x1, x1 + 24 * factor], atol=0.05)


def test_shrunk_images_are_averaged_not_skipped() -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 200
    ground_truth = Truth.empty(1)
    data = DeviceData([TrainingSample(stripes, ground_truth)], size=128, device=CPU)
    whole = torch.tensor([[[0.0, 0.0, 128.0, 128.0], *[[0.0] * 4] * 3]])
    zeros = torch.zeros(1, 4)
    tiles = Tiles(zeros.long(), torch.full((1, 4), 0.5), zeros, zeros, zeros.bool(), whole)
    painted = data.paint(tiles, 128)[0].numpy()
    np.testing.assert_allclose(painted[4:60, 4:60], 100, atol=2)
    assert (painted[66:] == 114).all()


def test_what_is_drawn_hangs_on_seed_epoch_and_step_alone(data: DeviceData) -> None:
    def batches(**options: int) -> list[Batch]:
        common = {"epoch": 3, "batch_size": 2, "seed": 7, **options}
        return list(data.epoch(sizes=(96, 128), augment=AugmentConfig(), **common))

    whole, later = batches(), batches(first_step=2)
    assert len(whole) == 3
    assert torch.equal(whole[2].images, later[0].images)
    first, second = batches(rank=0, ranks=2), batches(rank=1, ranks=2)
    assert torch.equal(torch.cat((first[1].images, second[1].images)), whole[1].images)
    assert [*first[1].seeds, *second[1].seeds] == whole[1].seeds
    assert not torch.equal(batches(epoch=4)[0].images, whole[0].images)


def test_truth_of_real_labels_is_whole(tmp_path: Path) -> None:
    shapes = load_data(write_shapes(tmp_path / "s", images=4))[0]["train"]
    tables = shapes.targets()
    samples = [TrainingSample(s.read(), known_truth(s, shapes, None, DistillConfig(), tables)) for s in shapes.samples]
    data = DeviceData(samples, size=160, device=CPU)
    still = AugmentConfig(mosaic=0.0, flip=0.0, zoom=1.0, colour=0.0)
    (batch,) = data.epoch(epoch=0, batch_size=4, sizes=(160,), augment=still, seed=1)
    images, truths = to_device(batch, CPU)
    assert images.shape == (4, 3, 160, 160)
    assert sum(len(ground_truth.boxes) for ground_truth in truths) == sum(
        len(sample.boxes) for sample in shapes.samples
    )
    found = sorted(map(tuple, torch.cat([ground_truth.boxes for ground_truth in truths]).round().tolist()))
    expected = sorted(map(tuple, np.concatenate([sample.boxes for sample in shapes.samples]).round().tolist()))
    np.testing.assert_allclose(found, expected, atol=1.01)
    assert all(bool(ground_truth.has_mask.all()) for ground_truth in truths)
