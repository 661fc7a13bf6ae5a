from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.errors import FormatError
from tracker.formats import find_format

CVAT = (
    '<annotations><meta><task><labels><label><name>car</name></label></labels></task></meta><track id="0" label="car">'
    '<box frame="0" outside="0" occluded="0" xtl="1" ytl="2" xbr="3" ybr="4"/></track></annotations>'
)
COCO = json.dumps(
    {
        "categories": [{"id": 1, "name": "car"}],
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 2, 2]}],
    }
)
VOC = (
    "<annotation><filename>a.jpg</filename><size><width>60</width><height>40</height></size><object><name>car</name>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
)
ROW = "0 0.0333333333 0.075 0.0333333333 0.05\n"
IMAGE = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
EXPORTS: dict[str, dict[str, str | bytes]] = {
    "cvat": {"annotations.xml": CVAT, "images/a.jpg": IMAGE},
    "coco": {"annotations/instances_default.json": COCO, "images/a.jpg": IMAGE},
    "voc": {"Annotations/a.xml": VOC, "ImageSets/Main/default.txt": "a\n", "labelmap.txt": "car:0,0,0::\n"},
    "yolo": {"set/data.yaml": "names: [car]\n", "set/labels/a.txt": ROW, "set/images/a.jpg": IMAGE, "__MACOSX/x": ""},
    "mot": {"gt/gt.txt": "1,1,1,2,2,2,1,1,1\n", "gt/labels.txt": "car\nbus\n", "img1/000001.jpg": IMAGE},
}  # fmt: skip


def pack(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_an_export_is_read_as_it_comes(name: str, kind: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "export.zip", EXPORTS[name])
    if kind == "folder":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "export")
        path = tmp_path / "export" / ("set" if name == "yolo" else "")
    found = find_format(name).read(path)
    assert found.labels[0] == "car"
    np.testing.assert_allclose(found.objects.boxes, [[1, 2, 3, 4]], atol=1e-6)


def test_errors_in_an_archive_name_it_and_the_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "export.zip", {"annotations.xml": CVAT.replace('xtl="1"', 'xtl="x"')})
    with pytest.raises(FormatError) as refused:
        find_format("cvat").read(path)
    assert str(refused.value).startswith(f"{path}/annotations.xml: line 1: xtl: expected a number")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.json": COCO, "b/c.json": COCO}, r"expected one \.json file in it, found 2 \(a\.json, b/c\.json\)"),
        ({"a.txt": "x"}, r"expected one \.json file in it, found 0"),
    ],
)
def test_of_several_files_none_is_guessed(files: dict[str, str | bytes], reason: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=reason):
        find_format("coco").read(pack(tmp_path / "export.zip", files))


def test_nothing_is_written_outside_and_no_bomb_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "export.zip", {"../../escaped.json": COCO, "/etc/a.txt": "x"})
    assert len(find_format("coco").read(path).objects) == 1
    assert not list(tmp_path.parent.glob("**/escaped.json"))
    monkeypatch.setattr("tracker.formats.core.archive.MOST_BYTES", 100)
    with pytest.raises(FormatError, match="holds more than"):
        find_format("coco").read(path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "export.zip", {"annotations.xml": CVAT * 9})
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(bytes(content))
    with pytest.raises(FormatError, match=r"export\.zip: cannot be unpacked"):
        find_format("cvat").read(path)


def test_class_numbers_have_the_names_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,1,2,2,2,1,2,1\n")
    (tmp_path / "labels.txt").write_text("car\nno entry\n")
    found = find_format("mot").read(tmp_path / "gt.txt")
    assert found.labels[found.objects.class_ids[0]] == "no entry"
    (tmp_path / "gt.txt").write_text("1,1,1,2,2,2,1,3,1\n")
    with pytest.raises(FormatError, match="unknown class 3, expected 1 to 2"):
        find_format("mot").read(tmp_path / "gt.txt")
