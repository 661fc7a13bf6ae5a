from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from tests.overlay.scenes import body_mask, crowd, make_result, make_tracks, street
from tracker.formats.detections_json import DetectionsJson
from tracker.formats.jsonl import JsonlSink
from tracker.formats.mot import MotSink
from tracker.geometry import paste_mask
from tracker.types import Detections, Event, Tracks, TrackState

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own


def lines(path: Path) -> list[Any]:
    """The JSON value of each line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_mot_rows_count_from_one_and_hold_seen_confirmed_tracks_only(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "tracks.txt")
    tracks = make_tracks(
        np.array([[10, 20, 30, 60], [1, 2, 3, 4], [5, 6, 7, 8]]),
        ids=[3, 4, 9],
        scores=[0.87654, 0.5, 0.5],
        states=[TrackState.CONFIRMED, TrackState.TENTATIVE, TrackState.COASTING],
        detection_rows=[0, 1, -1],
    )
    sink.write(make_result(tracks, street(80, 60), index=0))
    sink.write(make_result(Tracks.empty(), street(80, 60), index=1))
    sink.write(make_result(tracks[:1], street(80, 60), index=2))
    sink.close()
    assert (tmp_path / "tracks.txt").read_text() == (
        "1,3,10.00,20.00,20.00,40.00,0.8765,-1,-1,-1\n3,3,10.00,20.00,20.00,40.00,0.8765,-1,-1,-1\n"
    )


def test_mot_rows_of_coasting_tracks_are_an_option(tmp_path: Path) -> None:
    sink = MotSink(tmp_path / "tracks.txt", coasting=True)
    tracks = make_tracks(np.array([[10, 20, 30, 60]]), states=[TrackState.COASTING], detection_rows=[-1])
    sink.write(make_result(tracks, street(80, 60)))
    sink.close()
    assert (tmp_path / "tracks.txt").read_text().startswith("1,1,10.00,")


def test_json_lines_tell_the_frame_exactly(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "tracks.jsonl")
    time = 1001 / 30000 * 7
    result = replace(crowd(320, 180, time=time), events=(Event("line", "gate", time, 5, 2, 1.0),))
    sink.write(result)
    sink.write(make_result(Tracks.empty(), street(320, 180), index=8, time=0.5))
    sink.close()
    head, first, second = lines(tmp_path / "tracks.jsonl")
    assert head == {
        "format": "sightline-jsonl",
        "version": 1,
        "source": "street.mp4",
        "width": 320,
        "height": 180,
        "labels": ["person", "bicycle", "автомобиль", "人"],
        "bbox": "x1 y1 x2 y2",
    }
    assert first["time"] == time
    assert [item["id"] for item in first["objects"]] == [1, 2, 5, 7]
    assert first["objects"][2]["class"] == "автомобиль"
    assert first["events"] == [{"kind": "line", "name": "gate", "time": time, "id": 5, "class_id": 2, "value": 1.0}]
    assert second == {"frame": 8, "time": 0.5, "objects": []}


def test_json_lines_carry_the_mask_of_the_track_s_own_detection(tmp_path: Path) -> None:
    result = crowd(320, 180)
    sink = JsonlSink(tmp_path / "tracks.jsonl")
    sink.write(result)
    sink.close()
    for item in lines(tmp_path / "tracks.jsonl")[1]["objects"]:
        row = int(result.tracks.detection_rows[result.tracks.ids.tolist().index(item["id"])])
        full = np.zeros((180, 320), bool)
        assert result.detections.masks is not None
        window, covered = paste_mask(result.detections.masks[row], result.detections.boxes[row], 320, 180)
        full[window] = covered
        assert np.array_equal(coco.decode(item["segmentation"]).astype(bool), full)


@pytest.mark.parametrize("sink", [MotSink, JsonlSink])
def test_equal_runs_give_equal_bytes(tmp_path: Path, sink: type[MotSink] | type[JsonlSink]) -> None:
    for name in ("a", "b"):
        writer = sink(tmp_path / name)
        for step in range(5):
            writer.write(crowd(320, 180, time=step / 25))
        writer.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("sink", [MotSink, JsonlSink])
def test_a_run_without_frames_leaves_a_readable_file(tmp_path: Path, sink: type[MotSink] | type[JsonlSink]) -> None:
    writer = sink(tmp_path / "out")
    writer.close()
    writer.close()
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("sink", [MotSink, JsonlSink])
def test_a_discarded_run_keeps_its_whole_lines_under_the_partial_name(
    tmp_path: Path, sink: type[MotSink] | type[JsonlSink]
) -> None:
    writer = sink(tmp_path / "out")
    writer.write(crowd(320, 180))
    writer.discard()
    (partial,) = tmp_path.iterdir()
    assert partial.name == "out.partial"
    assert partial.read_text().count("\n") == 2 if sink is JsonlSink else partial.read_text().endswith("\n")


def test_a_run_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    for sink in (MotSink, JsonlSink):
        sink(tmp_path / "out").discard()
    assert list(tmp_path.iterdir()) == []


def test_live_lines_reach_the_file_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tracker.formats.core.atomic.time.monotonic", lambda: now[0])
    writer = JsonlSink(tmp_path / "out")
    for _ in range(3):
        writer.write(crowd(320, 180))
        now[0] += 0.6
    assert (tmp_path / "out.partial").read_text().count("\n") == 4
    writer.close()


def test_detections_are_one_json_list(tmp_path: Path) -> None:
    boxes = np.array([[10.123456, 20, 30, 50.5], [0, 0, 64, 48]], np.float32)
    found = Detections(
        boxes,
        np.array([0.9, 0.25], np.float32),
        np.array([1, 7], np.int32),
        np.stack([body_mask(), body_mask()]),
    )
    with DetectionsJson(tmp_path / "preds.json") as file:
        file.add("first", found, ("person", "car"), width=64, height=48)
        file.add("nobody", Detections.empty(), ("person", "car"), width=64, height=48)
        file.add("plain", replace(found, masks=None)[:1], ("person", "car"), width=64, height=48)
    rows = json.loads((tmp_path / "preds.json").read_text())
    assert [row["image"] for row in rows] == ["first", "first", "plain"]
    assert rows[0]["bbox"] == [10.12, 20.0, 19.88, 30.5]
    assert [row["class"] for row in rows] == ["car", "class 7", "car"]
    assert coco.decode(rows[0]["segmentation"]).shape == (48, 64)
    assert "segmentation" not in rows[2]


def test_no_detections_at_all_are_an_empty_list(tmp_path: Path) -> None:
    file = DetectionsJson(tmp_path / "preds.json")
    file.close()
    file.close()
    assert json.loads((tmp_path / "preds.json").read_text()) == []
