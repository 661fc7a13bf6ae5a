"""YOLO text: a folder with `data.yaml` and `labels/NAME.txt`, one row per object, everything as shares of the size.

A row is `class cx cy width height`, or `class x1 y1 x2 y2 ...` for an outline, with the track id behind it when asked
for; `core.yolo_rows` tells what other programs put there, `core.yolo_layout` where they put their files. The size of an
image comes from the image itself, from `size: [width, height]` in data.yaml, or from the user. Images without a label
file are empty ones.

An object of several outlines, or with a hole, is written as one outline that runs along itself, as ultralytics does.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, Collector, ExternalInfo, Polygons, tidy
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts, Capability
from tracker.formats.core.folder import frame_number, inside, new_folder
from tracker.formats.core.parsing import read_text
from tracker.formats.core.polygons import to_outlines
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.yolo_layout import find_yolo_folder
from tracker.formats.core.yolo_rows import RowError, YoloRow, keypoint_values, layout_of, take_apart
from tracker.image_file import read_image

__all__ = ["read", "write"]

log = logging.getLogger(__name__)


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The objects of a dataset folder, a folder of label files, or one label file.

    Raises FormatError for a row that breaks the format, or where an image's size is nowhere to be found.
    """
    found = find_yolo_folder(Path(path))
    settings, labels = found.settings, known.labels or found.names
    source = settings.get("source", "")
    rows = Collector(path, source=known.source or (source if isinstance(source, str) else ""), labels=labels or None)
    is_video = str(settings.get("video", "")).lower() == "true"
    texts = {file.labels: _table(file.labels) for file in found.files if file.labels is not None}
    layout = layout_of(
        (cells for table in texts.values() for _, cells in table), keypoints=keypoint_values(settings.get("kpt_shape"))
    )
    poses = 0
    for place, file in enumerate(found.files):
        if is_video and file.labels is None:
            continue
        rows.path = file.labels or file.image or path
        index = frame_number(file.name, rows, "") if is_video else place
        size = known.sizes.get(PurePosixPath(file.name).stem) or _size(file.image, settings, known)
        rows.frame(index, "", width=size[0], height=size[1], name="" if is_video else file.name)
        for where, cells in texts[file.labels] if file.labels else ():
            try:
                row = take_apart(cells, layout)
            except RowError as error:
                rows.refuse(where, str(error))
            poses += row.keypoints
            _add(row, rows, index, where, size, has_labels=bool(labels))
    if poses:
        log.warning("%s: left out: the keypoints of %d objects; their boxes are read", path, poses)
    return rows.finish()


def _table(file: Path) -> list[tuple[str, list[str]]]:
    """The rows of a label file with their places."""
    lines = enumerate(read_text(file).splitlines(), start=1)
    return [(f"line {number}", cells) for number, line in lines if (cells := line.split())]


def _add(row: YoloRow, rows: Collector, frame: int, where: str, size: tuple[int, int], *, has_labels: bool) -> None:
    if 0 in size:
        rows.refuse(where, "the image's size is not known: put the images beside the labels, or give --size WxH")
    width, height = size
    class_id = row.class_id
    class_id = rows.check_class_id(class_id, where) if has_labels else rows.class_id(f"class {class_id}", where)
    fractions = row.outline or row.box or ()
    if any(not -0.01 <= fraction <= 1.01 for fraction in fractions):
        rows.refuse(where, "expected fractions of the image's size from 0 to 1 (kpt_shape in data.yaml tells of poses)")
    outline: Polygons | None = None
    if row.box is not None:
        cx, cy, wide, tall = row.box
        box = [(cx - wide / 2) * width, (cy - tall / 2) * height, (cx + wide / 2) * width, (cy + tall / 2) * height]
    else:
        sides = (width, height) * (len(fractions) // 2)
        points = [tidy(fraction * side) for fraction, side in zip(fractions, sides, strict=True)]
        outline = (tuple(points),)
        box = [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]
    corners = [tidy(edge) for edge in box]
    rows.add(frame, corners, where, class_id=class_id, track_id=row.track_id, score=row.score, segmentation=outline)


def _size(image: Path | None, settings: dict[str, Any], known: ExternalInfo) -> tuple[int, int]:
    if known.width:
        return known.width, known.height
    match settings.get("size"):
        case [str(width), str(height)] if width.isdecimal() and height.isdecimal():
            return int(width), int(height)
    if image is None:
        return 0, 0
    pixels = read_image(image).pixels
    if pixels is None:
        raise FormatError(f"{image}: not an image")
    return pixels.shape[1], pixels.shape[0]


def write(path: Path | str, annotations: AnnotationParts, *, track_ids: bool = False) -> None:
    """A dataset folder without the images; a warning lists what it cannot hold.

    `track_ids` puts them behind each row, which readers that follow tracks know and training programs refuse.
    """
    holds = Capability.CLASSES | Capability.POLYGONS | Capability.UNTRACKED
    summary = annotations.summary()
    warn_unsupported(summary.content, "YOLO text", holds | Capability.TRACKS if track_ids else holds)
    if (0, 0) in summary.sizes:
        raise FormatError("YOLO text needs the pictures' size; give --size WxH")
    folder = new_folder(path)
    settings: dict[str, Any] = {"train": "images", "val": "images"}
    settings |= {"names": dict(enumerate(annotations.labels)), "source": annotations.source}
    if len(summary.sizes) == 1:
        settings["size"] = list(summary.sizes[0])
    settings["video"] = not summary.are_images
    for part in annotations.by_frames():
        _write_labels(folder / "labels", part, track_ids=track_ids)
    with AtomicText(folder / "data.yaml") as file:
        file.write(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _write_labels(folder: Path, annotations: Annotations, *, track_ids: bool) -> None:
    frames, objects = annotations.frames, annotations.objects
    names = annotations.file_names(".txt")
    for frame, (name, rows) in enumerate(zip(names, annotations.rows_by_frame(), strict=True)):
        size = int(frames.widths[frame]), int(frames.heights[frame])
        with AtomicText(inside(folder, name)) as file:
            for row in rows:
                segmentation = objects.segmentations[row]
                outlines: Polygons = ()
                if segmentation is not None:
                    outlines = to_outlines(segmentation, width=size[0], height=size[1])
                shares = _outline_shares(outlines, size) if outlines else _box_shares(objects.boxes[row].tolist(), size)
                cells = [str(int(objects.class_ids[row])), *(_share(value) for value in shares)]
                if track_ids and objects.track_ids[row]:
                    cells.append(str(int(objects.track_ids[row])))
                file.write(" ".join(cells) + "\n")


def _share(value: float) -> str:
    """Ten decimals give a pixel's millionth back; always with a point, so that it is never taken for a track id."""
    text = f"{min(max(value, 0.0), 1.0):.10f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _box_shares(box: list[float], size: tuple[int, int]) -> list[float]:
    """Centre and size of the part of the box inside the picture: other programs refuse shares outside 0 to 1."""
    width, height = size
    x1, x2 = (min(max(x, 0.0), width) / width for x in box[::2])
    y1, y2 = (min(max(y, 0.0), height) / height for y in box[1::2])
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def _outline_shares(outlines: Polygons, size: tuple[int, int]) -> list[float]:
    joined = np.concatenate([np.array(outline).reshape(-1, 2) for outline in outlines])
    if len(outlines) > 1:
        # forth along the starts of all outlines, each in full, and back: the bridges have no area
        starts = np.array([outline[:2] for outline in outlines])
        closed = [np.array([*outline, *outline[:2]]).reshape(-1, 2) for outline in outlines]
        joined = np.concatenate([*closed, starts[-2::-1]])
    shares: list[float] = (joined / size).ravel().tolist()
    return shares
