"""Learning rates as pure functions of the step, and the groups an optimizer should treat differently.

Warm-up: Goyal et al., "Accurate, Large Minibatch SGD", 2017. Cosine: Loshchilov and Hutter, "SGDR", 2017,
without the restarts. The rate depends on the step alone, so a resumed run needs no scheduler state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["learning_rate_factor", "least_warm_up", "parameter_groups", "set_learning_rate"]

LEAST_WARM_UP = 20
"""Steps over which the rate of a start rises at least: Adam's first ones are as long as the rate, however small the
gradient is, and at the peak they take apart what was learned."""


def least_warm_up(total_steps: int) -> int:
    """Steps of warm-up that a training from a start has at least: half of a short one."""
    return min(LEAST_WARM_UP, total_steps // 2)


def learning_rate_factor(step: int, *, total_steps: int, warmup_steps: int = 0, final_factor: float = 0.01) -> float:
    """The share of the peak learning rate to use at `step`, counted from 0.

    Rises linearly to 1 over `warmup_steps` (the first step already gets a share above 0), then follows half a
    cosine down to `final_factor` at the last step; steps past the last one stay there.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    span = max(total_steps - 1 - warmup_steps, 1)
    progress = min((step - warmup_steps) / span, 1.0)
    return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def parameter_groups(
    module: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    rate_factors: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Trainable parameters grouped for an optimizer: weight decay on weights only, not on biases and norms.

    `rate_factors` maps a name prefix ("backbone") to a factor on the learning rate of everything below it; the
    longest matching prefix wins. Each group keeps its `peak_lr`, which `set_learning_rate` scales. The order
    depends on the module alone, so optimizer states saved by one run fit the next.
    """
    factors = dict(rate_factors or {})
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter, decays in _walk(module):
        if not parameter.requires_grad:
            continue
        prefixes = [prefix for prefix in factors if name == prefix or name.startswith(prefix + ".")]
        factor = factors[max(prefixes, key=len)] if prefixes else 1.0
        rate = learning_rate * factor
        group = groups.setdefault(
            (factor, decays),
            {"params": [], "lr": rate, "peak_lr": rate, "weight_decay": weight_decay if decays else 0.0},
        )
        group["params"].append(parameter)
    return list(groups.values())


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Give every group `factor` times its own peak learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def _walk(module: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Each parameter once, with its full name and whether weight decay applies to it."""
    seen: set[int] = set()
    for path, child in module.named_modules():
        for leaf, parameter in child.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decays = parameter.ndim > 1 and not isinstance(child, nn.LayerNorm)
            yield (f"{path}.{leaf}" if path else leaf), parameter, decays
