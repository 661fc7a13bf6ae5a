"""YOLO text: a folder with `data.yaml` and `labels/NAME.txt`, one row per object, everything as shares of the size.

A row is `class cx cy width height`, or `class x1 y1 x2 y2 ...` for an outline, with the track id behind it when asked
for; `core.yolo_rows` says what other programs put there, `core.yolo_layout` where they put their files. The size of an
image comes from the image itself, from `size: [width, height]` in data.yaml, or from the user. Images without a label
file are empty ones.

All rows that are written are boxes, or all are outlines, as training programs leave out images with both: the corners
of the box stand for an object without an outline. An object of several outlines, or with a hole, is written as one that
goes from part to part and back on the same way, as ultralytics does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability, Polygons, Segmentation, Summary
from tracker.formats.core.decimals import tidy
from tracker.formats.core.folder import frame_number, inside, new_folder
from tracker.formats.core.parsing import read_text
from tracker.formats.core.polygons import box_outline, is_box, joined, to_outlines
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions
from tracker.formats.core.yolo_layout import find_yolo_folder
from tracker.formats.core.yolo_rows import RowError, YoloRow, keypoint_values, layout_of, take_apart
from tracker.image_file import read_image

__all__ = ["read", "write", "write_dataset"]

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
        rows.refuse(where, "expected fractions of the image's size from 0 to 1 (kpt_shape in data.yaml mentions poses)")
    outline: Polygons | None = None
    if row.box is not None:
        cx, cy, wide, tall = row.box
        box = [(cx - wide / 2) * width, (cy - tall / 2) * height, (cx + wide / 2) * width, (cy + tall / 2) * height]
    else:
        sides = (width, height) * (len(fractions) // 2)
        points = [tidy(fraction * side) for fraction, side in zip(fractions, sides, strict=True)]
        outline = (tuple(points),)
        box = [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]
        outline = None if is_box(outline, box) else outline
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


def write(path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
    """A dataset folder with an empty one for the images; a warning lists what it cannot hold."""
    write_dataset(Path(path), {"": annotations}, options)


def write_dataset(
    folder: Path, subsets: Mapping[str, AnnotationParts], options: WriteOptions = DEFAULT_OPTIONS
) -> dict[str, Path]:
    """Label files and data.yaml in a new folder; returns the folder for the images of each subset, `train` and `val`.

    A subset without a name is both. A warning lists what the files cannot hold. Raises FormatError where the images'
    size is not known.
    """
    annotations = next(iter(subsets.values()))
    summary = annotations.summary()
    has_outlines = bool(summary.content & (Capability.MASKS | Capability.POLYGONS))
    outlines = has_outlines if options.outlines is None else options.outlines
    _warn(summary, options, outlines=outlines and has_outlines)
    if (0, 0) in summary.sizes:
        raise FormatError("YOLO text needs the images' size; give --size WxH")
    new_folder(folder)
    images = {name: folder / "images" / name for name in subsets}
    settings: dict[str, Any] = {
        use: images[use if use in images else next(iter(images))].relative_to(folder).as_posix()
        for use in ("train", "val")
    }
    settings |= {"names": dict(enumerate(annotations.labels)), "source": annotations.source}
    if len(summary.sizes) == 1:
        settings["size"] = list(summary.sizes[0])
    settings["video"] = not summary.are_images
    without = clipped = 0
    for name, subset in subsets.items():
        new_folder(images[name])
        for part in subset.by_frames():
            place = folder / "labels" / name
            bare, cut = _write_labels(place, part, outlines=outlines, track_ids=options.track_ids)
            without, clipped = without + bare, clipped + cut
    if clipped:
        log.warning("YOLO text: boxes that reach beyond their image are cut off at its edge (%d of them)", clipped)
    if without:
        log.warning("YOLO text: %d objects have no outline; the corners of their boxes stand for it", without)
    with AtomicText(folder / "data.yaml") as file:
        file.write(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return images


def _warn(summary: Summary, options: WriteOptions, *, outlines: bool) -> None:
    holds = Capability.CLASSES | Capability.UNTRACKED
    holds |= Capability.TRACKS if options.track_ids else Capability(0)
    holds |= Capability.POLYGONS if outlines else Capability(0)
    note = "their outlines are written" if outlines else "--outlines writes their outlines in place of boxes"
    instead = {
        Capability.MASKS: note,
        Capability.POLYGONS: note,
        Capability.TRACKS: "--track-ids puts them behind each row",
    }
    warn_unsupported(summary.content, "YOLO text", holds, instead=instead, shapes_for_boxes=outlines)


def _write_labels(folder: Path, annotations: Annotations, *, outlines: bool, track_ids: bool) -> tuple[int, int]:
    """One file per image, of boxes or of outlines.

    How many objects had no outline where these are written, and how many boxes were cut off at the image's edge.
    """
    frames, objects = annotations.frames, annotations.objects
    names = annotations.file_names(".txt")
    without = clipped = 0
    for frame, (name, rows) in enumerate(zip(names, annotations.rows_by_frame(), strict=True)):
        size = int(frames.widths[frame]), int(frames.heights[frame])
        with AtomicText(inside(folder, name)) as file:
            for row in rows:
                whole = objects.boxes[row].tolist()
                box = _clipped(whole, size)
                outline = _outline(objects.segmentations[row], size) if outlines else None
                clipped += outline is None and box != whole
                if outlines:
                    without += outline is None
                    shares = (np.array(outline or box_outline(box)).reshape(-1, 2) / size).ravel().tolist()
                else:
                    shares = _box_shares(box, size)
                cells = [str(int(objects.class_ids[row])), *(_share(value) for value in shares)]
                if track_ids and objects.track_ids[row]:
                    cells.append(str(int(objects.track_ids[row])))
                file.write(" ".join(cells) + "\n")
    return without, clipped


def _outline(segmentation: Segmentation | None, size: tuple[int, int]) -> tuple[float, ...] | None:
    outlines = to_outlines(segmentation, width=size[0], height=size[1]) if segmentation is not None else ()
    return joined(outlines) if outlines else None


def _share(value: float) -> str:
    """Six decimals give a hundredth of a pixel back; always with a point, so that it is never taken for a track id."""
    text = f"{min(max(value, 0.0), 1.0):.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _clipped(box: list[float], size: tuple[int, int]) -> list[float]:
    """The part of the box inside the image: other programs refuse shares outside 0 to 1."""
    return [min(max(edge, 0.0), side) for edge, side in zip(box, size * 2, strict=True)]


def _box_shares(box: list[float], size: tuple[int, int]) -> list[float]:
    """Centre and size as shares of the image's."""
    (x1, y1, x2, y2), (width, height) = box, size
    return [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
