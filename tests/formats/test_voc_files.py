"""Pascal VOC as LabelImg, roLabelImg, Roboflow, CVAT and people who rename files leave it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.formats.core.annotations import Annotations
from tracker.formats.voc import read

BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>60</ymax></bndbox>"


def voc(filename: str = "", *objects: str, size: tuple[int, int] = (160, 120)) -> str:
    width, height = size
    shapes = "".join(f"<object><name>car</name>{item}</object>" for item in objects)
    name = f"<filename>{filename}</filename>" if filename else ""
    return (
        f"<annotation>{name}<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        f"{shapes}</annotation>"
    )


def load(folder: Path, files: dict[str, str]) -> Annotations:
    """What is read of a folder with these files; an empty text is an image."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(text)
        else:
            cv2.imwrite(str(path), np.full((120, 160, 3), 90, np.uint8))
    return read(folder)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"a.xml": voc("a.jpg")}, ["a.jpg"]),
        ({"a.xml": voc("a")}, ["a.jpg"]),
        ({"a.xml": voc("a"), "a.png": ""}, ["a.png"]),
        ({"a.xml": voc()}, ["a.jpg"]),
        ({"Annotations/2007_000027.xml": voc("2007_000027"), "JPEGImages/2007_000027.JPG": ""}, ["2007_000027.JPG"]),
        ({"a.b.xml": voc("a.b"), "a.b.png": ""}, ["a.b.png"]),
        ({"a.xml": voc(r"C:\me\images\a.png")}, ["a.png"]),
        ({"note 1.xml": voc("a.png")}, ["a.png"]),
        ({"note 1.xml": voc("a.png"), "a.png": ""}, ["a.png"]),
        ({"Annotations/day/a.xml": voc("day/a.png")}, ["day/a.png"]),
        ({"Annotations/day/a.xml": voc("a.png")}, ["day/a.png"]),
        ({"train/a.xml": voc("a.png"), "train/a.png": "", "valid/a.xml": voc("a.png")}, ["train/a.png", "valid/a.png"]),
        ({"A.XML": voc("A.png"), "._A.xml": "\x00"}, ["A.png"]),
    ],
)
def test_file_and_image_are_a_pair(
    files: dict[str, str], names: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(load(tmp_path, files).frames.names) == names
    assert not caplog.records


def test_files_renamed_since_are_known_by_their_own_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = load(
        tmp_path, {"p1.xml": voc("0001.jpg"), "p1.png": "", "p2.xml": voc("0001.jpg"), "p3.xml": voc("0001.jpg")}
    )
    assert found.frames.names == ("p1.png", "p2.jpg", "p3.jpg")
    assert "in 3 files, such as p1.xml (0001.jpg); the latter counts" in caplog.text


def test_a_size_that_is_not_reported_is_that_of_the_image(tmp_path: Path) -> None:
    found = load(tmp_path, {"a.xml": voc("a.png", BOX, size=(0, 0)), "a.png": ""})
    assert (found.frames.widths.tolist(), found.frames.heights.tolist()) == ([160], [120])


def test_turned_boxes_polygons_and_objects_without_either(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    turned = "<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>60</h><angle>1.5707963</angle></robndbox>"
    polygon = "<polygon><x1>10</x1><y1>20</y1><x2>30</x2><y2>20</y2><x3>30</x3><y3>60</y3></polygon>"
    found = load(
        tmp_path, {"a.xml": voc("a.jpg", turned, BOX + polygon, polygon, "<point><x>1</x><y>1</y></point>", BOX)}
    )
    boxes = [[20, 30, 80, 50], *[[10, 20, 30, 60]] * 3]
    np.testing.assert_allclose(found.objects.boxes, boxes, atol=1e-4)
    assert [item is not None for item in found.objects.segmentations] == [True, True, True, False]
    assert "left out: 1 objects without a box or outline" in caplog.text


def test_points_of_a_polygon_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    corners = [(number, 10 * number % 70) for number in range(1, 12)]
    points = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(corners, 1))
    found = load(tmp_path, {"a.xml": voc("a.jpg", f"<polygon>{points}</polygon>")})
    assert found.objects.segmentations == ((tuple(float(edge) for corner in corners for edge in corner),),)
