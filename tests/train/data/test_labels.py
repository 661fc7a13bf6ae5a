"""Training data as other programs write it: what each file means, and what is reported of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.train.data.test_detection import describe, write
from tracker.errors import ConfigError
from tracker.evaluate.ground_truth import DataSet
from tracker.train.data import DataCheck, draw_box_masks, load_data


def coco(
    path: Path, *, names: list[dict[str, Any]], notes: list[dict[str, Any]], file_name: str = "{}", shade: int = 0
) -> Path:
    """A COCO file of three images of 60 x 40 beside it, `notes` completed to whole annotations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(3):
        cv2.imwrite(str(path.parent / f"p{number}.png"), np.full((40, 60, 3), 20 * number + shade, np.uint8))
        images.append({"id": number, "file_name": file_name.format(f"p{number}.png"), "width": 60, "height": 40})
    whole = {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}
    annotations = [{"id": place, **whole, **note} for place, note in enumerate(notes)]
    path.write_text(json.dumps({"images": images, "categories": names, "annotations": annotations}))
    return path


BALL = [{"id": 1, "name": "ball"}]


def objects(splits: dict[str, DataSet]) -> int:
    return sum(len(sample.boxes) for data in splits.values() for sample in data.samples)


def loaded(path: Path) -> tuple[DataSet, DataCheck]:
    """What is trained on, of a description that has no part for validation."""
    splits, check = load_data(
        describe(path.parent, train=path.name, names=["ball"]) if path.suffix == ".json" else path
    )
    return splits["train"], check


@pytest.mark.parametrize("above", ["none", "", "fish-abcd"])
def test_a_category_that_only_groups_others_is_not_learnt(above: str, tmp_path: Path) -> None:
    group = {"id": 0, "name": "fish-abcd", "supercategory": above}
    names = [group, *({"id": n, "name": name, "supercategory": "fish-abcd"} for n, name in ((1, "carp"), (2, "tench")))]
    splits, check = load_data(coco(tmp_path / "a.json", names=names, notes=[{}, {"category_id": 2, "image_id": 1}]))
    assert splits["train"].labels == ("carp", "tench")
    assert "groups others, not learnt" in check.report()
    assert objects(splits) == 2


def test_a_grouping_category_called_as_the_class_does_not_stop_training(tmp_path: Path) -> None:
    names = [{"id": 0, "name": "carp", "supercategory": "none"}, {"id": 1, "name": "carp", "supercategory": "carp"}]
    splits, _ = load_data(coco(tmp_path / "a.json", names=names, notes=[{}]))
    assert splits["train"].labels == ("carp",)


def test_categories_that_are_used_or_group_nothing_stay(tmp_path: Path) -> None:
    names = [
        {"id": 0, "name": "vehicle", "supercategory": "none"},
        {"id": 1, "name": "car", "supercategory": "vehicle"},
        {"id": 2, "name": "person", "supercategory": "person"},
    ]
    splits, _ = load_data(coco(tmp_path / "a.json", names=names, notes=[{"category_id": 0}, {}]))
    assert splits["train"].labels == ("vehicle", "car", "person")


def test_crowds_are_ignored_regions_and_reported(tmp_path: Path) -> None:
    crowd = {"iscrowd": 1, "segmentation": {"size": [40, 60], "counts": [0, 1, 2399]}}
    data, check = loaded(coco(tmp_path / "a.json", names=BALL, notes=[{}, {**crowd, "image_id": 1}]))
    assert [len(sample.ignored) for sample in data.samples] == [0, 1, 0]
    assert "1 x crowd (iscrowd: 1), ignored in its region; where it is one object, write 0" in check.report()


@pytest.mark.parametrize("ids", [(str, str), (float, int), (int, float)])
def test_ids_that_are_texts_or_decimals_are_the_same_ids(ids: tuple[Any, Any], tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", names=BALL, notes=[{"image_id": number} for number in range(3)])
    content = json.loads(path.read_text())
    for image, note in zip(content["images"], content["annotations"], strict=True):
        image["id"], note["image_id"] = ids[0](image["id"]), ids[1](note["image_id"])
    path.write_text(json.dumps(content))
    assert objects({"train": loaded(path)[0]}) == 3


def test_ids_of_two_kinds_are_not_taken_for_the_same(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", names=BALL, notes=[{"image_id": "0"}, {"image_id": "1"}])
    _, check = loaded(path)
    assert check.counts == {"annotation of an unknown image or class, skipped": 2}


NAMES = [
    "{}", "./{}", "images/{}", r"images\{}", r".\images\{}", r"..\..\media\upload\4\{}", r"C:\me\set\images\{}",
    "/home/me/set/images/{}", "https://example.org/other/{}",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_images_named_on_other_machines_are_found(name: str, tmp_path: Path) -> None:
    path = coco(tmp_path / "set/a.json", names=BALL, notes=[{}], file_name=name)
    if "images" in name:
        (path.parent / "images").mkdir()
        for image in path.parent.glob("*.png"):
            image.rename(path.parent / "images" / image.name)
    data, check = loaded(path)
    assert [sample.path.name for sample in data.samples] == ["p0.png", "p1.png", "p2.png"]
    elsewhere = "..\\" in name or ":" in name or name.startswith("/")
    assert (check.counts == {"image named in another folder, found by the end of its name": 3}) == elsewhere


def test_two_names_that_end_alike_are_not_the_same_image(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", names=BALL, notes=[{}, {"image_id": 1}])
    content = json.loads(path.read_text())
    for image, folder in zip(content["images"], ("left", "right", "."), strict=True):
        image["file_name"] = f"/set/{folder}/p0.png" if folder != "." else "p2.png"
    path.write_text(json.dumps(content))
    data, check = loaded(path)
    assert [sample.path.name for sample in data.samples] == ["p2.png"]
    assert check.counts == {"image whose name fits another's file, skipped": 2}


def test_one_annotation_that_cannot_be_read_does_not_lose_the_others(tmp_path: Path) -> None:
    broken: list[dict[str, Any]] = [{"bbox": None}, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, "x", 4]}, {"image_id": None}]
    data, check = loaded(coco(tmp_path / "a.json", names=BALL, notes=[{}, *broken]))
    assert objects({"train": data}) == 1
    assert check.counts == {"annotation that cannot be read, skipped": 4}


def test_a_box_that_is_missing_is_that_of_the_outline(tmp_path: Path) -> None:
    outline = [[10.0, 10.0, 30.0, 10.0, 30.0, 25.0]]
    notes = [{"bbox": [], "segmentation": outline}, {"bbox": [], "segmentation": outline[0], "image_id": 1}]
    data, check = loaded(coco(tmp_path / "a.json", names=BALL, notes=notes))
    assert [sample.boxes.tolist() for sample in data.samples[:2]] == [[[10, 10, 30, 25]]] * 2
    assert not check.counts


SHAPES = {
    "ring": ((30, 20, 18), (30, 20, 9)),
    "small": ((30, 20, 5), None),
    "large": ((30, 20, 19), None),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["run lengths", "outline"])
def test_what_is_taught_has_the_area_that_pycocotools_gives(shape: str, kind: str, tmp_path: Path) -> None:
    (x, y, radius), hole = SHAPES[shape]
    angles = np.linspace(0, 2 * np.pi, 60)
    outer = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
    ring = outer if hole is None else np.concatenate([outer, (outer - [x, y]) / 2 + [x, y], outer[:1]])
    code = coco_mask.merge(coco_mask.frPyObjects([ring.ravel().tolist()], 40, 60))
    segmentation: Any = [ring.ravel().tolist()]
    if kind == "run lengths":
        segmentation = {"size": code["size"], "counts": code["counts"].decode()}
    box = coco_mask.toBbox(code).tolist() if kind == "run lengths" else [x - radius, y - radius, 2 * radius, 2 * radius]
    data, check = loaded(coco(tmp_path / "a.json", names=BALL, notes=[{"bbox": box, "segmentation": segmentation}]))
    masks, has_mask = draw_box_masks(data.samples[0])
    assert has_mask.all()
    area = masks[0].mean() / 255 * box[2] * box[3]
    assert area == pytest.approx(float(coco_mask.area(code)), rel=0.02)
    assert not check.counts
    assert (masks[0][32, 32] == 0) == (hole is not None)


def test_a_mask_of_another_size_than_its_image_leaves_its_box(tmp_path: Path) -> None:
    code = {"size": [20, 30], "counts": [0, 600]}
    data, check = loaded(coco(tmp_path / "a.json", names=BALL, notes=[{"segmentation": code}]))
    assert data.samples[0].polygons == (None,)
    assert check.counts == {"mask of another size than its image, kept as a box": 1}


def test_labels_beside_the_images_are_used(tmp_path: Path) -> None:
    for place, folder in enumerate(("a", "b", "c")):
        write(tmp_path / folder, f"{folder}1", "0 0.5 0.5 0.25 0.5\n", shade=9 * place)
    (tmp_path / "b/labels/b1.txt").rename(tmp_path / "b/images/b1.txt")
    for file in [*(tmp_path / "c/images").iterdir(), *(tmp_path / "c/labels").iterdir()]:
        file.rename(tmp_path / "c" / file.name)
    splits, check = load_data(describe(tmp_path, train=["a/images", "b/images", "c"]))
    assert objects(splits) == 3
    assert not check.counts


def test_images_labelled_in_another_format_are_not_taken_for_background(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path, "b", shade=9)
    (tmp_path / "labels/b.txt").unlink()
    (tmp_path / "images/b.xml").write_text("<annotation/>")
    splits, check = load_data(describe(tmp_path))
    assert [sample.path.name for sample in splits["train"].samples] == ["a.png"]
    assert "labels are of another kind, skipped" in check.report()


def test_a_pose_teaches_its_box(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.2 0.4 0.45 0.42 2 0.55 0.42 1\n")
    splits, check = load_data(describe(tmp_path, kpt_shape=[2, 3]))
    sample = splits["train"].samples[0]
    np.testing.assert_allclose(sample.boxes, [[24, 12, 36, 28]], atol=1e-4)
    assert sample.polygons == (None,)
    assert check.counts == {"row of a pose, its box is used": 1}


def test_results_of_a_network_teach_without_their_scores(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.2 0.4 0.85 3\n1 0.5 0.5 0.4 0.4 0.9 4\n")
    splits, check = load_data(describe(tmp_path))
    np.testing.assert_allclose(splits["train"].samples[0].boxes, [[24, 12, 36, 28], [18, 12, 42, 28]], atol=1e-4)
    assert check.counts == {"row with a score or track id behind it, used without": 2}


WRITTEN = ["no", "007", "12:30", "null", "2024-01-01", "1e3"]


@pytest.mark.parametrize("style", ["[{0}]", "\n  - {1}", "{{{2}}}"])
def test_class_names_and_groups_are_what_stands_in_the_file(style: str, tmp_path: Path) -> None:
    write(tmp_path, "a", "".join(f"{number} 0.5 0.5 0.{number + 2} 0.5\n" for number in range(len(WRITTEN))))
    numbered = ", ".join(f"{place}: {name}" for place, name in enumerate(WRITTEN))
    names = style.format(", ".join(WRITTEN), "\n  - ".join(WRITTEN), numbered)
    text = (
        f"path: .\ntrain: images\nval:\nnames: {names}\nlabelled: {{images: [no, 007]}}\ngroups: {{1e3: [no, 12:30]}}\n"
    )
    (tmp_path / "data.yaml").write_text(text)
    splits, _ = load_data(tmp_path / "data.yaml")
    assert splits["train"].names == tuple(WRITTEN)
    assert splits["train"].samples[0].labelled == (0, 1)
    assert splits["train"].groups == {"1e3": ("no", "12:30")}


def test_roboflow_names_a_folder_for_test_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "train", "a", "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "valid", "b", "0 0.5 0.5 0.5 0.5\n", shade=9)
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['fish']\n"
    (tmp_path / "data.yaml").write_text(text)
    splits, check = load_data(tmp_path / "data.yaml")
    assert list(splits) == ["val", "train"]
    assert "folder of 'test' that is not there" in check.report()
    (tmp_path / "data.yaml").write_text(text.replace("../valid", "../gone"))
    with pytest.raises(ConfigError, match="gone"):
        load_data(tmp_path / "data.yaml")


def test_the_parts_of_a_roboflow_coco_export_belong_together(tmp_path: Path) -> None:
    for place, part in enumerate(("train", "valid", "test")):
        coco(tmp_path / part / "_annotations.coco.json", names=BALL, notes=[{}], shade=place)
    for path in (tmp_path, tmp_path / "train/_annotations.coco.json"):
        splits, check = load_data(path)
        assert {name: len(data.samples) for name, data in splits.items()} == {"test": 3, "val": 3, "train": 3}
        assert not check.counts


def test_classes_agree_by_name_whatever_their_numbers(tmp_path: Path) -> None:
    """Categories from 0, with gaps, in another order in training and validation."""
    words = {"cat": 5, "dog": 20, "emu": 35}
    for file, numbers in (("train", {0: "cat", 7: "dog", 90: "emu"}), ("val", {3: "emu", 1: "dog", 2: "cat"})):
        notes = [{"category_id": number, "bbox": [words[name], 10, 10, 10]} for number, name in numbers.items()]
        names = [{"id": number, "name": name} for number, name in numbers.items()]
        coco(tmp_path / file / "a.json", names=names, notes=notes, shade=len(file))
    text = "train: train/a.json\nval: val/a.json\nnames: [dog, emu, cat]\n"
    (tmp_path / "data.yaml").write_text(text)
    splits, _ = load_data(tmp_path / "data.yaml")
    for data in splits.values():
        sample = data.samples[0]
        found = {data.names[number]: left for number, left in zip(sample.class_ids, sample.boxes[:, 0], strict=True)}
        assert found == words


@pytest.mark.parametrize("path", ["path: /content/fish-1\n", "path: D:\\sets\\fish\n", ""])
@pytest.mark.parametrize("prefix", ["", "/content/fish-1/", "..\\", "D:\\sets\\"])
def test_a_description_written_on_another_machine_is_followed(path: str, prefix: str, tmp_path: Path) -> None:
    write(tmp_path / "train", "a", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text(f"{path}train: {prefix}train/images\nvalidation: null\nnames: [fish]\n")
    assert objects(load_data(tmp_path / "data.yaml")[0]) == 1
    assert objects(load_data(tmp_path)[0]) == 1


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no data\.yaml"):
        load_data(tmp_path)


@pytest.mark.parametrize("layout", ["images/{split}", "{split}/images", "{split}"])
def test_label_files_without_an_image_are_counted(layout: str, tmp_path: Path) -> None:
    """In each layout, once though folders lie in each other; lists, names and notes among the labels are none."""
    for split in ("train", "val"):
        images = tmp_path / layout.format(split=split)
        labels = Path(str(images).replace("images", "labels"))
        for folder in (images, labels):
            folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(images / "a.png"), np.full((40, 60, 3), len(split), np.uint8))
        for name in ("a", f"{split}-1", f"{split}-2"):
            (labels / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (labels / "classes.txt").write_text("ball\n")
        (labels / "notes.txt").write_text("all are balls\n")
    train, val = (layout.format(split=split) for split in ("train", "val"))
    _, check = load_data(describe(tmp_path, train=[train, train], val=val, names=["ball"]))
    assert check.counts["label file without its image"] == 4
    assert "train-1.txt" in check.report()
    assert "val-2.txt" in check.report()
