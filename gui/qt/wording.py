"""Refusals of the core in the window's words: its first frame is 1, the core's is 0."""

from __future__ import annotations

from tracker.errors import TrackerError

__all__ = ["words_of"]


def words_of(error: BaseException) -> str:
    """What went wrong, with frames numbered as the window shows them."""
    return error.counting_from(1) if isinstance(error, TrackerError) else str(error)
