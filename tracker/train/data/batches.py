"""Batches made by a few threads while the network works on the last one.

An image depends on (seed, epoch, index) alone, so a run that is resumed sees what an unbroken one would have seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from tracker.train.data.augment import AugmentConfig, TrainingSample, Truth, make_sample
from tracker.train.truth_batch import TruthTensors
from tracker.types import Image

__all__ = ["Batch", "epoch_batches", "shown", "to_device"]


class Batch(NamedTuple):
    """Images and truths of one step."""

    images: UInt8[Tensor, "b h w 3"]
    truths: list[Truth] | list[TruthTensors]
    """In numpy, or on the device already."""
    seeds: list[int]
    """One per image, for what chance decides later on."""


def epoch_batches(
    fetch: Callable[[int], TrainingSample],
    count: int,
    *,
    epoch: int,
    first_step: int = 0,
    batch_size: int,
    sizes: Sequence[int],
    augment: AugmentConfig,
    seed: int,
    rank: int = 0,
    ranks: int = 1,
    threads: int = 1,
) -> Iterator[Batch]:
    """The batches of one epoch from `first_step` on, this process' share of each.

    `batch_size` counts the images of all processes; every batch has one of `sizes`. Incomplete batches are dropped
    unless they would be the only one.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    steps = max(1, count // batch_size)

    def make(step: int) -> Batch:
        chosen = order[step * batch_size : (step + 1) * batch_size]
        size = int(np.random.default_rng((seed, epoch, step, 1)).choice(sizes))
        generators = [np.random.default_rng((seed, epoch, int(i), 2)) for i in chosen[rank::ranks]]
        samples = [
            make_sample(int(i), fetch, count, size, rng, augment)
            for i, rng in zip(chosen[rank::ranks], generators, strict=True)
        ]
        seeds = [int(rng.integers(2**31)) for rng in generators]
        return Batch(torch.from_numpy(np.stack([p.image for p in samples])), [p.ground_truth for p in samples], seeds)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Batch]] = deque()
        upcoming = iter(range(first_step, steps))
        try:
            for step in upcoming:
                waiting.append(pool.submit(make, step))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def to_device(batch: Batch, device: torch.device) -> tuple[Tensor, list[TruthTensors]]:
    """(images RGB 0..1 as (b, 3, h, w), truths) where the network is."""
    images = batch.images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
    return images, [
        ground_truth
        if isinstance(ground_truth, TruthTensors)
        else TruthTensors(*(torch.from_numpy(getattr(ground_truth, name)).to(device) for name in TruthTensors._fields))
        for ground_truth in batch.truths
    ]


def shown(batch: Batch) -> tuple[list[Image], list[Truth]]:
    """Images and truths in numpy, for a person to look at."""
    truths = [
        Truth(*(part.cpu().numpy() for part in ground_truth))
        if isinstance(ground_truth, TruthTensors)
        else ground_truth
        for ground_truth in batch.truths
    ]
    return list(batch.images.cpu().numpy()), truths
