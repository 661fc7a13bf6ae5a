"""One random state per epoch and step, so that a resumed run draws what an unbroken one would have drawn."""

from __future__ import annotations

__all__ = ["check_seed", "seed_of"]

APART = 1_000_003
"""A prime above the epochs, and the steps of an epoch, that a run can have: no two states of one run are the same."""
LARGEST = 2**63
"""What torch's generators take."""
LARGEST_GIVEN = 2**32 - 1
"""What every generator takes that is set by a seed: torch's, numpy's and those of other programs."""


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that generators do not take."""
    if not 0 <= seed <= LARGEST_GIVEN:
        raise ValueError(f"seed must be from 0 to {LARGEST_GIVEN}, found {seed}")


def seed_of(seed: int, *places: int) -> int:
    """The seed of a place in a run, such as its epoch, or its epoch and step.

    >>> seed_of(1, 2)
    1000005
    """
    for place in places:
        seed = seed * APART + place
    return seed % LARGEST
