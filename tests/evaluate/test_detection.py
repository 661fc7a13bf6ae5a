from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.evaluate.test_matching import finds, sample
from tests.train.shapes import write_shapes
from tracker.evaluate.detection import average_precision, one_person_masks, rename
from tracker.train.data.detection import draw_box_masks, load_data
from tracker.types import Detections


def coco_folder(folder: Path, *, images: int) -> Path:
    """A COCO file with boxes of two classes and one crowd, and its images."""
    rng = np.random.default_rng(3)
    notes, entries = [], []
    for number in range(1, images + 1):
        name = f"{number}.png"
        image = rng.integers(0, 255, (100, 120, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), image)
        entries.append({"id": number, "file_name": name, "width": 120, "height": 100})
        for _ in range(3):
            x, y, width, height = (int(value) for value in (*rng.integers(0, 60, 2), *rng.integers(10, 40, 2)))
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            notes.append(
                {
                    "id": len(notes) + 1,
                    "image_id": number,
                    "category_id": int(rng.integers(1, 3)),
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
    path = folder / "notes.json"
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    path.write_text(json.dumps({"images": entries, "annotations": notes, "categories": categories}))
    return path


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_precision_of_a_coco_file_is_what_pycocotools_finds_in_it(tmp_path: Path, kind: str) -> None:
    path = coco_folder(tmp_path, images=6)
    (tmp_path / "data.yaml").write_text("train: notes.json\nval: notes.json\nnames: [person, car]\n")
    data = load_data(tmp_path / "data.yaml")[0]["val"]
    rng = np.random.default_rng(0)
    found = []
    for each in data.samples:
        boxes = np.clip(each.boxes + rng.normal(0, 2, each.boxes.shape), 0, 100).astype(np.float32)
        count = len(boxes)
        masks = np.full((count, 32, 32), 255, np.uint8)
        found.append(
            Detections(boxes, rng.random(count).astype(np.float32), rng.integers(0, 2, count).astype(np.int32), masks)
        )
    ours = average_precision(data.samples, found, {0: "person", 1: "car"}, masks=kind == "segm")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
        rows = []
        from pycocotools import mask as coco_mask

        from tracker.geometry import paste_mask

        for number, own in enumerate(found, 1):
            for row in range(len(own)):
                x1, y1, x2, y2 = (float(edge) for edge in own.boxes[row])
                entry: dict[str, object] = {
                    "image_id": number,
                    "category_id": int(own.class_ids[row]) + 1,
                    "score": float(own.scores[row]),
                }
                if kind == "bbox":
                    entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                else:
                    full = np.zeros((100, 120), np.uint8)
                    assert own.masks is not None
                    window, covered = paste_mask(own.masks[row], own.boxes[row], 120, 100)
                    full[window] = covered
                    entry["segmentation"] = coco_mask.encode(np.asfortranarray(full))
                rows.append(entry)
        judge = COCOeval(coco, coco.loadRes(rows), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert np.mean([part.ap for part in ours.values()]) == pytest.approx(judge.stats[0], abs=1e-9)
    assert np.mean([part.ap50 for part in ours.values()]) == pytest.approx(judge.stats[1], abs=1e-9)


def test_images_that_do_not_label_a_class_do_not_count_for_it() -> None:
    box = (10, 10, 40, 40)
    labelled, silent = sample([box], [0]), sample([], [], labelled=(1,))
    found = [finds([box], [0.6], [0]), finds([box], [0.9], [0])]
    assert average_precision([labelled, silent], found, {0: "x"})["x"].ap == pytest.approx(1.0)
    assert average_precision([labelled, sample([], [])], found, {0: "x"})["x"].ap == pytest.approx(0.5)


def test_finds_in_ignored_regions_count_neither_way() -> None:
    box, crowd = (10, 10, 40, 40), (50, 50, 100, 100)
    found = [finds([box, (60, 60, 80, 80)], [0.6, 0.9], [0, 0])]
    assert average_precision([sample([box], [0], ignored=[crowd])], found, {0: "x"})["x"].ap == pytest.approx(1.0)
    assert average_precision([sample([box], [0])], found, {0: "x"})["x"].ap == pytest.approx(0.5)
    assert average_precision([sample([box], [0], ignored=[crowd])], found, {0: "x"})["x"].objects == 1


def test_masks_of_the_labels_themselves_are_found_whole(tmp_path: Path) -> None:
    data = load_data(write_shapes(tmp_path / "s", images=3))[0]["train"]
    found = []
    for each in data.samples:
        masks, _ = draw_box_masks(each)
        count = len(each.boxes)
        found.append(Detections(each.boxes, np.ones(count, np.float32), each.class_ids.astype(np.int32), masks))
    scores = average_precision(data.samples, found, {0: "disc", 1: "box"}, masks=True)
    assert min(part.ap75 for part in scores.values()) == pytest.approx(1.0)


def test_masks_are_judged_where_one_person_stands_alone() -> None:
    box = (10.0, 10.0, 40.0, 40.0)
    outline = (np.array(((10, 10), (40, 10), (40, 40), (10, 40)), np.float32),)
    alone = sample([box], [0])
    alone = type(alone)(
        **{name: getattr(alone, name) for name in alone.__dataclass_fields__} | {"polygons": (outline,)}
    )
    full = finds([box], [0.9], [0])
    whole = Detections(full.boxes, full.scores, full.class_ids, np.full((1, 32, 32), 255, np.uint8))
    crowd = sample([box, (50, 50, 90, 90)], [0, 0])
    score = one_person_masks([alone, crowd], [whole, whole])
    assert (score.objects, round(score.ap50, 6)) == (1, 1.0)


def test_classes_are_matched_by_name() -> None:
    found = finds([(0, 0, 9, 9)] * 3, [0.9, 0.8, 0.7], [0, 1, 2])
    (renamed,) = rename([found], ("dog", "car", "person"), ("person", "car"))
    assert renamed.class_ids.tolist() == [1, 0]
    assert renamed.scores.tolist() == pytest.approx([0.8, 0.7])
