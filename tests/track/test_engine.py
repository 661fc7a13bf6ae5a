from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.track.scenes import NOTHING, detections, walk
from tracker.config.tracking import TrackerConfig
from tracker.errors import FormatError
from tracker.evaluate.mot_files import MotRows
from tracker.evaluate.tracking import combine
from tracker.evaluate.tuning import Problem, evaluate, load_problems
from tracker.track.engine import TrackingEngine
from tracker.track.presets import PRESETS, make_tracker
from tracker.types import Detections, Tracks, TrackState

RATE = 30.0
ROOT = Path(__file__).parents[2]
MOVING = [detections([[100 + 3 * step, 100, 140 + 3 * step, 200]]) for step in range(60)]


def track(tracker: TrackingEngine, frames: list[Detections], start: int = 0) -> list[Tracks]:
    return [tracker.update(one, (start + index) / RATE) for index, one in enumerate(frames)]


def confirmed(tracks: Tracks) -> set[int]:
    return set(tracks.ids[tracks.states != TrackState.TENTATIVE].tolist())


def same(one: Tracks, other: Tracks) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)


@pytest.mark.parametrize("preset", PRESETS)
def test_one_moving_object_keeps_one_id(preset: str) -> None:
    found = track(make_tracker(preset, {"frame_rate": RATE}), MOVING)
    assert set().union(*map(confirmed, found)) == {1}
    assert found[-1].states.tolist() == [TrackState.CONFIRMED]
    np.testing.assert_allclose(found[-1].velocities[0], [3 * RATE, 0], atol=2)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_tracker_stopped_in_the_middle_goes_on_to_the_bit(preset: str) -> None:
    frames, _ = walk(20, 60, seed=3)
    rng = np.random.default_rng(0)
    embeddings = [rng.normal(size=(len(one), 8)).astype(np.float32) for one in frames]
    frames = [
        Detections(one.boxes, one.scores, one.class_ids, embeddings=embed_rows)
        for one, embed_rows in zip(frames, embeddings, strict=True)
    ]
    whole, first, second = (make_tracker(preset, {}) for _ in range(3))
    expected = track(whole, frames)
    track(first, frames[:31])
    second.restore(copy.deepcopy(first.state()))
    resumed = track(second, frames[31:], 31)
    assert all(same(one, other) for one, other in zip(resumed, expected[31:], strict=True))


def test_a_given_state_does_not_change_while_its_tracker_goes_on() -> None:
    tracker = TrackingEngine()
    track(tracker, MOVING[:20])
    state = tracker.state()
    before = copy.deepcopy(state)
    track(tracker, MOVING[20:40], 20)
    assert pickle.dumps(state) == pickle.dumps(before)


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(FormatError, match=r"expected version 3, found 1; .*start the recording anew"):
        TrackingEngine().restore({**TrackingEngine().state(), "version": 1})


def test_two_trackers_count_their_ids_apart_and_none_is_reused() -> None:
    frames, _ = walk(15, 80, misses=0.3, clutter=0.3, seed=5)
    one, other = TrackingEngine(), TrackingEngine()
    first, second = track(one, frames), track(other, frames)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    lives: dict[int, list[int]] = {}
    for index, tracks in enumerate(first):
        for track_id in tracks.ids.tolist():
            lives.setdefault(track_id, []).append(index)
    assert min(lives) == 1
    assert all(frames == list(range(frames[0], frames[-1] + 1)) for frames in lives.values())
    one.reset()
    assert track(one, frames[:1])[0].ids.min() > max(lives)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_garbage_boxes_raise_nothing_and_leave_no_nan(data: st.DataObject) -> None:
    values = st.floats(width=32) | st.sampled_from([0.0, -1.0, 5.0, 50.0, 1e30, np.nan, np.inf, -np.inf])
    preset = data.draw(st.sampled_from(sorted(PRESETS)))
    tracker = make_tracker(preset, {})
    scenes = arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.just(8)), elements=values)
    ids: set[int] = set()
    for rows in data.draw(st.lists(scenes, min_size=1, max_size=12)):
        boxes, scores, embed_rows = rows[:, :4], rows[:, 4], rows[:, 5:]
        time = data.draw(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, np.nan, np.inf]))
        classes = np.arange(len(rows), dtype=np.int32)
        tracks = tracker.update(Detections(boxes, scores, classes, embeddings=embed_rows), time)
        for name in ("boxes", "velocities", "scores", "ages", "unseen"):
            assert np.isfinite(getattr(tracks, name)).all(), (preset, name)
        assert len(set(tracks.ids.tolist())) == len(tracks)
        fresh = set(tracks.ids.tolist()) - ids
        assert not fresh or not ids or min(fresh) > max(ids)
        ids |= fresh
        for row in range(len(rows)):
            assert tracker.explain(row)


@pytest.mark.parametrize("preset", ["default", "sort", "ocsort"])
def test_ten_thousand_frames_of_garbage_and_churn_keep_the_state_small(preset: str) -> None:
    tracker = make_tracker(preset, {"frame_rate": RATE})
    rng = np.random.default_rng(11)
    wild = np.array([np.nan, np.inf, -np.inf, 0.0, -5.0, 1e30, 1e-30])
    for index in range(10_000 // 3):
        boxes = rng.uniform(-100, 2000, (5, 4)).astype(np.float32)
        spoilt = rng.random((5, 4)) < 0.2
        boxes[spoilt] = rng.choice(wild, spoilt.sum())
        with np.errstate(over="ignore"):
            tracks = tracker.update(detections(boxes, rng.uniform(-0.5, 1.5, 5)), index / RATE)
        assert np.isfinite(tracks.boxes).all()
        assert np.isfinite(tracks.velocities).all()
        assert len(tracks) < 1000
    assert len(pickle.dumps(tracker.state())) < 500_000


def test_five_thousand_detections_in_one_frame_are_tracked() -> None:
    frames, _ = walk(5000, 3, misses=0, clutter=0, seed=1)
    found = track(make_tracker("default", {"high_score": 0.5, "new_score": 0.5}), frames)
    assert [len(one) for one in frames] == [5000] * 3
    assert (found[-1].states == TrackState.CONFIRMED).sum() > 4000


def test_no_detections_for_any_time_end_the_tracks_and_new_ones_start() -> None:
    tracker = TrackingEngine()
    track(tracker, MOVING[:10])
    emptied = track(tracker, [NOTHING] * 200, 10)
    assert len(emptied[-1]) == 0
    assert confirmed(track(tracker, MOVING[:10], 210)[-1]) == {2}


def test_a_long_jump_in_time_ends_what_was_there() -> None:
    tracker = TrackingEngine()
    track(tracker, MOVING[:10])
    jumped = tracker.update(MOVING[10], 1e7)
    assert jumped.ids.tolist() == [2]


def test_standing_and_backward_time_counts_as_one_frame() -> None:
    tracker = make_tracker("default", {"frame_rate": RATE})
    for index, one in enumerate(MOVING[:30]):
        tracks = tracker.update(one, -0.1 * index if index % 3 else float("nan"))
    assert tracks.ids.tolist() == [1]
    np.testing.assert_allclose(tracks.velocities[0], [3 * RATE, 0], atol=2)


def test_dropped_frames_are_bridged_by_the_true_time_between_them() -> None:
    rng = np.random.default_rng(2)
    tracker = make_tracker("default", {"frame_rate": RATE})
    fast = [detections([[10 * step, 100, 10 * step + 40, 200]]) for step in range(120)]
    kept = [index for index in range(120) if index < 10 or rng.random() < 0.4]
    for index in kept:
        tracks = tracker.update(fast[index], index / RATE)
        assert tracks.ids.tolist() == [1]


def test_the_frame_rate_is_measured_where_none_is_given() -> None:
    for rate in (5.0, 120.0):
        tracker = TrackingEngine()
        for index, one in enumerate(MOVING):
            tracks = tracker.update(one, index / rate)
        assert tracks.ids.tolist() == [1]
        np.testing.assert_allclose(tracks.velocities[0], [3 * rate, 0], atol=0.05 * rate)


def test_a_class_does_not_flicker() -> None:
    tracker = TrackingEngine()
    for index, one in enumerate(MOVING):
        flicker = detections(one.boxes, classes=[7 if index % 4 == 3 else 2])
        tracks = tracker.update(flicker, index / RATE)
        assert tracks.class_ids.tolist() == [2]


def test_a_track_stands_still_while_the_camera_is_said_to_pan() -> None:
    pan = np.array([[1.0, 0, -40], [0, 1, 0]])
    tracker = make_tracker("default", {"frame_rate": RATE})
    for index in range(30):
        left = 2000 - 40 * index
        tracks = tracker.update(detections([[left, 100, left + 40, 200]]), index / RATE, pan if index else None)
        assert tracks.ids.tolist() == [1]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="confirm_hits must be 1 or more"):
        TrackerConfig(confirm_hits=0)


@pytest.mark.shared
def test_a_detector_silent_for_a_second_costs_at_most_two_ids(mot: Path) -> None:
    (problem,) = (one for one in load_problems(mot / "MOT15") if one.name == "PETS09-S2L1")
    middle, rate = len(problem.frames) // 2, problem.frame_rate

    def ids(silent: int) -> list[int]:
        tracker = make_tracker("default", {"frame_rate": rate})
        last_seen = []
        for index, one in enumerate(problem.frames):
            hidden = middle <= index < middle + silent
            tracks = tracker.update(NOTHING if hidden else one, index / rate)
            last_seen.append(confirmed(tracks[tracker.reported(tracks)]))
        return [len(set().union(*last_seen[:middle])), len(set().union(*last_seen))]

    assert ids(round(rate))[1] - ids(0)[1] <= 2


def halved(problem: Problem) -> Problem:
    """Every second frame of a sequence."""
    ground_truth = problem.ground_truth
    kept = ground_truth.frames % 2 == 1
    rows = MotRows(
        (ground_truth.frames[kept] + 1) // 2,
        ground_truth.ids[kept],
        ground_truth.boxes[kept],
        ground_truth.scores[kept],
        ground_truth.class_ids[kept],
        ground_truth.columns,
    )
    rate, length = problem.frame_rate / 2, (problem.length + 1) // 2
    return replace(problem, frame_rate=rate, length=length, frames=problem.frames[::2], ground_truth=rows)


@pytest.mark.shared
def test_half_the_frame_rate_costs_at_most_four_hota(mot: Path) -> None:
    for group in ("MOT15", "MOT17", "KITTI-Car"):
        problems = load_problems(mot / group)
        whole = combine([evaluate(one, TrackerConfig()) for one in problems])
        halves = combine([evaluate(halved(one), TrackerConfig()) for one in problems])
        assert 100 * halves.hota >= 100 * whole.hota - 4, group


SCENE = """
import sys
import numpy as np
from tests.track.scenes import walk
from tracker.track.presets import PRESETS, make_tracker
kept = []
for preset in PRESETS:
    tracker = make_tracker(preset, {})
    for count, objects in ((30, 12), (8, 150)):
        for index, found in enumerate(walk(objects, count, misses=0.2, seed=4)[0]):
            tracks = tracker.update(found, index / 30)
            kept += [tracks.ids, tracks.boxes.ravel(), tracks.velocities.ravel(), tracks.states, tracks.detection_rows]
np.save(sys.argv[1], np.concatenate([values.astype(float) for values in kept]))
print("numba" in sys.modules)
"""


def test_compiled_and_plain_give_the_same_tracks(tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="comes with the extra `fast`")
    results = []
    for disabled in "01":
        path = tmp_path / f"{disabled}.npy"
        command = [sys.executable, "-c", SCENE, str(path)]
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        assert run.stdout.strip() == "True"
        results.append(np.load(path))
    compiled, plain = results
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-4)


def test_auto_looks_where_detections_bring_looks() -> None:
    """Two objects change places while hidden: only their appearance tells them apart."""
    red, blue = [1.0, 0.0], [0.0, 1.0]
    frames = [detections([[100, 100, 140, 200], [150, 100, 190, 200]], embeddings=[red, blue]) for _ in range(20)]
    frames += [NOTHING] * 5
    frames += [detections([[118, 100, 158, 200], [132, 100, 172, 200]], embeddings=[blue, red])]
    plain = [replace(frame, embeddings=None) for frame in frames]
    rows = {
        name: track(TrackingEngine(TrackerConfig(appearance=name)), given)[-1].detection_rows.tolist()
        for name, given in (("auto", frames), ("none", frames))
    }
    assert rows == {"auto": [1, 0], "none": [0, 1]}
    blind = TrackingEngine()
    assert track(blind, plain)[-1].detection_rows.tolist() == [0, 1]
    assert blind.state()["galleries"] is None


def test_what_is_there_from_the_first_frame_is_reported_from_it_on() -> None:
    """Nobody saw it enter: rows begin at frame 1, later arrivals wait for their confirmation (case 18)."""
    tracker = make_tracker("default", {})
    early, late = [10, 10, 50, 90], [200, 10, 240, 90]
    states = []
    for index in range(4):
        boxes = np.array([early, late][: 1 + (index > 0)], np.float32)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int32))
        tracks = tracker.update(found, index / 10)
        states.append([TrackState(state).name for state in tracks.states])
    assert [row[0] for row in states] == ["CONFIRMED"] * 4
    assert [row[1] for row in states[1:]] == ["TENTATIVE", "TENTATIVE", "CONFIRMED"]
