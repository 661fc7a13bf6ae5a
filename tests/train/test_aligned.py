from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.shapes import write_shapes
from tests.train.truths import truth_of
from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.evaluate.detection import evaluate_detector
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.distances import DistanceHead
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import RawMaps, YoloNet
from tracker.train.aligned import Winners, align, aligned_loss
from tracker.train.data.augment import AugmentConfig
from tracker.train.data.detection import load_data
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig
from tracker.train.losses import LossConfig
from tracker.train.truth_batch import TruthBatch

ANCHORS = (((8.0, 8.0),), ((16.0, 16.0),), ((32.0, 32.0),))
STRIDES = (8, 16, 32)
SIZE = 64
CONFIG = NetworkConfig(
    backbone="yolo26_nano", classes=2, anchors=1, coefficients=8, widths=(32, 32, 64), neck="yolo26", head="distances",
    head_width=32, mask_width=16, prototype_width=16,
)  # fmt: skip


def grid_of(size: int = SIZE) -> object:
    return lay_grid([(size // stride, size // stride) for stride in STRIDES], ANCHORS, STRIDES)


def align_random(seed: int, count: int, *, answers: int = 1) -> Winners:
    """Who answers for so many random boxes, where cells say random things."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (count, 2))
    boxes = torch.from_numpy(np.concatenate((low, low + rng.uniform(6, 24, (count, 2))), axis=1)).float()
    grid = grid_of()
    offsets = torch.from_numpy(rng.normal(0, 0.4, (len(grid.columns), 4))).float()  # type: ignore[attr-defined]
    classes = torch.from_numpy(rng.normal(0, 1, (len(offsets), 2))).float()
    truth = TruthBatch.of([truth_of(boxes)])
    return align(decode(offsets, grid)[None], classes[None], grid, truth, answers=answers)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_one_cell_answers_for_an_object_and_no_cell_for_two(seed: int, count: int) -> None:
    won = align_random(seed, count)
    assert len(set(won.cells.tolist())) == len(won.cells) == len(set(won.objects.tolist()))
    assert bool((won.ious > 0).all())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 12))
def test_several_cells_answer_for_an_object_the_best_first_and_none_for_two(seed: int, count: int, k: int) -> None:
    one, several = align_random(seed, count), align_random(seed, count, answers=k)
    assert len(set(several.cells.tolist())) == len(several.cells)
    assert set(several.objects.tolist()) == set(one.objects.tolist())
    for number in set(several.objects.tolist()):
        own = several.objects == number
        assert 1 <= int(own.sum()) <= k
        assert several.cells[own][0] == one.cells[one.objects == number]
        shares = several.share[own]
        assert shares[0] == 1.0
        assert bool((shares[1:] <= shares[:-1]).all())
        assert bool((shares > 0).all())
        assert several.reached[own].tolist() == pytest.approx([float(several.ious[own].max())] * int(own.sum()))


def test_the_cell_that_fits_and_is_sure_answers() -> None:
    grid = grid_of()
    boxes = torch.zeros(len(grid.columns), 4)  # type: ignore[attr-defined]
    wanted = torch.tensor([[10.0, 10.0, 40.0, 40.0]])
    boxes[:] = torch.tensor([8.0, 8.0, 44.0, 44.0])
    boxes[27] = wanted[0]
    classes = torch.full((len(boxes), 2), -3.0)
    classes[27, 0] = 2.0
    won = align(boxes[None], classes[None], grid, TruthBatch.of([truth_of(wanted)]))  # type: ignore[arg-type]
    assert won.cells.tolist() == [27]
    assert won.ious[0] == pytest.approx(1.0)


def test_what_a_teacher_doubts_is_learned_as_doubted() -> None:
    """The class target is the teacher's score: the loss is least where the network says just that."""
    grid = grid_of()
    box = torch.tensor([[10.0, 10.0, 40.0, 40.0]])
    truth = truth_of(box, weight=0.3)
    losses = []
    for chance in (0.1, 0.3, 0.6):
        levels = []
        for stride in STRIDES:
            side = SIZE // stride
            level = torch.full((1, 1, 15, side, side), -9.0)
            level[:, :, :2] = 0.5
            level[:, :, 2:4] = float(np.log(30 / stride))
            level[:, :, 4] = 12.0
            levels.append(level)
        levels[0][0, 0, 5, 3, 3] = float(np.log(chance / (1 - chance)))
        raw = RawMaps(tuple(levels), torch.zeros(1, 8, SIZE // 4, SIZE // 4), torch.zeros(1, 1, 16, 16))
        one = LossConfig(answers=1)
        sums = aligned_loss(raw, [truth], grid, one, class_count=2, seeds=[0])  # type: ignore[arg-type]
        assert float(sums.positive) == pytest.approx(0.3)
        losses.append(float(sums.classes))
    assert losses[1] < min(losses[0], losses[2])


def test_an_image_without_objects_teaches_silence_and_reaches_every_weight() -> None:
    torch.manual_seed(0)
    network = YoloNet(CONFIG)
    raw = network(torch.rand(1, 3, SIZE, SIZE))
    none = truth_of(torch.zeros(0, 4))
    sums = aligned_loss(raw, [none], grid_of(), LossConfig(), class_count=2, seeds=[0])  # type: ignore[arg-type]
    torch.stack(list(sums.weighted(LossConfig(), sums.positive, sums.mask_count).values())).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert float(sums.classes.detach()) > 0


def test_k_anchors_tell_sizes_relative_to_their_own() -> None:
    torch.manual_seed(0)
    head = DistanceHead(32, CONFIG)
    other = DistanceHead(32, CONFIG)
    other.load_state_dict(head.state_dict())
    other.set_anchors(8, ((16.0, 4.0),))
    x = torch.rand(1, 32, 4, 4)
    a, b = head(x), other(x)
    torch.testing.assert_close(a[:, :, 2].exp() * 8, b[:, :, 2].exp() * 16)
    torch.testing.assert_close(a[:, :, 3].exp() * 8, b[:, :, 3].exp() * 4)


@pytest.mark.parametrize("seed", range(3))
def test_a_fresh_head_has_cells_that_answer_for_every_object(seed: int) -> None:
    torch.manual_seed(seed)
    network = YoloNet(CONFIG).eval()
    with torch.no_grad():
        flat = flatten(network(torch.rand(1, 3, 160, 160)).levels)
    grid = lay_grid([(160 // stride, 160 // stride) for stride in STRIDES], ANCHORS, STRIDES)
    sides = torch.tensor([12.0, 40.0, 60.0, 90.0])
    centres = torch.tensor([[20.0, 20.0], [100.0, 30.0], [40.0, 110.0], [105.0, 105.0]])
    objects = torch.cat((centres - sides[:, None] / 2, centres + sides[:, None] / 2), dim=1)
    truth = TruthBatch.of([truth_of(objects)])
    won = align(decode(flat[..., :4], grid), flat[..., 5:7], grid, truth, answers=10)
    assert set(won.objects.tolist()) == {0, 1, 2, 3}


@pytest.mark.slow
def test_eight_images_are_learned_by_heart_without_objectness(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = write_shapes(tmp_path / "shapes", images=8, size=160)
    data.write_text(data.read_text() + "val: images\n")
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(CONFIG), ModelCard(("disc", "box"), ANCHORS, coefficients=8))
    still = AugmentConfig(mosaic=0.0, mixup=0.0, copy_paste=0.0, flip=0.0, zoom=1.0, colour=0.0)
    best = train_detector(
        TrainConfig(
            data=data, out=tmp_path / "run", start=str(start), teacher="none", epochs=150, batch=8, input_size=160,
            learning_rate=3e-3, average=0.9, evaluate_minutes=60.0, device="cpu", mixed_precision=False, augment=still,
            pictures=False, tensorboard=False,
        )
    )  # fmt: skip
    network, card = load_detector(best)
    detector = TorchDetector((network, card), DetectorConfig(conf=0.05, imgsz=160, device="cpu"))
    boxes, masks = evaluate_detector(detector, load_data(data)[0]["val"])
    assert min(part.ap50 for part in boxes.values()) > 0.95
    assert min(part.ap50 for part in masks.values()) > 0.9
