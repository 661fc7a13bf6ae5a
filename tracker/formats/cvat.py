"""CVAT for video 1.1: one XML file of tracks, each with a shape per frame.

    <track id="1" label="person" source="manual">
      <box frame="0" keyframe="1" outside="0" occluded="0" xtl="10" ytl="20" xbr="30" ybr="60" z_order="0"/>

`outside="1"` ends a visible stretch. Where two shapes of a stretch are frames apart, as in files made by hand, the
boxes between are filled in linearly. An outline is a `<polygon>`, a mask CVAT's `<mask>`: run lengths of the box's
rows. A box with a `rotation` is read as its outline and the upright box around it; shapes of other kinds (points,
lines, ellipses, skeletons) are left out with a warning.

CVAT's importer drops shapes that are no keyframes, keeps the first shape only of a track of masks, and refuses tracks
of mixed shapes. So each written shape is a keyframe, and a track is boxes or polygons throughout: where its outlines
are asked for, the corners of the box stand for an object without one, and a box that was interpolated says so in an
attribute of its own (`interpolated="1"`).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from tracker.formats.core.annotations import (
    NOTHING_KNOWN,
    Annotations,
    Collector,
    ExternalInfo,
    Segmentation,
    number,
    tidy,
)
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts, Capability, Summary, TrackRow
from tracker.formats.core.parsing import to_float, to_int
from tracker.formats.core.polygons import box_outline, is_box, joined, to_outlines
from tracker.formats.core.rle import Rle, window_to_rle
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions
from tracker.formats.core.xml_tree import Node, read_xml

__all__ = ["read", "write"]

log = logging.getLogger(__name__)

KINDS = ("box", "polygon", "mask")
OTHER_KINDS = ("points", "polyline", "ellipse", "cuboid", "skeleton")


@dataclass(frozen=True, slots=True)
class _Shape:
    frame: int
    outside: bool
    occluded: bool
    keyframe: bool
    box: tuple[float, float, float, float]
    segmentation: Segmentation | Rle | None
    line: int


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All tracks. Raises FormatError with the line of what breaks the format."""
    root = read_xml(path, "annotations")
    meta = root.first("meta") or Node("meta", {}, root.line)
    task = meta.first("task") or meta.first("job") or meta
    declared = [node.words("name") for node in (task.first("labels") or task).all("label")]
    rows = Collector(path, source=known.source or meta.words("source"), labels=declared or None)
    where = f"line {meta.line}"
    size = task.first("original_size") or meta.first("original_size") or Node("", {}, 0)
    width = known.width or to_int(size.words("width") or "0", "width", path, where)
    height = known.height or to_int(size.words("height") or "0", "height", path, where)
    first = to_int(task.words("start_frame") or "0", "start_frame", path, where)
    stop = task.words("stop_frame")
    if stop:
        rows.frames(first, to_int(stop, "stop_frame", path, where), where, width=width, height=height)
    if root.all("image"):
        rows.refuse(f"line {root.all('image')[0].line}", "CVAT for images; export as 'CVAT for video 1.1'")
    seen: set[int] = set()
    for place, track in enumerate(root.all("track")):
        where = f"line {track.line}"
        track_id = to_int(track.attributes.get("id", str(place)), "track id", path, where)
        if track_id in seen:
            rows.refuse(where, f"track {track_id} stands twice")
        seen.add(track_id)
    for place, track in enumerate(root.all("track")):
        track_id = int(float(track.attributes.get("id", str(place))))
        _read_track(track, track_id, rows, (width, height))
    others = Counter(node.tag for track in root.all("track") for node in track.children if node.tag in OTHER_KINDS)
    if others:
        log.warning("%s: left out: %s", path, ", ".join(f"{count} {kind}" for kind, count in others.items()))
    return rows.finish()


def _read_track(track: Node, track_id: int, rows: Collector, size: tuple[int, int]) -> None:
    where = f"line {track.line}"
    class_id = rows.class_id(track.attributes.get("label", ""), where)
    shapes = [_read_shape(node, rows, size) for node in track.children if node.tag in KINDS]
    shapes.sort(key=lambda shape: shape.frame)
    for shape, following in zip_longest(shapes, shapes[1:]):
        where = f"line {shape.line}"
        if following is not None and following.frame == shape.frame:
            rows.refuse(where, f"track {track_id} stands twice in frame {shape.frame}")
        if shape.outside:
            continue
        width, height = size
        rows.frame(shape.frame, where, width=width, height=height)
        rows.add(
            shape.frame,
            shape.box,
            where,
            class_id=class_id,
            track_id=track_id,
            segmentation=shape.segmentation,
            occluded=shape.occluded,
            keyframe=shape.keyframe,
        )
        if following is None:
            continue
        gap = following.frame - shape.frame
        rows.fill(gap - 1, where)
        for step in range(1, gap):
            share = 0.0 if following.outside else step / gap
            box = [tidy(a + (b - a) * share) for a, b in zip(shape.box, following.box, strict=True)]
            rows.frame(shape.frame + step, where, width=width, height=height)
            rows.add(
                shape.frame + step,
                box,
                where,
                class_id=class_id,
                track_id=track_id,
                occluded=shape.occluded,
                keyframe=False,
            )


def _read_shape(node: Node, rows: Collector, size: tuple[int, int]) -> _Shape:
    path, where = rows.path, f"line {node.line}"

    def value(name: str) -> float:
        if name not in node.attributes:
            rows.refuse(where, f"<{node.tag}> without {name}")
        return to_float(node.attributes[name], name, path, where)

    def flag(name: str, default: str) -> bool:
        text = node.attributes.get(name, default)
        if text not in ("0", "1"):
            rows.refuse(where, f"{name}: expected 0 or 1, found {text!r}")
        return text == "1"

    frame = to_int(node.attributes.get("frame", ""), "frame", path, where)
    segmentation: Segmentation | Rle | None = None
    if node.tag == "box":
        box = (value("xtl"), value("ytl"), value("xbr"), value("ybr"))
        angle = to_float(node.attributes.get("rotation", "0"), "rotation", path, where)
        if angle:
            outline = _rotated(box, angle)
            segmentation = (outline,)
            box = _around(outline)
    elif node.tag == "polygon":
        pairs = [pair.split(",") for pair in node.attributes.get("points", "").split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            rows.refuse(where, "points: expected three or more pairs x,y with ; between")
        points = [to_float(cell, "points", path, where) for pair in pairs for cell in pair]
        box = _around(points)
        segmentation = None if is_box((tuple(points),), box) else (tuple(points),)
    else:
        left, top, wide, tall = (
            to_int(node.attributes.get(n, ""), n, path, where) for n in ("left", "top", "width", "height")
        )
        box = (left, top, left + wide, top + tall)
        if not flag("outside", "0"):
            segmentation = _read_mask(node, (left, top, wide, tall), rows, size)
    keyframe = flag("keyframe", "1") and not flag("interpolated", "0")
    return _Shape(frame, flag("outside", "0"), flag("occluded", "0"), keyframe, box, segmentation, node.line)


def _rotated(box: tuple[float, float, float, float], degrees: float) -> tuple[float, ...]:
    """The outline of a box turned clockwise about its centre."""
    x1, y1, x2, y2 = box
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    outline: list[float] = []
    for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2)):
        across, down = x - centre_x, y - centre_y
        outline += [tidy(centre_x + across * cosine - down * sine), tidy(centre_y + across * sine + down * cosine)]
    return tuple(outline)


def _around(points: Sequence[float]) -> tuple[float, float, float, float]:
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def _read_mask(node: Node, place: tuple[int, int, int, int], rows: Collector, size: tuple[int, int]) -> Rle:
    where, (left, top, wide, tall), (width, height) = f"line {node.line}", place, size
    runs = [to_int(cell, "rle", rows.path, where) for cell in node.attributes.get("rle", "").split(",")]
    inside_picture = (
        left >= 0 and top >= 0 and wide >= 0 and tall >= 0 and left + wide <= width and top + tall <= height
    )
    if not inside_picture or min(runs) < 0 or sum(runs) != wide * tall:
        rows.refuse(
            where, f"rle: the run lengths do not fill {wide} x {tall} pixels inside the {width} x {height} picture"
        )
    values = np.arange(len(runs)) % 2 == 1
    covered = np.repeat(values, runs).reshape(tall, wide)
    return window_to_rle(covered, left=left, top=top, width=width, height=height)


def write(path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
    """One file; a warning lists what it cannot hold. Objects without a track become tracks of one frame."""
    summary = annotations.summary()
    has_outlines = bool(summary.content & (Capability.MASKS | Capability.POLYGONS))
    outlines = has_outlines if options.outlines is None else options.outlines
    holds = Capability.TRACKS | Capability.CLASSES | Capability.OCCLUSION | Capability.KEYFRAMES
    note = "their outlines are written" if outlines else "--outlines writes polygons"
    instead = {Capability.MASKS: note, Capability.POLYGONS: note}
    warn_unsupported(
        summary.content, "CVAT for video", holds | Capability.POLYGONS if outlines else holds, instead=instead
    )
    outlined = annotations.outlined_tracks() if outlines else frozenset()
    with AtomicText(path) as file:
        file.write("\n".join(_head(annotations, summary)) + "\n")
        for track_id, rows in annotations.by_tracks():
            first = next(rows)
            label = quoteattr(annotations.labels[first.class_id])
            shape = _polygon if outlines and (first.segmentation is not None or track_id in outlined) else _box
            file.write(f'  <track id="{track_id}" label={label} source="manual">\n')
            for row, following in pairwise(chain([first], rows, [None])):
                assert row is not None
                next_frame = following.frame if following is not None else summary.last_frame + 1
                file.write(_shapes(row, next_frame, shape))
            file.write("  </track>\n")
        file.write("</annotations>\n")


def _head(annotations: AnnotationParts, summary: Summary) -> list[str]:
    first, last = summary.first_frame, summary.last_frame
    width, height = summary.first_size
    labels = [
        f"        <label><name>{escape(name)}</name><attributes></attributes></label>" for name in annotations.labels
    ]
    span = [f"      <start_frame>{first}</start_frame>", f"      <stop_frame>{last}</stop_frame>"]
    return [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        "  <meta>",
        "    <task>",
        f"      <name>{escape(annotations.source)}</name>",
        f"      <size>{last - first + 1}</size>",
        "      <mode>interpolation</mode>",
        *(span if last >= first else []),
        "      <labels>",
        *labels,
        "      </labels>",
        f"      <original_size><width>{width}</width><height>{height}</height></original_size>",
        "    </task>",
        f"    <source>{escape(annotations.source)}</source>",
        "  </meta>",
    ]


def _shapes(row: TrackRow, next_frame: int, shape: Callable[[TrackRow, str], str]) -> str:
    """The object in its frame, and that it is gone in the next where the track's next frame is a later one."""
    occluded, interpolated = f'occluded="{int(row.occluded)}"', "" if row.keyframe else ' interpolated="1"'
    text = shape(row, f'frame="{row.frame}" keyframe="1" outside="0" {occluded}{interpolated}')
    if next_frame > row.frame + 1:
        text += shape(row, f'frame="{row.frame + 1}" keyframe="1" outside="1" {occluded}')
    return text


def _box(row: TrackRow, head: str) -> str:
    x1, y1, x2, y2 = (number(edge) for edge in row.box)
    return f'    <box {head} xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" z_order="0"></box>\n'


def _polygon(row: TrackRow, head: str) -> str:
    (width, height), mask = row.size, row.segmentation
    outlines = to_outlines(mask, width=width, height=height) if mask is not None and width else ()
    points = joined(outlines) if outlines else box_outline(row.box)
    text = ";".join(f"{number(x)},{number(y)}" for x, y in zip(points[::2], points[1::2], strict=True))
    return f'    <polygon {head} points="{text}" z_order="0"></polygon>\n'
