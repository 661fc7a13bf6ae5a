"""Watch many sources at once with one network: who is where, once a second.

    python examples/many_cameras.py 0 rtsp://camera.local/stream street.mp4

Each source has a thread of its own; the network is loaded once. Live sources show their newest frame, files lose none.
"""

from __future__ import annotations

import argparse
import threading
from collections import Counter
from collections.abc import Sequence

import tracker


class Watcher(threading.Thread):
    """Tracks one source until it ends."""

    def __init__(self, source: str, detector: tracker.Detector) -> None:
        super().__init__(daemon=True)
        self.source = source
        self.frames = 0
        self.words = "opening"
        self._detector = detector

    def run(self) -> None:
        try:
            for result in tracker.track(self.source, model=self._detector):
                self.frames += 1
                counts = Counter(result.labels[class_id] for class_id in result.tracks.class_ids.tolist())
                seen = ", ".join(f"{number} {label}" for label, number in sorted(counts.items())) or "nobody"
                self.words = f"{result.frame.time:.1f} s: {seen}"
        except tracker.TrackerError as error:
            self.words = str(error)


def main(arguments: Sequence[str] | None = None) -> list[int]:
    """Print what all sources show until they have ended; how many frames each had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="videos, camera numbers or addresses")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    detector = tracker.load_detector(options.model)
    watchers = [Watcher(source, detector) for source in options.sources]
    for watcher in watchers:
        watcher.start()
    while True:
        running = [watcher for watcher in watchers if watcher.is_alive()]
        if running:
            running[0].join(1.0)
        for watcher in watchers:
            print(f"{watcher.source}  {watcher.words}")
        if not running:
            return [watcher.frames for watcher in watchers]


if __name__ == "__main__":
    main()
