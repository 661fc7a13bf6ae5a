"""Between two networks: the ends are the networks themselves, and what the tuned one never learned stays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.weights_average import ANSWERS, mix
from tracker.config.coco_classes import COCO_LABELS
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet, is_mask_part
from tracker.train.initial_weights import change_classes

KNOWN = ("person", "car", "receptionist")
ROWS = [COCO_LABELS.index("person"), COCO_LABELS.index("car")]


@pytest.fixture(scope="module")
def start() -> YoloNet:
    torch.manual_seed(0)
    return YoloNet(NetworkConfig(classes=len(COCO_LABELS)))


@pytest.fixture(scope="module")
def tuned() -> YoloNet:
    """Of three classes, one of which the start has no row for, given the rows of the start's classes."""
    torch.manual_seed(1)
    network = YoloNet(NetworkConfig(classes=len(KNOWN)))
    for parameter in network.parameters():  # biases begin alike in every network
        torch.nn.init.normal_(parameter)
    return change_classes(network, KNOWN, COCO_LABELS)


def rows_of(name: str, value: Tensor) -> Tensor:
    """Answers laid out by anchor and class."""
    return value.view(2, len(COCO_LABELS), -1) if any(part in name for part in ANSWERS) else value


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("masks", [False, True])
def test_every_weight_lies_so_far_on_the_way_from_start_to_tuned(
    start: YoloNet, tuned: YoloNet, share: float, masks: bool
) -> None:
    mixed, first, second = (
        network.state_dict() for network in (mix(start, tuned, KNOWN, share, masks=masks), start, tuned)
    )
    answers = 0
    for name, value in mixed.items():
        expected = torch.lerp(first[name].double(), second[name].double(), share)
        if is_mask_part(name) and not masks:
            expected = second[name].double()
        elif any(part in name for part in ANSWERS):
            answers += 1
            whole = rows_of(name, first[name].double().clone())
            whole[:, ROWS] = rows_of(name, expected)[:, ROWS]
            expected = whole.view(value.shape)
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6, msg=name)
    assert answers, "no tensor of class answers was among them"


def test_classes_that_were_not_learned_answer_as_the_start_does(start: YoloNet, tuned: YoloNet) -> None:
    mixed = mix(start, tuned, KNOWN, 0.7, masks=False).state_dict()
    others = [row for row in range(len(COCO_LABELS)) if row not in ROWS]
    for name, value in start.state_dict().items():
        if any(part in name for part in ANSWERS):
            assert torch.equal(rows_of(name, mixed[name])[:, others], rows_of(name, value)[:, others])
            assert not torch.equal(rows_of(name, mixed[name])[:, ROWS], rows_of(name, value)[:, ROWS])
