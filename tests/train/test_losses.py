from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import complete_box_iou

from tests.train.truths import truth_of
from tracker.nets.anchors import lay_grid
from tracker.nets.masks import box_points, read_masks
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import RawMaps, YoloNet
from tracker.train.aligned import aligned_loss
from tracker.train.assign import Assignment, assign
from tracker.train.losses import LossConfig, ciou, target_masks, yolo_loss
from tracker.train.truth_batch import TruthBatch, TruthTensors, covered_by, paired_iou

ANCHORS = (((12.0, 12.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
STRIDES = (8, 16, 32)


def random_boxes(rng: np.random.Generator, count: int) -> torch.Tensor:
    low = rng.uniform(0, 100, (count, 2))
    return torch.from_numpy(np.concatenate((low, low + rng.uniform(5, 80, (count, 2))), axis=1)).float()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_ciou_equals_torchvision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, 8), random_boxes(rng, 8)
    torch.testing.assert_close(ciou(a, b), complete_box_iou(a, b).diagonal(), atol=1e-5, rtol=1e-4)


def test_overlap_is_counted_pair_by_pair_and_cover_by_the_part_inside() -> None:
    whole, others = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 0, 15, 10], [2.0, 2, 4, 4]])
    torch.testing.assert_close(paired_iou(whole.expand(2, 4), others), torch.tensor([1 / 3, 0.04]))
    assert covered_by(whole[None], others[None]).tolist() == [[False, True]]  # half is not more than half
    assert covered_by(torch.zeros(1, 2, 4), others[None]).tolist() == [[False, False]]


def assign_one(
    boxes: torch.Tensor, objectness: torch.Tensor, classes: torch.Tensor, grid: object, truth: TruthTensors
) -> Assignment:
    """A batch of one image."""
    return assign(boxes[None], objectness[None], classes[None], grid, TruthBatch.of([truth]))  # type: ignore[arg-type]


def predictions(grid: object, boxes: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random predictions around the anchors."""
    torch.manual_seed(seed)
    columns, rows, strides, widths, heights = grid  # type: ignore[misc]
    x, y = (columns + 0.5) * strides, (rows + 0.5) * strides
    half = torch.stack((widths, heights), dim=1) / 2
    centre = torch.stack((x, y), dim=1)
    return torch.cat((centre - half, centre + half), dim=1), torch.randn(len(x)), torch.randn(len(x), 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_each_object_is_answered_and_no_anchor_answers_twice(seed: int, count: int) -> None:
    grid = lay_grid([(20, 20), (10, 10), (5, 5)], ANCHORS, STRIDES)
    rng = np.random.default_rng(seed)
    low = np.stack(np.meshgrid(np.arange(4) * 40, np.arange(3) * 40), axis=-1).reshape(-1, 2)[:count] + 2
    boxes = torch.from_numpy(np.concatenate((low, low + rng.uniform(8, 36, low.shape)), axis=1)).float()
    ground_truth = truth_of(boxes)
    match = assign_one(*predictions(grid, boxes, seed % 1000), grid, ground_truth)
    assert sorted(set(match.objects.tolist())) == list(range(len(boxes)))
    assert len(set(match.anchors.tolist())) == len(match.anchors)
    assert not match.negative[0, match.anchors].any()
    assert int((~match.negative).sum()) == len(match.anchors)


def test_nothing_is_taught_inside_ignored_regions() -> None:
    grid = lay_grid([(20, 20), (10, 10), (5, 5)], ANCHORS, STRIDES)
    none = truth_of(torch.zeros(0, 4), ignored=torch.tensor([[0.0, 0.0, 80.0, 160.0]]))
    boxes, objectness, classes = predictions(grid, none.boxes)
    match = assign_one(boxes, objectness, classes, grid, none)
    x1, y1, x2, y2 = boxes.unbind(-1)
    assert not match.negative[0, (x1 > 0) & (x2 < 80) & (y1 > 0) & (y2 < 160)].any()
    assert match.negative[0, x1 > 80].all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["offsets", "aligned"]))
def test_the_loss_of_a_batch_is_that_of_its_images_one_by_one(seed: int, kind: str) -> None:
    """However many objects the others have; masks too, which are drawn by the seed of their image."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    loss, k = (yolo_loss, 2) if kind == "offsets" else (aligned_loss, 1)
    anchors = tuple(pairs[:k] for pairs in ANCHORS)
    grid = lay_grid([(16, 16), (8, 8), (4, 4)], anchors, STRIDES)
    levels = [torch.randn(3, k, 5 + 2 + 4, side, side, generator=generator) for side in (16, 8, 4)]
    prototypes = torch.randn(3, 4, 32, 32, generator=generator)
    config = LossConfig(masks_per_image=3)
    truths = [truth_of(random_boxes(rng, count)) for count in (5, 0, 1)]
    truths[2] = truths[2]._replace(ignored=random_boxes(rng, 2), unlabelled=torch.tensor([0.0, 1.0]))

    def sums(rows: list[int]) -> torch.Tensor:
        raw = RawMaps(tuple(level[rows] for level in levels), prototypes[rows], prototypes[rows])
        chosen = [truths[row] for row in rows]
        return torch.stack(loss(raw, chosen, grid, config, class_count=2, seeds=[7 + row for row in rows]))

    torch.testing.assert_close(sums([0, 1, 2]), sums([0]) + sums([1]) + sums([2]), rtol=1e-4, atol=1e-3)


def test_what_looks_like_a_class_unlabelled_there_is_not_taught_to_be_background() -> None:
    grid = lay_grid([(20, 20), (10, 10), (5, 5)], ANCHORS, STRIDES)
    levels = [torch.zeros(1, 2, 5 + 2 + 4, side, side) for side in (20, 10, 5)]
    for level in levels:
        level[:, :, 5], level[:, :, 6] = -6.0, 6.0  # every anchor speaks of class 1
    raw = RawMaps(tuple(levels), torch.zeros(1, 4, 40, 40), torch.zeros(1, 8, 40, 40))
    nothing = truth_of(torch.zeros(0, 4))
    silence = {
        unlabelled: float(yolo_loss(raw, [ground_truth], grid, LossConfig(), class_count=2, seeds=[1]).objectness)
        for unlabelled in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
        for ground_truth in [nothing._replace(unlabelled=torch.tensor(unlabelled))]
    }
    assert silence[0.0, 0.0] > 100
    assert silence[1.0, 0.0] > 0.99 * silence[0.0, 0.0]  # class 0 is unlabelled: what resembles class 1 is judged
    assert silence[0.0, 1.0] < 0.01 * silence[0.0, 0.0]
    assert silence[1.0, 1.0] == 0.0


@pytest.mark.parametrize("empty", [True, False])
def test_the_loss_of_any_batch_is_finite_and_reaches_every_weight(empty: bool) -> None:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=2, coefficients=4)).train()
    raw = network(torch.rand(2, 3, 128, 128))
    grid = lay_grid([(16, 16), (8, 8), (4, 4)], ANCHORS, STRIDES)
    boxes = torch.zeros(0, 4) if empty else torch.tensor([[10.0, 10, 50, 60], [70.0, 20, 120, 120]])
    sums = yolo_loss(raw, [truth_of(boxes)] * 2, grid, LossConfig(), class_count=2, seeds=[1, 2])
    losses = sums.weighted(LossConfig(), sums.positive, sums.mask_count)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert bool(total.isfinite())
    assert all(weight.grad is not None and bool(weight.grad.isfinite().all()) for weight in network.parameters())
    assert (float(sums.positive) == 0) == empty


def test_masks_read_at_box_points_are_the_mixed_prototypes() -> None:
    columns = torch.arange(20.0) * 4 + 2
    slope = columns.expand(20, 20)
    prototypes = torch.stack((slope, slope.T))
    points = box_points(torch.tensor([[8.0, 20.0, 40.0, 60.0]]), 8)
    logits = read_masks(prototypes, torch.tensor([[1.0, 2.0]]), points)
    x, y = points.unbind(-1)
    torch.testing.assert_close(logits, x + 2 * y, atol=1e-3, rtol=1e-4)


def test_a_target_mask_is_read_in_its_own_box() -> None:
    masks = torch.zeros(1, 64, 64, dtype=torch.uint8)
    masks[:, :, 32:] = 255
    box = torch.tensor([[10.0, 10.0, 50.0, 90.0]])
    target = target_masks(masks, box, box_points(torch.tensor([[0.0, 10.0, 60.0, 90.0]]), 60))[0]
    assert float(target[:, :29].max()) < 0.01
    assert float(target[:, 31:49].min()) > 0.99
    assert float(target[:, 51:].max()) < 0.01
