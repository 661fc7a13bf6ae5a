from __future__ import annotations

import numpy as np
import pytest

from tests.track.scenes import detections
from tracker.store.state import pack_state, unpack_state
from tracker.track.engine import TrackingEngine
from tracker.track.gallery import Galleries
from tracker.track.presets import make_tracker
from tracker.types import Detections, Tracks

RATE = 10.0
APART = [[100, 100, 140, 200], [400, 100, 440, 200]]
TOUCHING = [[100, 100, 140, 200], [120, 100, 160, 200]]
ONE, OTHER = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)


class Embedder:
    """Answers a tracker's questions about appearance, and remembers what it was asked."""

    def __init__(self, embeddings: object = (ONE, OTHER)) -> None:
        self.embeddings = np.asarray(embeddings, np.float32)
        self.asked: list[list[int]] = []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.asked[-1] += rows.tolist()
        return self.embeddings[rows]


def follow(tracker: TrackingEngine, embedder: Embedder, boxes: object, frames: int, scores: object = None) -> None:
    for _ in range(frames):
        embedder.asked.append([])
        tracker.update(detections(boxes, scores), len(embedder.asked) / RATE, embed_rows=embedder)


def reid(preset: str = "default") -> TrackingEngine:
    return make_tracker(preset, {"appearance": "reid", "frame_rate": RATE})


def test_objects_apart_are_looked_at_twice_a_second() -> None:
    embedder = Embedder()
    follow(reid(), embedder, APART, 41)
    assert embedder.asked[0] == []
    assert sorted(embedder.asked[1]) == [0, 1]
    asked = np.array([len(rows) for rows in embedder.asked])
    assert asked.sum() == 2 * 7  # at 0.1, 0.7, 1.3 ... seconds after the first frame
    assert np.diff(np.flatnonzero(asked)).tolist() == [6] * 6


def test_objects_that_touch_are_looked_at_in_every_frame() -> None:
    embedder = Embedder()
    follow(reid(), embedder, TOUCHING, 10)
    assert all(sorted(rows) == [0, 1] for rows in embedder.asked[1:])


def test_what_no_look_can_change_is_not_looked_at() -> None:
    embedder, tracker = Embedder(), reid()
    follow(tracker, embedder, TOUCHING, 5)
    follow(tracker, embedder, TOUCHING, 5, scores=[0.9, 0.3])  # the second only continues a track seen before
    assert all(1 not in rows for rows in embedder.asked[5:])
    follow(tracker, embedder, [[600, 300, 640, 400], [700, 300, 740, 400]], 1)  # nobody is near
    assert embedder.asked[-1] == []


def test_a_cascade_looks_at_everything() -> None:
    embedder = Embedder()
    follow(reid("deepsort"), embedder, APART, 6)
    assert all(sorted(rows) == [0, 1] for rows in embedder.asked[1:])


def test_looks_that_came_with_the_detections_are_not_asked_for() -> None:
    embedder, tracker = Embedder(), reid()
    for step in range(5):
        embedder.asked.append([])
        tracker.update(detections(TOUCHING, embeddings=[ONE, OTHER]), step / RATE, embed_rows=embedder)
    assert not any(embedder.asked)


def test_a_tracker_without_appearance_asks_nobody() -> None:
    embedder = Embedder()
    follow(TrackingEngine(), embedder, TOUCHING, 5)
    assert not any(embedder.asked)


def order_before_and_after(tracker: TrackingEngine, *, lazily: bool) -> tuple[list[int], list[int]]:
    """Ids from left to right of two who walk towards each other and turn back where they meet."""
    orders = []
    for step in range(50):
        gap = 4 * abs(step - 25)
        found = detections(
            [[200 - gap, 100, 240 - gap, 200], [200 + gap, 100, 240 + gap, 200]], embeddings=[ONE, OTHER]
        )
        embeddings = found.embeddings
        assert embeddings is not None
        if lazily:
            bare = Detections(found.boxes, found.scores, found.class_ids)
            tracks = tracker.update(bare, step / RATE, embed_rows=lambda rows, embeddings=embeddings: embeddings[rows])
        else:
            tracks = tracker.update(found, step / RATE)
        last_seen = tracks[tracks.detection_rows >= 0]
        orders.append(last_seen.ids[last_seen.boxes[:, 0].argsort()].tolist())
    return orders[10], orders[45]


@pytest.mark.parametrize("preset", ["default", "deepsort", "botsort", "bytetrack"])
@pytest.mark.parametrize("appearance", ["native", "reid"])
def test_two_who_turn_back_where_they_meet_keep_their_ids(preset: str, appearance: str) -> None:
    tracker = make_tracker(preset, {"appearance": appearance, "frame_rate": RATE})
    before, after = order_before_and_after(tracker, lazily=appearance == "reid")
    assert len(before) == 2
    assert after == before


def test_by_motion_alone_they_are_taken_to_pass_each_other() -> None:
    before, after = order_before_and_after(
        make_tracker("default", {"frame_rate": RATE, "appearance": "none"}), lazily=False
    )
    assert after == before[::-1]


def test_a_look_of_zeros_is_none() -> None:
    galleries = Galleries(4)
    galleries.append(2)
    rows = np.arange(2)
    galleries.add(rows, np.stack([ONE, np.zeros(3, np.float32)]), now=1.0)
    embeddings = np.stack([ONE, np.zeros(3, np.float32)])
    pairs = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert galleries.comparable(pairs[0], embeddings, pairs[1]).tolist() == [True, False, False, False]
    assert galleries.distances(pairs[0], embeddings, pairs[1]).tolist() == [0, 1, 1, 1]
    assert galleries.stale(0.5).tolist() == [False, True]
    assert galleries.stale(1.5).tolist() == [True, True]


def same(one: Tracks, other: Tracks) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)


@pytest.mark.parametrize("preset", ["default", "deepsort"])
def test_a_tracker_stopped_between_two_looks_goes_on_to_the_bit(preset: str) -> None:
    rng = np.random.default_rng(4)
    start, speed = rng.uniform(0, 200, (12, 2)), rng.normal(0, 4, (12, 2))
    embeddings = rng.normal(size=(12, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)

    def run(tracker: TrackingEngine, steps: range) -> tuple[list[Tracks], list[list[int]]]:
        embedder, found = Embedder(embeddings), []
        for step in steps:
            corner = start + step * speed
            embedder.asked.append([])
            boxes = np.concatenate([corner, corner + np.array([40, 90])], axis=1)
            found.append(tracker.update(detections(boxes), step / RATE, embed_rows=embedder))
        return found, embedder.asked

    whole, asked = run(reid(preset), range(40))
    first, second = reid(preset), reid(preset)
    run(first, range(23))
    second.restore(unpack_state(pack_state(first.state())))
    rest, asked_again = run(second, range(23, 40))
    assert asked_again == asked[23:]
    assert 0 < sum(map(len, asked)) <= 12 * 40
    assert all(same(one, other) for one, other in zip(rest, whole[23:], strict=True))
