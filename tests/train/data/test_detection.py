from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as coco_mask

from tests.train.shapes import write_shapes
from tracker.errors import ConfigError
from tracker.evaluate.detection import average_precision, encode_outline
from tracker.train.data.detection import MASK_SIZE, draw_box_masks, load_data, set_aside
from tracker.types import Detections


def write(folder: Path, name: str, rows: str = "", *, shade: int = 0) -> None:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image = np.full((40, 60, 3), shade, np.uint8)
    cv2.imwrite(str(folder / "images" / f"{name}.png"), image)
    (folder / "labels" / f"{name}.txt").write_text(rows)


def describe(folder: Path, **keys: object) -> Path:
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"path": ".", "train": "images", "names": ["cat", "dog"], **keys}))
    return path


def test_boxes_and_polygons_become_pixels(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.25\n1 0.1 0.1 0.9 0.1 0.9 0.5\n")
    splits, check = load_data(describe(tmp_path))
    (sample,) = splits["train"].samples
    np.testing.assert_allclose(sample.boxes, [[15, 15, 45, 25], [6, 4, 54, 20]], atol=1e-4)
    assert sample.class_ids.tolist() == [0, 1]
    assert sample.polygons[0] is None
    assert sample.polygons[1] is not None
    assert not check.counts


def test_whatever_cannot_be_used_is_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.1 0.1\n0 2.5 2.5 0.1 0.1\ncat 1 2 3 4\n0 0.5 0.5\n")
    write(tmp_path, "b", "1 0.9 0.5 0.5 0.5\n", shade=9)
    (tmp_path / "images" / "c.png").write_bytes(b"no image")
    (tmp_path / "list.txt").write_text("images/a.png\nimages/b.png\nimages/c.png\nimages/gone.png\nimages/a.png\n")
    splits, check = load_data(describe(tmp_path, train="list.txt"))
    assert len(splits["train"].samples) == 2
    assert len(splits["train"].samples[0].boxes) == 1
    assert "left out of the data" in caplog.text
    assert "1 x row with a wrong class number, skipped" in caplog.text
    assert check.counts == {
        "row with a wrong class number, skipped": 1,
        "empty box or box outside the image, skipped": 1,
        "row that is not numbers, skipped": 1,
        "row of a wrong length, skipped": 1,
        "box reaching outside the image, clipped": 1,
        "image cannot be decoded, skipped": 1,
        "missing image, skipped": 1,
        "image twice in train, skipped": 1,
    }
    assert "labels/a.txt:2" in check.report()


def test_an_image_of_the_validation_split_is_not_trained_on(tmp_path: Path) -> None:
    write(tmp_path / "one", "a")
    write(tmp_path / "one", "b", shade=5)
    write(tmp_path / "two", "copy", shade=5)
    splits, check = load_data(describe(tmp_path, train="one/images", val="two/images"))
    assert [sample.path.name for sample in splits["train"].samples] == ["a.png"]
    assert check.counts == {"image of val again in train, skipped": 1}


def test_a_share_set_aside_hangs_on_the_name_alone(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, f"n{number}", shade=number)
    splits, _ = load_data(describe(tmp_path, validation_share=0.3))
    names = {split: {sample.path.name for sample in data.samples} for split, data in splits.items()}
    assert names["train"] | names["val"] == {f"n{number}.png" for number in range(30)}
    assert names["val"] == {name for name in names["train"] | names["val"] if set_aside(name, 0.3)}
    assert 3 <= len(names["val"]) <= 16


def test_each_folder_says_what_it_labels(tmp_path: Path) -> None:
    write(tmp_path / "a", "x")
    write(tmp_path / "b", "y", shade=3)
    write(tmp_path / "c", "z", shade=4)
    labelled = {"a/images": ["dog"], "b/images": []}
    splits, _ = load_data(describe(tmp_path, train=["a/images", "b/images", "c/images"], labelled=labelled))
    assert [sample.labelled for sample in splits["train"].samples] == [(1,), (), (0, 1)]


def test_a_group_leaves_its_members_unlabelled(tmp_path: Path) -> None:
    write(tmp_path, "x", "2 0.5 0.5 0.5 0.5\n")
    splits, _ = load_data(describe(tmp_path, names=["cat", "dog", "pet", "car"], groups={"pet": ["cat", "dog"]}))
    data = splits["train"]
    assert data.labels == ("cat", "dog", "car")
    target, weight = data.targets()
    pet, car = (data.names.index(name) for name in ("pet", "car"))
    assert data.samples[0].class_ids.tolist() == [pet]
    assert target[pet].tolist() == [0, 0, 0]
    assert weight[pet].tolist() == [0, 0, 1]
    assert target[car].tolist() == [0, 0, 1]


def test_a_group_may_stand_anywhere_among_the_names(tmp_path: Path) -> None:
    write(tmp_path, "x", "0 0.5 0.5 0.5 0.5\n1 0.3 0.3 0.2 0.2\n2 0.7 0.7 0.2 0.2\n")
    data = load_data(describe(tmp_path, names=["pet", "cat", "dog"], groups={"pet": ["cat", "dog"]}))[0]["train"]
    assert data.labels == ("cat", "dog")
    assert data.names == ("cat", "dog", "pet")
    assert data.samples[0].class_ids.tolist() == [2, 0, 1]
    assert data.targets()[0].tolist() == [[1, 0], [0, 1], [0, 0]]
    sample = data.samples[0]
    found = Detections(sample.boxes[1:], np.array([0.9, 0.8], np.float32), np.array([0, 1], np.int32))
    scores = average_precision([sample], [found], dict(enumerate(data.labels)))
    assert [one.ap for one in scores.values()] == pytest.approx([1.0, 1.0])


def test_repeated_folders_come_more_often_in_training_only(tmp_path: Path) -> None:
    write(tmp_path / "a", "x")
    write(tmp_path / "b", "y", shade=3)
    splits, _ = load_data(describe(tmp_path, train="a/images", val="b/images", repeat={"a/images": 3, "b/images": 2}))
    assert len(splits["train"].samples) == 3
    assert len(splits["val"].samples) == 1


def coco(folder: Path) -> Path:
    write(folder, "a")
    write(folder, "b", shade=7)
    outline = [[6, 4, 54, 4, 54, 20], [10, 10, 20, 10, 20, 30]]
    content = {
        "images": [{"id": 4, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [
            {"image_id": 4, "category_id": 18, "bbox": [6, 4, 48, 26], "segmentation": outline, "iscrowd": 0},
            {"image_id": 4, "category_id": 17, "bbox": [0, 0, 30, 30], "iscrowd": 1, "segmentation": {"counts": "x"}},
            {"image_id": 9, "category_id": 99, "bbox": [1, 1, 3, 3]},
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def test_a_coco_file_gives_boxes_outlines_and_ignored_crowds(tmp_path: Path) -> None:
    coco(tmp_path)
    splits, check = load_data(describe(tmp_path, train="instances.json"))
    first, second = splits["train"].samples
    np.testing.assert_allclose(first.boxes, [[6, 4, 54, 30]])
    assert first.class_ids.tolist() == [1]
    assert first.polygons[0] is not None
    assert len(first.polygons[0]) == 2
    np.testing.assert_allclose(first.ignored, [[0, 0, 30, 30]])
    assert first.ignored_ids is not None
    assert first.ignored_ids.tolist() == [0]
    assert len(second.boxes) == 0
    assert check.counts == {
        "annotation of an unknown image or class, skipped": 1,
        "crowd (iscrowd: 1), ignored in its region; where it is one object, write 0": 1,
    }


def test_a_coco_file_alone_names_its_classes(tmp_path: Path) -> None:
    splits, _ = load_data(coco(tmp_path))
    assert splits["train"].labels == ("cat", "dog")


@pytest.mark.parametrize("images", ["train2017", "images/train2017", "images", "annotations", "."])
def test_the_images_of_a_coco_file_are_found_where_people_keep_them(tmp_path: Path, images: str) -> None:
    notes = coco(tmp_path)
    (tmp_path / "annotations").mkdir()
    notes = notes.rename(tmp_path / "annotations" / "instances_train2017.json")
    written = sorted((tmp_path / "images").iterdir())
    (tmp_path / images).mkdir(parents=True, exist_ok=True)
    for image in written:
        image.rename(tmp_path / images / image.name)
    splits, check = load_data(notes)
    assert len(splits["train"].samples) == 2
    assert "missing image, skipped" not in check.counts


def test_an_image_that_a_coco_file_describes_at_another_size_is_left_out(tmp_path: Path) -> None:
    notes = coco(tmp_path)
    content = json.loads(notes.read_text())
    content["images"][0] |= {"width": 60, "height": 40}
    content["images"][1] |= {"width": 40, "height": 60}
    notes.write_text(json.dumps(content))
    splits, check = load_data(describe(tmp_path, train="instances.json"))
    assert [sample.path.name for sample in splits["train"].samples] == ["a.png"]
    assert check.counts["image of another size (or turned) than its COCO file says, skipped"] == 1


def test_folders_that_roboflow_puts_above_are_found_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "mine/train", "a", "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "mine/valid", "b", "1 0.5 0.5 0.5 0.5\n", shade=5)
    data = tmp_path / "mine/data.yaml"
    data.write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n")
    splits, check = load_data(data)
    assert {split: len(part.samples[0].boxes) for split, part in splits.items()} == {"val": 1, "train": 1}
    assert not check.counts
    write(tmp_path / "train", "c", shade=9)
    assert load_data(data)[0]["train"].samples[0].path.name == "c.png"  # a folder that is there is meant


def test_one_split_for_both_is_taken_at_its_word(tmp_path: Path) -> None:
    write(tmp_path, "a")
    splits, check = load_data(describe(tmp_path, val="images"))
    assert len(splits["train"].samples) == len(splits["val"].samples) == 1
    assert check.counts == {"split used for training and for validation alike": 1}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"labelled": {"images": ["horse"]}}, "horse"),
        ({"groups": {"dog": ["wolf"]}}, "wolf"),
        ({"labelled": {"nowhere": ["cat"]}}, "does not exist"),
        ({"labelled": {"images": "cat"}}, "FOLDER"),
        ({"labeled": {"images": ["cat"]}}, "did you mean 'labelled'"),
        ({"groups": {"pet": ["cat", "dog"]}}, "'pet' is not among 'names'"),
        ({"train": "nowhere"}, "nowhere"),
        ({"train": {"a": "b"}}, "'train' must be"),
        ({"names": "cat"}, "'names' must list"),
        ({"names": 2}, "'names' must list"),
        ({"names": []}, "'names' must list"),
        ({"names": ["cat", "cat"]}, "'cat' twice"),
        ({"names": {0: "cat", 2: "dog"}}, "from 0 to 1, found 0, 2"),
        ({"nc": 3}, "'nc' says 3"),
        ({"validation_share": "much"}, "validation_share"),
        ({"validation_share": 15}, "validation_share"),
        ({"repeat": {"images": 0}}, "repeat"),
        ({"blend": {"images": 1.5}}, "from 0 to 1"),
        ({"blend": {"images": "much"}}, "from 0 to 1"),
        ({"blend": 0.5}, "blend: {FOLDER: 0.5}"),
        ({"blend": {"nowhere": 0.5}}, "does not exist"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    write(tmp_path, "x")
    with pytest.raises(ConfigError, match=message):
        load_data(describe(tmp_path, **keys))


def test_keys_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "x", "1 .5 .5 .5 .5")
    splits, check = load_data(describe(tmp_path, names={0: "cat", 1: "dog"}, nc=2, download=None, kpt_shape=[17, 3]))
    assert splits["train"].labels == ("cat", "dog")
    assert not check.counts


def test_labels_that_are_missing_unreadable_or_double_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "double", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n0 .5 .5 .5 .5\n")
    for shade, name in enumerate(("none", "binary"), 1):
        write(tmp_path, name, shade=shade)
    (tmp_path / "labels" / "none.txt").unlink()
    (tmp_path / "labels" / "binary.txt").write_bytes(b"\xff\xfe\x81")
    splits, check = load_data(describe(tmp_path))
    assert [len(sample.boxes) for sample in splits["train"].samples] == [2, 0]
    assert check.counts == {
        "same box twice, skipped": 1,
        "image without a label file, taken for background": 1,
        "label file cannot be read, image skipped": 1,
    }


def test_a_list_names_images_below_the_path_or_beside_itself(tmp_path: Path) -> None:
    for shade, name in enumerate(("a", "b")):
        write(tmp_path / "deep", name, shade=shade)
    (tmp_path / "deep" / "list.txt").write_text("images/a.png\ndeep/images/b.png\n")
    splits, check = load_data(describe(tmp_path, train="deep/list.txt"))
    assert [sample.path.name for sample in splits["train"].samples] == ["a.png", "b.png"]
    assert not check.counts


def test_a_coco_file_or_a_list_can_tell_what_it_labels(tmp_path: Path) -> None:
    coco(tmp_path)
    write(tmp_path / "more", "c", shade=20)
    splits, _ = load_data(
        describe(tmp_path, train=["instances.json", "more/images"], labelled={"instances.json": ["dog"]})
    )
    assert [sample.labelled for sample in splits["train"].samples] == [(1,), (1,), (0, 1)]


def test_files_of_other_systems_are_read_alike(tmp_path: Path) -> None:
    """With a byte order mark and Windows line ends, and names beyond ASCII whatever the system's own encoding is."""
    write(tmp_path, "a")
    text = "path: .\r\ntrain: images\r\nnames: [Straßenbahn, 自転車]\r\n"
    (tmp_path / "data.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xef\xbb\xbf1 0.5 0.5 0.2 0.2\r\n")
    splits, check = load_data(tmp_path / "data.yaml")
    assert splits["train"].labels == ("Straßenbahn", "自転車")
    assert splits["train"].samples[0].class_ids.tolist() == [1]
    assert not check.counts


def test_a_mask_that_cannot_be_read_leaves_its_box(tmp_path: Path) -> None:
    content = json.loads(coco(tmp_path).read_text())
    for segmentation in ({"size": [40, 60], "counts": [5, 5]}, {"counts": "x"}, [[1, 2, 3, 4, 5, 6, 7]], 7):
        content["annotations"] = [
            {"image_id": 4, "category_id": 18, "bbox": [6, 4, 9, 9], "segmentation": segmentation}
        ]
        (tmp_path / "instances.json").write_text(json.dumps(content))
        splits, check = load_data(describe(tmp_path, train="instances.json"))
        assert splits["train"].samples[0].polygons == (None,)
        assert check.counts == {"mask that cannot be read, kept as a box": 1}


@pytest.mark.parametrize("compressed", [False, True])
def test_a_run_length_code_is_judged_as_the_mask_it_is(tmp_path: Path, compressed: bool) -> None:
    coco(tmp_path)
    content = json.loads((tmp_path / "instances.json").read_text())
    pixels = np.zeros((40, 60), np.uint8)
    cv2.ellipse(pixels, (30, 17), (20, 9), 25, 0, 360, 1, -1)
    pixels[30:34, 50:58] = 1
    code = coco_mask.encode(np.asfortranarray(pixels))
    code_note = {"size": code["size"], "counts": code["counts"].decode()}
    if not compressed:
        edges = np.flatnonzero(np.diff(pixels.ravel("F"), prepend=0, append=0))
        code_note["counts"] = np.diff(edges, prepend=0, append=pixels.size).tolist()
    left, top, width, height = coco_mask.toBbox(code).tolist()
    content["annotations"] = [
        {"image_id": 4, "category_id": 18, "bbox": [left, top, width, height], "segmentation": code_note, "iscrowd": 0}
    ]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    splits, check = load_data(describe(tmp_path, train="instances.json"))
    sample = splits["train"].samples[0]
    assert sample.polygons[0] is not None
    drawn = encode_outline(sample.polygons[0], sample)
    assert coco_mask.iou([drawn], [code], [False])[0, 0] == 1
    assert not check.counts


def test_a_split_without_any_usable_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be decoded"):
        load_data(describe(tmp_path))


def test_outlines_fill_their_boxes(tmp_path: Path) -> None:
    splits, _ = load_data(write_shapes(tmp_path / "s", images=6))
    for sample in splits["train"].samples:
        masks, has_mask = draw_box_masks(sample)
        assert has_mask.all()
        share = masks.mean(axis=(1, 2)) / 255
        expected = np.where(sample.class_ids == 0, np.pi / 4, 1.0)
        np.testing.assert_allclose(share, expected, atol=0.03)
        assert masks.shape[1:] == (MASK_SIZE, MASK_SIZE)


def test_parts_of_an_outline_that_overlap_leave_no_hole(tmp_path: Path) -> None:
    notes = coco(tmp_path)
    content = json.loads(notes.read_text())
    parts = [[6, 4, 40, 4, 40, 30, 6, 30], [20, 4, 54, 4, 54, 30, 20, 30]]
    content["annotations"][0]["segmentation"] = parts
    notes.write_text(json.dumps(content))
    sample = load_data(describe(tmp_path, train="instances.json"))[0]["train"].samples[0]
    masks, _ = draw_box_masks(sample)
    assert masks[0].min() > 120  # edges are half covered
    assert masks.mean() > 250
