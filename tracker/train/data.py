"""Training data in the layout users already have, checked before anything is trained on it.

A data.yaml names folders (or text files that list images, or COCO JSON files) for `train`, `val` and `test` below
`path`, and the class `names`; each image has its rows `class cx cy w h` or `class x1 y1 x2 y2 ...` (relative) in a
text file where "images" in the path is "labels". A COCO JSON file may also stand alone. Four additions, all optional:

    labelled:                     folders that label only some classes; the other classes are ignored there,
      people/images: [person]     never taken for background. An empty list: nothing there is background.
    groups:                       names that stand for one of several classes, not told which
      vehicle: [car, bus, truck]
    validation_share: 0.15        where `val` is missing: set aside by a hash of the file name
    repeat:                       folders whose images come more than once in each epoch of training
      outlined/images: 3
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.errors import ConfigError
from tracker.evaluate.truth import DataSet, Outline, Sample

__all__ = ["MASK_SIZE", "DataCheck", "draw_box_masks", "load_data", "set_aside"]

log = logging.getLogger(__name__)

MASK_SIZE = 64
"""Cells per side of a mask stretched over its object's box."""
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


@dataclass
class DataCheck:
    """What was found wrong, counted, with the first places of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, place: object) -> None:
        self.counts[kind] += 1
        known = self.places.setdefault(kind, [])
        if len(known) < 5:
            known.append(str(place))

    def report(self) -> str:
        """One line per kind of trouble; empty when there was none."""
        return "\n".join(
            f"{count} x {kind}: {', '.join(self.places[kind])}{', ...' if count > len(self.places[kind]) else ''}"
            for kind, count in sorted(self.counts.items())
        )


def set_aside(name: str, share: float) -> bool:
    """Whether a file of that name belongs to the validation part; hangs on the name alone."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return digest < share * 2**32


class Row(NamedTuple):
    """One object as a label file gives it, in pixels."""

    name: int
    """Number in the file's `names`; -1 for a region to be ignored."""
    box: Float32[ndarray, " 4"]
    outline: Outline | None


class Entry(NamedTuple):
    """An image of a split, before it is looked at."""

    image: Path
    rows: list[Row] | None
    """None: in a text file beside the image."""


def load_data(path: Path, *, keep_images: bool = False) -> tuple[dict[str, DataSet], DataCheck]:
    """The splits a data.yaml (or one COCO JSON file) describes, with whatever cannot be used left out and counted.

    Refused outright: a file without `names` or `train`, unknown classes in `labelled` or `groups`, and a split
    in which nothing is left.
    """
    description = read_description(path)
    names = read_names(description["names"])
    groups = {str(k): tuple(map(str, v)) for k, v in (description.get("groups") or {}).items()}
    labels = tuple(name for name in names if name not in groups)
    for where, members in (*groups.items(), *(description.get("labelled") or {}).items()):
        unknown = [member for member in members if member not in labels]
        if unknown:
            raise ConfigError(f"{path}: {where!r} lists the unknown class {unknown[0]!r}. Known: {', '.join(labels)}.")
    root = path.parent / str(description.get("path") or ".")
    check = DataCheck()
    splits = read_splits(description, root, names, path, check)
    labelled = {
        root / folder: tuple(labels.index(name) for name in classes)
        for folder, classes in (description.get("labelled") or {}).items()
    }
    seen: dict[bytes, str] = {}
    result: dict[str, DataSet] = {}
    for split in ("test", "val", "train"):  # what is judged by keeps its images, what is trained on gives way
        if split not in splits:
            continue
        if split == "train" and description["train"] == description.get("val"):
            check.note("split used for training and for validation alike", path)
            seen.clear()
        samples = []
        for entry in splits[split]:
            known = next((labels for folder, labels in labelled.items() if entry.image.is_relative_to(folder)), None)
            every = tuple(range(len(labels)))
            content = read_image(entry.image, check)
            if content is None or not is_new(entry.image, content, split, seen, check):
                continue
            labelled_here = every if known is None else known
            sample = read_sample(entry, content, labelled_here, len(names), check, keep_image=keep_images)
            if sample is not None:
                samples.append(sample)
        if not samples:
            raise ConfigError(f"{path}: no usable image in {split!r}.\n{check.report()}")
        if split == "train":
            samples = [sample for sample in samples for _ in range(repeats(sample.path, root, description))]
        result[split] = DataSet(tuple(samples), labels, names, groups)
    return result, check


def read_description(path: Path) -> dict[str, Any]:
    """The content of a data.yaml, or what stands for it when a COCO JSON file is given alone."""
    try:
        if path.suffix == ".json":
            categories = json.loads(path.read_text())["categories"]
            names = [str(category["name"]) for category in sorted(categories, key=lambda category: category["id"])]
            return {"train": path.name, "names": names, "validation_share": 0.15}
        description = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as a data.yaml or COCO JSON file ({error}).") from error
    if not isinstance(description, dict) or "names" not in description or "train" not in description:
        raise ConfigError(f"{path}: expected the keys path, train, val and names, found {describe(description)}.")
    return description


def read_splits(
    description: Mapping[str, Any], root: Path, names: Sequence[str], path: Path, check: DataCheck
) -> dict[str, list[Entry]]:
    """The images of each split; a share of the training images stands in for a missing `val`."""
    splits = {
        split: list_images(root, description[split], names, path, check)
        for split in ("train", "val", "test")
        if description.get(split)
    }
    share = float(description.get("validation_share") or 0.0)
    if "val" not in splits and share > 0:
        whole = splits["train"]
        aside = [entry for entry in whole if set_aside(entry.image.name, share)]
        if aside:
            splits["val"] = aside
            splits["train"] = [entry for entry in whole if not set_aside(entry.image.name, share)]
        else:
            check.note("too few images to set some aside for validation", path)
    return splits


def repeats(image: Path, root: Path, description: Mapping[str, Any]) -> int:
    """How often an image comes in an epoch."""
    for folder, times in (description.get("repeat") or {}).items():
        if image.is_relative_to(root / folder):
            return int(times)
    return 1


def describe(content: Any) -> str:
    return ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__


def read_names(names: Any) -> tuple[str, ...]:
    """Class names given as a list or as number: name."""
    if isinstance(names, dict):
        return tuple(str(names[number]) for number in sorted(names))
    return tuple(map(str, names))


def list_images(
    root: Path, entries: str | Sequence[str], names: Sequence[str], path: Path, check: DataCheck
) -> list[Entry]:
    """Images of folders (sorted inside each), of text files listing them, and of COCO JSON files."""
    found: list[Entry] = []
    for entry in [entries] if isinstance(entries, str) else entries:
        place = root / entry
        if place.is_dir():
            images = sorted(image for image in place.rglob("*") if image.suffix.lower() in IMAGE_SUFFIXES)
            found += [Entry(image, None) for image in images]
        elif place.suffix == ".txt" and place.is_file():
            lines = (line.strip() for line in place.read_text().splitlines())
            found += [Entry(root / line, None) for line in lines if line]
        elif place.suffix == ".json" and place.is_file():
            found += read_coco(place, root, names, check)
        else:
            raise ConfigError(f"{path}: {place} is neither a folder of images, nor a .txt list, nor a COCO .json file.")
    return found


def read_coco(path: Path, root: Path, names: Sequence[str], check: DataCheck) -> list[Entry]:
    """The images of a COCO JSON file with their objects; crowds become regions to be ignored."""
    try:
        content = json.loads(path.read_text())
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        rows: dict[Any, list[Row]] = {image["id"]: [] for image in content["images"]}
        for number, note in enumerate(content["annotations"]):
            name = categories.get(note["category_id"])
            if note["image_id"] not in rows or name not in names:
                check.note("annotation of an unknown image or class, skipped", f"{path}: annotation {number}")
                continue
            left, top, width, height = note["bbox"]
            box = np.array((left, top, left + width, top + height), np.float32)
            row = -1 if note.get("iscrowd") else names.index(name)
            rows[note["image_id"]].append(Row(row, box, read_segmentation(note.get("segmentation"))))
        return [
            Entry(find_image(str(image["file_name"]), path, root), rows[image["id"]]) for image in content["images"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a COCO file with images, annotations and categories ({error!r}).") from error


def read_segmentation(segmentation: Any) -> Outline | None:
    """Polygons of a COCO annotation; run-length codes are kept as boxes only."""
    if not isinstance(segmentation, list):
        return None
    parts = tuple(np.array(part, np.float32).reshape(-1, 2) for part in segmentation if len(part) >= 6)
    return parts or None


def find_image(name: str, path: Path, root: Path) -> Path:
    """Where a COCO file's image lies: beside the file, in an images folder near it, or below the data's path."""
    near = [path.parent, path.parent / "images", path.parent.parent / "images", path.parent.parent, root]
    return next((folder / name for folder in near if (folder / name).is_file()), path.parent / name)


def read_image(path: Path, check: DataCheck) -> bytes | None:
    """The content of an image file; None, and noted, where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        check.note("missing image, skipped", path)
        return None


def is_new(path: Path, content: bytes, split: str, seen: dict[bytes, str], check: DataCheck) -> bool:
    """Whether no image with the same content came before; notes it otherwise."""
    digest = hashlib.sha256(content).digest()
    if digest not in seen:
        seen[digest] = split
        return True
    again = "twice in" if seen[digest] == split else f"of {seen[digest]} again in"
    check.note(f"image {again} {split}, skipped", path)
    return False


def read_sample(
    entry: Entry, content: bytes, labelled: tuple[int, ...], class_count: int, check: DataCheck, *, keep_image: bool
) -> Sample | None:
    """One image with its objects, or None where it cannot be used; troubles go into `check`."""
    path = entry.image
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if picture is None:
        check.note("image cannot be decoded, skipped", path)
        return None
    height, width = picture.shape[:2]
    place = label_path(path)
    rows = read_rows(place, width, height, class_count, check) if entry.rows is None else entry.rows
    objects, ignored = [], []
    for row in rows:
        inside = np.clip(row.box, 0, (width, height, width, height))
        if not np.isfinite(row.box).all() or (inside[2:] - inside[:2] < 1.0).any():
            check.note("empty box or box outside the image, skipped", place if entry.rows is None else path)
            continue
        if np.abs(inside - row.box).max() > 1.0:
            check.note("box reaching outside the image, clipped", place if entry.rows is None else path)
        if row.name < 0:
            ignored.append(inside)
        else:
            objects.append((row, inside))
    return Sample(
        path,
        width,
        height,
        np.array([inside for _, inside in objects], np.float32).reshape(-1, 4),
        np.array([row.name for row, _ in objects], np.int64),
        tuple(row.outline for row, _ in objects),
        labelled,
        np.array(ignored, np.float32).reshape(-1, 4),
        picture if keep_image else None,
    )


def label_path(image: Path) -> Path:
    """The text file beside an image: the last folder named images becomes labels."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_rows(path: Path, width: int, height: int, class_count: int, check: DataCheck) -> list[Row]:
    """The objects of one text file; no file means no objects."""
    rows = []
    lines = path.read_text().splitlines() if path.is_file() else []
    size = np.array((width, height), np.float32)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            name, *rest = (float(part) for part in line.split())
        except ValueError:
            check.note("row that is not numbers, skipped", place)
            continue
        if name not in range(class_count):
            check.note("wrong class number, row skipped", place)
            continue
        values = np.array(rest, np.float32)
        if len(values) == 4:
            centre, extent = values[:2] * size, values[2:] * size
            rows.append(Row(int(name), np.concatenate((centre - extent / 2, centre + extent / 2)), None))
        elif len(values) >= 6 and len(values) % 2 == 0:
            outline = values.reshape(-1, 2) * size
            box = np.concatenate((outline.min(axis=0), outline.max(axis=0)))
            rows.append(Row(int(name), box, (outline,)))
        else:
            check.note("row of a wrong length, skipped", place)
    return rows


def draw_box_masks(sample: Sample) -> tuple[UInt8[ndarray, "n m m"], ndarray]:
    """(coverage 0..255 stretched over each box, which objects have an outline)."""
    masks = np.zeros((len(sample.boxes), MASK_SIZE, MASK_SIZE), np.uint8)
    has_mask = np.zeros(len(sample.boxes), bool)
    bits = 4
    for row, (box, outline) in enumerate(zip(sample.boxes, sample.polygons, strict=True)):
        if outline is None:
            continue
        scale = MASK_SIZE / (box[2:] - box[:2])
        parts = [np.round(((part - box[:2]) * scale - 0.5) * 2**bits).astype(np.int32) for part in outline]
        cv2.fillPoly(masks[row], parts, 255, lineType=cv2.LINE_AA, shift=bits)
        has_mask[row] = True
    return masks, has_mask
