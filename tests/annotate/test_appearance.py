from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32
from numpy import ndarray

from tracker.annotate import appearance
from tracker.annotate.appearance import VIEWS, choose_views, describe_tracks
from tracker.annotate.recordings import fingerprint
from tracker.annotate.similar import TrackIndex, mean_vectors
from tracker.errors import ConfigError, SourceError
from tracker.observations import Observations
from tracker.store import Recording, RecordingEditor, RecordingInfo, RecordingWriter
from tracker.store.appearances import Views, read_thumbnails, read_views
from tracker.types import Image

FRAMES = 40


def colours(image: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 3"]:
    """The mean colour under each box, as a unit vector."""
    cut = [image[int(y1) : int(y2), int(x1) : int(x2)].reshape(-1, 3).mean(axis=0) for x1, y1, x2, y2 in boxes]
    vectors = np.stack(cut) + 1.0
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def recording(clip: Path, tmp_path: Path) -> Path:
    """Tracks 1 and 2 in the clip; 2 stands behind 1 but for the last frames."""
    size, digest = fingerprint(clip)
    info = RecordingInfo({"path": str(clip), "size": size, "digest": digest}, 160, 120, ("block",))
    writer = RecordingWriter.create(tmp_path / "a.sqlite", info)
    for frame in range(FRAMES):
        left = 20.0 if frame < 36 else 90.0
        boxes = np.array([[22.0, 20, 62, 90], [left, 18, left + 40, 80]])
        ids = np.array([1, 2])
        seen = Observations.rounded(frame, tracks=ids, class_ids=ids * 0, scores=ids * 0 + 0.9, boxes=boxes)
        writer.add(frame, frame / 25, seen)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    return tmp_path / "a.sqlite"


def test_views_are_spread_over_a_track_and_show_what_nobody_covers(recording: Path) -> None:
    with Recording(recording) as open_recording:
        chosen = [choice for choices in choose_views(open_recording, without=set()).values() for choice in choices]
    mine = sorted(choice.frame for choice in chosen if choice.track == 1)
    assert [frame * VIEWS // FRAMES for frame in mine] == list(range(VIEWS))
    assert max(choice.frame for choice in chosen if choice.track == 2) >= 36


def test_tracks_are_described_once_and_from_then_on_read(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = describe_tracks(recording, "colours", colours)
    assert set(views.tracks.tolist()) == {1, 2}
    np.testing.assert_allclose(np.linalg.norm(views.vectors, axis=1), 1, atol=2e-3)
    monkeypatch.setattr(appearance, "open_source", lambda path: pytest.fail("reads the video again"))
    again = describe_tracks(recording, "colours", colours)
    np.testing.assert_array_equal(again.vectors, views.vectors)
    with Recording(recording) as open_recording:
        images = read_thumbnails(open_recording, 1, 3)
    assert len(images) == 3
    assert all(image.startswith(b"\xff\xd8") for image in images)


def test_another_networks_views_are_replaced(recording: Path) -> None:
    describe_tracks(recording, "colours", colours)
    describe_tracks(recording, "others", colours)
    with Recording(recording) as open_recording:
        assert len(read_views(open_recording, "colours")) == 0
        assert len(read_views(open_recording, "others")) == 2 * VIEWS


def test_merged_tracks_take_their_views_along_and_back(recording: Path) -> None:
    before = describe_tracks(recording, "colours", colours)
    with RecordingEditor(recording) as editor:
        editor.relabel(2, 9)
    with Recording(recording) as open_recording:
        renamed = read_views(open_recording, "colours")
    assert set(renamed.tracks.tolist()) == {1, 9}
    np.testing.assert_array_equal(renamed.vectors[renamed.tracks == 9], before.vectors[before.tracks == 2])


def test_a_missing_video_is_reported(recording: Path, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--video FILE"):
        describe_tracks(recording, "colours", colours, video=tmp_path / "moved.mp4")


def some_views(tracks: list[int], classes: list[int], vectors: list[list[float]]) -> Views:
    count = len(tracks)
    return Views(
        np.array(tracks, np.int64),
        np.array(classes, np.int32),
        np.arange(count),
        np.arange(count) * 1.0,
        np.array(vectors, np.float32),
    )


def test_a_track_is_the_mean_of_its_views() -> None:
    tracks, classes, means = mean_vectors(some_views([3, 3, 5], [0, 0, 1], [[1, 0], [0, 1], [0, 1]]))
    assert (tracks.tolist(), classes.tolist()) == ([3, 5], [0, 1])
    np.testing.assert_allclose(means, [[0.5**0.5, 0.5**0.5], [0, 1]], rtol=1e-6)


def test_tracks_of_the_same_class_are_ranked_by_likeness_over_all_recordings() -> None:
    one = some_views([1, 2, 3], [0, 0, 1], [[1, 0], [0, 1], [1, 0]])
    other = some_views([1, 4], [0, 0], [[0.8, 0.6], [0.6, 0.8]])
    index = TrackIndex.of([(one, ("person", "car")), (other, ("person",))])
    found = index.like(0, 1, count=10)
    assert [(each.recording, each.track) for each in found] == [(1, 1), (1, 4), (0, 2)]
    assert [round(each.similarity, 5) for each in found] == [0.8, 0.6, 0.0]
    assert len(index.like(0, 1, count=1)) == 1
    with pytest.raises(ConfigError, match="no view"):
        index.like(1, 77, count=1)


def test_vectors_of_different_length_are_not_compared() -> None:
    two, three = some_views([1], [0], [[1, 0]]), some_views([1], [0], [[1, 0, 0]])
    with pytest.raises(ConfigError, match="different networks"):
        TrackIndex.of([(two, ("person",)), (three, ("person",))])
