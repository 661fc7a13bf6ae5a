from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracker.evaluate.mot_files import MotRows
from tracker.evaluate.tracking import TrackingScores, combine, evaluate_sequence, prepare
from tracker.evaluate.tuning import Problem, evaluate, load_problems
from tracker.observations import Observations
from tracker.track.engine import TrackingEngine
from tracker.track.presets import tracker_config
from tracker.track.refine import interpolate as fill
from tracker.track.refine.fragments import cut_tracks
from tracker.track.refine.link import Fragments, LinkConfig, link_fragments
from tracker.track.refine.refinement import RefineConfig, refine
from tracker.track.refine.track_evidence import FillEvidence
from tracker.types import Detections

RATE = 25.0


def observed(rows: list[tuple[int, int, float, float]], *, embeddings: object = None) -> Observations:
    """Observations from (frame, id, x, y) of boxes 40 wide and 100 high."""
    frames, ids, x, y = np.array(sorted(rows), float).T
    boxes = np.stack([x, y, x + 40, y + 100], axis=1)
    count = len(rows)
    return Observations(
        frames.astype(np.int64),
        ids.astype(np.int64),
        np.zeros(count, np.int32),
        np.full(count, 0.9),
        boxes,
        np.zeros(count, np.uint8),
        embeddings=None if embeddings is None else np.asarray(embeddings, np.float32),
    )


def walk(track: int, frames: range, x: float, y: float, speed: float = 2.0) -> list[tuple[int, int, float, float]]:
    return [(frame, track, x + speed * frame, y) for frame in frames]


def weak(rows: list[tuple[int, int, float, float]], *, track: int, score: float = 0.3) -> Observations:
    """The same with one track that scores less than the others' 0.9."""
    found = observed(rows)
    return replace(found, scores=np.where(found.tracks == track, score, found.scores))


TIMES = np.arange(120) / RATE
HIDDEN = [*walk(1, range(40), 0, 0), *walk(2, range(60, 120), 0, 0)]


def test_two_halves_of_a_walk_become_one_track_with_its_gap_filled() -> None:
    refined = refine(observed(HIDDEN), TIMES)
    assert refined.observations.tracks.tolist() == [1] * 120
    assert refined.observations.frames.tolist() == list(range(120))
    middle = (refined.observations.boxes[:, 0] + refined.observations.boxes[:, 2]) / 2
    np.testing.assert_allclose(middle, 20 + 2 * np.arange(120), atol=1)
    (link,) = refined.account.links
    assert (link.kept, link.joined) == (1, 2)
    assert link.gap_s == pytest.approx(21 / RATE)
    assert refined.account.filled == {1: 20}
    assert refined.account.cuts == {}
    assert "1 links, 20 rows filled in 1 tracks" in str(refined.account)


def test_tracks_that_are_there_at_once_are_never_linked() -> None:
    rows = [*walk(1, range(60), 0, 0), *walk(2, range(50, 120), 5, 0)]
    refined = refine(observed(rows), TIMES)
    assert set(refined.observations.tracks.tolist()) == {1, 2}
    assert refined.account.links == ()


def test_links_are_chosen_together_and_not_greedily() -> None:
    """The nearest pair alone would leave a track without any partner; the best choice for all links both."""
    ends = np.array([[0.0, 0, 40, 100], [45.0, 0, 40, 100], [30.0, 0, 40, 100], [90.0, 0, 40, 100]])
    still = np.zeros((4, 2))
    fragments = Fragments(
        start=np.array([0.0, 0, 2, 2]),
        end=np.array([1.0, 1, 3, 3]),
        first=ends,
        last=ends,
        first_speed=still,
        last_speed=still,
        class_ids=np.zeros(4, np.int32),
        counts=np.full(4, 10),
        embeddings=None,
        following=np.full(4, -1),
        settled=np.zeros(4, bool),
    )
    before, after, _ = link_fragments(fragments, replace(LinkConfig(), min_log_odds=-3.0))
    assert dict(zip(before.tolist(), after.tolist(), strict=True)) == {0: 2, 1: 3}


@pytest.mark.parametrize(("rows", "linked"), [(1, False), (2, False), (10, True)])
def test_what_has_few_rows_is_linked_only_where_little_else_is_possible(rows: int, linked: bool) -> None:
    """A flicker 0.6 s later, 10 px from where a walker should be, is rarely the walker; a walk from there on is."""
    seen = observed([*walk(1, range(60), 0, 0), *walk(2, range(75, 75 + rows), 10, 0)])
    links = refine(seen, TIMES, RefineConfig(fragment_log_odds=-9.0)).account.links
    assert bool(links) == linked


def test_objects_of_different_classes_or_looks_are_not_linked() -> None:
    one = observed(HIDDEN)
    classes = (one.tracks == 2).astype(np.int32)
    assert refine(replace(one, class_ids=classes), TIMES).account.links == ()
    embeddings = np.where((one.tracks == 2)[:, None], [1.0, 0], [0, 1.0]).astype(np.float32)
    assert refine(replace(one, embeddings=embeddings), TIMES).account.links == ()


def test_a_gap_too_long_is_left_open() -> None:
    rows = [*walk(1, range(30), 0, 0), *walk(1, range(90, 120), 0, 0)]
    refined = refine(observed(rows), TIMES, RefineConfig(fill_gap_s=1.0))
    assert set(range(30, 90)).isdisjoint(refined.observations.frames.tolist())
    assert refined.account.filled == {}


def test_smoothing_brings_shaky_boxes_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    steady = observed(walk(1, range(120), 0, 0))
    shaky = replace(steady, boxes=steady.boxes + rng.normal(0, 3, steady.boxes.shape).astype(np.float32))
    error = np.abs(shaky.boxes - steady.boxes).mean()
    assert np.abs(refine(shaky, TIMES).observations.boxes - steady.boxes).mean() < error / 2
    plain = refine(shaky, TIMES, RefineConfig(smooth=False))
    np.testing.assert_array_equal(plain.observations.boxes, shaky.boxes)
    assert plain.account.smoothed == 0


def test_what_a_tracker_joined_over_an_unlikely_gap_is_taken_apart() -> None:
    rows = [*walk(1, range(40), 0, 0), *walk(1, range(70, 120), 900, 600)]
    refined = refine(observed(rows), TIMES)
    assert refined.observations.tracks.tolist() == [1] * 40 + [2] * 50
    assert refined.account.links == ()
    assert refined.account.cuts == {2: 1}


@pytest.mark.parametrize(("aside", "links"), [(0, 0), (40, 1)])
def test_a_flicker_in_a_gap_does_not_part_what_is_one_track_around_it(aside: float, links: int) -> None:
    """A single row halfway through a gap stays where it lies on the way, and is left out where it does not."""
    rows = [*walk(1, range(40), 0, 0), (56, 1, 112.0 - aside, 0), *walk(1, range(75, 120), 0, 0)]
    refined = refine(observed(rows), TIMES)
    assert refined.observations.tracks.tolist() == [1] * 120
    np.testing.assert_allclose(refined.observations.boxes[:, 0], 2 * np.arange(120), atol=2)
    assert refined.account.cuts == {}
    assert (len(refined.account.links), len(refined.account.drops)) == (links, links)


def test_what_is_likelier_false_than_real_is_dropped_and_reported() -> None:
    rows = [*walk(1, range(60), 0, 0), *walk(7, range(10, 12), 900, 500)]
    refined = refine(weak(rows, track=7), TIMES)
    assert set(refined.observations.tracks.tolist()) == {1}
    (drop,) = refined.account.drops
    assert (drop.track, drop.rows) == (7, 2)
    assert drop.reason.startswith("2 rows of mean score 0.30: real with probability 0.40")


def test_what_a_camera_saw_in_few_frames_because_it_gives_few_stays() -> None:
    """The same rows, once as 25 frames a second and once as one in ten seconds."""
    rows = [*walk(1, range(60), 0, 0), *walk(7, range(10, 12), 900, 500)]
    seldom = refine(weak(rows, track=7, score=0.85), np.arange(120) * 10.0)
    assert set(seldom.observations.tracks.tolist()) == {1, 7}
    often = refine(weak(rows, track=7, score=0.85), TIMES)
    assert set(often.observations.tracks.tolist()) == {1}


def test_what_the_tracker_did_not_report_is_added_only_where_worth_a_new_track() -> None:
    """One row is worth no more than the change of identity it may be; what was reported stays."""
    rows = [*walk(1, range(60), 0, 0), *walk(7, range(10, 11), 900, 500)]
    seen = weak(rows, track=7, score=0.95)
    slow = np.arange(120) * 1.0
    assert set(refine(seen, slow).observations.tracks.tolist()) == {1, 7}
    hinted = replace(seen, confirmed=seen.tracks == 1)
    assert set(refine(hinted, slow).observations.tracks.tolist()) == {1}
    reported = replace(seen, confirmed=np.ones(len(seen), bool))
    assert set(refine(reported, slow).observations.tracks.tolist()) == {1, 7}


@pytest.mark.parametrize(("score", "first"), [(0.98, 10), (0.3, 13)])
def test_rows_before_a_track_was_reported_are_added_only_to_tracks_likely_real(score: float, first: int) -> None:
    rows = [*walk(1, range(60), 0, 0), *walk(7, range(10, 18), 900, 500)]
    seen = weak(rows, track=7, score=score)
    seen = replace(seen, confirmed=(seen.tracks == 1) | (seen.frames >= 13))
    refined = refine(seen, TIMES).observations
    assert refined.frames[refined.tracks == 7].min() == first


@pytest.mark.parametrize(("early", "first"), [((0.9, 0.9), 10), ((0.3, 0.9), 11), ((0.3, 0.3), 12), ((0.9, 0.3), 10)])
def test_rows_before_a_track_was_reported_are_each_believed_by_their_own_score(
    early: tuple[float, float], first: int
) -> None:
    """A track that is surely real may have begun on something else."""
    seen = observed([*walk(1, range(60), 0, 0), *walk(7, range(10, 60), 900, 500)])
    of_seven = np.flatnonzero(seen.tracks == 7)
    scores = seen.scores.copy()
    scores[of_seven[:2]] = early
    seen = replace(seen, scores=scores, confirmed=(seen.tracks == 1) | (seen.frames >= 12))
    refined = refine(seen, TIMES).observations
    assert refined.frames[refined.tracks == 7].tolist() == list(range(first, 60))


def test_a_detector_that_is_never_quite_sure_is_believed_by_its_own_measure() -> None:
    """0.6 is much for one whose best scores are 0.7, and little for one that gives 0.99."""
    for usual, first in ((0.7, 10), (0.99, 12)):
        seen = observed([*walk(1, range(60), 0, 0), *walk(7, range(10, 60), 900, 500)])
        early = (seen.tracks == 7) & (seen.frames < 12)
        confirmed = (seen.tracks == 1) | (seen.frames >= 12)
        seen = replace(seen, scores=np.where(early, 0.6, usual), confirmed=confirmed)
        refined = refine(seen, TIMES).observations
        assert refined.frames[refined.tracks == 7].min() == first


def test_a_row_is_filled_in_by_what_stands_in_front_and_how_near_the_side_is() -> None:
    """Each weight alone decides, so that the evidence is seen to be measured on the right boxes."""
    walker = [*walk(1, range(30), 300, 0), *walk(1, range(50, 80), 300, 0)]
    ends = [(frame, 5, 1100.0 * (frame % 2), 400.0) for frame in range(80)]
    front = [(frame, 9, 400.0, 15.0) for frame in range(25, 55)]
    behind = [(frame, 9, 400.0, -15.0) for frame in range(25, 55)]

    def filled(others: list[tuple[int, int, float, float]], evidence: FillEvidence) -> int:
        seen = observed([*walker, *ends, *others])
        return refine(seen, TIMES, RefineConfig(fill=evidence)).account.filled.get(1, 0)

    hidden = FillEvidence(base=-0.5, blur_weight=0, hidden_weight=1, inside_weight=0, track_weight=0, halfway_weight=0)
    assert filled([], hidden) == filled(behind, hidden) == 0
    assert 5 <= filled(front, hidden) <= 12  # x = 400 +- 20 of a box that moves by 2 a frame
    inside = FillEvidence(base=-1.5, blur_weight=0, hidden_weight=0, inside_weight=1, track_weight=0, halfway_weight=0)
    assert filled([], inside) == 20
    walker = [*walk(1, range(30), 0, 0, 0.0), *walk(1, range(50, 80), 0, 0, 0.0)]
    assert filled([], inside) == 0


def test_rows_halfway_between_others_are_counted_whatever_the_gaps_and_blocks() -> None:
    """A walk of 20 rows: 18 are halfway. One that jumps by six widths: none. Rows beside a gap do not count."""
    steady, gone = walk(1, range(20), 0, 0), [*walk(3, range(2), 0, 900), *walk(3, range(3, 5), 0, 900)]
    jumping = [(frame, 2, 240.0 * (frame % 2), 400.0) for frame in range(11)]
    rows = observed([*steady, *jumping, *gone])
    rows = rows[np.lexsort((rows.frames, rows.tracks))]
    for blocks in ([rows], [rows[np.array([row])] for row in range(len(rows))]):
        cuts = cut_tracks(blocks, TIMES, longest_gap_s=0.25, span_s=1.0)
        assert cuts.halfway == pytest.approx((18 + 1) / (18 + 9 + 2))


def test_less_is_filled_in_where_objects_do_not_go_straight_from_frame_to_frame() -> None:
    """One gap of a calm walker, among others who walk as calmly or go to and fro."""
    walker = [*walk(1, range(30), 300, 0), *walk(1, range(33, 80), 300, 0)]

    def filled(stride: float) -> int:
        others = [(frame, 5, 1100.0 + stride * (frame % 2), 400.0) for frame in range(80)]
        return refine(observed([*walker, *others]), TIMES).account.filled.get(1, 0)

    assert filled(1.0) == 3
    assert filled(60.0) == 0


@pytest.mark.parametrize("interval", [1 / 60, 0.1, 0.5, 1.0, 10.0, 600.0])
def test_halves_of_a_walk_are_joined_at_any_frame_rate(interval: float) -> None:
    rows = [*walk(1, range(30), 0, 0), *walk(2, range(33, 60), 0, 0)]
    refined = refine(observed(rows), np.arange(60) * interval)
    assert set(refined.observations.tracks.tolist()) == {1}
    assert len(refined.observations) >= 57


def test_boxes_that_no_motion_foresees_stay_where_they_were_seen() -> None:
    """Cars at a frame a second: smoothing would take them off the road."""
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 60, (40, 2)).cumsum(axis=0)
    boxes = np.concatenate([steps, steps + np.array([40, 100])], axis=1).astype(np.float32)
    wild = replace(observed(walk(1, range(40), 0, 0)), boxes=boxes)
    refined = refine(wild, np.arange(40) * 1.0)
    np.testing.assert_allclose(refined.observations.boxes, boxes, atol=1e-3)


def test_nothing_stays_nothing() -> None:
    empty = observed(HIDDEN)[np.zeros(0, np.int64)]
    assert len(refine(empty, TIMES).observations) == 0
    assert str(refine(empty, np.zeros(0)).account).startswith("0 cuts, 0 links")


def test_a_variable_frame_rate_is_smoothed_by_true_time() -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.choice([0.02, 0.04, 0.2], 120))
    boxes = np.stack([50 * times, 0 * times, 50 * times + 40, 0 * times + 100], axis=1).astype(np.float32)
    steady = replace(observed(walk(1, range(120), 0, 0)), boxes=boxes)
    hidden = np.arange(120) % 10 != 5
    refined = refine(steady[np.flatnonzero(hidden)], times)
    np.testing.assert_allclose(refined.observations.boxes, boxes, atol=1)


def test_long_tracks_are_smoothed_in_windows_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rows = [*walk(1, range(600), 0, 0), *walk(2, range(100, 400), 300, 0, 1.0), *walk(3, range(30, 90), 0, 300)]
    hidden = (rng.random(len(rows)) < 0.1) | np.array([290 < frame < 312 for frame, *_ in sorted(rows)])
    shaky = observed(rows)[np.flatnonzero(~hidden)]
    shaky = replace(shaky, boxes=shaky.boxes + rng.normal(0, 2, shaky.boxes.shape))
    times = np.arange(600) / RATE
    monkeypatch.setattr(fill, "WINDOW", 10**6)
    whole = refine(shaky, times)
    monkeypatch.setattr(fill, "WINDOW", 100)
    monkeypatch.setattr(fill, "MARGIN", 128)
    windows = refine(shaky, times)
    assert windows.account == whole.account
    for name in ("frames", "tracks", "scores", "class_ids", "origins"):
        np.testing.assert_array_equal(getattr(windows.observations, name), getattr(whole.observations, name))
    np.testing.assert_allclose(windows.observations.boxes, whole.observations.boxes, rtol=0, atol=1e-4)
    assert windows.account.filled


def test_fragments_do_not_depend_on_how_their_rows_come_in_blocks() -> None:
    rows = [*walk(1, range(60), 0, 0), *walk(1, range(80, 120), 0, 0), *walk(4, range(5, 9), 50, 0)]
    one = observed(rows)
    one = one[np.lexsort((one.frames, one.tracks))]
    at_once = cut_tracks([one], TIMES, longest_gap_s=0.25, span_s=1.0)
    one_by_one = [one[np.array([row])] for row in range(len(one))]
    in_blocks = cut_tracks(one_by_one, TIMES, longest_gap_s=0.25, span_s=1.0)
    assert at_once.tracks.tolist() == [1, 1, 4]
    assert at_once.ends.following.tolist() == [1, -1, -1]
    for name in ("first_frames", "last_frames", "counts"):
        assert getattr(in_blocks, name).tolist() == getattr(at_once, name).tolist()
    for name in ("start", "end", "first", "last", "first_speed", "last_speed", "class_ids"):
        np.testing.assert_allclose(getattr(in_blocks.ends, name), getattr(at_once.ends, name), rtol=1e-12)


def thinned(problem: Problem, every: int) -> Problem:
    """Every so many-th frame of a sequence, at so much lower a rate."""
    truth = problem.ground_truth
    kept = np.flatnonzero((truth.frames - 1) % every == 0)
    columns = truth.ids[kept], truth.boxes[kept], truth.scores[kept], truth.class_ids[kept], truth.columns
    return replace(
        problem,
        frame_rate=problem.frame_rate / every,
        length=(problem.length - 1) // every + 1,
        frames=problem.frames[::every],
        ground_truth=MotRows((truth.frames[kept] - 1) // every + 1, *columns),
    )


def scores(problem: Problem) -> tuple[TrackingScores, TrackingScores]:
    """One sequence as the default preset tracks it, online and refined."""
    config = tracker_config("default", {})
    tracker = TrackingEngine(replace(config, frame_rate=config.frame_rate or problem.frame_rate))
    times = np.arange(len(problem.frames)) / problem.frame_rate
    found = [tracker.update(one, time) for one, time in zip(problem.frames, times.tolist(), strict=True)]
    seen = refine(Observations.from_tracks(found, problem.frames), times).observations
    ones = np.ones(len(seen), np.int64)
    rows = MotRows(seen.frames + 1, seen.tracks, seen.boxes, seen.scores, ones, 10)
    prepared = prepare(problem.ground_truth, rows, problem.length, rules=problem.rules, where=problem.name)
    return evaluate(problem, config), evaluate_sequence(prepared)


def backwards(problem: Problem) -> Problem:
    """The sequence from its last frame to its first."""
    truth = problem.ground_truth
    frames = problem.length + 1 - truth.frames
    order = frames.argsort(kind="stable")
    columns = truth.ids[order], truth.boxes[order], truth.scores[order], truth.class_ids[order], truth.columns
    unseen = problem.length - len(problem.frames)
    padded = [*problem.frames, *(Detections.empty() for _ in range(unseen))]
    return replace(problem, frames=padded[::-1], ground_truth=MotRows(frames[order], *columns))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("group", ["MOT15", "MOT17", "KITTI-Car"])
def test_refinement_takes_nothing_from_sequences_played_backwards(group: str, mot: Path) -> None:
    for before, after in [scores(backwards(problem)) for problem in load_problems(mot / group)]:
        for name in ("hota", "mota", "idf1"):
            assert 100 * getattr(after, name) >= 100 * getattr(before, name) - 0.3


@pytest.mark.shared
@pytest.mark.parametrize(("group", "hota", "idf1"), [("MOT15", 3, 3.3), ("MOT17", 3, 3.5), ("KITTI-Car", 1.5, 1)])
def test_refinement_pays_on_real_sequences(group: str, hota: float, idf1: float, mot: Path) -> None:
    pairs = [scores(problem) for problem in load_problems(mot / group)]
    online, refined = (combine(part) for part in zip(*pairs, strict=True))
    assert 100 * refined.hota >= 100 * online.hota + hota
    assert 100 * refined.idf1 >= 100 * online.idf1 + idf1
    assert refined.mota >= online.mota
    for before, after in pairs:
        for name in ("hota", "mota", "idf1"):
            assert 100 * getattr(after, name) >= 100 * getattr(before, name) - 0.3


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("every", [2, 3, 10])
@pytest.mark.parametrize("group", ["MOT15", "MOT17", "KITTI-Car"])
def test_refinement_does_not_fall_below_the_tracker_at_lower_frame_rates(group: str, every: int, mot: Path) -> None:
    pairs = [scores(thinned(problem, every)) for problem in load_problems(mot / group)]
    online, refined = (combine(part) for part in zip(*pairs, strict=True))
    assert refined.hota >= online.hota
    assert refined.mota >= online.mota
    assert refined.idf1 >= online.idf1
