"""Files as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.archives import unpack
from tracker.errors import FormatError
from tracker.formats import find_format
from tracker.formats.coco import read as read_coco
from tracker.formats.coco import write as write_coco
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.core.collector import Collector
from tracker.formats.core.polygons import to_window
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


def test_one_video_of_youtube_vis_is_read(tmp_path: Path) -> None:
    content = {
        "videos": [
            {"id": 5, "width": 8, "height": 6, "length": 1, "file_names": ["one/00.jpg"]},
            {"id": 6, "width": 9, "height": 6, "length": 2, "file_names": ["two/00.jpg", "two/05.jpg"]},
        ],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 1, "video_id": 5, "category_id": 3, "bboxes": [[1, 1, 2, 1]], "segmentations": [None]},
            {"id": 2, "video_id": 6, "category_id": 3, "bboxes": [None, [1, 1, 2, 1]], "segmentations": [None] * 2},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json", ExternalInfo(source="two.mp4"))
    assert found.frames.names == ("two/00.jpg", "two/05.jpg")
    assert found.objects.track_ids.tolist() == [2]
    with pytest.raises(FormatError, match="found 2; 0 of them called three"):
        read_coco(tmp_path / "a.json", ExternalInfo(source="three.mp4"))


def test_one_video_of_tao_is_read(tmp_path: Path) -> None:
    videos = [
        {"id": 0, "name": "train/YFCC100M/v_25685519b728", "width": 640, "height": 480, "neg_category_ids": []},
        {"id": 1, "name": "train/LaSOT/zebra-14", "width": 64, "height": 48, "neg_category_ids": [3]},
    ]
    content = {
        "info": {"year": 2020},
        "licenses": [],
        "videos": videos,
        "categories": [{"id": 95, "name": "zebra", "synset": "zebra.n.01", "frequency": "f"}],
        "tracks": [{"id": 7, "category_id": 95, "video_id": 1}, {"id": 8, "category_id": 95, "video_id": 0}],
        "images": [
            {"id": 40, "video_id": 0, "video": "v", "frame_index": 0, "file_name": "train/v/frame0001.jpg",
             "width": 640, "height": 480},
            {"id": 50, "video_id": 1, "video": "z", "frame_index": 30, "file_name": "train/z/00000031.jpg",
             "width": 64, "height": 48},
        ],
        "annotations": [
            {"id": 1, "image_id": 40, "track_id": 8, "category_id": 95, "video_id": 0, "bbox": [1, 1, 2, 2],
             "iscrowd": 0, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]], "area": 4, "scale_category": "moving-object"},
            {"id": 2, "image_id": 50, "track_id": 7, "category_id": 95, "video_id": 1, "bbox": [2, 1, 2, 2],
             "iscrowd": 0, "segmentation": [[2, 1, 4, 1, 4, 3, 2, 3]], "area": 4, "scale_category": "moving-object"},
        ],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json", ExternalInfo(source="zebra-14.mp4"))
    assert found.frames.indices.tolist() == [30]
    assert found.objects.track_ids.tolist() == [7]
    assert found.objects.boxes.tolist() == [[2, 1, 4, 3]]
    del content["images"][1], content["annotations"][1], content["videos"][1]  # type: ignore[attr-defined]
    (tmp_path / "one.json").write_text(json.dumps(content))
    alone = read_coco(tmp_path / "one.json")
    assert (alone.source, alone.objects.track_ids.tolist()) == ("train/YFCC100M/v_25685519b728", [8])


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


def test_what_a_coco_file_has_beside_boxes_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = {
        "categories": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 8], "keypoints": [2, 2, 2]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_coco(tmp_path / "a.json").objects.boxes.tolist() == [[1, 1, 10, 9]]
    assert "left out: the keypoints of 1 objects" in caplog.text


LEFT, RIGHT, INNER = (1, 1, 9, 1, 9, 9, 1, 9), (12, 1, 18, 1, 18, 9, 12, 9), (3, 3, 7, 3, 7, 7, 3, 7)
OVER = (5, 1, 14, 1, 14, 9, 5, 9)


@pytest.mark.parametrize(("parts", "area"), [((LEFT, RIGHT), 64 + 48), ((LEFT, OVER), 64 + 40), ((LEFT, INNER), 64)])
def test_parts_of_a_coco_object_are_joined_where_they_overlap(
    parts: tuple[tuple[int, ...], ...], area: int, tmp_path: Path
) -> None:
    content = {
        "categories": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 17, 8], "segmentation": parts}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    theirs = coco_mask.merge(coco_mask.frPyObjects([list(part) for part in parts], 10, 20))
    assert coco_mask.area(theirs) == area
    found = read_coco(tmp_path / "a.json")
    (segmentation,) = found.objects.segmentations
    assert segmentation is not None
    assert to_window(segmentation, width=20, height=10)[1].sum() == area
    assert isinstance(segmentation, tuple) == (RIGHT in parts)


def test_a_hole_of_ours_stays_one_in_coco(tmp_path: Path) -> None:
    rows = Collector("made")
    rows.frame(0, "made", width=20, height=10, name="a.jpg")
    outlines = tuple(tuple(map(float, part)) for part in (LEFT, INNER))
    rows.add(0, (1, 1, 9, 9), "made", class_id=rows.class_id("a", "made"), segmentation=outlines)
    write_coco(tmp_path / "a.json", rows.finish())
    (note,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert coco_mask.area(note["segmentation"]) == note["area"] == 64 - 16
    assert read_coco(tmp_path / "a.json").objects.segmentations[0] == note["segmentation"]["counts"]


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


def label_studio_task(video: str, *labels: str) -> dict[str, object]:
    """A task as Label Studio exports it: boxes from frame 1 to 5, and from 9 to the end of the video."""

    def step(frame: int, x: float, *, enabled: bool) -> dict[str, object]:
        return {
            "frame": frame, "enabled": enabled, "rotation": 0, "x": x, "y": 0, "width": 10, "height": 50,
            "time": (frame - 1) / 25,
        }  # fmt: skip

    steps = [step(1, 0, enabled=True), step(5, 40, enabled=False), step(9, 90, enabled=True)]
    results = [
        {
            "id": f"x{number}",
            "type": "videorectangle",
            "origin": "manual",
            "from_name": "box",
            "to_name": "video",
            "value": {"framesCount": 11, "duration": 0.44, "labels": [label], "sequence": steps},
        }
        for number, label in enumerate(labels)
    ]
    note = {"id": "c", "type": "choices", "from_name": "c", "to_name": "video", "value": {"choices": ["day"]}}
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": [*results, note]}
    skipped = {"id": 2, "completed_by": 2, "was_cancelled": True, "result": results}
    return {"id": 1, "data": {"video": video}, "annotations": [skipped, annotation], "predictions": []}


def test_a_cvat_job_with_every_kind_of_shape_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.xml").write_text(
        """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><id>9</id><size>3</size><mode>interpolation</mode><overlap>0</overlap>
<bugtracker></bugtracker><created>2024-01-01 10:00:00.000000+00:00</created><subset>default</subset>
<start_frame>10</start_frame><stop_frame>12</stop_frame><frame_filter></frame_filter><segments><segment><id>9</id>
<start>10</start><stop>12</stop><url>http://localhost/api/jobs/9</url></segment></segments>
<owner><username>a</username><email></email></owner><assignee></assignee><labels>
<label><name>car</name><color>#ff0000</color><type>any</type><attributes><attribute><name>colour</name>
<mutable>False</mutable><input_type>text</input_type><default_value></default_value><values></values></attribute>
</attributes></label><label><name>person</name><color>#00ff00</color><type>any</type><attributes></attributes></label>
</labels><original_size><width>100</width><height>80</height></original_size></job>
<dumped>2024-01-01 10:00:00.000000+00:00</dumped><source>road.mp4</source></meta>
<track id="0" label="car" source="manual" group_id="4">
  <box frame="10" keyframe="1" outside="0" occluded="0" xtl="10.00" ytl="20.00" xbr="30.00" ybr="60.00" z_order="0"
    rotation="90.00"><attribute name="colour">red</attribute></box>
  <box frame="11" keyframe="0" outside="0" occluded="0" xtl="11.00" ytl="20.00" xbr="31.00" ybr="60.00" z_order="0">
    <attribute name="colour">red</attribute></box>
  <box frame="12" keyframe="1" outside="1" occluded="0" xtl="11.00" ytl="20.00" xbr="31.00" ybr="60.00" z_order="0">
  </box>
</track>
<track id="1" label="person" source="semi-auto">
  <polygon frame="10" keyframe="1" outside="0" occluded="1" points="1.00,1.00;5.00,1.00;5.00,9.00" z_order="0">
  </polygon>
  <polygon frame="11" keyframe="1" outside="1" occluded="1" points="1.00,1.00;5.00,1.00;5.00,9.00" z_order="0">
  </polygon>
</track>
<track id="2" label="person" source="file">
  <mask frame="12" keyframe="1" outside="0" occluded="0" rle="1, 3" left="4" top="6" width="2" height="2" z_order="0">
  </mask>
</track>
<track id="3" label="person" source="manual">
  <points frame="10" keyframe="1" outside="0" occluded="0" points="1.00,1.00" z_order="0"></points>
</track></annotations>"""
    )
    found = read_cvat(tmp_path / "a.xml")
    assert found.labels == ("car", "person")
    assert found.frames.indices.tolist() == [10, 11, 12]
    assert found.objects.track_ids.tolist() == [1, 2, 1, 3]
    assert found.objects.boxes.tolist() == [[0, 30, 40, 50], [1, 1, 5, 9], [11, 20, 31, 60], [4, 6, 6, 8]]
    assert found.objects.segmentations[0] == ((40.0, 30.0, 40.0, 50.0, 0.0, 50.0, 0.0, 30.0),)
    assert found.objects.segmentations[1] == ((1.0, 1.0, 5.0, 1.0, 5.0, 9.0),)
    assert found.objects.segmentations[2] is None
    assert isinstance(found.objects.segmentations[3], str)
    assert found.objects.keyframes.tolist() == [True, True, False, True]
    assert "left out: 1 points" in caplog.text


def test_label_studio_interpolates_while_a_box_is_enabled_and_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([label_studio_task("/data/a.mp4", "Car")]))
    found = read_label_studio(tmp_path / "a.json", ExternalInfo(200, 100))
    x1, _, _, y2 = found.objects.boxes.T
    assert found.frames.indices.tolist() == [0, 1, 2, 3, 4, 8, 9, 10]
    assert x1.tolist() == [0, 20, 40, 60, 80, 180, 180, 180]
    assert found.objects.keyframes.tolist() == [True, False, False, False, True, True, False, False]
    assert set(y2.tolist()) == {50}
    assert found.frames.times[4] == 4 / 25
    shorter = read_label_studio(tmp_path / "a.json", ExternalInfo(200, 100, frames=10))
    assert shorter.frames.indices.tolist()[-1] == 9


def label_studio_region(steps: list[dict[str, object]], **value: object) -> dict[str, object]:
    whole = {"x": 10, "y": 20, "width": 10, "height": 30, "rotation": 0, "enabled": True}
    sequence = [{**whole, **step} for step in steps]
    return {"type": "videorectangle", "value": {"framesCount": 20, "labels": ["person"], **value, "sequence": sequence}}


def read_region(tmp_path: Path, steps: list[dict[str, object]], **value: object) -> Annotations:
    """A task of that track and one more, of a car in two frames."""
    car = label_studio_region([{"frame": 1}, {"frame": 2, "enabled": False}], labels=["car"])
    task = {"data": {"video": "v.mp4"}, "annotations": [{"result": [label_studio_region(steps, **value), car]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    found = read_label_studio(tmp_path / "a.json", ExternalInfo(200, 100))
    assert found.rows_by_track()[2]
    return found


def test_a_turned_label_studio_box_is_its_outline_and_the_box_around(tmp_path: Path) -> None:
    found = read_region(tmp_path, [{"frame": 1, "rotation": 90}, {"frame": 3, "rotation": 450, "enabled": False}])
    row, between, _ = found.rows_by_track()[1]
    np.testing.assert_allclose(found.objects.boxes[row], [-10, 20, 20, 40], atol=1e-6)  # turned about (20, 20)
    np.testing.assert_allclose(
        np.array(found.objects.segmentations[row]), [(20, 20, 20, 40, -10, 40, -10, 20)], atol=1e-6
    )
    np.testing.assert_allclose(found.objects.boxes[between], [20, 0, 50, 20], atol=1e-6)  # by 270 degrees


def test_label_studio_boxes_may_stand_in_any_order(tmp_path: Path) -> None:
    found = read_region(tmp_path, [{"frame": 9, "x": 90, "enabled": False}, {"frame": 1.0}])
    rows = found.rows_by_track()[1]
    assert found.objects.boxes[rows, 0].tolist() == [20 + 20 * step for step in range(9)]


def test_of_a_label_studio_box_twice_the_later_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_region(tmp_path, [{"frame": 1}, {"frame": 1, "x": 40}, {"frame": 2, "x": 40, "enabled": False}])
    assert found.objects.boxes[found.rows_by_track()[1], 0].tolist() == [80, 80]
    assert "frame 1 stands there before; the later box" in caplog.text


def test_many_label_studio_boxes_twice_are_told_of_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_region(tmp_path, [*({"frame": frame, "x": x} for x in (0, 40) for frame in (1, 2, 3))])
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.endswith("frame 1 stands there before, and so do 2 more of that track; the later box is taken")


def test_of_two_labels_the_first_is_taken_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_region(tmp_path, [{"frame": 1, "enabled": False}], labels=["a", "b"]).labels == ("a", "car")
    assert "has the labels a, b, the first is taken" in caplog.text
    assert read_region(tmp_path, [{"frame": 1, "enabled": False}], labels=[]).labels == ("object", "car")


def test_of_a_label_studio_project_the_task_of_the_video_is_read(tmp_path: Path) -> None:
    tasks = [
        label_studio_task("/data/upload/1/0a1b2c3d-a.mp4", "Car"),
        label_studio_task("https://store.example/b%20c.mp4", "Bus", "Van"),
    ]
    (tmp_path / "all.json").write_text(json.dumps(tasks))
    for name, labels in (("a.mp4", ("Car",)), ("b c.mp4", ("Bus", "Van"))):
        assert read_label_studio(tmp_path / "all.json", ExternalInfo(200, 100, source=name)).labels == labels
    for name, reason in (("d.mp4", "0 of them about d.mp4"), ("", "--video FILE says which")):
        with pytest.raises(FormatError, match=reason):
            read_label_studio(tmp_path / "all.json", ExternalInfo(200, 100, source=name))


def test_the_video_of_a_label_studio_task_may_have_any_key(tmp_path: Path) -> None:
    tasks = [label_studio_task(name, label) for name, label in (("x-a.mp4", "Car"), ("x-b.mp4", "Bus"))]
    for task in tasks:
        task["data"] = {"note": "morning", "clip": task["data"]["video"]}  # type: ignore[index]
    (tmp_path / "all.json").write_text(json.dumps(tasks))
    found = read_label_studio(tmp_path / "all.json", ExternalInfo(200, 100, source="b.mp4"))
    assert found.labels == ("Bus",)


def test_of_several_label_studio_annotations_of_a_video_one_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = label_studio_task("a.mp4", "Car")
    first, second = (label_studio_task("a.mp4", name)["annotations"][1] for name in ("Car", "Bus"))  # type: ignore[index]
    (tmp_path / "a.json").write_text(json.dumps([task | {"annotations": [first, second]}]))
    assert read_label_studio(tmp_path / "a.json", ExternalInfo(200, 100)).labels == ("Car",)
    assert "2 annotations of the one video; the first is read" in caplog.text


def test_label_studio_files_without_boxes_of_a_video_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = label_studio_task("a.mp4", "Car")
    region = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["Car"]}}
    task["annotations"][1]["result"].append(region)  # type: ignore[index]
    (tmp_path / "a.json").write_text(json.dumps([task]))
    assert len(read_label_studio(tmp_path / "a.json", ExternalInfo(200, 100)).rows_by_track()) == 1
    assert "left out: 1 rectanglelabels" in caplog.text
    images = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "result": [region]}]}
    short = {"id": 1, "video": "a.mp4", "box": [{"framesCount": 1, "sequence": [], "labels": ["Car"]}]}
    for content, reason in ((images, "found 1 rectanglelabels only"), (short, "not JSON-MIN")):
        (tmp_path / "b.json").write_text(json.dumps([content]))
        with pytest.raises(FormatError, match=reason):
            read_label_studio(tmp_path / "b.json", ExternalInfo(200, 100))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mot", "\ufeff1,0,10,10,5,5\r\n1,1.0,20,10,5,5\r\n2,0,11,10,5,5\r\n2,-1,40,10,5,5\r\n"),
        (
            "coco",
            json.dumps(
                {
                    "categories": [{"id": 1, "name": "voiture é"}],
                    "images": [{"id": number, "file_name": f"frame_{number:06d}.PNG"} for number in (1, 2)],
                    "annotations": [
                        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 5, 5],
                         "attributes": {"occluded": False, "track_id": 0, "keyframe": True}},
                        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [20, 10, 5, 5],
                         "attributes": {"track_id": 1}},
                        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [11, 10, 5, 5],
                         "attributes": {"track_id": 0}},
                        {"id": 4, "image_id": 2, "category_id": 1, "bbox": [40, 10, 5, 5],
                         "attributes": {"occluded": True}},
                    ],
                }
            ),
        ),
        ("csv", "frame,track_id,x1,y1,x2,y2\n0,0,10,10,15,15\n0,1,20,10,25,15\n1,0,11,10,16,15\n1,,40,10,45,15\n"),
    ],
)  # fmt: skip
def test_ids_from_zero_are_tracks(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(content, encoding="utf-8", newline="")
    found = find_format(name).load().read(tmp_path / "a")
    assert {track: len(rows) for track, rows in found.rows_by_track().items()} == {1: 2, 2: 1}
    assert found.objects.track_ids.tolist() == [1, 2, 0, 1]


def test_an_id_of_zero_for_all_objects_is_none(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,0,10,10,5,5,1,-1,-1,-1\n1,0,20,10,5,5,1,-1,-1,-1\n2,3,11,10,5,5,1,-1,-1,-1\n")
    assert read_mot(tmp_path / "det.txt").objects.track_ids.tolist() == [0, 0, 3]


def test_voc_images_keep_their_names(tmp_path: Path) -> None:
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
    found = read_yolo(tmp_path, ExternalInfo(100, 50))
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
    unpack(shared / "data" / "tracking" / "mot.tar.xz", tmp_path)
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
