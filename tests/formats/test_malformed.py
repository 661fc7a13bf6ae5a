from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.test_round_trips import WORLDS
from tests.formats.worlds import HEIGHT, PLAIN_LABELS, WIDTH, annotations, assert_same
from tracker.errors import FormatError
from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.collector import Collector
from tracker.formats.core.polygons import to_outlines, to_window

KITTI_TAIL = "-1 -1 -1 -1000 -1000 -1000 -10"
JSONL_HEAD = '{"format":"sightline-jsonl","version":1,"source":"a","width":8,"height":6,"labels":["a"]}\n'
CVAT_HEAD = (
    "<annotations><meta><task><labels><label><name>car</name></label></labels>"
    "<original_size><width>8</width><height>6</height></original_size></task></meta>\n"
)


def coco(**parts: Any) -> str:
    """A COCO file of one image and one object, with parts replaced."""
    image = {"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "track_id": 1}
    content = {"categories": [{"id": 1, "name": "a"}], "images": [image | parts.pop("image", {})]}
    rows = parts.pop("rows", [{}])
    content["annotations"] = [row | change for change in rows]
    return json.dumps(content | parts)


def label_studio(sequence: list[dict[str, Any]], **parts: Any) -> str:
    """A Label Studio file of one track."""
    value = {"labels": ["car"], "sequence": sequence}
    result = {"type": "videorectangle", "value": value, "original_width": 100, "original_height": 100}
    return json.dumps([{"data": {"video": "a"}, "annotations": [{"result": [result | parts]}]}])


STEP = {"frame": 1, "x": 0, "y": 0, "width": 5, "height": 5}
BAD = [
    ("mot", "1,1,10,10,5\n", "line 1: expected 6 to 10 columns, found 5"),
    ("mot", "1,1,10,10,5,5,1\n2,1,10,10,5,nan,1\n", "line 2: height: expected a number, found 'nan'"),
    ("mot", "1,1,10,10,5,5,1\n1,1,10,10,5,5,1\n", "line 2: track 1 stands twice in frame 1"),
    ("mot", "0,1,10,10,5,5,1\n", "line 1: frames count from 1"),
    ("mot", "1,1,10,10,-5,5,1\n", "line 1: expected a size"),
    ("mot", "1,1,10,10,5,5,1,99,1\n", "line 1: unknown class 99"),
    ("mot", "1,1.5,10,10,5,5,1\n", "line 1: id: expected a whole number"),
    ("mot", "1,1,10,10,5,5,1\n1,2,10,1", "line 2: expected 6 to 10 columns"),
    ("mots", "1 1 1 6 8\n", "line 1: expected 6 columns"),
    ("mots", "1 1 1 6 8 72W1\n1 1 1 6 8 72W1\n", "line 2: track 1 stands twice"),
    ("mots", "1 1 5 6 8 72W1\n", "line 1: unknown class 5"),
    ("mots", "1 1 1 6 8 72\n", "line 1: mask: the run lengths cover"),
    ("mots", "1 1 1 6 8 {{{\n", "line 1: mask: the run-length text is damaged"),
    ("kitti", f"0 1 Car 0 0 -10 1 1 2 2 {KITTI_TAIL[:-4]}\n", "line 1: expected 17 or 18 columns"),
    ("kitti", f"0 1 Car 0 0 -10 1 inf 2 2 {KITTI_TAIL}\n", "line 1: top: expected a number"),
    ("kitti", f"0 1 Car 0 0 -10 5 1 2 2 {KITTI_TAIL}\n", "line 1: the box .* negative size"),
    ("kitti", f"0 1 Car 0 0 -10 1 1 2 2 {KITTI_TAIL}\n" * 2, "line 2: track 1 stands twice"),
    ("coco", "[1, 2", "line 1: not JSON"),
    ("coco", "[]", "file: expected an object"),
    ("coco", "{}", "expected a COCO file with 'categories'"),
    ("coco", coco(rows=[{"bbox": [1, 1, 2]}]), r"annotations\[0\].bbox: expected 4 values, found 3"),
    ("coco", coco(rows=[{"bbox": [1, 1, 2, float("nan")]}]), "NaN is not a JSON number"),
    ("coco", coco(rows=[{"category_id": 7}]), r"annotations\[0\]: unknown class 7"),
    ("coco", coco(rows=[{"image_id": 7}]), r"annotations\[0\]: image 7 is not among the images"),
    ("coco", coco(rows=[{}, {}]), r"annotations\[1\]: id 1 stands twice"),
    ("coco", coco(rows=[{}, {"id": 2}]), r"annotations\[1\]: track 1 stands twice in frame 0"),
    ("coco", coco(image={"file_name": "../.."}), "is no text, or none of a file"),
    ("coco", coco(image={"file_name": "C:\\"}), "is no text, or none of a file"),
    ("coco", coco(image={"file_name": "a\0.jpg"}), "is no text, or none of a file"),
    ("coco", coco(rows=[{"segmentation": {"size": [6, 8], "counts": "72"}}]), "mask: the run lengths cover"),
    ("coco", coco(rows=[{"segmentation": {"size": [5, 8], "counts": "72W1"}}]), "frame 0 is 8 x 5 here and 8 x 6"),
    ("coco", coco(rows=[{"segmentation": [[1, 2, 3]]}]), "an outline needs three or more"),
    (
        "coco",
        coco(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], rows=[{}, {"id": 2, "category_id": 2}]),
        "the class 'a' stands twice",
    ),
    ("coco", coco(categories=[{"id": 1, "name": None}]), r"categories\[0\].name: expected a text, found null"),
    ("coco", coco(categories=[{"id": 1, "name": True}]), r"categories\[0\].name: expected a text, found true"),
    ("coco", coco(rows=[{"image_id": "1"}]), "image '1' is not among the images; ids are text in one place"),
    ("coco", coco(image={"id": "1"}), "image 1 is not among the images; ids are text in one place"),
    (
        "coco",
        coco(rows=[{"track_id": "a"}, {"id": 2, "track_id": 5}]),
        "track ids: some are numbers and some are texts",
    ),
    ("coco", coco(rows=[{"bbox": []}]), r"annotations\[0\].bbox: expected 4 values, found 0"),
    ("coco", coco(videos=[{"id": 1}, {"id": 2}]), "expected one video, found 2"),
    ("coco", "[" * 100_000, "nested too deeply"),
    ("coco", coco(image={"height": 0}), r"images\[0\]: image size 8 x 0 is out of range"),
    ("coco", coco(image={"width": 2**20, "height": 2**20}), "image size .* is out of range"),
    ("coco", coco(rows=[{"segmentation": [[0, 0, 1e99, 0, 0, 1]]}]), "three or more points near the image"),
    ("coco", coco(rows=[{"bbox": [1e99, 1, 2, 2]}]), "is out of range"),
    ("coco", coco(rows=[{"track_id": 2**60}]), "track id .* is out of range"),
    ("coco", coco(image={"file_name": "\ud800.jpg"}), "is no text"),
    ("coco", coco(videos=[{"id": 1, "name": "\ud800"}]), "name .* is no text"),
    ("coco", '{"a": ' + "9" * 5000 + "}", "too many digits"),
    ("jsonl", "", "line 1: not JSON"),
    ("jsonl", '{"format":"other"}', "line 1: expected"),
    ("jsonl", JSONL_HEAD.replace('"a"', '"\\ud800"', 1), "no text"),
    ("jsonl", JSONL_HEAD.replace('"version":1', '"version":9'), "line 1: version 9 is newer"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"objects":[{"id":1', "line 2: not JSON"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"objects":[]}\n' * 2, "line 3: frame 0 stands twice"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"objects":[{"class_id":4,"bbox":[1,1,2,2]}]}', "line 2: unknown class number 4"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"objects":[{"class_id":0,"bbox":[1,1,2,true]}]}', "line 2: bbox: expected a n"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"time":Infinity,"objects":[]}', "line 2: Infinity is not"),
    ("jsonl", JSONL_HEAD + '{"frame":0,"image":"a/..","objects":[]}', "line 2: file name .* none of a file"),
    ("csv", "", "line 1: expected the columns"),
    (
        "csv",
        f"frame,x1,y1,x2,y2,class_id,class\n1,1,1,2,2,{'9' * 5000},a\n",
        r"class_id: expected a number, found '999",
    ),
    ("csv", "frame,x1,y1,x2\n", "line 1: expected the columns"),
    ("csv", "frame,x1,y1,x2,y2\n1,1,1,2\n", "line 2: expected 5 columns, found 4"),
    ("csv", "frame,x1,y1,x2,y2\n1,1,1,2,nan\n", "line 2: y2: expected a number"),
    ("csv", "frame,x1,y1,x2,y2\n1,1,1,,3\n", "line 2: x2 is empty"),
    ("csv", "frame,track_id,x1,y1,x2,y2\n1,4,1,1,2,3\n1,4,1,1,2,3\n", "line 3: track 4 stands twice"),
    ("csv", "frame,x1,y1,x2,y2,occluded\n1,1,1,2,3,maybe\n", "line 2: occluded: expected true or false"),
    ("csv", 'frame,x1,y1,x2,y2\n1,1,1,2,"3', "not CSV"),
    ("cvat", "<annotations><track>", "line 1: not XML"),
    ("cvat", "<dataset/>", "line 1: expected <annotations>"),
    (
        "cvat",
        '<!DOCTYPE a [<!ENTITY b "bomb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]><annotations>&c;</annotations>',
        "document type definitions are refused",
    ),
    ("cvat", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type definitions are refused"),
    ("cvat", CVAT_HEAD + '<track id="1" label="bus"/></annotations>', "line 2: unknown class 'bus'"),
    ("cvat", CVAT_HEAD + '<track id="1" label="car"/>\n<track id="1" label="car"/></annotations>', "line 3: track 1"),
    (
        "cvat",
        CVAT_HEAD + '<track id="1" label="car">\n<box frame="0" xtl="1" ytl="1" xbr="2"/></track></annotations>',
        "line 3: <box> without ybr",
    ),
    (
        "cvat",
        CVAT_HEAD
        + '<track id="1" label="car">'
        + '\n<box frame="0" xtl="1" ytl="1" xbr="2" ybr="NaN"/></track></annotations>',
        "line 3: ybr: expected a number",
    ),
    (
        "cvat",
        CVAT_HEAD
        + '<track id="1" label="car">'
        + '\n<box frame="0" xtl="1" ytl="1" xbr="2" ybr="3"/>' * 2
        + "</track></annotations>",
        "line 3: track 1 stands twice in frame 0",
    ),
    (
        "cvat",
        CVAT_HEAD
        + '<track id="1" label="car">'
        + '\n<mask frame="0" rle="1,2" left="0" top="0" width="3" height="3"/></track></annotations>',
        "line 3: rle: the run lengths do not fill",
    ),
    ("cvat", "<a>" * 200, "nested too deeply"),
    ("cvat", '<?xml version="1.0" encoding="none-such"?><annotations/>', "line 1: not XML: unknown encoding"),
    ("cvat", CVAT_HEAD.replace("<labels>", "<stop_frame>1e9</stop_frame><labels>"), "not XML"),
    (
        "cvat",
        CVAT_HEAD.replace("<labels>", "<stop_frame>1e9</stop_frame><labels>") + "</annotations>",
        "line 1: frames 0 to 1000000000 are out of range",
    ),
    (
        "cvat",
        CVAT_HEAD
        + '<track id="1" label="car"><box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/>'
        + '\n<box frame="1e12" xtl="1" ytl="1" xbr="2" ybr="2"/></track></annotations>',
        "line 2: more than 1,000,000 boxes would have to be filled in",
    ),
    ("labelstudio", label_studio([STEP | {"width": "x"}]), r"sequence\[0\].width: expected a number"),
    ("labelstudio", label_studio([STEP | {"rotation": "5"}]), r"sequence\[0\].rotation: expected a number"),
    ("labelstudio", label_studio([STEP], original_width=0), "the image's size is not known"),
    ("labelstudio", label_studio([STEP | {"frame": 0}]), "frame number -1 is out of range"),
    ("labelstudio", "[1, 2]", "task: expected an object"),
    ("labelstudio", "[{}, {}]", "expected one task, found 2; --video FILE"),
    ("labelstudio", label_studio([STEP, STEP | {"frame": 1e12}]), "more than 1,000,000 boxes"),
    ("parquet", "PAR1 but not really", "not a Parquet file"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD, ids=[f"{row[0]}-{place}" for place, row in enumerate(BAD)])
def test_a_broken_file_is_refused_with_its_name_place_and_reason(
    name: str, content: str, reason: str, tmp_path: Path
) -> None:
    target = tmp_path / f"broken{FORMATS[name].suffix}"
    target.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=reason) as refused:
        find_format(name).load().read(target)
    assert str(target) in str(refused.value)
    assert len(str(refused.value)) < 1000


VOC = (
    "<annotation><filename>{name}</filename><size><width>8</width><height>6</height></size>"
    "<object><name>{label}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{right}</xmax><ymax>3</ymax></bndbox>"
    "</object></annotation>"
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"right": "nan"}, "xmax: expected a number"),
        ({"right": "0"}, "negative size"),
        ({"right": ""}, "xmax: expected a number, found ''"),
        ({"label": ""}, "an object without a <name>"),
        ({"label": "&lol;"}, "not XML"),
    ],
)
def test_a_broken_voc_file_is_refused(changes: dict[str, str], reason: str, tmp_path: Path) -> None:
    values = {"name": "a.jpg", "label": "car", "right": "4"} | changes
    (tmp_path / "a.xml").write_text(VOC.format(**values))
    with pytest.raises(FormatError, match=reason) as refused:
        find_format("voc").load().read(tmp_path)
    assert "a.xml" in str(refused.value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0 0.5 0.5 0.1", "line 1: expected 5 columns"),
        ("0 0.5 0.5 0.1 nan", "line 1: column 5: expected a number"),
        ("7 0.5 0.5 0.1 0.1", "line 1: unknown class number 7"),
        ("0 1.5 0.5 0.1 0.1", "line 1: expected fractions"),
        ("0 0.5 0.5 0.1 0.1 3\n0 0.5 0.5 0.1 0.1 3", "line 2: track 3 stands twice"),
    ],
)
def test_a_broken_yolo_file_is_refused(row: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(row)
    (tmp_path / "data.yaml").write_text("names: [car]\nsize: [8, 6]\n")
    with pytest.raises(FormatError, match=reason) as refused:
        find_format("yolo").load().read(tmp_path)
    assert "a.txt" in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("names: {a: b, 0: c}", "numbers in 'names' must run from 0 to 1, found a, 0"),
        ("names: {0: a, 0: b}", "the key '0' stands twice"),
        ("names: [a, b, a]", "'names' has 'a' twice"),
        ("names: [a, '']", "'' is empty"),
        ("names: [cat: 1]", "a class name must be a text, found {'cat': '1'}; put it in quotes"),
        ("names: &all [*all]", "naming its own lists again and again"),
        ("names: 5", "'names' must list the classes"),
        ("- car", "expected settings such as names, found a list"),
        ("a: !!timestamp soon", "not YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("names: !!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_broken_yolo_settings_are_refused(settings: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "data.yaml").write_text(settings)
    with pytest.raises(FormatError, match=reason) as refused:
        find_format("yolo").load().read(tmp_path)
    assert "data.yaml" in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["cvat", "labelstudio"])
def test_a_track_without_a_single_box_is_no_error(name: str, tmp_path: Path) -> None:
    content = CVAT_HEAD + '<track id="1" label="car"/></annotations>' if name == "cvat" else label_studio([])
    (tmp_path / "a").write_text(content)
    assert len(find_format(name).load().read(tmp_path / "a").objects) == 0


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_byte_order_marks_and_windows_line_ends_change_nothing(name: str, tmp_path: Path) -> None:
    rows = Collector("made", source="clip.mp4", labels=("Stra\u00dfe", "car"))
    for frame in range(2):
        rows.frame(frame, "made", time=frame / 25, width=8, height=6)
        rows.add(frame, (1, 1, 2, 3), "made", class_id=0, track_id=1, segmentation={"size": [6, 8], "counts": "72W1"})
    made = rows.finish()
    form, target = find_format(name).load(), tmp_path / f"out{FORMATS[name].suffix}"
    form.write(target, made)
    known = ExternalInfo(8, 6, made.labels, made.source)
    expected = form.read(target, known)
    for file in [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert_same(form.read(target, known), expected)


def test_yolo_shares_without_a_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(FormatError, match="--size WxH"):
        find_format("yolo").load().read(tmp_path)
    assert len(find_format("yolo").load().read(tmp_path, ExternalInfo(8, 6)).objects) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nothing-here"):
        find_format(name).load().read(tmp_path / "nothing-here")


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].suffix])
@settings(max_examples=40, deadline=None)
@given(source=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_breaks_the_program(name: str, source: st.DataObject) -> None:
    made = source.draw(annotations(WORLDS[name]))
    form = find_format(name).load()
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"out{FORMATS[name].suffix}"
        form.write(target, made)
        content = bytearray(target.read_bytes())
        for _ in range(source.draw(st.integers(1, 3))):
            if not content:
                break
            place = source.draw(st.integers(0, len(content) - 1))
            match source.draw(st.sampled_from(["cut", "change", "drop", "repeat"])):
                case "cut":
                    del content[place:]
                case "change":
                    content[place] = source.draw(st.integers(0, 255))
                case "drop":
                    del content[place : place + source.draw(st.integers(1, 30))]
                case _:
                    content[place:place] = content[place : place + source.draw(st.integers(1, 30))]
        target.write_bytes(content)
        try:
            found = form.read(target, ExternalInfo(WIDTH, HEIGHT, PLAIN_LABELS if name == "kitti" else ()))
        except FormatError as refused:
            message = str(refused)
        else:
            message = str(target)
            assert len(found.objects.segmentations) == len(found.objects)
    assert str(target) in message


def test_outlines_of_a_mask_fill_to_nearly_the_mask_again() -> None:
    made = find_format("mots").load()
    with TemporaryDirectory() as folder:
        target = Path(folder) / "a.txt"
        target.write_text("1 1 1 6 8 72W1\n")
        code = made.read(target).objects.segmentations[0]
    outlines = to_outlines(code, width=8, height=6)
    window, covered = to_window(outlines, width=8, height=6)
    assert covered.sum() == 2
    assert window == to_window(code, width=8, height=6)[0]
