"""Training data in the layout users already have, checked before anything is trained on it.

A data.yaml names folders (or text files that list images, or COCO JSON files) for `train`, `val` and `test` below
`path`, and the class `names`; each image has its rows `class cx cy w h` or `class x1 y1 x2 y2 ...` (relative) in a
text file where "images" in the path is "labels". A COCO JSON file may also stand alone. Five additions, all optional:

    labelled:                     folders (or files) that label only some classes; the others are ignored there,
      people/images: [person]     never taken for background. An empty list: nothing there is background.
    groups:                       names that stand for one of several classes, not known which
      vehicle: [car, bus, truck]
    validation_share: 0.15        where `val` is missing: set aside by a hash of the file name
    repeat:                       folders whose images come more than once in each epoch of training
      outlined/images: 3
    blend:                        a teacher's share of the truth where a folder labels; the labels have the rest
      photos/images: 0.5
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

from tracker.errors import ConfigError
from tracker.evaluate.ground_truth import DataSet, Outline, Sample
from tracker.formats.core.fill import fill_outlines
from tracker.formats.core.rle import Rle, rle_to_window
from tracker.formats.core.yolo_layout import labels_without_image
from tracker.image_file import IMAGE_SUFFIXES, decode_image
from tracker.train.data.data_yaml import Description, read_description
from tracker.train.data.labels import DataCheck, Entry, Row, read_coco, read_rows

__all__ = ["MASK_SIZE", "DataCheck", "draw_box_masks", "load_data", "set_aside"]

log = logging.getLogger(__name__)

MASK_SIZE = 64
"""Cells per side of a mask stretched over its object's box."""
SAMPLES = 2
"""Points per side of a cell that tell how much of it is covered."""


def set_aside(name: str, share: float) -> bool:
    """Whether a file of that name belongs to the validation part; hangs on the name alone."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return digest < share * 2**32


def load_data(path: Path, *, keep_images: bool = False) -> tuple[dict[str, DataSet], DataCheck]:
    """The splits a data.yaml (or one COCO JSON file) describes, with whatever cannot be used left out and counted.

    One warning says what was left out. Refused outright: a description that makes no sense, and a split in which
    nothing is left.
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
                blend = next((share for place, share in description.blend.items() if entry.is_from(place)), 0.0)
                samples += [replace(sample, blend=blend)] * (times if split == "train" else 1)
        if not samples:
            raise ConfigError(f"{path}: no usable image in {split!r}.\n{check.report()}")
        result[split] = DataSet(tuple(samples), labels, names, description.groups)
    if check.counts:
        log.warning("%s: left out of the data:\n%s", path, check.report())
    return result, check


def read_splits(description: Description, check: DataCheck) -> dict[str, list[Entry]]:
    """The images of each split; a share of the training images stands in for a missing `val`."""
    missing = [source for source in description.splits.get("test", ()) if not (description.root / source).exists()]
    for source in missing:  # Roboflow names a folder for test also where no image went there
        check.note("folder of 'test' that is not there, left out", description.root / source)
    splits = {
        split: list_images(description, [source for source in sources if source not in missing], check)
        for split, sources in description.splits.items()
    }
    splits = {split: entries for split, entries in splits.items() if entries or split != "test"}
    folders = {description.root / source for sources in description.splits.values() for source in sources}
    for file in sorted({file for place in folders if place.is_dir() for file in labels_without_image(place)}):
        check.note("label file without its image", file)
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
            images = sorted(image for image in place.rglob("*") if is_wanted(image))
            found += [Entry(image, place, None, keypoints=description.keypoints) for image in images]
        elif place.suffix == ".txt" and place.is_file():
            lines = (line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines())
            listed = [find_listed(line, place, root) for line in lines if line]
            found += [Entry(image, place, None, keypoints=description.keypoints) for image in listed]
        elif place.suffix == ".json" and place.is_file():
            found += read_coco(place, root, description.names, check)
        else:
            raise ConfigError(
                f"{description.path}: {place} is neither a folder of images, nor a .txt list, nor a COCO .json file."
            )
    return found


def is_wanted(file: Path) -> bool:
    """Whether it is an image, and not what a system leaves beside its files."""
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")


def find_listed(line: str, place: Path, root: Path) -> Path:
    """The image that a line of a text file names, below the data's path or beside the file."""
    beside = place.parent / line
    return beside if not (root / line).is_file() and beside.is_file() else root / line


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
    image = decode_image(content).pixels
    if image is None:
        check.note("image cannot be decoded, skipped", path)
        return None
    height, width = image.shape[:2]
    if entry.size not in (None, (width, height)):
        check.note("image of another size (or turned) than its COCO file says, skipped", path)
        return None
    rows = read_rows(entry, width, height, len(numbers), check) if entry.rows is None else entry.rows
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
        if isinstance(row.outline, dict) and row.outline["size"] != [height, width]:
            check.note("mask of another size than its image, kept as a box", row.place)
            row = row._replace(outline=None)
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
        image if keep_image else None,
        np.array([numbers[row.name] for row, _ in ignored], np.int64),
    )


def draw_box_masks(sample: Sample) -> tuple[UInt8[ndarray, "n m m"], ndarray]:
    """(coverage 0..255 stretched over each box, which objects have a mask)."""
    masks = np.zeros((len(sample.boxes), MASK_SIZE, MASK_SIZE), np.uint8)
    has_mask = np.array([shape is not None for shape in sample.polygons], bool)
    for row, (box, shape) in enumerate(zip(sample.boxes, sample.polygons, strict=True)):
        if shape is not None:
            fine = _run_length_samples(shape, box) if isinstance(shape, dict) else _outline_samples(shape, box)
            whole = fine.view(np.uint8) * np.uint8(255)
            masks[row] = cv2.resize(whole, (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA)
    return masks, has_mask


def _outline_samples(outline: Outline, box: Float32[ndarray, " 4"]) -> Bool[ndarray, "f f"]:
    """Which points of a fine grid over the box lie in one of the outlines: together they are one object."""
    side = MASK_SIZE * SAMPLES
    scale = side / (box[2:] - box[:2])
    parts = [fill_outlines([(part - box[:2]) * scale], width=side, height=side) for part in outline]
    covered: ndarray = np.logical_or.reduce(parts)
    return covered


def _run_length_samples(code: Rle, box: Float32[ndarray, " 4"]) -> Bool[ndarray, "f f"]:
    """Which points of a fine grid over the box lie in a covered pixel."""
    (down, across), covered = rle_to_window(code)
    side = MASK_SIZE * SAMPLES
    at = (np.arange(side)[:, None] + 0.5) / side * (box[2:] - box[:2]) + box[:2]
    columns, rows = np.floor(at).astype(int).T - np.array([[across.start], [down.start]])
    framed = np.pad(covered, 1)
    seen = framed[np.clip(rows + 1, 0, framed.shape[0] - 1)]
    chosen: ndarray = seen[:, np.clip(columns + 1, 0, framed.shape[1] - 1)]
    return chosen
