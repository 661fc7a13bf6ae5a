"""COCO instances JSON, with videos and tracks as TAO has them; YouTube-VIS files are read too.

    {"info": {...}, "videos": [{"id": 1, "name": "street.mp4", "width": 1920, "height": 1080}],
     "categories": [{"id": 1, "name": "person"}],
     "images": [{"id": 1, "video_id": 1, "frame_index": 0, "file_name": "street_000001.jpg", "width": 1920,
       "height": 1080, "time": 0.033367}],
     "tracks": [{"id": 1, "category_id": 1, "video_id": 1}],
     "annotations": [{"id": 1, "image_id": 1, "video_id": 1, "category_id": 1, "track_id": 1, "bbox": [x, y, w, h],
       "area": 812.0, "iscrowd": 0, "segmentation": {"size": [1080, 1920], "counts": "..."}, "score": 0.87}]}

`time` is in seconds. A hidden or interpolated object says so in `attributes`, as CVAT's files do. Of a file about
several videos, the one called as the known video is read, whatever folder and suffix either has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tracker.formats.core.annotations import (
    NOTHING_KNOWN,
    Annotations,
    Collector,
    ExternalInfo,
    Polygons,
    Segmentation,
    tidy,
)
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text, read_json
from tracker.formats.core.polygons import to_window
from tracker.formats.core.rle import Rle, rle_to_window, runs_to_text

__all__ = ["read", "write"]


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The images and objects of a file, or of one of its videos.

    Raises FormatError for a file that breaks the format, or has several videos and none or more of the known name.
    """
    content = as_mapping(read_json(path), "file", path)
    categories = [
        as_mapping(item, f"categories[{row}]", path) for row, item in enumerate(_part(content, "categories", path))
    ]
    labels, class_ids = [], {}
    for row, item in enumerate(categories):
        class_ids[as_int(item.get("id"), f"categories[{row}].id", path)] = row
        labels.append(as_text(item.get("name"), f"categories[{row}].name", path))
    videos = [as_mapping(item, f"videos[{row}]", path) for row, item in enumerate(_part(content, "videos", path, []))]
    rows = Collector(path, source=known.source, labels=labels)
    if len(class_ids) < len(labels):
        rows.refuse("categories", "an id stands twice")
    place = _chosen_video(videos, rows)
    own_video = None
    if place is not None:
        if len(videos) > 1:
            own_video = as_int(videos[place].get("id"), f"videos[{place}].id", path)
        rows.source = rows.source or _name_of(videos[place], place, path)
        if "file_names" in videos[place]:
            _read_youtube_vis(content, place, own_video, rows, class_ids)
            return rows.finish()
    frames, others = _read_images(content, own_video, rows)
    seen: set[int] = set()
    for row, item in enumerate(_part(content, "annotations", path)):
        where = f"annotations[{row}]"
        item = as_mapping(item, where, path)
        own_id = as_int(item.get("id", row), f"{where}.id", path)
        if own_id in seen:
            rows.refuse(where, f"id {own_id} stands twice")
        seen.add(own_id)
        image_id = as_int(item.get("image_id"), f"{where}.image_id", path)
        if image_id in others:
            continue
        if image_id not in frames:
            rows.refuse(where, f"image {image_id} is not among the images")
        attributes = item.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        track_id = item.get("track_id", attributes.get("track_id"))
        _add(
            rows,
            where,
            frames[image_id],
            item.get("bbox"),
            _class_of(item, class_ids, rows, where),
            item.get("segmentation"),
            track_id=None if track_id is None else as_int(track_id, f"{where}.track_id", path),
            score=as_number(item["score"], f"{where}.score", path) if "score" in item else math.nan,
            occluded=bool(attributes.get("occluded", False)),
            keyframe=bool(attributes.get("keyframe", True)),
        )
    return rows.finish()


def _part(content: dict[str, Any], name: str, path: Path | str, default: Any = None) -> list[Any]:
    if name not in content and default is None:
        Collector(path).refuse("", f"expected a COCO file with {name!r}, found {sorted(content)[:8]}")
    return as_list(content.get(name, default), name, path)


def _class_of(item: dict[str, Any], class_ids: dict[int, int], rows: Collector, where: str) -> int:
    category = as_int(item.get("category_id"), f"{where}.category_id", rows.path)
    if category not in class_ids:
        rows.refuse(where, f"unknown class {category}; the file declares {sorted(class_ids)[:20]}")
    return class_ids[category]


def _chosen_video(videos: list[dict[str, Any]], rows: Collector) -> int | None:
    """The place of the video to read, None for a file of single images."""
    if len(videos) < 2:
        return 0 if videos else None
    names = [PurePosixPath(_name_of(video, place, rows.path)).stem for place, video in enumerate(videos)]
    same = [place for place, name in enumerate(names) if name and name == PurePosixPath(rows.source).stem]
    if len(same) != 1:
        hint = f"{len(same)} of them called {rows.source}" if rows.source else "--video FILE tells which is meant"
        rows.refuse("videos", f"expected one video, found {len(videos)}; {hint}")
    return same[0]


def _name_of(video: dict[str, Any], place: int, path: Path | str) -> str:
    """What the video is called; in YouTube-VIS the folder of its pictures."""
    names = as_list(video.get("file_names", []), f"videos[{place}].file_names", path)
    folder = str(PurePosixPath(as_text(names[0], f"videos[{place}].file_names", path)).parent) if names else ""
    return as_text(video.get("name", video.get("file_name", folder)), f"videos[{place}].name", path)


def _read_images(content: dict[str, Any], own_video: int | None, rows: Collector) -> tuple[dict[int, int], set[int]]:
    """Frame numbers by image id, and the ids of other videos' images.

    Images without a frame number are numbered in the order of their ids. A `frame_id`, unlike `frame_index`, counts
    from 1 in files where none is 0.
    """
    path = rows.path
    images, others = [], set()
    for row, item in enumerate(_part(content, "images", path)):
        where = f"images[{row}]"
        image = as_mapping(item, where, path)
        image_id = as_int(image.get("id"), f"{where}.id", path)
        if own_video is None or as_int(image.get("video_id"), f"{where}.video_id", path) == own_video:
            images.append((where, image_id, image))
        else:
            others.add(image_id)
    from_one = int(all(image.get("frame_id") != 0 for _, _, image in images))
    rank = {image_id: place for place, image_id in enumerate(sorted(image_id for _, image_id, _ in images))}
    is_video = bool(content.get("videos"))
    frames: dict[int, int] = {}
    taken: set[int] = set()
    for where, image_id, item in images:
        if "frame_index" not in item and "frame_id" in item:
            index = as_int(item["frame_id"], f"{where}.frame_id", path) - from_one
        else:
            index = as_int(item.get("frame_index", rank[image_id]), f"{where}.frame_index", path)
        if image_id in frames or index in taken:
            rows.refuse(where, f"image {image_id} or its frame {index} stands twice")
        frames[image_id] = index
        taken.add(index)
        name = as_text(item.get("file_name", ""), f"{where}.file_name", path)
        checked = rows.safe_name(name, where) if name else ""
        time = item.get("time")
        rows.frame(
            index,
            where,
            time=math.nan if time is None else as_number(time, f"{where}.time", path),
            width=as_int(item.get("width", 0), f"{where}.width", path),
            height=as_int(item.get("height", 0), f"{where}.height", path),
            name="" if is_video else checked,
        )
    return frames, others


def _read_youtube_vis(
    content: dict[str, Any], place: int, own_video: int | None, rows: Collector, class_ids: dict[int, int]
) -> None:
    """Annotations that are whole tracks: one box and one mask, or null, for each frame."""
    path, video = rows.path, content["videos"][place]
    names = as_list(video["file_names"], f"videos[{place}].file_names", path)
    width = as_int(video.get("width", 0), f"videos[{place}].width", path)
    height = as_int(video.get("height", 0), f"videos[{place}].height", path)
    for index, name in enumerate(names):
        where = f"videos[{place}].file_names[{index}]"
        rows.frame(index, where, width=width, height=height, name=as_text(name, where, path))
    for number, item in enumerate(_part(content, "annotations", path)):
        where = f"annotations[{number}]"
        item = as_mapping(item, where, path)
        if own_video is not None and as_int(item.get("video_id"), f"{where}.video_id", path) != own_video:
            continue
        boxes = as_list(item.get("bboxes"), f"{where}.bboxes", path, length=len(names))
        masks = as_list(
            item.get("segmentations", [None] * len(names)), f"{where}.segmentations", path, length=len(names)
        )
        class_id = _class_of(item, class_ids, rows, where)
        track_id = as_int(item.get("id"), f"{where}.id", path)
        for index, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
            if box:
                _add(rows, f"{where}[{index}]", index, box, class_id, mask, track_id=track_id)


def _add(
    rows: Collector,
    where: str,
    frame: int,
    bbox: Any,
    class_id: int,
    segmentation: Any,
    *,
    track_id: int | None,
    score: float = math.nan,
    occluded: bool = False,
    keyframe: bool = True,
) -> None:
    x, y, width, height = (
        as_number(value, f"{where}.bbox", rows.path) for value in as_list(bbox, f"{where}.bbox", rows.path, length=4)
    )
    rows.add(
        frame,
        (x, y, tidy(x + width), tidy(y + height)),
        where,
        class_id=class_id,
        track_id=track_id,
        score=score,
        segmentation=_segmentation(segmentation, rows, where),
        occluded=occluded,
        keyframe=keyframe,
    )


def _segmentation(value: Any, rows: Collector, where: str) -> Rle | Polygons | None:
    path, where = rows.path, f"{where}.segmentation"
    if value is None or value == []:
        return None
    if isinstance(value, list):
        outlines = [as_list(outline, where, path) for outline in value]
        return tuple(tuple(as_number(edge, where, path) for edge in outline) for outline in outlines)
    code = as_mapping(value, where, path)
    height, width = (as_int(side, f"{where}.size", path) for side in as_list(code.get("size"), where, path, length=2))
    counts = code.get("counts")
    if isinstance(counts, list):
        counts = runs_to_text(np.array([as_int(run, f"{where}.counts", path) for run in counts] or [0], np.int64))
    return {"size": [height, width], "counts": as_text(counts, f"{where}.counts", path)}


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """The whole of the annotations. Polygon areas are those of their pixels."""
    summary = annotations.summary()
    video: dict[str, Any] = {"id": 1, "name": annotations.source}
    if summary.sizes:
        video["width"], video["height"] = summary.first_size
    head = {
        "info": {"description": annotations.source, "version": "1.0"},
        "licenses": [],
        "videos": [] if summary.are_images else [video],
        "categories": [{"id": row, "name": name} for row, name in enumerate(annotations.labels, start=1)],
    }
    with AtomicText(path) as file:
        file.write(_dump(head).removesuffix("}") + ', "tracks": [')
        _write_list(file, _tracks(annotations), before="", between=", ")
        file.write('], "images": [')
        _write_list(file, _images(annotations, are_images=summary.are_images), before="", between=", ")
        file.write('], "annotations": [')
        entries = _annotations(annotations, are_images=summary.are_images)
        _write_list(file, entries, before="\n", between=",\n")
        file.write("\n]}\n")


def _write_list(file: AtomicText, entries: Iterable[dict[str, Any]], *, before: str, between: str) -> None:
    for number, entry in enumerate(entries):
        file.write((between if number else before) + _dump(entry))


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _tracks(annotations: AnnotationParts) -> Iterator[dict[str, Any]]:
    for track_id, class_id in annotations.track_classes():
        yield {"id": track_id, "category_id": class_id + 1, "video_id": 1}


def _images(annotations: AnnotationParts, *, are_images: bool) -> Iterator[dict[str, Any]]:
    image_ids = count(1)
    for part in annotations.by_frames(objects=False):
        frames = part.frames
        names = frames.names if all(frames.names) else part.file_names(".jpg")
        columns = zip(frames.indices.tolist(), frames.times.tolist(), names, strict=True)
        for row, (index, time, name) in enumerate(columns):
            image: dict[str, Any] = {"id": next(image_ids), "frame_index": index, "file_name": name}
            image |= {"width": int(frames.widths[row]), "height": int(frames.heights[row])}
            if not are_images:
                image["video_id"] = 1
            if not math.isnan(time):
                image["time"] = time
            yield image


def _annotations(annotations: AnnotationParts, *, are_images: bool) -> Iterator[dict[str, Any]]:
    numbers, pictures = count(1), 0
    for part in annotations.by_frames():
        for row in range(len(part.objects)):
            image_id = pictures + int(part.objects.frames[row]) + 1
            yield {"id": next(numbers), "image_id": image_id, **_annotation(part, row, are_images=are_images)}
        pictures += len(part.frames)


def _annotation(annotations: Annotations, row: int, *, are_images: bool) -> dict[str, Any]:
    objects, frames = annotations.objects, annotations.frames
    frame = int(objects.frames[row])
    size = int(frames.widths[frame]), int(frames.heights[frame])
    x1, y1, x2, y2 = objects.boxes[row].tolist()
    width, height = tidy(x2 - x1), tidy(y2 - y1)
    entry: dict[str, Any] = {"category_id": int(objects.class_ids[row]) + 1}
    if not are_images:
        entry["video_id"] = 1
    if objects.track_ids[row]:
        entry["track_id"] = int(objects.track_ids[row])
    segmentation = objects.segmentations[row]
    entry |= {"bbox": [x1, y1, width, height], "area": _area(segmentation, width * height, size), "iscrowd": 0}
    if isinstance(segmentation, str):
        entry["segmentation"] = {"size": [size[1], size[0]], "counts": segmentation}
    elif segmentation is not None:
        entry["segmentation"] = [list(outline) for outline in segmentation]
    if not math.isnan(objects.scores[row]):
        entry["score"] = float(objects.scores[row])
    if objects.occluded[row] or not objects.keyframes[row]:
        entry["attributes"] = {"occluded": bool(objects.occluded[row]), "keyframe": bool(objects.keyframes[row])}
    return entry


def _area(segmentation: Segmentation | None, box_area: float, size: tuple[int, int]) -> float:
    width, height = size
    if isinstance(segmentation, str):
        return float(rle_to_window({"size": [height, width], "counts": segmentation})[1].sum())
    if segmentation is not None and width:
        return float(to_window(segmentation, width=width, height=height)[1].sum())
    return tidy(box_area)
