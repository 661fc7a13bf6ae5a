"""What giving ids costs per frame, beside the peers from PyPI: one thread, no images, the same detections for all.

`python -m benchmarks.association [--objects 10 100 500 1000] [--rounds 3] [--only default deepsort]`

Synthetic scenes on a 3840 x 2160 field: people-sized boxes that walk, 5 % missed, 5 % clutter. Peers are those
installed of trackers, ultralytics (needs lap) and deep-sort-realtime; beside them a SORT with one filterpy filter an
object. All run in turns, frame times are CPU time, and what is printed is the median: compare ratios, not machines.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["YOLO_AUTOINSTALL"] = "false"

import numpy as np  # noqa: E402  threads are set before numpy starts them
from filterpy.kalman import KalmanFilter  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402

from tracker.track.presets import make_tracker  # noqa: E402
from tracker.types import Detections  # noqa: E402

FIELD = np.array([3840.0, 2160.0])
RATE = 30.0
WIDTH = 128
"""Values of one appearance vector."""
ULTRALYTICS = {
    "track_high_thresh": 0.25,
    "track_low_thresh": 0.1,
    "new_track_thresh": 0.25,
    "track_buffer": 30,
    "match_thresh": 0.8,
    "fuse_score": True,
    "gmc_method": "none",
    "proximity_thresh": 0.5,
    "appearance_thresh": 0.8,
    "with_reid": False,
    "model": "auto",
}
"""Its own defaults for both trackers, camera motion off."""
Step: TypeAlias = Callable[[Detections], object]


def scene(objects: int, frames: int, *, seed: int = 0) -> list[Detections]:
    """The detections of each frame."""
    rng = np.random.default_rng(seed)
    centres, speed = rng.uniform(0, FIELD, (objects, 2)), rng.normal(0, 2, (objects, 2))
    size = rng.uniform(0.8, 1.2, (objects, 1)) * [36, 90]
    embeddings = rng.normal(size=(objects, WIDTH))
    found = []
    for _ in range(frames):
        centres = centres + speed
        speed = np.where((centres < 0) | (centres > FIELD), -speed, speed)
        seen = rng.random(objects) >= 0.05
        spare = rng.binomial(objects, 0.05)
        middle = np.concatenate([centres[seen] + rng.normal(0, 1, (seen.sum(), 2)), rng.uniform(0, FIELD, (spare, 2))])
        half = np.concatenate([size[seen], np.tile([[36.0, 90.0]], (spare, 1))]) / 2
        noisy = np.concatenate([embeddings[seen], rng.normal(size=(spare, WIDTH))]) + rng.normal(
            0, 0.2, (len(middle), WIDTH)
        )
        found.append(
            Detections(
                np.concatenate([middle - half, middle + half], axis=1).astype(np.float32),
                rng.uniform(0.65, 1.0, len(middle)).astype(np.float32),
                np.zeros(len(middle), np.int32),
                embeddings=(noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32),
            )
        )
    return found


def ours(preset: str) -> Step:
    """One of our presets; only `deepsort` weighs what objects look like."""
    tracker, frames = make_tracker(preset, {} if preset == "deepsort" else {"appearance": "none"}), itertools.count()
    return lambda detections: tracker.update(detections, next(frames) / RATE)


class FilterpySort:
    """SORT as its paper's code does it: one filterpy filter an object, a full IoU matrix, scipy's assignment."""

    def __init__(self) -> None:
        self.filters: list[Any] = []
        self.frame = 0

    def __call__(self, detections: Detections) -> None:
        self.frame += 1
        for one in self.filters:
            one.predict()
        z = np.stack(_area_and_aspect(detections.boxes.astype(np.float64)), axis=1)
        matched_rows, matched_cols = np.empty(0, np.int64), np.empty(0, np.int64)
        if self.filters and len(z):
            overlap = _iou(_corners(np.array([one.x[:4, 0] for one in self.filters])), detections.boxes)
            rows, cols = linear_sum_assignment(-overlap)
            good = overlap[rows, cols] >= 0.3
            matched_rows, matched_cols = rows[good], cols[good]
        for row, col in zip(matched_rows, matched_cols, strict=True):
            self.filters[row].update(z[col, :, None])
            self.filters[row].seen = self.frame
        self.filters = [one for one in self.filters if self.frame - one.seen <= 1]
        self.filters += [_new_filter(z[col], self.frame) for col in set(range(len(z))) - set(matched_cols.tolist())]


def _area_and_aspect(boxes: np.ndarray) -> Sequence[np.ndarray]:
    x1, y1, x2, y2 = boxes.T
    width, height = x2 - x1, y2 - y1
    return (x1 + x2) / 2, (y1 + y2) / 2, width * height, width / height


def _corners(states: np.ndarray) -> np.ndarray:
    x, y, area, aspect = states.T
    width = np.sqrt(np.maximum(area * aspect, 1e-9))
    height = area / width
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared: np.ndarray = np.maximum(inner, 0).prod(axis=2)
    areas = [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (a, b)]
    overlap: np.ndarray = shared / (areas[0][:, None] + areas[1][None] - shared)
    return overlap


def _new_filter(z: np.ndarray, frame: int) -> Any:
    one = KalmanFilter(dim_x=7, dim_z=4)
    one.F = np.eye(7) + np.eye(7, k=4)
    one.H = np.eye(4, 7)
    one.R[2:, 2:] *= 10
    one.P[4:, 4:] *= 1000
    one.P *= 10
    one.Q[-1, -1] *= 0.01
    one.Q[4:, 4:] *= 0.01
    one.x[:4, 0] = z
    one.seen = frame
    return one


class _Boxes:
    """Detections as ultralytics' trackers read them."""

    def __init__(self, xyxy: np.ndarray, conf: np.ndarray) -> None:
        self.xyxy, self.conf, self.cls = xyxy, conf, np.zeros(len(conf), np.float32)
        self.xywh = np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)

    def __getitem__(self, rows: np.ndarray) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.conf[rows])

    def __len__(self) -> int:
        return len(self.conf)


def peers() -> dict[str, Callable[[], Step]]:
    """Every peer that is installed."""
    made: dict[str, Callable[[], Step]] = {"SORT (filterpy)": FilterpySort}
    if importlib.util.find_spec("trackers"):
        made |= {f"trackers {name}": partial(_roboflow, name) for name in ("SORTTracker", "ByteTrackTracker")}
    if importlib.util.find_spec("ultralytics") and importlib.util.find_spec("lap"):
        made |= {f"ultralytics {name}": partial(_ultralytics, name) for name in ("BYTETracker", "BOTSORT")}
    return made


def _roboflow(name: str) -> Step:
    import supervision
    import trackers

    tracker = getattr(trackers, name)()

    def step(detections: Detections) -> object:
        boxes, scores, classes = detections.boxes, detections.scores, detections.class_ids
        return tracker.update(supervision.Detections(boxes, confidence=scores, class_id=classes))

    return step


def _ultralytics(name: str) -> Step:
    from ultralytics import trackers
    from ultralytics.utils import IterableSimpleNamespace

    tracker = getattr(trackers, name)(IterableSimpleNamespace(**ULTRALYTICS))
    return lambda detections: tracker.update(_Boxes(detections.boxes, detections.scores), None)


def _deep_sort_realtime() -> Step:
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(embedder=None, nn_budget=100, max_age=30, n_init=3, max_cosine_distance=0.2)

    def step(detections: Detections) -> object:
        assert detections.embeddings is not None
        x1, y1, x2, y2 = detections.boxes.T
        boxes = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1).tolist()
        given = [(box, score, "0") for box, score in zip(boxes, detections.scores.tolist(), strict=True)]
        return tracker.update_tracks(given, embeds=list(detections.embeddings))

    return step


def measure(makers: dict[str, Callable[[], Step]], objects: int, rounds: int) -> dict[str, float]:
    """Median CPU microseconds a frame of each, run in turns; the first half of every run warms up."""
    frames = scene(objects, 120 if objects <= 100 else 40)
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            step = make()
            for index, detections in enumerate(frames):
                start = time.process_time_ns()
                step(detections)
                if index >= len(frames) // 2:
                    times[name].append((time.process_time_ns() - start) / 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[10, 100, 500, 1000], metavar="N")
    parser.add_argument("--rounds", type=int, default=3, help="turns each tracker takes (default 3)")
    parser.add_argument("--only", nargs="+", metavar="PRESET", help="our presets alone, without peers")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = options.only or ["default", "sort"]
    makers: dict[str, Callable[[], Step]] = {f"ours, {kind}": partial(ours, kind) for kind in kinds}
    others = {} if options.only else peers()
    results = {count: measure(makers | others, count, options.rounds) for count in options.objects}
    print(f"{'us a frame':28}" + "".join(f"{count:>10}" for count in options.objects))
    for name in makers | others:
        print(f"{name:28}" + "".join(f"{results[count][name]:10.0f}" for count in options.objects))
    if others:
        for name in makers:
            ratios = [min(results[count][peer] for peer in others) / results[count][name] for count in options.objects]
            print(f"{'fastest peer / ' + name:28}" + "".join(f"{ratio:10.1f}" for ratio in ratios))
    if {100, 1000} <= results.keys():
        for name in makers:
            print(f"{name}: 1000 objects cost {results[1000][name] / results[100][name]:.1f} times 100")
    if not options.only and importlib.util.find_spec("deep_sort_realtime"):
        pair: dict[str, Callable[[], Step]] = {
            "ours, deepsort": partial(ours, "deepsort"),
            "deep-sort-realtime": _deep_sort_realtime,
        }
        both = measure(pair, 100, 1)
        ratio = both["deep-sort-realtime"] / both["ours, deepsort"]
        print(
            f"100 objects with {WIDTH}-d features: ours, deepsort {both['ours, deepsort']:.0f}, "
            f"deep-sort-realtime {both['deep-sort-realtime']:.0f} us a frame: {ratio:.1f} times"
        )


if __name__ == "__main__":
    main()
