from __future__ import annotations

import numpy as np
import pytest
import torch

from tracker.detect.decode import (
    AnchorLayout,
    Candidates,
    cut_masks,
    decode_anchors,
    decode_yolox,
    suppress,
    to_detections,
)
from tracker.geometry import Letterbox
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.masks import box_points, read_masks

STRIDES = (8, 16, 32)
ANCHORS = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
LAYOUT = AnchorLayout(STRIDES, ANCHORS, classes=6, coefficients=4)
HEIGHT, WIDTH = 96, 160


def raw_maps(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = [(2, 5 + 6 + 4, HEIGHT // stride, WIDTH // stride) for stride in STRIDES]
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("conf", [0.05, 0.3, 0.6])
def test_boxes_and_scores_equal_the_networks_own_decoding_in_torch(conf: float) -> None:
    maps = raw_maps(3)
    levels = [torch.from_numpy(level)[None] for level in maps]
    flat = flatten(levels)[0]
    grid = lay_grid([tuple(level.shape[-2:]) for level in levels], ANCHORS, STRIDES, torch.device("cpu"))
    boxes = decode(flat[:, :4], grid).numpy()
    best, class_ids = (flat[:, 4:5].sigmoid() * flat[:, 5:11].sigmoid()).max(dim=1)
    chosen = (best >= conf).numpy()
    found = decode_anchors(maps, LAYOUT, conf=conf)
    assert chosen.any()
    np.testing.assert_allclose(found.boxes, boxes[chosen], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.scores, best.numpy()[chosen], rtol=1e-5)
    np.testing.assert_array_equal(found.class_ids, class_ids.numpy()[chosen])
    np.testing.assert_array_equal(found.coefficients, flat[chosen, 11:].numpy())


def test_only_wanted_classes_are_found_and_scored_as_themselves() -> None:
    wanted = np.array([2, 5], np.int32)
    found = decode_anchors(raw_maps(4), LAYOUT, conf=0.2, classes=wanted)
    everything = decode_anchors(raw_maps(4), LAYOUT, conf=0.2)
    assert set(found.class_ids.tolist()) == {2, 5}
    of_those = np.isin(everything.class_ids, wanted)
    assert set(everything.scores[of_those].tolist()) <= set(found.scores.tolist())


def test_a_box_comes_under_every_class_that_is_likely_enough() -> None:
    """Each class of a box counts for its own chance times what the best one leaves."""
    every = decode_anchors(raw_maps(5), LAYOUT, conf=0.05, further=0.05)
    best = decode_anchors(raw_maps(5), LAYOUT, conf=0.05)
    assert len(every.boxes) > len(best.boxes)
    leaves = {box.tobytes(): 1 - score for box, score in zip(best.boxes, best.scores, strict=True)}
    names = {box.tobytes(): name for box, name in zip(best.boxes, best.class_ids.tolist(), strict=True)}
    for class_id in range(6):
        alone = decode_anchors(raw_maps(5), LAYOUT, conf=1e-4, classes=np.array([class_id], np.int32))
        expected = {
            box.tobytes(): score * (1 if names[box.tobytes()] == class_id else leaves[box.tobytes()])
            for box, score in zip(alone.boxes, alone.scores, strict=True)
            if box.tobytes() in names
        }
        own = every[np.flatnonzero(every.class_ids == class_id)]
        assert {box.tobytes() for box in own.boxes} == {box for box, score in expected.items() if score >= 0.05}
        np.testing.assert_allclose(own.scores, [expected[box.tobytes()] for box in own.boxes], rtol=1e-5)


def test_of_wanted_classes_alone_there_are_further_ones() -> None:
    wanted = np.array([2, 5], np.int32)
    found = decode_anchors(raw_maps(5), LAYOUT, conf=0.05, classes=wanted, further=0.05)
    assert set(found.class_ids.tolist()) == {2, 5}
    assert len(found.boxes) > len(np.unique(found.boxes, axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_further_classes_are_weaker_than_a_quarter_and_change_nothing_above(seed: int) -> None:
    def found(further: float) -> Candidates:
        decoded = decode_anchors(raw_maps(seed), LAYOUT, conf=0.05, further=further)
        return suppress(decoded, iou=0.6, max_det=10_000, further=further)

    every, single = found(0.05), found(1.0)
    assert len(every.boxes) > len(single.boxes)
    assert (np.diff(every.scores) <= 0).all()
    for mine, theirs in zip(of_a_quarter(every), of_a_quarter(single), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def of_a_quarter(found: Candidates) -> tuple[np.ndarray, ...]:
    strong = found[np.flatnonzero(found.scores > 0.25)]
    assert len(strong.boxes) > 5
    return strong.boxes, strong.scores, strong.class_ids


def test_masks_equal_the_networks_own_reading_in_torch() -> None:
    random = np.random.default_rng(0)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(random.normal(size=(1, 4, 6, 10))), (24, 40), mode="bicubic"
    )
    prototypes = smooth[0].numpy().astype(np.float32) * 2
    coefficients = random.normal(size=(5, 4)).astype(np.float32)
    boxes = np.array(
        [[8, 8, 60, 90], [0, 0, 160, 96], [100.5, 20.25, 130, 31], [3, 70, 40, 96], [150, 40, 160, 44]], np.float32
    )
    masks = cut_masks(prototypes, coefficients, boxes, width=WIDTH, height=HEIGHT)
    size = masks.shape[1]
    points = box_points(torch.from_numpy(boxes), size)
    logits = read_masks(torch.from_numpy(prototypes), torch.from_numpy(coefficients), points)
    expected = logits.sigmoid().numpy() * 255
    assert np.abs(masks - expected).mean() < 3
    sure = np.abs(expected - 127.5) > 12
    np.testing.assert_array_equal((masks > 127)[sure], (expected > 127.5)[sure])


def test_yolox_boxes_lie_where_its_grid_says() -> None:
    cells = sum((HEIGHT // stride) * (WIDTH // stride) for stride in STRIDES)
    output = np.zeros((cells, 85), np.float32)
    row = 3 * (WIDTH // 8) + 7  # level of stride 8, row 3, column 7
    output[row] = 0
    output[row, :5] = (0.5, 0.25, np.log(2), np.log(4), 0.9)
    output[row, 5 + 2] = 0.8
    output[row, 5 + 7] = 0.5
    found = decode_yolox(output, width=WIDTH, height=HEIGHT, conf=0.5)
    further = decode_yolox(output, width=WIDTH, height=HEIGHT, conf=0.1, further=0.1)
    assert further.class_ids.tolist() == [2, 7]
    np.testing.assert_allclose(further.scores, [0.72, 0.45 * (1 - 0.72)], rtol=1e-6)
    np.testing.assert_array_equal(further.boxes[0], further.boxes[1])
    np.testing.assert_allclose(found.boxes, [[7.5 * 8 - 8, 3.25 * 8 - 16, 7.5 * 8 + 8, 3.25 * 8 + 16]], rtol=1e-5)
    assert found.scores[0] == pytest.approx(0.72)
    assert found.class_ids.tolist() == [2]


def candidates(boxes: list[tuple[float, ...]], scores: list[float], class_ids: list[int]) -> Candidates:
    count = len(boxes)
    return Candidates(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids, np.int32),
        np.arange(count, dtype=np.float32)[:, None],
    )


def test_one_object_with_two_names_keeps_the_better_one() -> None:
    box, near, apart = (0, 0, 100, 50), (1, 0, 101, 50), (0, 0, 60, 50)
    kept = suppress(candidates([box, near, apart], [0.6, 0.8, 0.7], [2, 5, 0]), iou=0.5, max_det=10)
    assert kept.class_ids.tolist() == [5, 0]
    assert kept.coefficients.ravel().tolist() == [1, 2]


def test_where_further_classes_are_wanted_the_weaker_name_counts_for_what_the_better_one_leaves() -> None:
    box, near, apart = (0, 0, 100, 50), (1, 0, 101, 50), (0, 0, 60, 50)
    found = candidates([box, near, apart], [0.6, 0.8, 0.7], [2, 5, 0])
    both = suppress(found, iou=0.5, max_det=10, further=0.1)
    assert both.class_ids.tolist() == [5, 0, 2]
    np.testing.assert_allclose(both.scores, [0.8, 0.7, 0.12], rtol=1e-6)  # 0.6 (1 - 0.8)
    assert both.coefficients.ravel().tolist() == [1, 2, 0]
    assert suppress(found, iou=0.5, max_det=10, further=0.15).class_ids.tolist() == [5, 0]


def test_the_best_are_kept_when_there_are_too_many() -> None:
    boxes = [(10 * i, 0, 10 * i + 9, 9) for i in range(20)]
    kept = suppress(candidates(boxes, [i / 20 for i in range(20)], [0] * 20), iou=0.5, max_det=3)
    np.testing.assert_allclose(kept.scores, [0.95, 0.9, 0.85])


def test_a_box_that_is_not_finite_suppresses_nobody_and_is_left_for_the_pipeline_to_count() -> None:
    kept = suppress(candidates([(0, 0, np.inf, 9), (0, 0, 9, 9)], [0.9, 0.8], [0, 0]), iou=0.5, max_det=10)
    assert len(kept.boxes) == 2
    letterbox = Letterbox.fit(100, 100, 96)
    prototypes = np.ones((1, 24, 24), np.float32)
    detections = to_detections(kept, letterbox, image_width=100, image_height=100, prototypes=prototypes)
    assert detections.masks is not None
    assert len(detections.masks) == 2


def test_no_candidates_give_empty_detections() -> None:
    maps = [np.full_like(level, -9) for level in raw_maps(0)]
    found = suppress(decode_anchors(maps, LAYOUT, conf=0.5), iou=0.5, max_det=10)
    letterbox = Letterbox.fit(320, 180, 160)
    prototypes = np.zeros((4, 24, 40), np.float32)
    detections = to_detections(found, letterbox, image_width=320, image_height=180, prototypes=prototypes)
    assert len(detections) == 0
    assert detections.masks is not None
    assert detections.masks.shape[0] == 0
