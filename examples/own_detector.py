"""Track what a detector of your own finds: here, whatever is bright.

    python examples/own_detector.py street.mp4

A detector needs three attributes and one method, nothing to inherit from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np

import tracker


class BrightThings:
    """One box around each connected bright area."""

    labels: tuple[str, ...] = ("bright thing",)
    conf = 0.5
    engine = "OpenCV"

    def detect(self, images: Sequence[tracker.Image]) -> list[tracker.Detections]:
        """Boxes of each image, in its own pixels."""
        found = []
        for image in images:
            bright = (image.max(axis=2) > 128).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
            left, top, width, height, area = stats[1:].T  # the first one is the background
            boxes = np.stack([left, top, left + width, top + height], axis=1)[area >= 64]
            found.append(
                tracker.Detections(
                    boxes.astype(np.float32), np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int32)
                )
            )
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each frame's ids; the number of tracks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video, camera number or address")
    options = parser.parse_args(arguments)

    ids: set[int] = set()
    for result in tracker.track(options.source, model=BrightThings(), tracker="bytetrack"):
        ids.update(result.tracks.ids.tolist())
        print(f"{result.frame.time:8.2f} s  ids {result.tracks.ids.tolist()}")
    print(f"{len(ids)} tracks")
    return len(ids)


if __name__ == "__main__":
    main()
