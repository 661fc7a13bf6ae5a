"""MOTChallenge text: one row per object and frame, `frame,id,left,top,width,height,score,-1,-1,-1`.

Frames and ids count from 1. Classes, masks and time stamps have no place in it.
"""

from __future__ import annotations

from pathlib import Path

from tracker.formats.atomic import AtomicText
from tracker.formats.live import live_objects, rounded
from tracker.types import FrameResult

__all__ = ["MotSink"]


class MotSink:
    """Writes the tracks of a run as MOTChallenge rows; the file gets its name on `close`.

    Tracks that are tentative are left out, and those not seen in the frame unless `coasting` is set.
    """

    def __init__(self, path: Path | str, *, coasting: bool = False) -> None:
        self._file = AtomicText(path)
        self._coasting = coasting

    def write(self, result: FrameResult) -> None:
        """Add the rows of one frame."""
        rows = []
        for item in live_objects(result, coasting=self._coasting, masks=False):
            x1, y1, x2, y2 = item.box
            width, height = rounded(x2 - x1, 2), rounded(y2 - y1, 2)
            rows.append(
                f"{result.frame.index + 1},{item.track_id},{x1:.2f},{y1:.2f},{width:.2f},{height:.2f},"
                f"{item.score:.4f},-1,-1,-1\n"
            )
        self._file.write("".join(rows))

    def close(self) -> None:
        """Give the file its name."""
        self._file.close()

    def discard(self) -> None:
        """Throw the file away."""
        self._file.discard()
