"""How the C library keeps memory that was freed, for a program that shows frames for days."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["HEAPS", "LARGE", "TRIMMED", "give_back_large_blocks"]

LARGE = 2**18
"""Bytes from which a block is the system's again as soon as it is freed."""
TRIMMED = 2**24
"""Free bytes at the end of a heap from which they are given back: less would be asked for again at the next frame."""
HEAPS = 2
"""So many for all threads, where few are asked for; else each has one, and streams that come back bring new threads."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def give_back_large_blocks(*, few_heaps: bool = False) -> None:
    """Keep frames out of glibc's heaps, and these few where asked; does nothing with another C library.

    glibc raises its own limit as large blocks are freed, and soon takes every frame from the heaps of its threads.
    What else is allocated in between keeps the holes apart that frames leave: with four 1080p videos the heaps held
    200 MiB of free memory beside 260 in use, and it went on growing. So they hold 30 MiB, which stay 30. It costs the
    system a millisecond for each frame shown; those that sources read come from pools and cost nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(M_MMAP_THRESHOLD, LARGE)
    mallopt(M_TRIM_THRESHOLD, TRIMMED)
    if few_heaps:
        mallopt(M_ARENA_MAX, HEAPS)
