"""Data sets as Roboflow, CVAT, LabelImg, Label Studio, make-sense, ultralytics and Darknet lay them out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.errors import FormatError
from tracker.formats.core.yolo_layout import find_yolo_folder, image_of, label_path
from tracker.formats.yolo_txt import read
from tracker.image_file import ImageFinder

ROW = "1 0.5 0.5 0.25 0.5\n"
NAMES = "carp\ntench\n"
ROBOFLOW = {
    "README.roboflow.txt": "\nfish - v1\n====\n\n4 images\n",
    "README.dataset.txt": "# fish > v1\nhttps://example.org\n",
    "data.yaml": "train: ../train/images\nval: ../valid/images\n\nnc: 2\nnames: ['carp', 'tench']\n",
}
LAYOUTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "roboflow": (
        ROBOFLOW
        | {"train/labels/a.txt": ROW, "train/images/a.jpg": "", "valid/labels/b.txt": ROW, "valid/images/b.jpg": ""},
        ["train/images/a.jpg", "valid/images/b.jpg"],
    ),
    "cvat": (
        {
            "obj.names": NAMES,
            "obj.data": "classes = 2\nnames = data/obj.names\n",
            "train.txt": "data/obj_train_data/frame_000000.jpg\n",
            "obj_train_data/frame_000000.jpg": "",
            "obj_train_data/frame_000000.txt": ROW,
        },
        ["obj_train_data/frame_000000.jpg"],
    ),
    "labelimg": ({"classes.txt": NAMES, "a.jpg": "", "a.txt": ROW}, ["a.jpg"]),
    "labelimg, labels apart": (
        {"labels/classes.txt": NAMES, "images/a.jpg": "", "labels/a.txt": ROW},
        ["a.jpg"],
    ),
    "label studio": (
        {
            "classes.txt": NAMES,
            "notes.json": '{"categories": [{"id": 0, "name": "carp"}, {"id": 1, "name": "tench"}]}',
            "images/a.jpg": "",
            "labels/a.txt": ROW,
        },
        ["a.jpg"],
    ),
    "make-sense": ({"labels.txt": NAMES, "a.jpg": "", "a.txt": ROW}, ["a.jpg"]),
    "ultralytics": (
        {
            "train.txt": "./images/train/a.jpg\n",
            "data.yaml": "path: .\ntrain: train.txt\nnames:\n  0: carp\n  1: tench\n",
            "images/train/a.jpg": "",
            "labels/train/a.txt": ROW,
        },
        ["train/a.jpg"],
    ),
    "another name for data.yaml": (
        {"fish.yaml": "names: [carp, tench]\n", "images/a.jpg": "", "labels/a.txt": ROW},
        ["a.jpg"],
    ),
    "Images and Labels": ({"classes.txt": NAMES, "Images/a.JPG": "", "Labels/a.txt": ROW}, ["Images/a.JPG"]),
    "VOC's folder": ({"classes.txt": NAMES, "JPEGImages/a.jpg": "", "labels/a.txt": ROW}, ["JPEGImages/a.jpg"]),
    "beside in images": ({"classes.txt": NAMES, "images/a.jpg": "", "images/a.txt": ROW}, ["a.jpg"]),
    "half beside": (
        {"classes.txt": NAMES, "images/a.jpg": "", "labels/a.txt": ROW, "images/b.jpg": "", "images/b.txt": ROW},
        ["a.jpg", "b.jpg"],
    ),
    "with its image's suffix": ({"classes.txt": NAMES, "images/a.jpg": "", "labels/a.jpg.txt": ROW}, ["a.jpg"]),
    "what systems leave": (
        {"classes.txt": NAMES, "a.jpg": "", "a.txt": ROW, "._a.txt": "\x00", "__MACOSX/a.txt": "\x00", "._a.jpg": "x"},
        ["a.jpg"],
    ),
}  # fmt: skip


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".jpg" and not text:
            path.write_bytes(cv2.imencode(".jpg", np.full((120, 160, 3), 90, np.uint8))[1].tobytes())
        else:
            path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_are_read_with_their_names(layout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, images = LAYOUTS[layout]
    found = read(write(tmp_path, files))
    assert found.labels == ("carp", "tench")
    assert list(found.frames.names) == images
    assert found.objects.class_ids.tolist() == [1] * len(images)
    np.testing.assert_allclose(found.objects.boxes, [[60, 30, 100, 90]] * len(images))
    assert not caplog.records


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "roboflow" not in name])
def test_the_labels_that_convert_reads_are_those_of_training(layout: str, tmp_path: Path) -> None:
    write(tmp_path, LAYOUTS[layout][0])
    for file in find_yolo_folder(tmp_path).files:
        assert file.image is not None
        assert file.labels == label_path(file.image)
        assert file.labels is not None
        assert image_of(file.labels, ImageFinder()) == file.image


@pytest.mark.parametrize("part", ["train", "train/labels", "valid/labels/b.txt", "data.yaml"])
def test_a_part_of_a_data_set_has_its_names_too(part: str, tmp_path: Path) -> None:
    found = read(write(tmp_path, LAYOUTS["roboflow"][0]) / part)
    assert found.labels == ("carp", "tench")
    assert len(found.objects) == (2 if part == "data.yaml" else 1)


def test_text_that_is_no_label_is_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {
        "labels/a.txt": ROW,
        "images/a.jpg": "",
        "labels/notes.txt": "The first 20 frames are dark.\n",
        "x.txt": "?",
    }
    assert len(read(write(tmp_path, files)).objects) == 1
    assert "left out: notes.txt" in caplog.text
    (tmp_path / "labels/notes.txt").write_bytes(b"\xff\xfe\x00 no text")
    assert len(read(tmp_path).objects) == 1
    write(tmp_path, {"images/notes.jpg": ""})  # now it is the label file of an image
    with pytest.raises(FormatError, match=r"notes\.txt"):
        read(tmp_path)


def test_a_folder_without_any_label_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"README.txt": "nothing here", "a.jpg": ""})
    with pytest.raises(FormatError, match=r"expected a folder with label files.*README\.txt is none"):
        read(tmp_path)


def test_images_without_a_label_file_are_empty_ones_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(write(tmp_path, {"images/a.jpg": "", "labels/a.txt": ROW, "images/b.jpg": "", "images/c.jpg": ""}))
    assert found.frames.names == ("a.jpg", "b.jpg", "c.jpg")
    assert len(found.objects) == 1
    assert "taken for empty: 2, such as b.jpg" in caplog.text


def test_a_pose_is_told_to_be_read_as_its_box(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = "kpt_shape: [2, 3]\nnames: [carp, tench]\n"
    found = read(
        write(
            tmp_path, {"data.yaml": settings, "images/a.jpg": "", "labels/a.txt": f"{ROW[:-1]} 0.5 0.5 2 0.6 0.5 0\n"}
        )
    )
    np.testing.assert_allclose(found.objects.boxes, [[60, 30, 100, 90]])
    assert found.objects.segmentations == (None,)
    assert "keypoints of 1 objects" in caplog.text


def test_results_with_scores_and_ids_are_read_as_a_whole(tmp_path: Path) -> None:
    """The first frame alone could hold a triangle; the later ones show that these are boxes."""
    rows = {
        "labels/a_1.txt": "0 0.4 0.5 0.3 0.2 0.9 1\n",
        "labels/a_2.txt": "0 0.4 0.5 0.3 0.2 1 2\n0 0.6 0.5 0.1 0.2 1\n",
    }
    found = read(write(tmp_path, {**rows, "data.yaml": "size: [100, 100]\n"}))
    assert found.objects.track_ids.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(found.objects.scores, [0.9, 1.0, 1.0])
