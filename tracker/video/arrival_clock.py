"""Time for streams that bring none: from when their packets arrive, smoothed, and how to tell that a stream needs it.

Motion JPEG over HTTP and raw video over TCP have no stamps; FFmpeg numbers their frames at 25 a second whatever the
camera does. Some cameras put such a made-up clock even into containers that have stamps.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import fmean, median

__all__ = ["ArrivalClock", "NominalClockWatch"]

INTERVALS_KEPT = 15
FOLLOWING = 0.05
"""How far a frame that comes late moves the clock towards its arrival: a network only ever adds delay."""
LONGEST_JITTER_S = 1.0
"""A frame later than this was not delayed: the camera paused."""
SHORTEST_STEP_S = 0.001

WATCHED_S = 5.0
LEAST_FRAMES = 5
LEAST_DEVIATION = 0.1
MOST_SPREAD = 0.5
EVEN_STEP_S = 0.0015


class ArrivalClock:
    """Strictly increasing seconds for frames, given when each arrived, both on the monotonic clock.

    A frame is expected one usual interval after the one before. One that comes late moves the clock only a little,
    since the network has delayed it; one that comes early sets it. So jitter and bursts leave the steps even, and the
    clock never drifts from the wall's. A step is at least half the usual interval while the clock has run ahead.
    """

    def __init__(self, origin: float, begin: float = 0.0) -> None:
        self._shift = begin - origin
        self._intervals: deque[float] = deque(maxlen=INTERVALS_KEPT)
        self._arrival: float | None = None
        self._last: float | None = None

    @property
    def interval_s(self) -> float:
        """The usual time between two frames; 0 while unknown.

        The mean, since what one frame is late its interval gains and the next one loses. An estimate that is too small
        by a millisecond would leave the clock twenty behind (1 / FOLLOWING), and a median under jitter is off by five.
        """
        if len(self._intervals) < 3:
            return 0.0
        longest = median(self._intervals) + LONGEST_JITTER_S
        return fmean(interval for interval in self._intervals if interval <= longest)

    def time(self, arrival: float) -> float:
        """The next frame's time in seconds."""
        now = arrival + self._shift
        last, self._last = self._last, now
        if last is None:
            return now
        if self._arrival is None:  # after a gap
            self._arrival, self._last = arrival, max(now, last + SHORTEST_STEP_S)
            return self._last
        self._intervals.append(arrival - self._arrival)
        self._arrival = arrival
        usual = self.interval_s
        expected = last + usual
        late = now - expected
        if usual and late < LONGEST_JITTER_S:
            now = min(expected + FOLLOWING * max(late, 0.0), now)
        self._last = max(now, last + max(usual / 2, SHORTEST_STEP_S))
        return self._last

    def note_gap(self) -> None:
        """The stream was lost: the next frame's time is its arrival."""
        self._arrival = None


class NominalClockWatch:
    """Whether a stream's own clock only counts frames: its steps are all alike while the frames come at another rate.

    Frames that come in bursts (segments, a server faster than life) say nothing about the clock.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    def deceives(self, stamp: float, arrival: float) -> bool:
        """Note a frame's stamp and arrival in seconds; True when five seconds of them show a made-up clock."""
        seen = self._seen
        seen.append((stamp, arrival))
        passed = arrival - seen[0][1]
        if passed < WATCHED_S or len(seen) < LEAST_FRAMES:
            return False
        self._seen = [seen[-1]]
        pairs = list(pairwise(seen))
        steps = [later[0] - earlier[0] for earlier, later in pairs]
        intervals = sorted(later[1] - earlier[1] for earlier, later in pairs)
        usual = intervals[len(intervals) // 2]
        spread = intervals[len(intervals) * 9 // 10] - intervals[len(intervals) // 10]
        if max(steps) - min(steps) > EVEN_STEP_S or spread > MOST_SPREAD * usual:
            return False
        return abs(stamp - seen[0][0] - passed) > LEAST_DEVIATION * passed
