from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import FormatError
from tracker.formats.coco import read as read_coco
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.core.collector import Collector
from tracker.formats.core.frame_matching import are_gapless, place_in_folder, place_in_video
from tracker.formats.core.rle import window_to_rle
from tracker.formats.mots import read as read_mots
from tracker.formats.mots import write as write_mots
from tracker.formats.yolo_txt import read as read_yolo


def named(*names: str) -> Annotations:
    """Images of these names in this order, each with one object as wide as its place, from 1."""
    rows = Collector("made", labels=("person",))
    for place, name in enumerate(names):
        rows.frame(place, "made", width=99, height=50, name=name)
        rows.add(place, (0, 0, place + 1, 1), "made", class_id=0)
    return rows.finish()


def places(annotations: Annotations) -> dict[int, float]:
    """The width of the object in each frame."""
    indices = annotations.frames.indices[annotations.objects.frames]
    return dict(zip(indices.tolist(), annotations.objects.boxes[:, 2].tolist(), strict=True))


@given(st.sets(st.integers(1, 500), min_size=2, max_size=30), st.randoms())
def test_what_is_read_of_a_videos_label_files_is_at_the_frames_of_their_names(
    numbers: set[int], random: object
) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = place_in_video(named(*(f"labels/clip_{number}.jpg" for number in shuffled)), "u", "clip.mp4", 600)
    assert places(found) == {number - 1: place + 1.0 for place, number in enumerate(shuffled)}
    assert found.frames.indices.tolist() == sorted(number - 1 for number in numbers)


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (("frame_000005.PNG", "frame_000007.PNG"), [5, 7]),  # CVAT counts from 0
        (("frame_000005.PNG", "frame_000009.PNG"), [4, 8]),  # but the last of nine frames would be 8
        (("img-00000.jpg", "img-00003.jpg"), [0, 3]),
        (("0001.jpg", "0004.jpg"), [0, 3]),
        (("b4.jpg", "b9.jpg"), [3, 8]),
    ],
)
def test_whether_numbers_count_from_zero_or_one(names: tuple[str, ...], frames: list[int]) -> None:
    assert list(places(place_in_video(named(*names), "a", "clip.mp4", 9))) == frames


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("b4.jpg", "b8.jpg"), "4 to 8, count from 0 or 1 is unclear; call them clip_000004"),
        (("b0.jpg", "b9.jpg"), "b9.jpg is behind its end"),
        (("b1.jpg", "b12.jpg"), "b12.jpg is behind its end"),
        (("a.jpg", "b.jpg"), "names that end in the frame's number"),
        (("a1.jpg", "b2.jpg"), "names that end in the frame's number"),
        (("train/a1.jpg", "val/a1.jpg"), "names that end in the frame's number"),
    ],
)
def test_images_of_a_video_that_might_be_any_are_refused(names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        place_in_video(named(*names), "a", "clip.mp4", 9)


def test_as_many_images_as_frames_are_these(tmp_path: Path) -> None:
    annotations = named("b.jpg", "a.jpg", "c.jpg")
    assert place_in_video(annotations, "a", "clip.mp4", 3) is annotations


def test_images_of_a_folder_are_found_by_name() -> None:
    images = dict(enumerate(("a.jpg", "b.png", "c d.jpg", "é.webp")))
    found = place_in_folder(named("x/é.webp", "labels/b.jpg", "c d.jpg"), "a", images)
    assert places(found) == {1: 2.0, 2: 3.0, 3: 1.0}
    with pytest.raises(FormatError, match=r"1 of its 2 images are not in the folder, 'z.jpg' for one"):
        place_in_folder(named("a.jpg", "z.jpg"), "a", images)
    with pytest.raises(FormatError, match=r"mentions twice the image a.jpg"):
        place_in_folder(named("train/a.jpg", "val/a.jpg"), "a", images)
    twins = {0: "a.jpg", 1: "a.png"}
    assert places(place_in_folder(named("a.png", "a.jpg"), "a", twins)) == {1: 1.0, 0: 2.0}
    with pytest.raises(FormatError, match="not in the folder"):
        place_in_folder(named("a.bmp"), "a", twins)


def test_label_files_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10, 11):
        (tmp_path / f"clip_{number}.txt").write_text(f"0 0.5 0.5 {number / 100} 0.1\n")
    found = read_yolo(tmp_path, ExternalInfo(100, 100))
    assert (found.objects.boxes[:, 2] - found.objects.boxes[:, 0]).round(6).tolist() == [1, 2, 10, 11]
    assert not are_gapless(found)
    sized = read_yolo(tmp_path, ExternalInfo(sizes={"clip_10": (200, 50)}, width=100, height=100))
    assert [(sized.frames.widths == 200).tolist(), sized.frames.heights.tolist()] == [
        [False, False, True, False],
        [100, 100, 50, 100],
    ]


@pytest.mark.parametrize("labels", [("person", "car"), ("person", "bicycle", "car")])
def test_classes_that_mots_numbers_otherwise_are_reported(
    labels: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = Collector("made", labels=labels)
    code = window_to_rle(np.ones((2, 2), bool), left=1, top=1, width=8, height=6)
    rows.frame(0, "made", width=8, height=6)
    rows.add(0, (1, 1, 3, 3), "made", class_id=0, track_id=1, segmentation=code)
    write_mots(tmp_path / "a.txt", rows.finish())
    is_reported = (
        f"numbered 2 person, 3 bicycle, 1 car; to read it again give --classes {','.join(labels)}" in caplog.text
    )
    assert is_reported == (len(labels) == 3)
    found = read_mots(tmp_path / "a.txt", ExternalInfo(labels=labels if is_reported else ()))
    assert found.labels[found.objects.class_ids[0]] in ("person", "pedestrian")


@pytest.mark.parametrize(("key", "first"), [("frame_id", 1), ("frame_id", 0), ("frame_index", 0), ("frame_index", 1)])
def test_frame_ids_of_coco_count_from_one_where_none_is_zero(key: str, first: int, tmp_path: Path) -> None:
    content = {
        "videos": [{"id": 1, "name": "MOT17-02"}],
        "categories": [{"id": 1, "name": "pedestrian"}],
        "images": [{"id": 9 + n, "video_id": 1, key: n, "file_name": f"{n}.jpg"} for n in range(first, 4)],
        "annotations": [{"id": 1, "image_id": 12, "category_id": 1, "track_id": 1, "bbox": [1, 1, 2, 2]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_coco(tmp_path / "a.json")
    expected = 2 if (key, first) == ("frame_id", 1) else 3
    assert found.frames.indices[found.objects.frames].tolist() == [expected]
