from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tracker.train.schedule import learning_rate_factor, parameter_groups, set_learning_rate


@settings(max_examples=50)
@given(total=st.integers(2, 500), warmup=st.integers(0, 50), final=st.floats(0.0, 0.5))
def test_the_rate_rises_during_warmup_then_falls_to_the_final_factor(total: int, warmup: int, final: float) -> None:
    warmup = min(warmup, total - 1)
    factors = [
        learning_rate_factor(step, total_steps=total, warmup_steps=warmup, final_factor=final) for step in range(total)
    ]
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[warmup] == pytest.approx(1.0)
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    if total - warmup > 1:
        assert factors[-1] == pytest.approx(final)


def test_steps_past_the_end_keep_the_final_rate() -> None:
    assert learning_rate_factor(1000, total_steps=10, final_factor=0.05) == pytest.approx(0.05)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, bias=False))
        self.head = nn.Linear(4, 2)
        self.norm = nn.LayerNorm([2, 2])


def test_biases_and_norms_are_spared_weight_decay_and_every_parameter_appears_once() -> None:
    net = _Net()
    groups = parameter_groups(net, learning_rate=1.0, weight_decay=0.1, rate_factors={"body": 0.25})
    grouped = {id(p): group for group in groups for p in group["params"]}
    assert len(grouped) == sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    decayed = {name for name, p in net.named_parameters() if grouped[id(p)]["weight_decay"] > 0}
    assert decayed == {"body.0.weight", "body.2.weight", "head.weight"}
    slow = {name for name, p in net.named_parameters() if grouped[id(p)]["peak_lr"] == 0.25}
    assert slow == {name for name, _ in net.named_parameters() if name.startswith("body.")}


def test_frozen_parameters_are_left_out_and_the_longest_prefix_wins() -> None:
    net = _Net()
    net.body[0].requires_grad_(False)
    groups = parameter_groups(net, learning_rate=1.0, weight_decay=0.1, rate_factors={"body": 0.5, "body.2": 0.1})
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert id(net.body[0].weight) not in rates
    assert rates[id(net.body[2].weight)] == 0.1
    assert rates[id(net.body[1].weight)] == 0.5


def test_setting_the_rate_scales_each_group_from_its_peak() -> None:
    net = _Net()
    optimizer = torch.optim.SGD(parameter_groups(net, learning_rate=2.0, weight_decay=0.0, rate_factors={"body": 0.5}))
    set_learning_rate(optimizer, 0.1)
    set_learning_rate(optimizer, 0.5)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.5, 1.0]
