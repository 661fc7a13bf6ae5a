from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.recordings import INFO
from tracker.errors import FormatError, SourceError
from tracker.observations import Observations, Origin
from tracker.store import RecordingWriter
from tracker.train.data.identity_crops import Crops, cut_crops, join_crops, read_tracks, split_identities

COLOURS = {1: (200, 30, 30), 2: (30, 30, 200), 3: (30, 200, 30)}


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Eight images of three coloured boxes walking, and their ground truth at twice the size."""
    (tmp_path / "frames").mkdir()
    (tmp_path / "gt").mkdir()
    lines = []
    for index in range(8):
        image = np.full((120, 160, 3), 90, np.uint8)
        for identity, colour in COLOURS.items():
            x, y = 10 * index + 5, 36 * identity - 30
            image[y : y + 30, x : x + 20] = colour[::-1]
            lines.append(f"{index + 1},{identity},{2 * x},{2 * y},40,60,1,-1,-1,-1")
        cv2.imwrite(str(tmp_path / f"frames/{index:03}.png"), image)
    lines.append("1,9,0,0,40,60,0,-1,-1,-1")  # to be ignored
    (tmp_path / "gt/gt.txt").write_text("\n".join(lines))
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=walk\nimWidth=320\nimHeight=240\n")
    return tmp_path


def test_crops_show_their_identity_at_the_size_asked_for(walk: Path) -> None:
    crops = cut_crops(walk / "frames", walk / "gt/gt.txt", size=(32, 16), every=3)
    assert crops.images.shape == (9, 3, 32, 16)
    for image, identity in zip(crops.images, crops.ids, strict=True):
        np.testing.assert_allclose(image.reshape(3, -1).mean(axis=1), COLOURS[int(identity)], atol=12)
    assert sorted(set(crops.moments.tolist())) == [0, 1, 3]  # frames 0, 3 and 6 of 8, in quarters


def test_boxes_are_scaled_to_the_video_by_what_seqinfo_states(walk: Path) -> None:
    tracks = read_tracks(walk / "gt/gt.txt", video_width=160)
    assert set(tracks.ids.tolist()) == {1, 2, 3}
    np.testing.assert_allclose(tracks.boxes[0], [5, 6, 25, 36])
    (walk / "seqinfo.ini").unlink()
    np.testing.assert_allclose(read_tracks(walk / "gt/gt.txt", video_width=160).boxes[0], [10, 12, 50, 72])


def test_a_recording_gives_the_boxes_that_were_seen(walk: Path) -> None:
    writer = RecordingWriter.create(walk / "walk.sqlite", INFO)
    for frame in range(8):
        left = 10 * frame + 5
        rows = Observations.rounded(
            frame,
            tracks=np.array([1, 2]),
            class_ids=np.zeros(2, np.int64),
            scores=np.full(2, 0.9),
            boxes=np.array([[left, 6, left + 20, 36], [left, 42, left + 20, 72]], np.float64),
            origins=np.array([Origin.DETECTED, Origin.INTERPOLATED if frame % 2 else Origin.MANUAL]),
        )
        writer.add(frame, frame / 25, rows)
    writer.commit({})
    writer.close()
    crops = cut_crops(walk / "frames", walk / "walk.sqlite", size=(32, 16), every=1)
    assert [(crops.ids == identity).sum() for identity in (1, 2)] == [8, 4]
    for image, identity in zip(crops.images, crops.ids, strict=True):
        np.testing.assert_allclose(image.reshape(3, -1).mean(axis=1), COLOURS[int(identity)], atol=12)


def test_nothing_to_cut_and_missing_files_are_said(walk: Path) -> None:
    (walk / "small.txt").write_text("1,1,0,0,4,4,1")
    with pytest.raises(FormatError, match=r"small\.txt: no box of 16 pixels or more"):
        cut_crops(walk / "frames", walk / "small.txt", size=(32, 16))
    with pytest.raises(SourceError, match="no such file"):
        cut_crops(walk / "none.mp4", walk / "gt/gt.txt", size=(32, 16))


people = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=30)


def made(pairs: list[tuple[int, int]]) -> Crops:
    ids, moments = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return Crops(np.zeros((len(pairs), 3, 2, 1), np.uint8), ids, moments)


@given(people, st.floats(0, 1), st.integers(0, 9))
def test_no_identity_is_in_both_parts_of_a_split(pairs: list[tuple[int, int]], share: float, seed: int) -> None:
    crops = made(pairs)
    train, val = split_identities(crops, share, seed=seed)
    assert not set(train.ids.tolist()) & set(val.ids.tolist())
    assert len(train) + len(val) == len(crops)
    assert len(set(val.ids.tolist())) == round(share * len(set(crops.ids.tolist())))


@given(people, people)
def test_joined_videos_share_neither_identities_nor_moments(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    one, other = made(first), made(second)
    joined = join_crops([one, other])
    a, b = joined[: len(one)], joined[len(one) :]
    assert not set(a.ids.tolist()) & set(b.ids.tolist())
    assert not set(a.moments.tolist()) & set(b.moments.tolist())
    assert np.array_equal(np.unique(a.ids, return_inverse=True)[1], np.unique(one.ids, return_inverse=True)[1])
