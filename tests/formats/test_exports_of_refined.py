"""What a refined recording is like, masks on most rows and none on filled ones, in files that others read whole."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.formats.cvat_rules import import_cvat
from tests.formats.test_real_readers import FRAMES, HEIGHT, WIDTH, walkers
from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import Annotations
from tracker.formats.core.collector import Collector
from tracker.formats.core.selection import SelectedFrames
from tracker.formats.core.write_options import WriteOptions

LABELS = ("person", "bicycle", "car")


def refined() -> Annotations:
    """Three walkers; the first is filled in without a mask in frame 2 and not there in frame 4."""
    made = walkers(labels=LABELS)
    objects = made.objects
    frames = made.frames.indices[objects.frames]
    filled = (frames == 2) & (objects.track_ids == 1)
    rows = np.flatnonzero(~((frames == 4) & (objects.track_ids == 1)))
    segmentations = [None if filled[row] else objects.segmentations[row] for row in rows.tolist()]
    chosen = objects[rows]
    return replace(
        made,
        objects=replace(chosen, boxes=chosen.boxes + 0.3, segmentations=tuple(segmentations), keyframes=~filled[rows]),
    )


@pytest.mark.parametrize("outlines", [False, True])
def test_cvat_keeps_every_object(outlines: bool, tmp_path: Path) -> None:
    made = refined()
    find_format("cvat").write(tmp_path / "a.xml", made, WriteOptions(outlines=outlines))
    found = import_cvat(tmp_path / "a.xml", frames=FRAMES + 20)
    assert {item.kind for item in found} == {"polygon" if outlines else "box"}
    tracks = made.objects.track_ids - 1
    expected = sorted(zip(made.objects.frames.tolist(), tracks.tolist(), made.objects.boxes.tolist(), strict=True))
    inside = sorted((item.frame, item.track, list(item.box)) for item in found if item.frame < FRAMES)
    assert [row[:2] for row in inside] == [row[:2] for row in expected]
    within = 1.01 if outlines else 0.001
    np.testing.assert_allclose([row[2] for row in inside], [row[2] for row in expected], atol=within)


def test_a_track_that_ends_with_the_recording_goes_on_in_a_longer_task_only(tmp_path: Path) -> None:
    find_format("cvat").write(tmp_path / "a.xml", refined(), WriteOptions(outlines=False))
    assert len(import_cvat(tmp_path / "a.xml", frames=FRAMES)) == len(refined().objects)


@pytest.mark.parametrize("outlines", [False, True])
def test_yolo_rows_of_a_file_are_of_one_kind(outlines: bool, tmp_path: Path) -> None:
    made = refined()
    find_format("yolo").write(tmp_path / "set", made, WriteOptions(outlines=outlines))
    files = sorted((tmp_path / "set" / "labels").iterdir())
    assert len(files) == FRAMES
    rows = [line.split() for file in files for line in file.read_text().splitlines()]
    assert len(rows) == len(made.objects)
    assert all((len(row) > 5) == outlines for row in rows)
    shares = np.array([[float(cell) for cell in row[1:5]] for row in rows]) if not outlines else None
    if shares is not None:
        sizes = np.array([WIDTH, HEIGHT] * 2)
        x1, y1, x2, y2 = made.objects.boxes.T
        expected = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1) / sizes
        np.testing.assert_allclose(shares, expected, atol=1e-6)


def test_data_yaml_points_at_folders_that_are_there(tmp_path: Path) -> None:
    find_format("yolo").write(tmp_path / "set", refined())
    settings = yaml.safe_load((tmp_path / "set" / "data.yaml").read_text())
    assert all((tmp_path / "set" / settings[use]).is_dir() for use in ("train", "val"))


def test_every_coco_row_has_a_mask_and_its_track_where_cvat_looks(tmp_path: Path) -> None:
    made = refined()
    find_format("coco").write(tmp_path / "a.json", made)
    rows = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert all(row["segmentation"] for row in rows)
    assert [row["attributes"]["track_id"] for row in rows] == made.objects.track_ids.tolist()
    assert not any("keyframe" in row["attributes"] for row in rows), "CVAT makes tracks of masks of such rows"
    assert sum(isinstance(row["segmentation"], list) for row in rows) == 1
    found = find_format("coco").load().read(tmp_path / "a.json")
    assert found.objects.segmentations == made.objects.segmentations
    assert found.objects.keyframes.tolist() == made.objects.keyframes.tolist()


def test_mot_text_says_that_classes_become_one_or_numbers_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = refined()
    with caplog.at_level(logging.WARNING):
        find_format("mot").write(tmp_path / "a.txt", made)
    assert "classes (all become one; --class-column numbers them)" in caplog.text
    find_format("mot").write(tmp_path / "b.txt", made, WriteOptions(class_column=True))
    assert "numbered 1 person, 2 bicycle, 3 car; to read it again give --classes person,bicycle,car" in caplog.text
    plain = [line.split(",") for line in (tmp_path / "a.txt").read_text().splitlines()]
    numbered = [line.split(",") for line in (tmp_path / "b.txt").read_text().splitlines()]
    assert [row[:7] for row in plain] == [row[:7] for row in numbered]
    assert [int(row[7]) - 1 for row in numbered] == made.objects.class_ids.tolist()
    assert {len(row) for row in numbered} == {9}


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_names_are_no_formulas_where_cells_are_guarded(start: str, tmp_path: Path) -> None:
    rows = Collector("made", source="a.mp4", labels=[f'{start}HYPERLINK("http://a")', "plain"])
    for class_id in (0, 1):
        rows.add(0, (-5, -4, 3, 2), "made", class_id=class_id, track_id=class_id + 1)
    made = rows.finish()
    texts = []
    for guard in (False, True):
        find_format("csv").write(tmp_path / "a.csv", made, WriteOptions(guard_cells=guard))
        with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        assert [row["x1"] for row in table] == ["-5.0", "-5.0"], "numbers stay numbers"
        texts.append([row["class"] for row in table])
    assert texts == [[made.labels[0], "plain"], [f"'{made.labels[0]}", "plain"]]


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.images])
def test_a_data_set_of_some_frames_holds_these_only(name: str, tmp_path: Path) -> None:
    made = refined()
    train, val = (SelectedFrames(made, np.array(indices, np.int64)) for indices in ([0, 2], [4]))
    form = find_format(name)
    options = [WriteOptions(outlines=False)] if form.options else []
    folders = form.load().write_dataset(tmp_path / "set", {"train": train, "val": val}, *options)
    assert set(folders) == {"train", "val"}
    assert all(folder.is_dir() for folder in folders.values())
    texts = {path.name: path.read_text() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    names = {index: f"walk_{index + 1:06d}" for index in range(FRAMES)}
    found = {index: any(stem in key or stem in text for key, text in texts.items()) for index, stem in names.items()}
    assert found == {index: index in (0, 2, 4) for index in range(FRAMES)}


def test_objects_of_selected_frames_are_those_of_the_frames() -> None:
    made = refined()
    chosen = SelectedFrames(made, np.array([1, 2, 5], np.int64))
    (part,) = chosen.by_frames()
    assert part.frames.indices.tolist() == [1, 2, 5]
    assert part.frames.indices[part.objects.frames].tolist() == [1, 1, 1, 2, 2, 2, 5, 5, 5]
    assert [(row.frame, track) for track, rows in chosen.by_tracks() for row in rows] == [
        (frame, track) for track in (1, 2, 3) for frame in (1, 2, 5)
    ]
    assert dict(chosen.track_classes()) == {1: 1, 2: 2, 3: 0}
    assert (chosen.summary().first_frame, chosen.summary().last_frame) == (1, 5)


@pytest.mark.parametrize(("rate", "is_reported"), [(24, False), (25, True), (29.97, True)])
def test_label_studio_is_to_be_reported_the_rate_of_the_video(
    rate: float, is_reported: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = Collector("made", source="a.mp4", labels=["person"])
    for index in range(100):
        rows.frame(index, "made", time=1.5 + index / rate, width=WIDTH, height=HEIGHT)
        rows.add(index, (1, 2, 3, 4), "made", class_id=0, track_id=1)
    with caplog.at_level(logging.WARNING):
        find_format("labelstudio").write(tmp_path / "a.json", rows.finish())
    assert (f'framerate="{rate:g}"' in caplog.text) == is_reported
