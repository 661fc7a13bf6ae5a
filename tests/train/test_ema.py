from __future__ import annotations

import torch
from torch import nn

from tracker.train.ema import ModelEma


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def test_the_average_converges_to_constant_weights_and_copies_counters() -> None:
    net = _net()
    ema = ModelEma(net, decay=0.5, warmup_steps=1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(3.0)
    net[1].num_batches_tracked.fill_(7)
    for _ in range(60):
        ema.update(net)
    for parameter in ema.module.parameters():
        torch.testing.assert_close(parameter, torch.full_like(parameter, 3.0))
    assert ema.module[1].num_batches_tracked.item() == 7


def test_early_updates_follow_the_network_closely() -> None:
    net = _net()
    ema = ModelEma(net, decay=0.9999, warmup_steps=1000)
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    ema.update(net)
    torch.testing.assert_close(ema.module[0].weight, net[0].weight, atol=1e-2, rtol=0)


def test_the_average_of_a_short_run_has_forgotten_where_it_began() -> None:
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(0.0)
    ema = ModelEma(net, decay=0.999, warmup_steps=1, reach=0.2)
    for step in range(1, 51):
        with torch.no_grad():
            net.weight.fill_(float(step))
        ema.update(net)
        assert ema.module.weight.item() >= 0.8 * step - 1
    assert ema.module.weight.item() < 50


def test_a_restored_average_goes_on_to_the_bit() -> None:
    net = _net()
    first = ModelEma(net, warmup_steps=5)
    first.update(net)
    saved = {"module": {k: v.clone() for k, v in first.state_dict()["module"].items()}, "updates": 1}
    second = ModelEma(_net(), warmup_steps=5)
    second.load_state_dict(saved)
    with torch.no_grad():
        net[0].weight.add_(1.0)
    first.update(net)
    second.update(net)
    for ours, theirs in zip(first.module.state_dict().values(), second.module.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert first.updates == second.updates == 2
