"""The programs that others read annotations with, each asked for all objects of a file, in an environment of theirs.

`python reader_programs.py READER PATH OUT.json` writes `[[frame, class, x1, y1, x2, y2, counts], ...]`: frames from 0,
edges in pixels, `counts` COCO's text of the mask, the points of a polygon, or null. It imports nothing of this project.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ |= {"FIFTYONE_DO_NOT_TRACK": "true", "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}

Row = tuple[int, str, float, float, float, float, "str | list[float] | None"]


def frame_of(name: str) -> int:
    """The frame of an image from its name."""
    found = re.search(r"_(\d{6,})$", Path(name).stem)
    assert found is not None, name
    return int(found.group(1)) - 1


def encoded(mask: Any) -> str:
    """COCO's text of the pixels of a mask."""
    from pycocotools import mask as coco_mask

    counts: bytes = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return counts.decode()


def polygon_mask(polygons: list[Any], width: int, height: int) -> str:
    """COCO's text of polygons, filled as pycocotools does."""
    from pycocotools import mask as coco_mask

    codes = coco_mask.frPyObjects([np.asarray(polygon, float).ravel().tolist() for polygon in polygons], height, width)
    counts: bytes = coco_mask.merge(codes)["counts"]
    return counts.decode()


def datumaro_rows(path: Path, form: str) -> Iterator[Row]:
    """What Datumaro's importer of that format holds."""
    import datumaro

    found = datumaro.Dataset.import_from(str(path), form)
    labels = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
    for item in found:
        frame = int(item.attributes["frame"]) if "frame" in item.attributes else frame_of(item.id)
        for note in item.annotations:
            if note.attributes.get("outside"):
                continue
            x, y, width, height = note.get_bbox()
            mask: str | list[float] | None = None
            if note.type == datumaro.AnnotationType.mask:
                mask = encoded(note.image)
            elif note.type == datumaro.AnnotationType.polygon:
                mask = [float(edge) for edge in note.points]
            yield frame, labels[note.label], x, y, x + width, y + height, mask


def cvat_datumaro(path: Path) -> Iterator[Row]:
    """Datumaro's importer of CVAT's XML."""
    return datumaro_rows(path, "cvat")


def cvat_fiftyone(path: Path) -> Iterator[Row]:
    """FiftyOne's parser of CVAT's XML for videos."""
    from fiftyone.utils.cvat import load_cvat_video_annotations

    _, _, tracks = load_cvat_video_annotations(str(path))
    for track in tracks:
        for frame, label in track.to_labels().items():
            if label.__class__.__name__ == "Detection":
                x, y, width, height = label.bounding_box
                box, mask = (x, y, x + width, y + height), None
            else:
                points = np.array(label.points[0])
                box = (*points.min(axis=0), *points.max(axis=0))
                mask = polygon_mask([points * [track.width, track.height]], track.width, track.height)
            x1, x2 = (edge * track.width for edge in box[::2])
            y1, y2 = (edge * track.height for edge in box[1::2])
            yield frame - 1, label.label, x1, y1, x2, y2, mask


def cvatimages_datumaro(path: Path) -> Iterator[Row]:
    """Datumaro's importer of CVAT's XML."""
    return datumaro_rows(path, "cvat")


def cvatimages_fiftyone(path: Path) -> Iterator[Row]:
    """FiftyOne's parser of CVAT's XML for images."""
    from fiftyone.utils.cvat import load_cvat_image_annotations

    _, _, images = load_cvat_image_annotations(str(path))
    for image in images:
        for box in image.boxes:
            yield frame_of(image.name), box.label, box.xtl, box.ytl, box.xbr, box.ybr, None
        for polygon in image.polygons:
            points = np.array(polygon.points)
            mask = polygon_mask([points], image.width, image.height)
            yield frame_of(image.name), polygon.label, *points.min(axis=0), *points.max(axis=0), mask


def yolo_ultralytics(path: Path) -> Iterator[Row]:
    """The label cache that ultralytics trains on."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(path / "data.yaml"), autodownload=False)
    has_outlines = any(len(row.split()) > 5 for row in next((path / "labels").rglob("*.txt")).read_text().splitlines())
    parts = dict.fromkeys(data[use] for use in ("train", "val"))
    for part in parts:
        dataset = YOLODataset(img_path=part, data=data, task="segment" if has_outlines else "detect", augment=False)
        for label in dataset.labels:
            height, width = label["shape"]
            frame = frame_of(label["im_file"])
            columns = zip(label["bboxes"].tolist(), label["cls"].tolist(), strict=True)
            for number, ((cx, cy, wide, tall), (kind,)) in enumerate(columns):
                x1, x2 = (cx - wide / 2) * width, (cx + wide / 2) * width
                y1, y2 = (cy - tall / 2) * height, (cy + tall / 2) * height
                mask = None
                if has_outlines:
                    mask = polygon_mask([label["segments"][number] * [width, height]], width, height)
                yield frame, data["names"][int(kind)], x1, y1, x2, y2, mask


def supervision_rows(dataset: Any) -> Iterator[Row]:
    """What a supervision data set holds."""
    for image, _, found in dataset:
        for number in range(len(found)):
            mask = encoded(found.mask[number]) if found.mask is not None else None
            name = dataset.classes[int(found.class_id[number])]
            yield frame_of(image), name, *map(float, found.xyxy[number]), mask


def yolo_supervision(path: Path) -> Iterator[Row]:
    """supervision's data set of YOLO text."""
    import supervision

    for part in [""] if not (path / "labels" / "train").is_dir() else ["train", "val"]:
        yield from supervision_rows(
            supervision.DetectionDataset.from_yolo(
                images_directory_path=str(path / "images" / part),
                annotations_directory_path=str(path / "labels" / part),
                data_yaml_path=str(path / "data.yaml"),
            )
        )


def yolo_datumaro(path: Path) -> Iterator[Row]:
    """Datumaro's importer of YOLO text."""
    return datumaro_rows(path, "yolo")


def coco_parts(path: Path) -> Iterator[tuple[Path, Path]]:
    """Annotation file and image folder of each part of a data set."""
    for file in sorted((path / "annotations").glob("instances_*.json")):
        part = file.stem.removeprefix("instances_")
        yield file, path / "images" / ("" if part == "default" else part)


def coco_pycocotools(path: Path) -> Iterator[Row]:
    """Every row through annToMask, as evaluation of `segm` needs it."""
    from pycocotools.coco import COCO

    for file, _ in coco_parts(path):
        coco = COCO(str(file))
        for note in coco.loadAnns(coco.getAnnIds()):
            x, y, width, height = note["bbox"]
            image = coco.imgs[note["image_id"]]
            name = coco.cats[note["category_id"]]["name"]
            yield frame_of(image["file_name"]), name, x, y, x + width, y + height, encoded(coco.annToMask(note))


def coco_torchvision(path: Path) -> Iterator[Row]:
    """The targets of torchvision's second transforms."""
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2

    for file, images in coco_parts(path):
        plain = CocoDetection(str(images), str(file))
        dataset = wrap_dataset_for_transforms_v2(plain, target_keys="all")
        for number, image_id in enumerate(plain.ids):
            _, target = dataset[number]
            frame = frame_of(plain.coco.imgs[image_id]["file_name"])
            if "boxes" not in target:
                continue
            for box, mask, label in zip(target["boxes"], target["masks"], target["labels"], strict=True):
                yield frame, plain.coco.cats[int(label)]["name"], *map(float, box), encoded(mask.numpy())


def coco_datumaro(path: Path) -> Iterator[Row]:
    """Datumaro holds a row as a box and a mask of one group."""
    import datumaro

    found = datumaro.Dataset.import_from(str(path), "coco_instances")
    labels = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
    for item in found:
        groups: dict[int, dict[Any, Any]] = {}
        for note in item.annotations:
            groups.setdefault(note.group, {})[note.type] = note
        for group in groups.values():
            box = group[datumaro.AnnotationType.bbox]
            shape = group.get(datumaro.AnnotationType.mask)
            x, y, width, height = box.get_bbox()
            mask = encoded(shape.image) if shape is not None else None
            yield frame_of(item.id), labels[box.label], x, y, x + width, y + height, mask


def coco_supervision(path: Path) -> Iterator[Row]:
    """supervision's data set of COCO."""
    import supervision

    for file, images in coco_parts(path):
        yield from supervision_rows(supervision.DetectionDataset.from_coco(str(images), str(file), force_masks=True))


def voc_supervision(path: Path) -> Iterator[Row]:
    """supervision's data set of Pascal VOC."""
    import supervision

    yield from supervision_rows(
        supervision.DetectionDataset.from_pascal_voc(str(path / "JPEGImages"), str(path / "Annotations"))
    )


def voc_datumaro(path: Path) -> Iterator[Row]:
    """Datumaro's importer of Pascal VOC."""
    return datumaro_rows(path, "voc_detection")


def mot_trackeval(path: Path) -> Iterator[Row]:
    """TrackEval's reader of MOTChallenge results."""
    import trackeval

    rows, _ = trackeval.datasets.MotChallenge2DBox._load_simple_text_file(str(path))
    for frame, found in rows.items():
        for cells in found:
            x, y, width, height = map(float, cells[2:6])
            yield int(frame) - 1, "", x, y, x + width, y + height, None


def mots_trackeval(path: Path) -> Iterator[Row]:
    """TrackEval's reader of MOTS results, with its names of the classes."""
    import trackeval

    names = {1: "car", 2: "person"}
    rows, _ = trackeval.datasets.MOTSChallenge._load_simple_text_file(str(path), force_delimiters=" ")
    from pycocotools import mask as coco_mask

    for frame, found in rows.items():
        for cells in found:
            code = {"size": [int(cells[3]), int(cells[4])], "counts": cells[5].encode()}
            x, y, width, height = map(float, coco_mask.toBbox(code))
            yield int(frame) - 1, names.get(int(cells[2]), ""), x, y, x + width, y + height, cells[5]


def kitti_trackeval(path: Path) -> Iterator[Row]:
    """TrackEval's reader of KITTI results, with its names of the classes."""
    import trackeval

    names = {"car": "car", "pedestrian": "person", "truck": "truck"}
    rows, _ = trackeval.datasets.Kitti2DBox._load_simple_text_file(str(path), time_col=0, id_col=1)
    for frame, found in rows.items():
        for cells in found:
            x1, y1, x2, y2 = map(float, cells[6:10])
            yield int(frame), names.get(cells[2].lower(), ""), x1, y1, x2, y2, None


def labelstudio_sdk(path: Path) -> Iterator[Row]:
    """Each region through the SDK's model of VideoRectangle."""
    from label_studio_sdk.label_interface.control_tags import VideoRectangleValue

    for task in json.loads(path.read_text()):
        for annotation in task["annotations"]:
            for region in annotation["result"]:
                value = VideoRectangleValue(**region["value"])
                width, height = region["original_width"], region["original_height"]
                for step in value.sequence:
                    x1, x2 = step.x * width / 100, (step.x + step.width) * width / 100
                    y1, y2 = step.y * height / 100, (step.y + step.height) * height / 100
                    yield step.frame - 1, value.labels[0], x1, y1, x2, y2, None


def table_rows(table: Any) -> Iterator[Row]:
    """The rows of a data frame with our columns."""
    for row in table.to_dict("records"):
        mask = row["segmentation"]
        code = json.loads(mask)["counts"] if isinstance(mask, str) and mask else None
        yield int(row["frame"]), row["class"], row["x1"], row["y1"], row["x2"], row["y2"], code


def csv_pandas(path: Path) -> Iterator[Row]:
    """A data frame of pandas."""
    import pandas

    return table_rows(pandas.read_csv(path))


def csv_duckdb(path: Path) -> Iterator[Row]:
    """A table of DuckDB, which guesses the columns' kinds."""
    import duckdb

    return table_rows(duckdb.read_csv(str(path)).df())


def parquet_pandas(path: Path) -> Iterator[Row]:
    """A data frame of pandas."""
    import pandas

    return table_rows(pandas.read_parquet(path))


def parquet_duckdb(path: Path) -> Iterator[Row]:
    """A table of DuckDB."""
    import duckdb

    return table_rows(duckdb.read_parquet(str(path)).df())


def jsonl_rows(lines: list[dict[str, Any]]) -> Iterator[Row]:
    """The objects of frames as JSON has them."""
    for line in lines:
        for item in line["objects"]:
            yield int(line["frame"]), item["class"], *item["bbox"], (item.get("segmentation") or {}).get("counts")


def jsonl_pandas(path: Path) -> Iterator[Row]:
    """The lines behind the header as pandas reads them."""
    import pandas

    table = pandas.read_json(io.StringIO("".join(path.open(encoding="utf-8").readlines()[1:])), lines=True)
    return jsonl_rows(table.to_dict("records"))


def jsonl_duckdb(path: Path) -> Iterator[Row]:
    """All lines as DuckDB reads them."""
    import duckdb

    table = duckdb.read_json(str(path), format="newline_delimited").df()
    return jsonl_rows([line for line in table.to_dict("records") if isinstance(line["objects"], list | np.ndarray)])


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "cvat_datumaro": cvat_datumaro,
    "cvat_fiftyone": cvat_fiftyone,
    "cvatimages_datumaro": cvatimages_datumaro,
    "cvatimages_fiftyone": cvatimages_fiftyone,
    "yolo_ultralytics": yolo_ultralytics,
    "yolo_supervision": yolo_supervision,
    "yolo_datumaro": yolo_datumaro,
    "coco_pycocotools": coco_pycocotools,
    "coco_torchvision": coco_torchvision,
    "coco_datumaro": coco_datumaro,
    "coco_supervision": coco_supervision,
    "voc_supervision": voc_supervision,
    "voc_datumaro": voc_datumaro,
    "mot_trackeval": mot_trackeval,
    "mots_trackeval": mots_trackeval,
    "kitti_trackeval": kitti_trackeval,
    "labelstudio_sdk": labelstudio_sdk,
    "csv_pandas": csv_pandas,
    "csv_duckdb": csv_duckdb,
    "parquet_pandas": parquet_pandas,
    "parquet_duckdb": parquet_duckdb,
    "jsonl_pandas": jsonl_pandas,
    "jsonl_duckdb": jsonl_duckdb,
}


def main() -> None:
    """Read one file with one program."""
    reader, path, out = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        rows = [[*row[:2], *map(float, row[2:6]), row[6]] for row in READERS[reader](Path(path))]
    Path(out).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
