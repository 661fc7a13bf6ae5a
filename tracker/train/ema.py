"""A moving average of a network's weights, which is what gets evaluated and shipped.

Polyak averaging (Polyak and Juditsky, 1992) with the warm-up used by the YOLO family, so that the average
forgets the random start quickly.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["ModelEma"]


class ModelEma:
    """Keeps `module`, a copy of a network whose weights trail the trained one's.

    The average looks back over 1 / (1 - decay) updates, fewer at the beginning, and never over more than the share
    `reach` of those made so far.
    """

    def __init__(
        self, model: nn.Module, *, decay: float = 0.9998, warmup_steps: int = 2000, reach: float = math.inf
    ) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.warmup_steps = warmup_steps
        self.reach = reach
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards `model`; buffers that count or index are copied."""
        self.updates += 1
        weight = 1.0 - self.decay * (1.0 - math.exp(-self.updates / max(self.warmup_steps, 1)))
        weight = min(1.0, max(weight, 1.0 / (self.reach * self.updates)))
        averages, values = [], []
        for average, value in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                averages.append(average)
                values.append(value.detach().to(average.dtype))
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, weight)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on to the bit."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.updates = int(state["updates"])
