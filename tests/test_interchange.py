"""Objects of other packages mean the same here and there, and come back as they went."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest

import tracker
from tests.annotate.conftest import clip, network
from tracker.geometry import paste_mask
from tracker.types import Detections, Frame, FrameResult, Tracks

__all__ = ["clip", "network"]

LABELS = ("person", "car")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def a_result(*, tracked: bool = True) -> FrameResult:
    """Two objects, one with a hole in its mask, tracked in the other order."""
    masks = np.zeros((2, 28, 28), np.uint8)
    masks[0, 4:24, 4:24] = 255
    masks[1, :, :14] = 255
    boxes = np.array([[10, 20, 60, 90], [100, 30, 150, 70]], np.float32)
    found = Detections(boxes, [0.9, 0.6], [1, 0], masks)
    rows = np.array([1, 0])
    tracks = Tracks(
        ids=[3, 8],
        boxes=boxes[rows],
        velocities=np.zeros((2, 2)),
        scores=found.scores[rows],
        class_ids=found.class_ids[rows],
        states=[1, 1],
        ages=[0, 0],
        unseen=[0, 0],
        detection_rows=rows,
    )
    frame = Frame(np.zeros((120, 160, 3), np.uint8), 7, 0.25, "a.mp4")
    return FrameResult(frame, found, tracks if tracked else Tracks.empty(), LABELS, tracked=tracked)


@pytest.fixture(scope="module")
def recording(clip: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> tracker.Recording:
    return tracker.annotate(clip, tmp_path_factory.mktemp("out"), model=network, vid_stride=4)


@pytest.mark.parametrize("tracked", [True, False])
def test_masks_are_those_of_the_rows(tracked: bool) -> None:
    result = a_result(tracked=tracked)
    masks = result.masks()
    assert (masks.shape, masks.dtype) == ((2, 120, 160), bool)
    window, covered = paste_mask(result.detections.masks[0], result.detections.boxes[0], 160, 120)  # type: ignore[index]
    row = 1 if tracked else 0
    assert np.array_equal(masks[row][window], covered)
    assert masks[row].sum() == covered.sum() > 0


@pytest.mark.parametrize("tracked", [True, False])
def test_supervision_there_and_back(tracked: bool) -> None:
    result = a_result(tracked=tracked)
    theirs = result.to_supervision()
    assert (None if theirs.tracker_id is None else theirs.tracker_id.tolist()) == ([3, 8] if tracked else None)
    assert theirs.data["class_name"].tolist() == (["person", "car"] if tracked else ["car", "person"])
    back = tracker.from_supervision(theirs)
    rows = result.tracks if tracked else result.detections
    np.testing.assert_allclose(back.boxes, rows.boxes)
    assert (back.scores.tolist(), back.class_ids.tolist()) == (rows.scores.tolist(), rows.class_ids.tolist())
    again = FrameResult(result.frame, back, Tracks.empty(), LABELS, tracked=False).masks()
    assert (again & theirs.mask).sum() / (again | theirs.mask).sum() > 0.98


def test_supervision_without_scores_classes_and_masks() -> None:
    import supervision

    found = tracker.from_supervision(supervision.Detections(xyxy=np.array([[1.0, 2, 3, 4]])))
    assert (found.scores.tolist(), found.class_ids.tolist(), found.masks) == ([1.0], [0], None)
    assert len(tracker.from_supervision(supervision.Detections.empty())) == 0


def test_ultralytics_there_and_back() -> None:
    result = a_result()
    theirs = tracker.to_ultralytics(result)
    assert theirs.boxes.id.tolist() == [3, 8]
    assert [theirs.names[int(number)] for number in theirs.boxes.cls] == ["person", "car"]
    back = tracker.from_ultralytics(theirs)
    np.testing.assert_allclose(back.boxes, result.tracks.boxes)
    again = FrameResult(result.frame, back, Tracks.empty(), LABELS, tracked=False).masks()
    assert (again & result.masks()).sum() / (again | result.masks()).sum() > 0.9
    with pytest.raises(tracker.ConfigError, match="hold no detections"):
        tracker.from_ultralytics(type("Results", (), {"boxes": None})())


def test_pandas_there_and_back(recording: tracker.Recording) -> None:
    table = recording.to_pandas()
    assert list(table.columns) == ["frame", "time", "track_id", "class", "score", "x1", "y1", "x2", "y2", "origin"]
    assert len(table) == recording.observation_count()
    assert table["track_id"].nunique() == len(recording.tracks())
    assert set(table["origin"]) <= {"detected", "interpolated"}
    first = table.iloc[0]
    assert first["time"] == recording.time_of(int(first["frame"]))
    size = recording.info.width, recording.info.height
    back = tracker.from_pandas(table, size=size, source="clip.mp4")
    np.testing.assert_array_equal(back.objects.boxes, table[["x1", "y1", "x2", "y2"]])
    assert sorted(back.rows_by_track()) == sorted(table["track_id"].unique())
    np.testing.assert_array_equal(back.objects.keyframes, table["origin"] != "interpolated")
    again = tracker.to_pandas(back)
    pandas.testing.assert_frame_equal(again.drop(columns="origin"), table.drop(columns="origin"), check_dtype=False)
    assert set(again["origin"].dropna()) <= {"interpolated"}
    assert str(recording.path) in repr(recording)
    assert len(repr(back)) < 200, "whatever it holds"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("class", None, "no class"),
        ("class", float("nan"), "no class"),
        ("frame", 1.5, "frame is no whole number: 1.5"),
        ("track_id", float("nan"), "track_id is no whole number: nan"),
        ("x1", "left", "x1 is no number: 'left'"),
        ("x1", float("nan"), "not finite"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(column: str, value: object, reason: str) -> None:
    row = {"frame": 1, "track_id": 2, "class": "car", "x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0}
    with pytest.raises(tracker.FormatError, match=reason):
        tracker.from_pandas(pandas.DataFrame([row | {column: value}]), size=(64, 48))
    with pytest.raises(tracker.FormatError, match=f"lacks the columns {column}"):
        tracker.from_pandas(pandas.DataFrame([row]).drop(columns=column), size=(64, 48))


def test_pycocotools_there_and_back(recording: tracker.Recording, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tracker.to_pycocotools(recording)
    assert capsys.readouterr().out == ""
    assert len(dataset.getAnnIds()) == recording.observation_count()
    back = tracker.from_pycocotools(dataset)
    assert len(back.objects) == recording.observation_count()
    assert len(tracker.to_pycocotools(back).getAnnIds()) == recording.observation_count()
