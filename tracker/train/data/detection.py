"""Training data in the layout users already have, checked before anything is trained on it.

A data.yaml names folders (or text files that list images, or COCO JSON files) for `train`, `val` and `test` below
`path`, and the class `names`; each image has its rows `class cx cy w h` or `class x1 y1 x2 y2 ...` (relative) in a
text file where "images" in the path is "labels". A COCO JSON file may also stand alone. Four additions, all optional:

    labelled:                     folders (or files) that label only some classes; the others are ignored there,
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
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.errors import ConfigError, FormatError
from tracker.evaluate.ground_truth import DataSet, Outline, Sample
from tracker.formats.core.polygons import to_outlines
from tracker.formats.core.rle import runs_to_text
from tracker.image_file import IMAGE_SUFFIXES, decode_image
from tracker.train.data.data_yaml import Description, read_description

__all__ = ["MASK_SIZE", "DataCheck", "draw_box_masks", "load_data", "set_aside"]

log = logging.getLogger(__name__)

MASK_SIZE = 64
"""Cells per side of a mask stretched over its object's box."""


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
    """Number in the file's `names`."""
    box: Float32[ndarray, " 4"]
    outline: Outline | None
    place: str
    """File and line, or file and annotation."""
    crowd: bool = False
    """A region to be ignored."""


class Entry(NamedTuple):
    """An image of a split, before it is looked at."""

    image: Path
    source: Path
    """The folder, list or COCO file that named it."""
    rows: list[Row] | None
    """None: in a text file beside the image."""
    size: tuple[int, int] | None = None
    """Width and height that the rows are meant for, where the file tells them."""

    def is_from(self, place: Path) -> bool:
        """Whether the image lies in that folder, or was named by that file."""
        return self.source == place or self.image.is_relative_to(place)


def load_data(path: Path, *, keep_images: bool = False) -> tuple[dict[str, DataSet], DataCheck]:
    """The splits a data.yaml (or one COCO JSON file) describes, with whatever cannot be used left out and counted.

    Refused outright: a description that makes no sense, and a split in which nothing is left.
    """
    description = read_description(path)
    labels, names = description.labels, (*description.labels, *description.groups)
    numbers = [names.index(name) for name in description.names]
    check = DataCheck()
    splits = read_splits(description, check)
    labelled = {place: tuple(map(labels.index, classes)) for place, classes in description.labelled.items()}
    every = tuple(range(len(labels)))
    seen: dict[bytes, str] = {}
    result: dict[str, DataSet] = {}
    for split in ("test", "val", "train"):  # what is judged by keeps its images, what is trained on gives way
        if split not in splits:
            continue
        if split == "train" and description.splits["train"] == description.splits.get("val"):
            check.note("split used for training and for validation alike", path)
            seen.clear()
        samples = []
        for entry in splits[split]:
            content = read_image(entry.image, check)
            if content is None or not is_new(entry.image, content, split, seen, check):
                continue
            known = next((labelled[place] for place in labelled if entry.is_from(place)), every)
            sample = read_sample(entry, content, known, numbers, check, keep_image=keep_images)
            if sample is not None:
                times = next((n for place, n in description.repeat.items() if entry.is_from(place)), 1)
                samples += [sample] * (times if split == "train" else 1)
        if not samples:
            raise ConfigError(f"{path}: no usable image in {split!r}.\n{check.report()}")
        result[split] = DataSet(tuple(samples), labels, names, description.groups)
    return result, check


def read_splits(description: Description, check: DataCheck) -> dict[str, list[Entry]]:
    """The images of each split; a share of the training images stands in for a missing `val`."""
    splits = {split: list_images(description, sources, check) for split, sources in description.splits.items()}
    share = description.validation_share
    if "val" not in splits and share > 0:
        whole = splits["train"]
        aside = [entry for entry in whole if set_aside(entry.image.name, share)]
        if aside:
            splits["val"] = aside
            splits["train"] = [entry for entry in whole if not set_aside(entry.image.name, share)]
        else:
            check.note("too few images to set some aside for validation", description.path)
    return splits


def list_images(description: Description, sources: Sequence[str], check: DataCheck) -> list[Entry]:
    """Images of folders (sorted inside each), of text files listing them, and of COCO JSON files."""
    root = description.root
    found: list[Entry] = []
    for source in sources:
        place = root / source
        if place.is_dir():
            images = sorted(image for image in place.rglob("*") if image.suffix.lower() in IMAGE_SUFFIXES)
            found += [Entry(image, place, None) for image in images]
        elif place.suffix == ".txt" and place.is_file():
            lines = (line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines())
            found += [Entry(find_listed(line, place, root), place, None) for line in lines if line]
        elif place.suffix == ".json" and place.is_file():
            found += read_coco(place, root, description.names, check)
        else:
            raise ConfigError(
                f"{description.path}: {place} is neither a folder of images, nor a .txt list, nor a COCO .json file."
            )
    return found


def find_listed(line: str, place: Path, root: Path) -> Path:
    """The image that a line of a text file names, below the data's path or beside the file."""
    beside = place.parent / line
    return beside if not (root / line).is_file() and beside.is_file() else root / line


def read_coco(path: Path, root: Path, names: Sequence[str], check: DataCheck) -> list[Entry]:
    """The images of a COCO JSON file with their objects; crowds become regions to be ignored."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        rows: dict[Any, list[Row]] = {image["id"]: [] for image in content["images"]}
        for number, note in enumerate(content["annotations"]):
            name, place = categories.get(note["category_id"]), f"{path}: annotation {number}"
            if note["image_id"] not in rows or name not in names:
                check.note("annotation of an unknown image or class, skipped", place)
                continue
            left, top, width, height = note["bbox"]
            box = np.array((left, top, left + width, top + height), np.float32)
            crowd = bool(note.get("iscrowd"))
            outline = None if crowd else read_segmentation(note.get("segmentation"), place, check)
            rows[note["image_id"]].append(Row(names.index(name), box, outline, place, crowd))
        return [
            Entry(find_image(str(image["file_name"]), path, root), path, rows[image["id"]], stated_size(image))
            for image in content["images"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a COCO file with images, annotations and categories ({error!r}).") from error


def stated_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height that a COCO file gives an image."""
    width, height = int(image.get("width") or 0), int(image.get("height") or 0)
    return (width, height) if width > 0 and height > 0 else None


def read_segmentation(segmentation: Any, place: str, check: DataCheck) -> Outline | None:
    """Polygons of a COCO annotation, or those around the pixels of a run-length code (holes are filled)."""
    try:
        if isinstance(segmentation, dict):
            (height, width), counts = segmentation["size"], segmentation["counts"]
            text = counts if isinstance(counts, str) else runs_to_text(np.array(counts, np.int64))
            segmentation = to_outlines(text, width=width, height=height)
        parts = [np.array(part, np.float32).reshape(-1, 2) for part in segmentation or () if len(part) >= 6]
    except (FormatError, KeyError, TypeError, ValueError):
        check.note("mask that cannot be read, kept as a box", place)
        return None
    return tuple(parts) or None


def find_image(name: str, path: Path, root: Path) -> Path:
    """Where a COCO file's image lies: beside the file, in an images folder near it, or below the data's path.

    There or in a folder called like a part of the file's name: train2017 for instances_train2017.json.
    """
    near = [path.parent, path.parent / "images", path.parent.parent / "images", path.parent.parent, root]
    places = (folder / part / name for part in ("", *path.stem.split("_")) for folder in near)
    return next((place for place in places if place.is_file()), path.parent / name)


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
    entry: Entry,
    content: bytes,
    labelled: tuple[int, ...],
    numbers: Sequence[int],
    check: DataCheck,
    *,
    keep_image: bool,
) -> Sample | None:
    """One image with its objects, or None where it cannot be used; troubles go into `check`.

    `numbers` has a class's number in the data set for each that the file may give.
    """
    path = entry.image
    picture = decode_image(content).pixels
    if picture is None:
        check.note("image cannot be decoded, skipped", path)
        return None
    height, width = picture.shape[:2]
    if entry.size not in (None, (width, height)):
        check.note("image of another size (or turned) than its COCO file says, skipped", path)
        return None
    rows = read_rows(label_path(path), width, height, len(numbers), check) if entry.rows is None else entry.rows
    if rows is None:
        return None
    objects: list[tuple[Row, ndarray]] = []
    ignored: list[tuple[Row, ndarray]] = []
    known: set[tuple[int, bool, bytes]] = set()
    for row in rows:
        inside = np.clip(row.box, 0, (width, height, width, height))
        if not np.isfinite(row.box).all() or (inside[2:] - inside[:2] < 1.0).any():
            check.note("empty box or box outside the image, skipped", row.place)
            continue
        if (row.name, row.crowd, row.box.tobytes()) in known:
            check.note("same box twice, skipped", row.place)
            continue
        known.add((row.name, row.crowd, row.box.tobytes()))
        if np.abs(inside - row.box).max() > 1.0:
            check.note("box reaching outside the image, clipped", row.place)
        (ignored if row.crowd else objects).append((row, inside))
    return Sample(
        path,
        width,
        height,
        np.array([inside for _, inside in objects], np.float32).reshape(-1, 4),
        np.array([numbers[row.name] for row, _ in objects], np.int64),
        tuple(row.outline for row, _ in objects),
        labelled,
        np.array([inside for _, inside in ignored], np.float32).reshape(-1, 4),
        picture if keep_image else None,
        np.array([numbers[row.name] for row, _ in ignored], np.int64),
    )


def label_path(image: Path) -> Path:
    """The text file beside an image: the last folder named images becomes labels."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_rows(path: Path, width: int, height: int, class_count: int, check: DataCheck) -> list[Row] | None:
    """The objects of one text file; no file means no objects, and one that cannot be read gives None."""
    rows = []
    if not path.exists():
        check.note("image without a label file, taken for background", path)
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        check.note("label file cannot be read, image skipped", path)
        return None
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
            rows.append(Row(int(name), np.concatenate((centre - extent / 2, centre + extent / 2)), None, place))
        elif len(values) >= 6 and len(values) % 2 == 0:
            outline = values.reshape(-1, 2) * size
            box = np.concatenate((outline.min(axis=0), outline.max(axis=0)))
            rows.append(Row(int(name), box, (outline,), place))
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
        for part in parts:  # one by one: filled together, what two of them share would be a hole
            cv2.fillPoly(masks[row], [part], 255, lineType=cv2.LINE_AA, shift=bits)
        has_mask[row] = True
    return masks, has_mask
