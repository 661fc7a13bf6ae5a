"""Files as other programs write them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tracker.formats.annotations import Known
from tracker.formats.coco import read as read_coco
from tracker.formats.cvat import read as read_cvat
from tracker.formats.kitti import read as read_kitti
from tracker.formats.label_studio import read as read_label_studio
from tracker.formats.mot import read as read_mot
from tracker.formats.mot import write as write_mot
from tracker.formats.mots import read as read_mots
from tracker.formats.voc import read as read_voc
from tracker.formats.yolo_txt import read as read_yolo


def test_youtube_vis_tracks_are_read(tmp_path: Path) -> None:
    content = {
        "videos": [{"id": 1, "width": 8, "height": 6, "length": 3, "file_names": ["v/00.jpg", "v/05.jpg", "v/10.jpg"]}],
        "categories": [{"id": 3, "name": "dog", "supercategory": "animal"}],
        "annotations": [
            {
                "id": 9,
                "video_id": 1,
                "category_id": 3,
                "iscrowd": 0,
                "bboxes": [[1, 1, 2, 1], None, [2, 1, 2, 1]],
                "areas": [2, None, 2],
                "segmentations": [{"size": [6, 8], "counts": [7, 2, 39]}, None, None],
            }
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json")
    assert found.labels == ("dog",)
    assert found.frames.names == ("v/00.jpg", "v/05.jpg", "v/10.jpg")
    assert found.objects.track_ids.tolist() == [9, 9]
    assert found.objects.frames.tolist() == [0, 2]
    assert found.objects.segmentations == ("72W1", None)


def test_plain_coco_images_are_numbered_by_id_and_keep_their_names(tmp_path: Path) -> None:
    content = {
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
        "images": [
            {"id": 42, "file_name": "b.jpg", "width": 10, "height": 10, "license": 1},
            {"id": 7, "file_name": "a.jpg", "width": 20, "height": 10},
        ],
        "annotations": [
            {"id": 1, "image_id": 42, "category_id": 90, "bbox": [1, 2, 3, 4], "segmentation": [[1, 1, 5, 1, 5, 5]]}
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json")
    assert found.frames.names == ("a.jpg", "b.jpg")
    assert found.objects.frames.tolist() == [1]
    assert found.labels[found.objects.class_ids[0]] == "toothbrush"
    assert found.objects.segmentations == (((1.0, 1.0, 5.0, 1.0, 5.0, 5.0),),)


def test_cvat_boxes_between_keyframes_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>t</name><size>12</size><start_frame>0</start_frame>
<stop_frame>11</stop_frame><labels><label><name>car</name><color>#ff0000</color></label></labels>
<original_size><width>100</width><height>80</height></original_size></task><source>road.mp4</source></meta>
<track id="0" label="car" source="manual">
  <box frame="2" keyframe="1" outside="0" occluded="0" xtl="10" ytl="10" xbr="20" ybr="20" z_order="0"></box>
  <box frame="6" keyframe="1" outside="0" occluded="1" xtl="50" ytl="10" xbr="60" ybr="20" z_order="0">
    <attribute name="colour">red</attribute></box>
  <box frame="8" keyframe="1" outside="1" occluded="0" xtl="50" ytl="10" xbr="60" ybr="20" z_order="0"></box>
</track></annotations>"""
    )
    found = read_cvat(tmp_path / "a.xml")
    assert len(found.frames) == 12
    assert found.source == "road.mp4"
    x1, _, _, _ = found.objects.boxes.T
    assert found.frames.indices[found.objects.frames].tolist() == [2, 3, 4, 5, 6, 7]
    assert x1.tolist() == [10, 20, 30, 40, 50, 50]
    assert found.objects.keyframes.tolist() == [True, False, False, False, True, False]
    assert found.objects.occluded.tolist() == [False, False, False, False, True, True]
    assert set(found.objects.track_ids.tolist()) == {1}


def test_label_studio_interpolates_while_a_box_is_enabled(tmp_path: Path) -> None:
    def step(frame: int, x: float, *, enabled: bool) -> dict[str, object]:
        return {
            "frame": frame, "enabled": enabled, "rotation": 0, "x": x, "y": 0, "width": 10, "height": 50,
            "time": (frame - 1) / 25,
        }  # fmt: skip

    value = {
        "framesCount": 20,
        "duration": 0.8,
        "labels": ["Car"],
        "sequence": [step(1, 0, enabled=True), step(5, 40, enabled=False), step(9, 90, enabled=True)],
    }
    result = {"id": "x", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}
    task = [{"id": 1, "data": {"video": "/data/a.mp4"}, "annotations": [{"id": 1, "result": [result]}]}]
    (tmp_path / "a.json").write_text(json.dumps(task))
    found = read_label_studio(tmp_path / "a.json", Known(200, 100))
    x1, _, _, y2 = found.objects.boxes.T
    assert found.frames.indices.tolist() == [0, 1, 2, 3, 4, 8]
    assert x1.tolist() == [0, 20, 40, 60, 80, 180]
    assert set(y2.tolist()) == {50}
    assert found.frames.times[4] == 4 / 25


def test_voc_pictures_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "2007_000027.xml").write_text(
        "<annotation><folder>VOC2012</folder><filename>2007_000027.jpg</filename><source><database>The VOC2007 Database"
        "</database><annotation>PASCAL VOC2007</annotation></source><size><width>486</width><height>500</height>"
        "<depth>3</depth></size><object><name>person</name><pose>Unspecified</pose><truncated>0</truncated>"
        "<difficult>0</difficult><bndbox><xmax>349</xmax><xmin>174</xmin><ymax>351</ymax><ymin>101</ymin></bndbox>"
        "<part><name>head</name><bndbox><xmin>169</xmin><ymin>104</ymin><xmax>209</xmax><ymax>146</ymax></bndbox></part>"
        "</object></annotation>"
    )
    found = read_voc(tmp_path)
    assert found.frames.names == ("2007_000027.jpg",)
    assert found.objects.boxes.tolist() == [[174, 101, 349, 351]]


def test_yolo_results_of_ultralytics_are_read(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "clip_1.txt").write_text(
        "0 0.5 0.5 0.2 0.4 7\n1 0.1 0.1 0.2 0.2 0.871234\n2 0.1 0.1 0.2 0.1 0.2 0.2\n2 0.1 0.1 0.2 0.1 0.2 0.2 9\n"
    )
    found = read_yolo(tmp_path, Known(100, 50))
    assert found.objects.track_ids.tolist() == [0, 0, 7, 9]
    assert found.objects.scores[:2].tolist()[0] == 0.871234
    assert [item is not None for item in found.objects.segmentations] == [False, True, False, True]
    assert found.objects.boxes[2].tolist() == [40, 15, 60, 35]


def test_kitti_mots_frames_from_zero_are_read(tmp_path: Path) -> None:
    rows = ("0 1005 1 6 8 72W1", "1 2003 2 6 8 72W1", "1 10000 10 6 8 c02k0")
    (tmp_path / "0000.txt").write_text("\n".join(rows))
    found = read_mots(tmp_path / "0000.txt")
    assert found.frames.indices.tolist() == [0, 1]
    assert found.labels == ("car", "pedestrian", "ignored region")
    assert found.objects.boxes[0].tolist() == [1, 1, 2, 3]


@pytest.mark.shared
def test_real_benchmark_files_are_read_and_survive(shared: Path, tmp_path: Path) -> None:
    with tarfile.open(shared / "data" / "tracking" / "mot.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    truths = sorted(tmp_path.rglob("gt/gt.txt"))
    assert len(truths) >= 19
    for truth in truths:
        found = read_mot(truth)
        rows = [line.split(",") for line in truth.read_text().splitlines() if line.strip()]
        assert len(found.objects) == len(rows)
        write_mot(tmp_path / "again.txt", found)
        again = read_mot(tmp_path / "again.txt")
        np.testing.assert_allclose(again.objects.boxes, found.objects.boxes, atol=1e-6)
        assert again.objects.track_ids.tolist() == found.objects.track_ids.tolist()
    for detections in sorted(tmp_path.rglob("det/det.txt")):
        assert set(read_mot(detections).objects.track_ids.tolist()) == {0}


def test_kitti_ids_from_zero_and_regions_without_one(tmp_path: Path) -> None:
    (tmp_path / "0000.txt").write_text(
        "0 -1 DontCare -1 -1 -10 219.31 188.49 245.50 218.56 -1000 -1000 -1000 -10 -1 -1 -1\n"
        "0 0 Van 0 1 -1.793451 296.744956 161.752147 455.226042 292.372804 2.0 1.823255 4.433886 -4.55 1.8 13.4 -2.1\n"
    )
    found = read_kitti(tmp_path / "0000.txt")
    assert found.objects.track_ids.tolist() == [0, 1]
    assert found.labels == ("DontCare", "Van")
    assert found.objects.occluded.tolist() == [False, True]
