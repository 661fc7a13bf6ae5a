"""What stands in a COCO file, whoever wrote it: categories, ids and masks, for conversion and training alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tracker.errors import FormatError
from tracker.formats.core.content import Polygons
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text
from tracker.formats.core.polygons import to_window
from tracker.formats.core.rle import Rle, runs_to_text, window_to_rle

__all__ = [
    "Categories",
    "Id",
    "box_of",
    "coco_categories",
    "coco_id",
    "coco_mask",
    "entries",
    "is_crowd",
    "overlap",
    "united",
]

Id: TypeAlias = int | str
"""Of an image, category or annotation: a whole number, or a text where all of that file are texts."""


class Categories(NamedTuple):
    """The classes of a file."""

    names: tuple[str, ...]
    rows: dict[Id, int]
    """Place in `names` by category id."""
    passed_over: tuple[str, ...]
    """Categories without objects that only group others, as Roboflow puts one before the real ones."""


def entries(content: Mapping[str, Any], name: str, path: Any) -> list[dict[str, Any]]:
    """The objects of one of the file's lists. Raises FormatError where there is no such list."""
    if name not in content:
        raise FormatError(f"{path}: expected a COCO file with {name!r}, found {sorted(content)[:8]}")
    found = as_list(content[name], name, path)
    return [as_mapping(item, f"{name}[{row}]", path) for row, item in enumerate(found)]


def coco_id(value: Any, what: str, path: Any) -> Id:
    """The id: 7 and 7.0 are the same, the text "7" is another. Raises FormatError for anything but these."""
    return value if isinstance(value, str) and value else as_int(value, what, path)


def coco_categories(content: Mapping[str, Any], path: Any) -> Categories:
    """The categories that stand for classes, in the order of their ids.

    One that no object has does not count where others name it as their supercategory, or where another has the same
    name. Raises FormatError for ids and names that stand twice otherwise.
    """
    found: dict[Id, tuple[str, str]] = {}
    for row, item in enumerate(entries(content, "categories", path)):
        where = f"categories[{row}]"
        own = coco_id(item.get("id"), f"{where}.id", path)
        if own in found:
            raise FormatError(f"{path}: {where}: id {own!r} stands twice")
        above = item.get("supercategory")
        found[own] = (_name(item.get("name"), f"{where}.name", path), above if isinstance(above, str) else "")
    notes = content.get("annotations")
    categories = (
        [note.get("category_id") for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []
    )
    used = {category for category in categories if isinstance(category, int | float | str)}
    groups = {above for name, above in found.values() if above != name}
    names = [name for name, _ in found.values()]
    passed_over = [
        own
        for own, (name, above) in found.items()
        if own not in used and (names.count(name) > 1 or (name in groups and above in ("", "none", name)))
    ]
    if len(passed_over) == len(found):
        passed_over = []
    kept = sorted((own for own in found if own not in passed_over), key=lambda own: (isinstance(own, str), own))
    labels = tuple(found[own][0] for own in kept)
    again = next((name for place, name in enumerate(labels) if name in labels[:place]), None)
    if again is not None:
        raise FormatError(f"{path}: categories: the class {again!r} stands twice; give each its own name")
    return Categories(labels, {own: row for row, own in enumerate(kept)}, tuple(found[own][0] for own in passed_over))


def _name(value: Any, where: str, path: Any) -> str:
    """A class name; a number is one too, as of digits, but neither true nor null."""
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value, where, path)
    if not name.strip():
        raise FormatError(f"{path}: {where}: a class without a name")
    return name


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Whether it is a region of many objects, in which nothing is told apart."""
    return annotation.get("iscrowd") in (1, "1")


def coco_mask(value: Any, where: str, path: Any) -> Rle | Polygons | None:
    """The run-length code or outlines of an annotation; outlines of less than three points have no area and go."""
    where = f"{where}.segmentation"
    if value is None or value == []:
        return None
    if isinstance(value, list):
        if all(isinstance(edge, int | float) for edge in value):
            value = [value]  # one outline without the list around it
        outlines = [as_list(outline, where, path) for outline in value]
        points = [tuple(as_number(edge, where, path) for edge in outline) for outline in outlines]
        if any(len(outline) % 2 for outline in points):
            raise FormatError(f"{path}: {where}: an outline needs three or more points of two coordinates")
        return tuple(outline for outline in points if len(outline) >= 6) or None
    code = as_mapping(value, where, path)
    height, width = (as_int(side, f"{where}.size", path) for side in as_list(code.get("size"), where, path, length=2))
    counts = code.get("counts")
    if isinstance(counts, list):
        counts = runs_to_text(np.array([as_int(run, f"{where}.counts", path) for run in counts] or [0], np.int64))
    return {"size": [height, width], "counts": as_text(counts, f"{where}.counts", path)}


def united(mask: Rle | Polygons | None, size: tuple[int, int]) -> Rle | Polygons | None:
    """The mask as COCO means it: of outlines that overlap, all pixels in any of them. `size` is that of the image."""
    if not isinstance(mask, tuple) or not overlap(mask, size):
        return mask
    width, height = size
    whole = np.zeros((height, width), bool)
    for outline in mask:
        window, covered = to_window((outline,), width=width, height=height)
        whole[window] |= covered
    return window_to_rle(whole, left=0, top=0, width=width, height=height)


def overlap(outlines: Polygons, size: tuple[int, int]) -> bool:
    """Whether outlines share pixels, as those of a hole do: COCO joins what is covered twice, here it is left out."""
    width, height = size
    if len(outlines) < 2 or not width:
        return False
    areas = [int(to_window((outline,), width=width, height=height)[1].sum()) for outline in outlines]
    return sum(areas) != int(to_window(outlines, width=width, height=height)[1].sum())


def box_of(value: Any, mask: Rle | Polygons | None, where: str, path: Any) -> tuple[float, float, float, float]:
    """Left, top, width and height; those of the outlines where the file gives no box."""
    if value in (None, []) and isinstance(mask, tuple):
        xs, ys = [x for part in mask for x in part[::2]], [y for part in mask for y in part[1::2]]
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    edges = as_list(value, f"{where}.bbox", path, length=4)
    x, y, width, height = (as_number(edge, f"{where}.bbox", path) for edge in edges)
    return x, y, width, height
