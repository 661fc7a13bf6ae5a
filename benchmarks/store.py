"""How fast a recording of a million observations answers, and how much room it takes.

`python -m benchmarks.store [--observations N]`

Writes a made-up recording of walking boxes with a line to count at, the way `annotate` writes one, then opens it, seeks
frames, lists its tracks, and merges pairs of tracks with the line counted anew. Prints medians and worst cases beside
their bars, and the processor time of each, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tracker.analytics import LineRule, Rules, rules_to_toml
from tracker.annotate.recount import edit_recording, recount_all
from tracker.observations import Observations
from tracker.store import Recording, RecordingInfo, RecordingWriter

WIDTH, HEIGHT, RATE = 1920, 1080, 30
IN_FRAME = 40
LIFE_FRAMES = 400
COMMIT_EVERY = 2 * RATE
LOOK_UPS, MERGES = 50, 10
GATE = Rules(line=(LineRule("gate", (WIDTH / 2, 0), (WIDTH / 2, HEIGHT)),))
BARS_MS = {"open": 50, "seek a frame": 50, "seek a time": 50, "list tracks": 50, "merge and recount": 1000}
BAR_BYTES = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=1_000_000, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crowd.sqlite"
        started = time.perf_counter()
        write_crowd(path, options.observations // IN_FRAME)
        with Recording(path) as recording:
            count, tracks = recording.observation_count(), len(recording.tracks())
        rate = count / (time.perf_counter() - started)
        print(f"{count:,} observations, {tracks:,} tracks, written at {rate:,.0f} a second")
        size = path.stat().st_size / count
        print(f"{'room':18} {size:7.1f} bytes an observation   (bar: {BAR_BYTES})")
        for name, taken in ask(path).items():
            wall, own = (1000 * np.array(seconds) for seconds in zip(*taken, strict=True))
            print(f"{name:18} {np.median(wall):7.1f} ms, worst of {len(wall)} {wall.max():7.1f} ms", end="   ")
            print(f"(bar: {BARS_MS[name]})   processor {np.median(own):.1f} ms, worst {own.max():.1f} ms")


def write_crowd(path: Path, frames: int) -> None:
    """A finished recording of boxes that walk to and fro, each for some seconds, and tremble as detections do."""
    rng = np.random.default_rng(0)
    info = RecordingInfo({"name": "crowd"}, WIDTH, HEIGHT, ("person", "car"), rules=rules_to_toml(GATE))
    ids = np.arange(1, IN_FRAME + 1)
    left = rng.integers(1, LIFE_FRAMES, IN_FRAME)
    places = rng.uniform((0, 0), (WIDTH, HEIGHT), (IN_FRAME, 2))
    speeds = rng.normal(0, 4, (IN_FRAME, 2))
    writer = RecordingWriter.create(path, info)
    for frame in range(frames):
        corners = places + rng.normal(0, 0.5, places.shape)
        sizes = rng.normal((60, 140), 0.5, places.shape)
        scores = rng.uniform(0.3, 1, IN_FRAME)
        boxes = np.concatenate([corners, corners + sizes], axis=1)
        rows = Observations.rounded(frame, tracks=ids, class_ids=ids % 2, scores=scores, boxes=boxes)
        writer.add(frame, frame / RATE, rows)
        if frame % COMMIT_EVERY == COMMIT_EVERY - 1:
            writer.commit({})
        places += speeds
        speeds = np.where((places < 0) | (places > (WIDTH, HEIGHT)), -speeds, speeds)
        left -= 1
        gone = left <= 0
        ids = np.where(gone, ids.max() + gone.cumsum(), ids)
        left[gone] = LIFE_FRAMES
    writer.commit({})
    with Recording(path) as recording:
        events, _ = recount_all(recording, (stretch.observations for stretch in recording.chunks()))
    writer.complete_with(None, events)
    writer.close()


class Clock:
    """Seconds of wall and processor time of everything measured under a name."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[float, float]]] = {name: [] for name in BARS_MS}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Note how long the block takes."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.taken[name].append((time.perf_counter() - wall, time.process_time() - processor))


def ask(path: Path) -> dict[str, list[tuple[float, float]]]:
    """How long each question takes, asked several times at random places."""
    rng, clock = np.random.default_rng(1), Clock()
    for _ in range(LOOK_UPS):
        with clock.measure("open"):
            recording = Recording(path)
        frame, moment = int(rng.integers(recording.last_frame)), rng.uniform(0, recording.last_frame / RATE)
        with clock.measure("seek a frame"):
            recording.observations_in(frame)
        with clock.measure("seek a time"):
            recording.observations_in(recording.frame_shown_at(float(moment)))
        with clock.measure("list tracks"):
            recording.tracks()
        recording.close()
    with edit_recording(path) as editor:
        for _ in range(MERGES):
            ids = [track.track_id for track in editor.tracks()]
            keep, other = rng.choice(ids, 2, replace=False).tolist()
            while editor.shared_frames(keep, other):  # a person merges what one object left, here and later
                keep, other = rng.choice(ids, 2, replace=False).tolist()
            with clock.measure("merge and recount"):
                editor.merge(keep, other)
    return clock.taken


if __name__ == "__main__":
    main()
