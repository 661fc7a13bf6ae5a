from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.track.refine.test_refinement import observed
from tracker.observations import Observations
from tracker.track.refine import swaps
from tracker.track.refine.fragments import cut_tracks
from tracker.track.refine.link import LinkConfig
from tracker.track.refine.refinement import RefineConfig, refine
from tracker.track.refine.swaps import SwapConfig, find_swaps
from tracker.track.refine.tracked_rows import RowsInMemory

RATE = 10.0
FRAMES = 61
MEET = 30
TIMES = np.arange(FRAMES) / RATE


def walkers(*, at: int = MEET, exchanged: bool = True, hidden: int = 2, frames: int = FRAMES) -> Observations:
    """Two walk through each other at frame `at`; the one behind is unseen around it, then the tracks change places."""
    rows = []
    for frame in range(frames):
        right, left = (frame, 5.0 * (frame - at), 0.0), (frame, -5.0 * (frame - at), 6.0)
        turned = exchanged and frame > at
        rows.append((right[0], 2 if turned else 1, *right[1:]))
        if abs(frame - at) > hidden:
            rows.append((left[0], 1 if turned else 2, *left[1:]))
    return observed(rows)


def directions(rows: Observations) -> list[int]:
    """For every track whether it goes right (1), left (-1) or turns (0)."""
    signs = []
    for track in np.unique(rows.tracks):
        steps = np.diff(rows.boxes[rows.tracks == track, 0])
        signs.append(1 if (steps > 0).all() else -1 if (steps < 0).all() else 0)
    return signs


def test_tracks_that_went_on_with_each_others_object_are_put_right() -> None:
    seen = walkers()
    assert directions(seen) == [0, 0]
    refined = refine(seen, TIMES)
    assert directions(refined.observations) == [1, -1]
    (swap,) = refined.account.swaps
    assert {swap.one, swap.other} == {1, 2}
    assert swap.last_frame == MEET
    assert swap.log_odds > 0
    assert (refined.account.cuts, refined.account.links) == ({}, ())
    assert "1 swaps undone" in str(refined.account)


def test_every_row_stays_where_it_was_and_is_only_called_otherwise() -> None:
    seen = walkers()
    alone = RefineConfig(smooth=False, fill_gap_s=0.0)
    rows = refine(seen, TIMES, alone).observations
    assert sorted(zip(rows.frames.tolist(), rows.boxes[:, 0].tolist(), strict=True)) == sorted(
        zip(seen.frames.tolist(), seen.boxes[:, 0].tolist(), strict=True)
    )


def test_tracks_that_kept_their_objects_are_left_alone() -> None:
    refined = refine(walkers(exchanged=False), TIMES)
    assert refined.account.swaps == ()
    assert directions(refined.observations) == [1, -1]


def test_objects_of_two_classes_never_change_places() -> None:
    seen = walkers()
    assert refine(replace(seen, class_ids=(seen.tracks == 2).astype(np.int32)), TIMES).account.swaps == ()


def test_sizes_tell_who_is_who_where_both_stand_still() -> None:
    """A child comes to a grown-up and goes back; the tracks change places meanwhile."""
    seen = observed([(frame, track, 2.0 * track, 0.0) for frame in range(FRAMES) for track in (1, 2)])
    apart = np.abs(seen.frames - MEET) > 3
    child = (seen.tracks == 1) == (seen.frames <= MEET)
    boxes = seen.boxes.copy()
    boxes[:, 0] += np.where(apart, 60.0 * child, 0.0)
    boxes[:, 2:] = boxes[:, :2] + np.where(child[:, None], [30.0, 75.0], [40.0, 100.0])
    swapped = replace(seen, boxes=boxes)
    (swap,) = find_swaps(RowsInMemory(swapped), TIMES, SwapConfig(), LinkConfig())
    assert abs(swap.last_frame - MEET) <= 1


def test_the_better_of_two_ways_that_both_fit_ill_says_nothing() -> None:
    """Both jump by two widths while they are together: the links across are likelier, and still unlikely."""
    seen = walkers(hidden=-1)
    boxes = seen.boxes + np.where(seen.frames[:, None] > MEET, [80.0, 0.0, 80.0, 0.0], 0.0)
    jumped = replace(seen, boxes=boxes)
    often = SwapConfig(base=2.0)
    assert find_swaps(RowsInMemory(jumped), TIMES, often, LinkConfig()) == []
    assert len(find_swaps(RowsInMemory(jumped), TIMES, replace(often, min_link_log_odds=-9.0), LinkConfig())) == 1


@pytest.mark.parametrize("interval", [1 / 60, 0.1, 0.5, 10.0, 600.0])
def test_the_frame_rate_is_of_no_matter(interval: float) -> None:
    refined = refine(walkers(hidden=0), np.arange(FRAMES) * interval)
    assert len(refined.account.swaps) == 1
    assert directions(refined.observations) == [1, -1]


def test_a_recording_gone_over_in_blocks_gives_what_it_gives_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meetings at, before and after the edges of blocks; each is found once."""
    parts = []
    for place, at in enumerate((30, 95, 99, 100, 101, 160)):
        rows = walkers(at=at, frames=220)
        lower = rows.boxes + np.array([0, 1000 * place, 0, 1000 * place])
        parts.append(replace(rows, tracks=rows.tracks + 2 * place, boxes=lower))
    rows = RowsInMemory(Observations.joined(parts))
    times = np.arange(220) / RATE
    at_once = find_swaps(rows, times, SwapConfig(), LinkConfig())
    assert len(at_once) == 6
    monkeypatch.setattr(swaps, "BLOCK_S", 2.0)
    in_blocks = find_swaps(rows, times, SwapConfig(), LinkConfig())
    key = [(swap.one, swap.other, swap.last_frame) for swap in in_blocks]
    assert sorted(key) == sorted((swap.one, swap.other, swap.last_frame) for swap in at_once)


def test_a_pair_that_changed_places_twice_is_put_right_twice() -> None:
    once = walkers()
    mirrored = once.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    back = replace(once, frames=once.frames + FRAMES, boxes=mirrored, tracks=3 - once.tracks)
    refined = refine(Observations.joined([once, back]), np.arange(2 * FRAMES) / RATE)
    assert [swap.last_frame for swap in refined.account.swaps] == [MEET, MEET + FRAMES]
    rows = refined.observations
    early = rows.frames < FRAMES - 1
    assert directions(rows[early]) == [1, -1]
    assert directions(rows[rows.frames > FRAMES + 1]) == [-1, 1]


def test_a_track_that_is_dropped_takes_no_part() -> None:
    """What is left ends where the track that was dropped would have gone on."""
    seen = walkers()
    config = RefineConfig(fragment_log_odds=2.0, reported_log_odds=9.0)
    weak = replace(seen, scores=np.where(seen.tracks == 2, 0.1, 0.9), confirmed=np.ones(len(seen), bool))
    refined = refine(weak, TIMES, config)
    assert refined.account.swaps == ()


def test_fragments_of_swapped_tracks_do_not_depend_on_how_their_rows_come_in_blocks() -> None:
    rows = walkers()
    rows = rows[np.lexsort((rows.frames, rows.tracks))]
    found = find_swaps(RowsInMemory(rows), TIMES, SwapConfig(), LinkConfig())
    at_once = cut_tracks([rows], TIMES, longest_gap_s=9.0, span_s=1.0, swaps=found)
    one_by_one = [rows[np.array([row])] for row in range(len(rows))]
    in_blocks = cut_tracks(one_by_one, TIMES, longest_gap_s=9.0, span_s=1.0, swaps=found)
    assert at_once.tracks.tolist() == in_blocks.tracks.tolist() == [1, 1, 2, 2]
    assert at_once.ends.following.tolist() == in_blocks.ends.following.tolist() == [3, -1, 1, -1]
    assert at_once.ends.settled.tolist() == [True, False, True, False]
