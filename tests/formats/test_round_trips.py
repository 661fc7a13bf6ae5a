from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.worlds import HEIGHT, LABELS, PLAIN_LABELS, WIDTH, World, annotations, assert_same
from tracker.errors import ConfigError
from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.write_options import WriteOptions

BOXES = {"masks": False, "polygons": 0}
WORLDS = {
    "mot": World(
        **BOXES,
        one_class=True,
        scores=True,
        times=False,
        occluded=False,
        keyframes=False,
        empty_frames=False,
        images=False,
    ),
    "mots": World(
        untracked=False,
        scores=False,
        polygons=0,
        box_of_segmentation=True,
        disjoint=True,
        times=False,
        occluded=False,
        keyframes=False,
        empty_frames=False,
        images=False,
    ),
    "coco": World(crowds=True, polygons=1),
    "yolo": World(
        tracked=False,
        scores=False,
        masks=False,
        polygons=1,
        box_of_segmentation=True,
        times=False,
        occluded=False,
        keyframes=False,
        clipped=True,
    ),
    "voc": World(**BOXES, scores=False, times=False, keyframes=False),
    "cvat": World(
        untracked=False,
        scores=False,
        masks=False,
        polygons=1,
        box_of_segmentation=True,
        times=False,
        contiguous=True,
        images=False,
    ),
    "cvatimages": World(scores=False, polygons=1, box_of_segmentation=True, times=False),
    "labelstudio": World(**BOXES, untracked=False, scores=False, occluded=False, empty_frames=False, images=False),
    "kitti": World(**BOXES, labels=PLAIN_LABELS, times=False, keyframes=False, empty_frames=False, images=False),
    "jsonl": World(crowds=True),
    "csv": World(empty_frames=False, crowds=True),
    "parquet": World(),
}
YOLO_ROUNDING = 1e-6 * WIDTH
"""Pixels."""
SELF_CONTAINED = {"coco", "jsonl", "parquet"}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_what_a_format_can_hold_comes_back_equal(name: str, source: st.DataObject) -> None:
    made = source.draw(annotations(WORLDS[name]))
    form = find_format(name).load()
    known = ExternalInfo()
    if name not in SELF_CONTAINED:
        known = ExternalInfo(WIDTH, HEIGHT, made.labels, made.source)
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"out{FORMATS[name].suffix}"
        form.write(target, made)
        found = form.read(target, known)
    assert_same(found, made, within=YOLO_ROUNDING if name == "yolo" else 1.5e-6)


@settings(max_examples=30, deadline=None)
@given(
    made=annotations(replace(WORLDS["yolo"], tracked=True)),
)
def test_yolo_rows_hold_track_ids_when_asked_to(made: Any) -> None:
    form = find_format("yolo").load()
    with TemporaryDirectory() as folder:
        form.write(Path(folder) / "out", made, WriteOptions(track_ids=True))
        assert_same(form.read(Path(folder) / "out"), made, within=YOLO_ROUNDING)


@pytest.mark.parametrize("name", FORMATS)
def test_losses_are_reported_in_one_warning(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rich = find_format("jsonl").load().read(_rich_file(tmp_path))
    with caplog.at_level(logging.WARNING, "tracker.formats.core.unsupported"):
        find_format(name).load().write(tmp_path / f"out{FORMATS[name].suffix}", rich)
    warnings = [record.getMessage() for record in caplog.records if "cannot hold" in record.getMessage()]
    expected = {
        "mot": ["classes", "masks", "outlines", "time stamps", "hidden", "interpolated"],
        "mots": ["scores", "outlines", "time stamps", "hidden", "interpolated", "without a track", "boxes"],
        "yolo": ["track ids", "scores", "masks", "time stamps", "hidden", "interpolated", "boxes"],
        "voc": ["scores", "masks", "outlines", "time stamps", "interpolated"],
        "cvat": ["scores", "masks", "time stamps", "without a track", "boxes"],
        "cvatimages": [
            "scores",
            "time stamps",
            "boxes of objects with a mask or an outline (the extent of that stands",
        ],
        "labelstudio": ["scores", "masks", "outlines", "hidden", "without a track"],
        "kitti": ["masks", "outlines", "time stamps", "interpolated"],
    }.get(name, [])
    assert len(warnings) == bool(expected)
    for loss in expected:
        assert loss in warnings[0]
    reported = warnings[0].split(": ")[1].count(",") + 1 if warnings else 0
    assert reported == len(expected)


def test_boxes_cut_off_at_the_images_edge_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text(
        '{"format":"sightline-jsonl","version":1,"source":"a.mp4","width":8,"height":6,"labels":["a"]}\n'
        '{"frame":0,"objects":[{"class_id":0,"bbox":[-2,1,4,4]},{"class_id":0,"bbox":[1,1,2,2]}]}\n'
    )
    boxes = find_format("jsonl").load().read(path)
    find_format("yolo").load().write(tmp_path / "yolo", boxes)
    assert caplog.messages == ["YOLO text: boxes that reach beyond their image are cut off at its edge (1 of them)"]


def _rich_file(folder: Path) -> Path:
    path = folder / "rich.jsonl"
    path.write_text(
        '{"format":"sightline-jsonl","version":1,"source":"a.mp4","width":8,"height":6,"labels":["a","b"]}\n'
        '{"frame":0,"time":0.5,"objects":[{"id":1,"class_id":0,"bbox":[1,1,4,4],"score":0.5,"occluded":true,'
        '"segmentation":{"size":[6,8],"counts":"72W1"}},{"class_id":1,"bbox":[1,1,2,2],"keyframe":false,'
        '"segmentation":[[1,1,2,1,2,2]]}]}\n'
    )
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_at_all_can_be_written_and_mostly_read_again(name: str, tmp_path: Path) -> None:
    empty = find_format("jsonl").load().read(_empty_file(tmp_path))
    target = tmp_path / f"out{FORMATS[name].suffix}"
    form = find_format(name).load()
    form.write(target, empty)
    if FORMATS[name].suffix:
        assert len(form.read(target, ExternalInfo(8, 6, LABELS)).objects) == 0


def _empty_file(folder: Path) -> Path:
    path = folder / "empty.jsonl"
    path.write_text('{"format":"sightline-jsonl","version":1,"source":"","width":0,"height":0,"labels":[]}\n')
    return path


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'coco'"):
        find_format("cocco")
