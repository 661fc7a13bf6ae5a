"""Half precision where it is worth it: multiplications in bfloat16 on devices that are faster so.

Micikevicius et al., "Mixed Precision Training", 2018, with bfloat16 (Kalamkar et al., 2019), whose range is that of
float32, so that losses need no scaling.
"""

from __future__ import annotations

import logging
import time
from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["is_faster_in_bfloat16", "mixed_precision"]

log = logging.getLogger(__name__)

TRIALS = 3
IMAGES, CHANNELS, SIDE = 8, 64, 40
"""A layer of a training's size: the time of a small one is that of calling it, not of multiplying."""


def mixed_precision(device: torch.device, *, wanted: bool) -> torch.autocast:
    """The context in which a network runs forward: in bfloat16 where that is wanted and the device is faster so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and is_faster_in_bfloat16(device))


@cache
def is_faster_in_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 pays there: asked of a GPU, tried on a CPU for a tenth of a second, once a process.

    A CPU without instructions for it (AVX-512 BF16, AMX, or ARM's) computes the same ten times more slowly.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    generator = torch.Generator().manual_seed(0)  # a draw from the common one would change what follows
    with torch.inference_mode(mode=False), torch.random.fork_rng(devices=[]):  # whoever asks first may only run forward
        images = torch.rand(IMAGES, CHANNELS, SIDE, SIDE, generator=generator).contiguous(
            memory_format=torch.channels_last
        )
        layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        faster = _seconds(layer, images, half=True) < _seconds(layer, images, half=False)
    if not faster:
        log.info("this processor is slower in bfloat16 than in single precision: training in single precision")
    return faster


def _seconds(layer: nn.Module, images: Tensor, *, half: bool) -> float:
    """The quickest of a few steps forward and back, after one that does not count."""
    taken = []
    for _ in range(1 + TRIALS):
        begun = time.perf_counter()
        with torch.enable_grad():
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                answer = layer(images)
            answer.float().sum().backward()
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])
