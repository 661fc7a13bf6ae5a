"""The labels of training images: rows of text files and annotations of COCO files, what cannot be used counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.errors import ConfigError, FormatError
from tracker.evaluate.ground_truth import ObjectMask
from tracker.formats.core.coco_content import Id, box_of, coco_categories, coco_id, coco_mask, entries, is_crowd
from tracker.formats.core.content import Polygons
from tracker.formats.core.image_names import find_image, relative_parts
from tracker.formats.core.parsing import as_mapping, as_text, read_json
from tracker.formats.core.rle import Rle, rle_to_window
from tracker.formats.core.yolo_layout import label_path
from tracker.formats.core.yolo_rows import RowError, layout_of, take_apart

__all__ = ["DataCheck", "Entry", "Row", "read_coco", "read_rows"]

OTHER_LABELS = (".xml", ".json")
"""Suffixes of label files beside images that other programs than those of YOLO write."""


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


class Row(NamedTuple):
    """One object as a label file gives it, in pixels."""

    name: int
    """Number in the file's `names`."""
    box: Float32[ndarray, " 4"]
    outline: ObjectMask | None
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
    """Width and height that the rows are meant for, where the file gives them."""
    keypoints: int = 0
    """Values of a pose behind each box of the text file."""

    def is_from(self, place: Path) -> bool:
        """Whether the image lies in that folder, or was named by that file."""
        return self.source == place or self.image.is_relative_to(place)


def read_rows(entry: Entry, width: int, height: int, class_count: int, check: DataCheck) -> list[Row] | None:
    """The objects of an image's text file; no file means no objects, and one that cannot be read gives None."""
    path = label_path(entry.image)
    if not path.exists():
        other = next((file for end in OTHER_LABELS if (file := entry.image.with_suffix(end)).is_file()), None)
        if other is not None:
            check.note("image whose labels are of another kind, skipped; `convert` makes text of them", other)
            return None
        check.note("image without a label file, taken for background", path)
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        check.note("label file cannot be read, image skipped", path)
        return None
    table = [(f"{path}:{number}", cells) for number, line in enumerate(lines, 1) if (cells := line.split())]
    layout = layout_of((cells for _, cells in table), keypoints=entry.keypoints)
    size = np.array((width, height), np.float32)
    rows = []
    for place, cells in table:
        try:
            row = take_apart(cells, layout)
        except RowError as error:
            check.note(f"row {error.kind}, skipped", place)
            continue
        if row.class_id not in range(class_count):
            check.note("row with a wrong class number, skipped", place)
            continue
        if row.keypoints:
            check.note("row of a pose, its box is used", place)
        elif row.track_id is not None or row.score == row.score:
            check.note("row with a score or track id behind it, used without", place)
        if row.box is not None:
            centre, extent = np.array(row.box[:2], np.float32) * size, np.array(row.box[2:], np.float32) * size
            box = np.concatenate((centre - extent / 2, centre + extent / 2))
            rows.append(Row(row.class_id, box, None, place))
        else:
            outline = np.array(row.outline, np.float32).reshape(-1, 2) * size
            box = np.concatenate((outline.min(axis=0), outline.max(axis=0)))
            rows.append(Row(row.class_id, box, (outline,), place))
    return rows


def read_coco(path: Path, root: Path, names: Sequence[str], check: DataCheck) -> list[Entry]:
    """The images of a COCO JSON file with their objects; crowds become regions to be ignored."""
    try:
        content = as_mapping(read_json(path), "file", path)
        categories = coco_categories(content, path)
        images = entries(content, "images", path)
        ids = [coco_id(image.get("id"), f"images[{row}].id", path) for row, image in enumerate(images)]
        file_names = [
            as_text(image.get("file_name"), f"images[{row}].file_name", path) for row, image in enumerate(images)
        ]
        notes = entries(content, "annotations", path)
    except FormatError as error:
        raise ConfigError(f"{error}. Expected a COCO file with images, annotations and categories.") from error
    if len(set(ids)) < len(ids):
        twice = next(own for place, own in enumerate(ids) if own in ids[:place])
        raise ConfigError(f"{path}: two images have the id {twice!r}. Give each its own.")
    for name in categories.passed_over:
        check.note("category without objects that only groups others, not learnt", f"{path}: {name}")
    rows: dict[Id, list[Row]] = {own: [] for own in ids}
    for number, note in enumerate(notes):
        place = f"{path}: annotation {number}"
        try:
            image = coco_id(note.get("image_id"), "image_id", path)
            category = categories.rows.get(coco_id(note.get("category_id"), "category_id", path))
            if image not in rows or category is None or categories.names[category] not in names:
                check.note("annotation of an unknown image or class, skipped", place)
                continue
            rows[image].append(_row(note, names.index(categories.names[category]), place, check))
        except FormatError as error:
            check.note("annotation that cannot be read, skipped", f"{place} ({str(error).removeprefix(f'{path}: ')})")
    found = _found_images(file_names, path, root, check)
    return [
        Entry(file, path, rows[own], stated_size(image))
        for own, image, file in zip(ids, images, found, strict=True)
        if file is not None
    ]


def _row(note: Mapping[str, Any], name: int, place: str, check: DataCheck) -> Row:
    """The object of an annotation. Raises FormatError where its box cannot be read."""
    mask: Rle | Polygons | None = None
    try:
        mask = coco_mask(note.get("segmentation"), "annotation", "mask")
        if isinstance(mask, dict):
            rle_to_window(mask)
    except FormatError:
        mask = None
        if not is_crowd(note):
            check.note("mask that cannot be read, kept as a box", place)
    left, top, width, height = box_of(note.get("bbox"), mask, "annotation", "box")
    box = np.array((left, top, left + width, top + height), np.float32)
    if is_crowd(note):
        check.note("crowd (iscrowd: 1), ignored in its region; where it is one object, write 0", place)
        return Row(name, box, None, place, crowd=True)
    if isinstance(mask, tuple):
        return Row(name, box, tuple(np.array(part, np.float32).reshape(-1, 2) for part in mask), place)
    return Row(name, box, mask, place)


def stated_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height that a COCO file gives an image; None where it gives none that can be read."""
    sides = [image.get(side) for side in ("width", "height")]
    if not all(isinstance(side, int | float) and 0 < side < 2**31 for side in sides):
        return None
    width, height = (int(side) for side in sides if side is not None)
    return width, height


def _found_images(names: Sequence[str], path: Path, root: Path, check: DataCheck) -> list[Path | None]:
    """Where a COCO file's images lie: beside the file, in an images folder near it, or below the data's path.

    There or in a folder called like a part of the file's name: train2017 for instances_train2017.json. One whose name
    was written elsewhere is found by its last parts, where no other image is meant by them too: else it is None.
    """
    near = [path.parent, path.parent / "images", path.parent.parent / "images", path.parent.parent, root]
    folders = [folder / part for part in ("", *path.stem.split("_")) for folder in near]
    found: list[Path | None] = [find_image(name, folders) for name in names]
    meant = Counter(found)
    for place, (name, file) in enumerate(zip(names, found, strict=True)):
        parts = relative_parts(name)
        if file is None:
            found[place] = path.parent / Path(*parts)
        elif file.parts[-len(parts) :] != parts:
            if meant[file] > 1:
                check.note("image whose name fits another's file, skipped", name)
                found[place] = None
            else:
                check.note("image named in another folder, found by the end of its name", name)
    return found
