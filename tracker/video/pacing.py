"""Streams that arrive in segments, given out at the pace at which they were taken.

A segment of some seconds comes at once. Who wants the newest frame would take one or two of it and leave out the rest.
"""

from __future__ import annotations

__all__ = ["MOST_AHEAD_S", "SEGMENTED_FORMATS", "Pacing"]

SEGMENTED_FORMATS = ("hls", "dash")
MOST_AHEAD_S = 30.0
"""No segment is that long: a stamp further ahead is a jump of the stream's clock."""


class Pacing:
    """When each frame is due. What comes late moves all that follow, so that they keep their distances.

    >>> pacing = Pacing()
    >>> [pacing.due(stamp, now=100.0) for stamp in (7.0, 7.5, 8.0)]
    [100.0, 100.5, 101.0]
    >>> [pacing.due(stamp, now=102.0) for stamp in (8.5, 9.0)]
    [102.0, 102.5]
    """

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None
        """A moment, and the stamp that was due then."""

    def due(self, stamp: float, now: float) -> float:
        """The moment, not before `now`, for the frame with that stamp, in seconds; a jump of the stamps begins anew."""
        if self._begun is not None:
            moment, first = self._begun
            due = moment + stamp - first
            if now <= due <= now + MOST_AHEAD_S:
                return due
        self._begun = (now, stamp)
        return now
