"""CVAT's exports of whole projects, of tasks that leave frames out, and 'CVAT for images'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.errors import FormatError
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.cvat import read

LABELS = "<labels><label><name>person</name></label><label><name>1</name><parent>arm</parent></label></labels>"


def task(number: int, name: str, *, source: str = "", step: int = 1, first: int = 0, last: int = 19) -> str:
    mode = "interpolation" if source else "annotation"
    return (
        f"<task><id>{number}</id><name>{name}</name><size>20</size><mode>{mode}</mode><start_frame>{first}</start_frame>"
        f"<stop_frame>{last}</stop_frame><frame_filter>{f'step={step}' if step > 1 else ''}</frame_filter>"
        f"<original_size><width>320</width><height>240</height></original_size>"
        + (f"<source>{source}</source></task>" if source else "</task>")
    )


def box(frame: int, x: float, *, outside: int = 0, angle: float = 0) -> str:
    turn = f' rotation="{angle}"' if angle else ""
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{x}" ytl="10" xbr="{x + 40}" ybr="90"'
        f'{turn} z_order="0"/>'
    )


def track(number: int, shapes: str, *, of: int | None = None) -> str:
    owner = "" if of is None else f' task_id="{of}" subset="default"'
    return f'<track id="{number}" label="person" source="manual"{owner}>{shapes}</track>'


def image(number: int, name: str, *, of: int | None = None, content: str = "") -> str:
    owner = "" if of is None else f' task_id="{of}" subset="default"'
    return f'<image id="{number}" name="{name}"{owner} width="320" height="240">{content}</image>'


IMAGE_BOX = '<box label="person" source="manual" occluded="1" xtl="10" ytl="20" xbr="30" ybr="60" z_order="0"/>'


def load(folder: Path, meta: str, content: str, source: str = "") -> Annotations:
    path = folder / "annotations.xml"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?><annotations><meta>{meta}</meta>{content}</annotations>')
    return read(path, ExternalInfo(source=source))


def project(*tasks: str) -> str:
    return f"<project><id>7</id><name>streets</name><tasks>{''.join(tasks)}</tasks>{LABELS}</project>"


TWO = project(task(11, "first", source="a.mp4"), task(12, "second", source="b.mp4", last=9))
TRACKS = track(0, box(0, 10) + box(19, 10), of=11) + track(1, box(0, 200) + box(9, 200), of=12)


def test_of_a_project_the_task_of_the_video_is_read(tmp_path: Path) -> None:
    for source, x, count in (("a.mp4", 10, 20), ("b.mp4", 200, 10)):
        found = load(tmp_path, TWO, TRACKS, source)
        assert len(found.frames) == len(found.objects) == count
        assert set(found.objects.boxes[:, 0].tolist()) == {x}
        assert (found.source, found.labels) == (source, ("person",))


@pytest.mark.parametrize(
    ("source", "reason"),
    [("", r"expected one task, found 2 \(a\.mp4, b\.mp4\); --video FILE says"), ("c.mp4", "0 of them about c.mp4")],
)
def test_of_several_videos_none_is_guessed(source: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=reason):
        load(tmp_path, TWO, TRACKS, source)


def test_tracks_that_do_not_tell_their_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="<track> without task_id, in a file of 2 tasks"):
        load(tmp_path, TWO, track(0, box(0, 10)), "a.mp4")


def test_a_project_of_one_task_needs_no_choice(tmp_path: Path) -> None:
    found = load(tmp_path, project(task(11, "first", source="a.mp4")), track(0, box(0, 10) + box(19, 10), of=11))
    assert (found.source, len(found.objects)) == ("a.mp4", 20)


def test_boxes_are_filled_in_at_the_frames_a_task_has(tmp_path: Path) -> None:
    """CVAT's frame numbers are the video's own, also where a task takes every fifth frame."""
    meta = task(1, "t", source="a.mp4", step=5, first=100, last=120)
    found = load(tmp_path, meta, track(0, box(100, 0) + box(115, 30) + box(120, 30, outside=1)))
    assert found.frames.indices.tolist() == [100, 105, 110, 115, 120]
    assert found.frames.indices[found.objects.frames].tolist() == [100, 105, 110, 115]
    assert found.objects.boxes[:, 0].tolist() == [0, 10, 20, 30]


def test_a_box_moves_on_to_where_it_goes_outside_as_in_cvat(tmp_path: Path) -> None:
    found = load(tmp_path, task(1, "t", source="a.mp4"), track(0, box(0, 0) + box(4, 40, outside=1) + box(8, 0)))
    assert found.frames.indices[found.objects.frames].tolist() == [0, 1, 2, 3, 8]
    assert found.objects.boxes[:, 0].tolist() == [0, 10, 20, 30, 0]


def test_a_turned_box_turns_the_shorter_way_between(tmp_path: Path) -> None:
    shapes = box(0, 0, angle=350) + box(2, 0, angle=10) + box(3, 0, outside=1)
    found = load(tmp_path, task(1, "t", source="a.mp4", last=3), track(0, shapes))
    np.testing.assert_allclose(found.objects.boxes[1], [0, 10, 40, 90], atol=1e-6)  # at 0 degrees
    assert [item is not None for item in found.objects.segmentations] == [True, False, True]


def test_a_track_that_stops_without_an_end_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    meta = task(1, "t", source="a.mp4")
    assert len(load(tmp_path, meta, track(0, box(0, 10) + box(5, 10))).objects) == 6
    assert "1 tracks do not end (outside) where they stop" in caplog.text
    caplog.clear()
    load(
        tmp_path,
        meta,
        track(0, box(0, 10) + box(19, 10)) + track(1, box(18, 10)) + track(2, box(3, 0) + box(4, 0, outside=1)),
    )
    assert not caplog.records


def test_cvat_for_images_gives_each_image_its_objects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mask = '<mask label="person" source="manual" occluded="0" rle="1, 3" left="4" top="6" width="2" height="2"/>'
    polygon = '<polygon label="person" source="manual" occluded="0" points="1,1;5,1;5,9" z_order="0"/>'
    other = '<ellipse label="person" source="manual" occluded="0" cx="5" cy="5" rx="2" ry="3"/>'
    content = (
        image(0, "day/a.jpg", content=IMAGE_BOX + mask)
        + image(1, "day/b.jpg")
        + image(4, "c.jpg", content=polygon + other)
    )
    found = load(tmp_path, task(1, "t", last=4), content)
    assert found.frames.names == ("day/a.jpg", "day/b.jpg", "c.jpg")
    assert found.frames.indices.tolist() == [0, 1, 4]
    assert found.frames.widths.tolist() == [320] * 3
    assert found.objects.boxes.tolist() == [[10, 20, 30, 60], [4, 6, 6, 8], [1, 1, 5, 9]]
    assert found.objects.occluded.tolist() == [True, False, False]
    assert found.objects.track_ids.tolist() == [0, 0, 0]
    assert "left out: 1 ellipse" in caplog.text


def test_images_of_a_video_are_its_frames(tmp_path: Path) -> None:
    content = image(7, "frame_000007", content=IMAGE_BOX) + image(12, "frame_000012")
    found = load(tmp_path, task(1, "t", source="a.mp4"), content)
    assert (found.source, found.frames.indices.tolist(), set(found.frames.names)) == ("a.mp4", [7, 12], {""})


def test_image_tasks_of_a_project_are_one_set(tmp_path: Path) -> None:
    meta = project(task(11, "first"), task(12, "second"))
    found = load(
        tmp_path, meta, image(0, "a.jpg", of=11, content=IMAGE_BOX) + image(0, "b.jpg", of=12, content=IMAGE_BOX)
    )
    assert found.frames.names == ("a.jpg", "b.jpg")
    assert found.objects.frames.tolist() == [0, 1]
    with pytest.raises(FormatError, match=r"expected one task, found 2 \(first, second\)"):
        load(tmp_path, meta, image(0, "a.jpg", of=11) + image(0, "a.jpg", of=12))


def test_video_tasks_of_a_project_for_images_are_kept_apart(tmp_path: Path) -> None:
    content = image(0, "frame_000000", of=11, content=IMAGE_BOX) + image(0, "frame_000000", of=12)
    assert len(load(tmp_path, TWO, content, "a.mp4").objects) == 1
    assert len(load(tmp_path, TWO, content, "b.mp4").objects) == 0
    with pytest.raises(FormatError, match="expected one task"):
        load(tmp_path, TWO, content)
