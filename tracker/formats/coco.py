"""COCO instances JSON, with videos and tracks as TAO has them; YouTube-VIS files are read too.

    {"info": {...}, "videos": [{"id": 1, "name": "street.mp4", "width": 1920, "height": 1080}],
     "categories": [{"id": 1, "name": "person"}],
     "images": [{"id": 1, "video_id": 1, "frame_index": 0, "file_name": "street_000001.jpg", "width": 1920,
       "height": 1080, "time": 0.033367}],
     "tracks": [{"id": 1, "category_id": 1, "video_id": 1}],
     "annotations": [{"id": 1, "image_id": 1, "video_id": 1, "category_id": 1, "track_id": 1, "bbox": [x, y, w, h],
       "area": 812.0, "iscrowd": 0, "segmentation": {"size": [1080, 1920], "counts": "..."}, "score": 0.87,
       "attributes": {"track_id": 1, "occluded": false}}]}

As a data set: `annotations/instances_train.json` and `instances_val.json`, the images in `images/train` and
`images/val`, and a data.yaml that mentions both.

`time` is in seconds. Each row has a `segmentation`, as programs that read masks expect one: without a mask it is the
box's corners, which reading takes for what they are. `attributes` holds what CVAT and Datumaro keep: the track's id,
whether the object is hidden, and whether its box is `interpolated`. (Not CVAT's `keyframe`: it makes tracks of rows
with one, and tracks of masks keep their first shape only.) Of a file about
several videos, the one called as the known video is read, whatever folder and suffix either has.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.coco_content import (
    Categories,
    Id,
    box_of,
    coco_categories,
    coco_id,
    coco_mask,
    entries,
    is_crowd,
    overlap,
    united,
)
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Segmentation
from tracker.formats.core.decimals import tidy
from tracker.formats.core.folder import new_folder
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text, read_json
from tracker.formats.core.polygons import box_outline, is_box, to_window
from tracker.formats.core.rle import rle_to_window, window_to_rle

__all__ = ["read", "write", "write_dataset"]

log = logging.getLogger(__name__)


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The images and objects of a file, or of one of its videos.

    Raises FormatError for a file that breaks the format, or has several videos and none or more of the known name.
    """
    content = as_mapping(read_json(path), "file", path)
    categories = coco_categories(content, path)
    if categories.passed_over:
        log.warning("%s: no objects of %s, which only groups others", path, ", ".join(categories.passed_over))
    videos = entries(content, "videos", path) if "videos" in content else []
    rows = Collector(path, source=known.source, labels=categories.names)
    place = _chosen_video(videos, rows)
    own_video = None
    if place is not None:
        if len(videos) > 1:
            own_video = coco_id(videos[place].get("id"), f"videos[{place}].id", path)
        rows.source = rows.source or _name_of(videos[place], place, path)
        if "file_names" in videos[place]:
            _read_youtube_vis(content, place, own_video, rows, categories)
            return rows.finish()
    frames, others = _read_images(content, own_video, rows)
    tracks = _TrackIds()
    seen: set[Id] = set()
    for row, item in enumerate(entries(content, "annotations", path)):
        where = f"annotations[{row}]"
        own_id = coco_id(item.get("id", row), f"{where}.id", path)
        if own_id in seen:
            rows.refuse(where, f"id {own_id} stands twice")
        seen.add(own_id)
        image_id = coco_id(item.get("image_id"), f"{where}.image_id", path)
        if image_id in others:
            continue
        if image_id not in frames:
            hint = "; ids are text in one place and numbers in the other" if _kinds_differ(image_id, frames) else ""
            rows.refuse(where, f"image {image_id!r} is not among the images{hint}")
        attributes = item.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        _add(
            rows,
            where,
            frames[image_id],
            item.get("bbox"),
            _class_of(item, categories, rows, where),
            item.get("segmentation"),
            track_id=tracks.number(item.get("track_id", attributes.get("track_id")), f"{where}.track_id", path),
            score=as_number(item["score"], f"{where}.score", path) if "score" in item else math.nan,
            occluded=bool(attributes.get("occluded", False)),
            keyframe=bool(attributes.get("keyframe", True)) and not attributes.get("interpolated", False),
            crowd=is_crowd(item),
        )
    tracks.report(path)
    poses = sum(bool(item.get("keypoints")) for item in content["annotations"])
    if poses:
        log.warning("%s: left out: the keypoints of %d objects", path, poses)
    return rows.finish()


class _TrackIds:
    """Numbers of tracks; ids that are texts are numbered in their order."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._has_numbers = False

    def number(self, value: Any, where: str, path: Path | str) -> int | None:
        """The track's number, None where there is no id."""
        if value is None:
            return None
        if isinstance(value, str) and not value.strip().isdecimal():
            return self._texts.setdefault(value, len(self._texts) + 1)
        self._has_numbers = True
        return as_int(int(value) if isinstance(value, str) else value, where, path)

    def report(self, path: Path | str) -> None:
        """Tell what was numbered; ids of both kinds in one file could not be told apart and are refused."""
        if self._texts and self._has_numbers:
            raise FormatError(f"{path}: track ids: some are numbers and some are texts; write all of them alike")
        if self._texts:
            log.warning("%s: %d tracks have texts for ids and are numbered from 1", path, len(self._texts))


def _kinds_differ(own: Id, others: Iterable[Id]) -> bool:
    """Whether an id is text where the others are numbers, or the other way round."""
    return any(isinstance(own, str) != isinstance(other, str) for other in others)


def _class_of(item: dict[str, Any], categories: Categories, rows: Collector, where: str) -> int:
    category = coco_id(item.get("category_id"), f"{where}.category_id", rows.path)
    if category not in categories.rows:
        rows.refuse(where, f"unknown class {category!r}; the file declares {list(categories.rows)[:20]}")
    return categories.rows[category]


def _chosen_video(videos: list[dict[str, Any]], rows: Collector) -> int | None:
    """The place of the video to read, None for a file of single images."""
    if len(videos) < 2:
        return 0 if videos else None
    names = [PurePosixPath(_name_of(video, place, rows.path)).stem for place, video in enumerate(videos)]
    same = [place for place, name in enumerate(names) if name and name == PurePosixPath(rows.source).stem]
    if len(same) != 1:
        hint = f"{len(same)} of them called {rows.source}" if rows.source else "--video FILE says which is meant"
        rows.refuse("videos", f"expected one video, found {len(videos)}; {hint}")
    return same[0]


def _name_of(video: dict[str, Any], place: int, path: Path | str) -> str:
    """What the video is called; in YouTube-VIS the folder of its images."""
    names = as_list(video.get("file_names", []), f"videos[{place}].file_names", path)
    folder = str(PurePosixPath(as_text(names[0], f"videos[{place}].file_names", path)).parent) if names else ""
    return as_text(video.get("name", video.get("file_name", folder)), f"videos[{place}].name", path)


def _read_images(content: dict[str, Any], own_video: Id | None, rows: Collector) -> tuple[dict[Id, int], set[Id]]:
    """Frame numbers by image id, and the ids of other videos' images.

    Images without a frame number are numbered in the order of their ids. A `frame_id`, unlike `frame_index`, counts
    from 1 in files where none is 0.
    """
    path = rows.path
    images, others = [], set()
    for row, image in enumerate(entries(content, "images", path)):
        where = f"images[{row}]"
        image_id = coco_id(image.get("id"), f"{where}.id", path)
        if own_video is None or coco_id(image.get("video_id"), f"{where}.video_id", path) == own_video:
            images.append((where, image_id, image))
        else:
            others.add(image_id)
    from_one = int(all(image.get("frame_id") != 0 for _, _, image in images))
    ordered = sorted((image_id for _, image_id, _ in images), key=lambda own: (isinstance(own, str), own))
    rank = {image_id: place for place, image_id in enumerate(ordered)}
    is_video = bool(content.get("videos"))
    frames: dict[Id, int] = {}
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
        time = item.get("time")
        rows.frame(
            index,
            where,
            time=math.nan if time is None else as_number(time, f"{where}.time", path),
            width=as_int(item.get("width", 0), f"{where}.width", path),
            height=as_int(item.get("height", 0), f"{where}.height", path),
            name="" if is_video else name,
        )
    return frames, others


def _read_youtube_vis(
    content: dict[str, Any], place: int, own_video: Id | None, rows: Collector, categories: Categories
) -> None:
    """Annotations that are whole tracks: one box and one mask, or null, for each frame."""
    path, video = rows.path, content["videos"][place]
    names = as_list(video["file_names"], f"videos[{place}].file_names", path)
    width = as_int(video.get("width", 0), f"videos[{place}].width", path)
    height = as_int(video.get("height", 0), f"videos[{place}].height", path)
    for index, name in enumerate(names):
        where = f"videos[{place}].file_names[{index}]"
        rows.frame(index, where, width=width, height=height, name=as_text(name, where, path))
    for number, item in enumerate(entries(content, "annotations", path)):
        where = f"annotations[{number}]"
        if own_video is not None and coco_id(item.get("video_id"), f"{where}.video_id", path) != own_video:
            continue
        boxes = as_list(item.get("bboxes"), f"{where}.bboxes", path, length=len(names))
        masks = as_list(
            item.get("segmentations", [None] * len(names)), f"{where}.segmentations", path, length=len(names)
        )
        class_id, crowd = _class_of(item, categories, rows, where), is_crowd(item)
        track_id = as_int(item.get("id"), f"{where}.id", path)
        for index, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
            if box:
                _add(rows, f"{where}[{index}]", index, box, class_id, mask, track_id=track_id, crowd=crowd)


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
    crowd: bool = False,
) -> None:
    mask = united(coco_mask(segmentation, where, rows.path), rows.size_of(frame))
    x, y, width, height = box_of(bbox, mask, where, rows.path)
    box = (x, y, tidy(x + width), tidy(y + height))
    rows.add(
        frame,
        box,
        where,
        class_id=class_id,
        track_id=track_id,
        score=score,
        segmentation=None if isinstance(mask, tuple) and is_box(mask, box) else mask,
        occluded=occluded,
        keyframe=keyframe,
        crowd=crowd,
    )


def write_dataset(folder: Path, subsets: Mapping[str, AnnotationParts]) -> dict[str, Path]:
    """A file for each subset (`default` for one without a name) and data.yaml; returns the folders for the images."""
    files = {name: f"annotations/instances_{name or 'default'}.json" for name in subsets}
    images = {name: folder / "images" / name for name in subsets}
    for name, subset in subsets.items():
        new_folder(images[name])
        write(folder / files[name], subset)
    labels = next(iter(subsets.values())).labels
    settings: dict[str, Any] = {use: files.get(use, next(iter(files.values()))) for use in ("train", "val")}
    with AtomicText(folder / "data.yaml") as file:
        file.write(yaml.safe_dump(settings | {"names": dict(enumerate(labels))}, sort_keys=False, allow_unicode=True))
    return images


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
        "categories": [
            {"id": row, "name": name, "supercategory": ""} for row, name in enumerate(annotations.labels, start=1)
        ],
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
    numbers, images = count(1), 0
    for part in annotations.by_frames():
        for row in range(len(part.objects)):
            image_id = images + int(part.objects.frames[row]) + 1
            yield {"id": next(numbers), "image_id": image_id, **_annotation(part, row, are_images=are_images)}
        images += len(part.frames)


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
    entry |= {"bbox": [x1, y1, width, height], "area": _area(segmentation, width * height, size)}
    entry["iscrowd"] = int(objects.crowds[row])
    if isinstance(segmentation, tuple) and overlap(segmentation, size):
        (down, across), covered = to_window(segmentation, width=size[0], height=size[1])
        code = window_to_rle(covered, left=across.start, top=down.start, width=size[0], height=size[1])
        segmentation = code["counts"]
    if isinstance(segmentation, str):
        entry["segmentation"] = {"size": [size[1], size[0]], "counts": segmentation}
    else:
        corners = (box_outline((x1, y1, tidy(x1 + width), tidy(y1 + height))),)
        entry["segmentation"] = [list(outline) for outline in segmentation or corners]
    if not math.isnan(objects.scores[row]):
        entry["score"] = float(objects.scores[row])
    attributes: dict[str, Any] = {"track_id": entry["track_id"]} if "track_id" in entry else {}
    attributes["occluded"] = bool(objects.occluded[row])
    entry["attributes"] = attributes if objects.keyframes[row] else attributes | {"interpolated": True}
    return entry


def _area(segmentation: Segmentation | None, box_area: float, size: tuple[int, int]) -> float:
    width, height = size
    if isinstance(segmentation, str):
        return float(rle_to_window({"size": [height, width], "counts": segmentation})[1].sum())
    if segmentation is not None and width:
        return float(to_window(segmentation, width=width, height=height)[1].sum())
    return tidy(box_area)
