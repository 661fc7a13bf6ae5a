from __future__ import annotations

import torch

from tracker.train.truth_batch import hashed_uniform


def lowbias32(x: int) -> int:
    """As published, in plain arithmetic."""
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def test_drawn_numbers_are_those_of_the_published_mixing_function_and_even() -> None:
    seeds = torch.tensor([0, 1, 2**31 - 1]).repeat_interleave(5000)
    places = torch.arange(5000).repeat(3)
    drawn = hashed_uniform(seeds, places, salt=3)
    for row in (0, 1, 4999, 5000, 14999):
        seed, place = int(seeds[row]), int(places[row])
        mixed = (seed * 0x9E3779B1 + place * 0x85EBCA77 + 3 * 0x27D4EB2F) % 2**32
        assert abs(float(drawn[row]) - lowbias32(mixed) / 2**32) < 1e-6
    assert abs(float(drawn.mean()) - 0.5) < 0.01
    counts = torch.histc(drawn, bins=10, min=0, max=1)
    assert float(counts.min()) > 1300
    assert float(counts.max()) < 1700
