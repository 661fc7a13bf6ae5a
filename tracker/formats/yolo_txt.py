"""YOLO text: a folder with `data.yaml` and `labels/NAME.txt`, one row per object, everything as shares of the size.

A row is `class cx cy width height`, or `class x1 y1 x2 y2 ...` for an outline, with the track id behind it when asked
for. Rows of five numbers are boxes, of seven, nine ... outlines; one number more is the track id (or, where it has a
point, a score, as ultralytics writes it). The size of a picture comes from the image of the same name in `images`
beside `labels`, from `size: [width, height]` in data.yaml, or from the user.

An object of several outlines, or with a hole, is written as one outline that runs along itself, as ultralytics does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, Collector, ExternalInfo, Polygons, tidy
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts, Capability
from tracker.formats.core.folder import files_in, frame_number, inside, new_folder
from tracker.formats.core.parsing import read_text, to_float, to_int
from tracker.formats.core.polygons import to_outlines
from tracker.formats.core.unsupported import warn_unsupported
from tracker.image_file import ImageFinder, read_image

__all__ = ["read", "write"]


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The objects of a dataset folder, a folder of label files, or one label file.

    Raises FormatError for a row that breaks the format, or where a picture's size is nowhere to be found.
    """
    path = Path(path)
    root = path if path.is_dir() else path.parent
    settings = _settings(root)
    labels = known.labels or _names(settings, root / "data.yaml")
    files = [file for file in files_in(path, ".txt", subfolder="labels") if file.name != "classes.txt"]
    source = settings.get("source", "")
    rows = Collector(path, source=known.source or (source if isinstance(source, str) else ""), labels=labels or None)
    base = root / "labels" if (root / "labels").is_dir() else root
    images = ImageFinder()
    is_video = bool(settings.get("video", False))
    for place, file in enumerate(files):
        rows.path = file
        index = frame_number(file.name, rows, "") if is_video else place
        image = images.find(root / "images" / file.relative_to(base).with_suffix("")) or images.find(
            file.with_suffix("")
        )
        width, height = known.sizes.get(file.stem) or _size(image, settings, known)
        name = file.relative_to(base).with_suffix(image.suffix if image else ".jpg").as_posix()
        rows.frame(index, "", width=width, height=height, name="" if is_video else name)
        for line, text in enumerate(read_text(file).splitlines(), start=1):
            if text.strip():
                _read_row(text.split(), rows, index, f"line {line}", (width, height), has_labels=bool(labels))
    return rows.finish()


def _read_row(
    cells: list[str], rows: Collector, frame: int, where: str, size: tuple[int, int], *, has_labels: bool
) -> None:
    path = rows.path
    if len(cells) < 5:
        rows.refuse(where, f"expected 5 columns or an outline, found {len(cells)}")
    if 0 in size:
        rows.refuse(where, "the picture's size is not known: put the images beside the labels, or give --size WxH")
    width, height = size
    class_id = to_int(cells[0], "class", path, where)
    class_id = rows.check_class_id(class_id, where) if has_labels else rows.class_id(f"class {class_id}", where)
    score, track_id = math.nan, None
    if len(cells) % 2 == 0:
        trailing = cells.pop()
        if "." in trailing:
            score = to_float(trailing, "score", path, where)
        else:
            track_id = to_int(trailing, "track id", path, where)
    shares = [to_float(cell, f"column {place}", path, where) for place, cell in enumerate(cells[1:], start=2)]
    if any(not -0.01 <= share <= 1.01 for share in shares):
        rows.refuse(where, "expected shares of the picture's size from 0 to 1")
    outline: Polygons | None = None
    if len(shares) == 4:
        cx, cy, wide, tall = shares
        box = [(cx - wide / 2) * width, (cy - tall / 2) * height, (cx + wide / 2) * width, (cy + tall / 2) * height]
    else:
        points = [tidy(share * side) for share, side in zip(shares, (width, height) * (len(shares) // 2), strict=True)]
        outline = (tuple(points),)
        box = [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]
    corners = [tidy(edge) for edge in box]
    rows.add(frame, corners, where, class_id=class_id, track_id=track_id, score=score, segmentation=outline)


def _settings(root: Path) -> dict[str, Any]:
    """What data.yaml says, nothing where there is none."""
    path = root / "data.yaml"
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise FormatError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: nested too deeply") from error
    except (ValueError, TypeError, AttributeError) as error:  # the library's own, for dates and numbers that are none
        raise FormatError(f"{path}: not YAML: a value is not what it is marked as ({error})") from error
    if not isinstance(settings, dict):
        raise FormatError(f"{path}: expected settings such as names, found a {type(settings).__name__}")
    return settings


def _names(settings: dict[str, Any], path: Path) -> tuple[str, ...]:
    names = settings.get("names", [])
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise FormatError(f"{path}: names: expected numbers 0 to {len(names) - 1}, found {list(names)[:20]}")
        names = [names[place] for place in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int | float) for name in names):
        raise FormatError(f"{path}: names: expected a list of texts")
    return tuple(str(name) for name in names)


def _size(image: Path | None, settings: dict[str, Any], known: ExternalInfo) -> tuple[int, int]:
    if known.width:
        return known.width, known.height
    match settings.get("size"):
        case [int(width), int(height)]:
            return width, height
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
