"""Training data in the layout users already have, checked before anything is trained on it.

A data.yaml names folders (or text files that list images) for `train`, `val` and `test` below `path`, and the class
`names`; each image has its rows `class cx cy w h` or `class x1 y1 x2 y2 ...` (relative) in a text file where
"images" in the path is "labels". Four additions, all optional:

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
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray

from tracker.errors import ConfigError, FormatError
from tracker.types import Image

__all__ = ["MASK_SIZE", "DataCheck", "DataSet", "Sample", "draw_box_masks", "load_data", "set_aside"]

log = logging.getLogger(__name__)

MASK_SIZE = 64
"""Cells per side of a mask stretched over its object's box."""
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True, eq=False)
class Sample:
    """One image's truth, in pixels of that image."""

    path: Path
    width: int
    height: int
    boxes: Float32[ndarray, "n 4"]
    class_ids: Int64[ndarray, " n"]
    """Numbers in the file's `names`, groups included."""
    polygons: tuple[Float32[ndarray, "p 2"] | None, ...]
    """Outline of each object where the file gives one."""
    labelled: tuple[int, ...]
    """Classes that the image's folder labels."""
    image: Image | None = None
    """The decoded picture where it is kept in memory."""

    def read(self) -> Image:
        """The picture, RGB."""
        if self.image is not None:
            return self.image
        picture = cv2.imread(str(self.path), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise FormatError(f"{self.path}: the image can no longer be read. Run the data check again.")
        return picture


@dataclass(frozen=True, eq=False)
class DataSet:
    """The samples of one split and what their class numbers mean."""

    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    """The classes a network learns; groups are not among them."""
    names: tuple[str, ...]
    """What class numbers in the label files mean."""
    groups: Mapping[str, tuple[str, ...]]

    def targets(self) -> tuple[Float32[ndarray, "names classes"], Float32[ndarray, "names classes"]]:
        """Per name: the class target, and the weight of each class in the loss (0 for the members of a group)."""
        target = np.zeros((len(self.names), len(self.labels)), np.float32)
        weight = np.ones_like(target)
        for row, name in enumerate(self.names):
            if name in self.groups:
                members = [self.labels.index(member) for member in self.groups[name]]
                weight[row, members] = 0.0
            else:
                target[row, self.labels.index(name)] = 1.0
        return target, weight


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


def load_data(path: Path, *, keep_images: bool = False) -> tuple[dict[str, DataSet], DataCheck]:
    """The splits a data.yaml describes, with whatever cannot be used left out and counted.

    Refused outright: a file without `names` or `train`, unknown classes in `labelled` or `groups`, and a split
    in which nothing is left.
    """
    try:
        description = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error}).") from error
    if not isinstance(description, dict) or "names" not in description or "train" not in description:
        raise ConfigError(f"{path}: expected the keys path, train, val and names, found {describe(description)}.")
    names = read_names(description["names"])
    groups = {str(k): tuple(map(str, v)) for k, v in (description.get("groups") or {}).items()}
    labels = tuple(name for name in names if name not in groups)
    for where, members in (*groups.items(), *(description.get("labelled") or {}).items()):
        unknown = [member for member in members if member not in labels]
        if unknown:
            raise ConfigError(f"{path}: {where!r} lists the unknown class {unknown[0]!r}. Known: {', '.join(labels)}.")
    root = path.parent / str(description.get("path") or ".")
    check = DataCheck()
    splits: dict[str, list[Path]] = {
        name: list_images(root, description[name], path) for name in ("train", "val", "test") if description.get(name)
    }
    share = float(description.get("validation_share") or 0.0)
    if "val" not in splits and share > 0:
        whole = splits["train"]
        splits["val"] = [image for image in whole if set_aside(image.name, share)]
        splits["train"] = [image for image in whole if not set_aside(image.name, share)]
    labelled = {
        root / folder: tuple(labels.index(name) for name in classes)
        for folder, classes in (description.get("labelled") or {}).items()
    }
    seen: dict[bytes, tuple[str, Path]] = {}
    result: dict[str, DataSet] = {}
    for split in ("test", "val", "train"):  # what is judged by keeps its images, what is trained on gives way
        if split not in splits:
            continue
        samples = []
        for image in splits[split]:
            where = next((classes for folder, classes in labelled.items() if image.is_relative_to(folder)), None)
            known = where if where is not None else tuple(range(len(labels)))
            sample = read_sample(image, split, known, len(names), check, seen, keep_image=keep_images)
            if sample is not None:
                samples.append(sample)
        if not samples:
            raise ConfigError(f"{path}: no usable image in {split!r}.\n{check.report()}")
        if split == "train":
            samples = [sample for sample in samples for _ in range(repeats(sample.path, root, description))]
        result[split] = DataSet(tuple(samples), labels, names, groups)
    return result, check


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


def list_images(root: Path, entries: str | Sequence[str], path: Path) -> list[Path]:
    """Images of folders, of text files listing them, or both; sorted inside each folder."""
    found: list[Path] = []
    for entry in [entries] if isinstance(entries, str) else entries:
        place = root / entry
        if place.is_dir():
            found += sorted(image for image in place.rglob("*") if image.suffix.lower() in IMAGE_SUFFIXES)
        elif place.suffix == ".txt" and place.is_file():
            found += [root / line.strip() for line in place.read_text().splitlines() if line.strip()]
        else:
            raise ConfigError(f"{path}: {place} is neither a folder of images nor a text file that lists them.")
    return found


def read_sample(
    path: Path,
    split: str,
    labelled: tuple[int, ...],
    class_count: int,
    check: DataCheck,
    seen: dict[bytes, tuple[str, Path]],
    *,
    keep_image: bool,
) -> Sample | None:
    """One image with its rows, or None where it cannot be used; troubles go into `check`."""
    if not path.is_file():
        check.note("missing image, skipped", path)
        return None
    content = path.read_bytes()
    digest = hashlib.sha256(content).digest()
    other = seen.setdefault(digest, (split, path))
    if other[1] != path:
        if other[0] != split:
            check.note(f"image of {other[0]} again in {split}, skipped", path)
            return None
        check.note(f"image twice in {split}, skipped", path)
        return None
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if picture is None:
        check.note("image cannot be decoded, skipped", path)
        return None
    height, width = picture.shape[:2]
    boxes, class_ids, polygons = read_rows(label_path(path), width, height, class_count, check)
    return Sample(path, width, height, boxes, class_ids, polygons, labelled, picture if keep_image else None)


def label_path(image: Path) -> Path:
    """The text file beside an image: the last folder named images becomes labels."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_rows(
    path: Path, width: int, height: int, class_count: int, check: DataCheck
) -> tuple[ndarray, ndarray, tuple[ndarray | None, ...]]:
    """(boxes, class ids, polygons) of one label file; no file means no objects."""
    boxes, class_ids, polygons = [], [], []
    lines = path.read_text().splitlines() if path.is_file() else []
    size = np.array((width, height), np.float32)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            first, *rest = (float(part) for part in line.split())
        except ValueError:
            check.note("row that is not numbers, skipped", place)
            continue
        if first != int(first) or not 0 <= first < class_count:
            check.note("wrong class number, row skipped", place)
            continue
        values = np.array(rest, np.float32)
        outline = None
        if len(values) == 4:
            centre, extent = values[:2] * size, values[2:] * size
            corners = np.concatenate((centre - extent / 2, centre + extent / 2))
        elif len(values) >= 6 and len(values) % 2 == 0:
            outline = values.reshape(-1, 2) * size
            corners = np.concatenate((outline.min(axis=0), outline.max(axis=0)))
        else:
            check.note("row of a wrong length, skipped", place)
            continue
        inside = np.clip(corners, 0, np.tile(size, 2))
        if not np.isfinite(corners).all() or (inside[2:] - inside[:2] < 1.0).any():
            check.note("empty box or box outside the image, row skipped", place)
            continue
        if np.abs(inside - corners).max() > 1.0:
            check.note("box reaching outside the image, clipped", place)
        boxes.append(inside)
        class_ids.append(int(first))
        polygons.append(outline)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), tuple(polygons)


def draw_box_masks(sample: Sample) -> tuple[UInt8[ndarray, "n m m"], ndarray]:
    """(coverage 0..255 stretched over each box, which objects have an outline)."""
    masks = np.zeros((len(sample.boxes), MASK_SIZE, MASK_SIZE), np.uint8)
    has_mask = np.zeros(len(sample.boxes), bool)
    bits = 4
    for row, (box, outline) in enumerate(zip(sample.boxes, sample.polygons, strict=True)):
        if outline is None:
            continue
        scale = MASK_SIZE / (box[2:] - box[:2])
        points = np.round(((outline - box[:2]) * scale - 0.5) * 2**bits).astype(np.int32)
        cv2.fillPoly(masks[row], [points], 255, lineType=cv2.LINE_AA, shift=bits)
        has_mask[row] = True
    return masks, has_mask
