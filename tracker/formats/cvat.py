"""CVAT for video 1.1: one XML file of tracks, each with a shape per frame.

    <track id="1" label="person" source="manual">
      <box frame="0" keyframe="1" outside="0" occluded="0" xtl="10" ytl="20" xbr="30" ybr="60" z_order="0"/>

`outside="1"` ends a visible stretch. Where two shapes of a stretch are frames apart, as in files made by hand, the
boxes between are filled in linearly, as CVAT does, at the frames that the task has. An outline is a `<polygon>`, a mask
CVAT's `<mask>`: run lengths of the box's rows. A box with a `rotation` is read as its outline and the upright box
around it; shapes of other kinds (points, lines, ellipses, skeletons) are left out with a warning. Of a project's tasks
that of the known video is read. 'CVAT for images' is read too.

CVAT's importer drops shapes that are no keyframes, keeps the first shape only of a track of masks, and refuses tracks
of mixed shapes. So each written shape is a keyframe, and a track is boxes or polygons throughout: where its outlines
are asked for, the corners of the box stand for an object without one, and a box that was interpolated says so in an
attribute of its own (`interpolated="1"`). `cvat_images` writes masks.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise, zip_longest
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability, Summary, TrackRow
from tracker.formats.core.cvat_shapes import KINDS, OTHER_KINDS, CvatShape, read_shape
from tracker.formats.core.cvat_tasks import CvatTask, chosen_task, read_tasks
from tracker.formats.core.decimals import number
from tracker.formats.core.parsing import to_int
from tracker.formats.core.polygons import box_outline, joined, to_outlines
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions
from tracker.formats.core.xml_tree import Node, read_xml

__all__ = ["read", "write"]

log = logging.getLogger(__name__)

FRAME_NAME = re.compile(r"frame_(\d{6,})")
"""What CVAT calls a frame of a video in 'CVAT for images'."""


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All tracks of the task that is meant, or the objects of its images.

    Raises FormatError with the line of what breaks the format, and for a project of several videos of which none or
    more are called as the known one.
    """
    root = read_xml(path, "annotations")
    tasks, declared = read_tasks(root, path)
    rows = Collector(path, source=known.source, labels=declared or None)
    images, tracks = root.all("image"), root.all("track")
    if len(tasks) > 1 and images and not tracks and _is_one_set(images, tasks):
        _read_images(images, rows, tasks[0]._replace(is_video=False), numbered=False)
    else:
        task = chosen_task(tasks, known, rows)
        rows.source = rows.source or task.source
        task = task._replace(width=task.width or known.width, height=task.height or known.height)
        own_tracks, own_images = _of_task(tracks, task, tasks, rows), _of_task(images, task, tasks, rows)
        if task.last >= 0 and not images:
            size = {"width": task.width, "height": task.height}
            rows.frames(task.first, task.last, f"line {root.line}", step=task.step, **size)
        _read_tracks(own_tracks, rows, task)
        _read_images(own_images, rows, task, numbered=True)
    others = Counter(node.tag for owner in (*tracks, *images) for node in owner.children if node.tag in OTHER_KINDS)
    if others:
        log.warning("%s: left out: %s", path, ", ".join(f"{count} {kind}" for kind, count in others.items()))
    return rows.finish()


def _of_task(nodes: list[Node], task: CvatTask, tasks: Sequence[CvatTask], rows: Collector) -> list[Node]:
    """The tracks or images of one task: in a project each says which it belongs to."""
    if len(tasks) == 1:
        return nodes
    without = next((node for node in nodes if not node.attributes.get("task_id")), None)
    if without is not None:
        rows.refuse(f"line {without.line}", f"<{without.tag}> without task_id, in a file of {len(tasks)} tasks")
    return [node for node in nodes if node.attributes["task_id"] == task.number]


def _is_one_set(images: list[Node], tasks: Sequence[CvatTask]) -> bool:
    """Whether a project's images can stand beside each other: none is of a video, and all have names of their own."""
    names = [node.attributes.get("name", "") for node in images]
    return not any(task.source for task in tasks) and not any(map(_frame_of_video, names)) and _are_unique(names)


def _are_unique(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


def _frame_of_video(name: str) -> int | None:
    """The number of a frame that CVAT named itself."""
    found = FRAME_NAME.fullmatch(name)
    return int(found.group(1)) if found else None


def _read_tracks(tracks: list[Node], rows: Collector, task: CvatTask) -> None:
    seen: set[int] = set()
    open_ends = 0
    for place, track in enumerate(tracks):
        where = f"line {track.line}"
        track_id = to_int(track.attributes.get("id", str(place)), "track id", rows.path, where)
        if track_id in seen:
            rows.refuse(where, f"track {track_id} stands twice")
        seen.add(track_id)
        open_ends += _read_track(track, track_id, rows, task)
    if open_ends:
        text = "%s: %d tracks do not end (outside) where they stop; CVAT shows them to the end, here they stop there"
        log.warning(text, rows.path, open_ends)


def _read_track(track: Node, track_id: int, rows: Collector, task: CvatTask) -> bool:
    """Take its shapes and those between; whether it stops before the task does without an end."""
    path, size = rows.path, (task.width, task.height)
    class_id = rows.class_id(track.attributes.get("label", ""), f"line {track.line}")
    nodes = [node for node in track.children if node.tag in KINDS]
    numbers = [to_int(node.attributes.get("frame", ""), "frame", path, f"line {node.line}") for node in nodes]
    shapes = [read_shape(node, rows, size, number) for node, number in zip(nodes, numbers, strict=True)]
    shapes.sort(key=lambda shape: shape.frame)

    def add(shape: CvatShape, frame: int) -> None:
        where = f"line {shape.line}"
        rows.frame(frame, where, width=task.width, height=task.height)
        rows.add(
            frame,
            shape.box,
            where,
            class_id=class_id,
            track_id=track_id,
            segmentation=shape.segmentation,
            occluded=shape.occluded,
            keyframe=shape.keyframe,
        )

    for shape, following in zip_longest(shapes, shapes[1:]):
        where = f"line {shape.line}"
        if following is not None and following.frame == shape.frame:
            rows.refuse(where, f"track {track_id} stands twice in frame {shape.frame}")
        if shape.outside:
            continue
        add(shape, shape.frame)
        if following is None:
            continue
        between = range(shape.frame + task.step, following.frame, task.step)
        rows.fill(len(between), where)
        for frame in between:
            add(shape.towards(following, (frame - shape.frame) / (following.frame - shape.frame)), frame)
    # CVAT itself writes no end where it would be the task's last frame
    return bool(shapes) and not shapes[-1].outside and shapes[-1].frame + task.step < task.last


def _read_images(images: list[Node], rows: Collector, task: CvatTask, *, numbered: bool) -> None:
    """The objects of 'CVAT for images': an image's id is its frame's number, where these are of one task."""
    path = rows.path
    names = [node.attributes.get("name", "") for node in images]
    numbers = [to_int(node.attributes.get("id", ""), "id", path, f"line {node.line}") for node in images]
    indices = numbers if numbered and len(set(numbers)) == len(numbers) else range(len(images))
    for node, name, index in zip(images, names, indices, strict=True):
        where = f"line {node.line}"
        width, height = (to_int(node.attributes.get(side, "0"), side, path, where) for side in ("width", "height"))
        is_frame = task.is_video or _frame_of_video(name) is not None
        rows.frame(index, where, width=width, height=height, name="" if is_frame else name)
        for item in (child for child in node.children if child.tag in KINDS):
            shape = read_shape(item, rows, (width, height), index)
            attributes = {node.attributes.get("name", ""): node.text.strip() for node in item.all("attribute")}
            rows.add(
                index,
                shape.box,
                f"line {item.line}",
                class_id=rows.class_id(item.attributes.get("label", ""), f"line {item.line}"),
                track_id=int(attributes["track_id"])
                if re.fullmatch(r"[0-9]{1,15}", attributes.get("track_id", ""))
                else None,
                segmentation=shape.segmentation,
                occluded=shape.occluded,
                keyframe=attributes.get("interpolated") != "true",
            )


def write(path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
    """One file; a warning lists what it cannot hold. Objects without a track become tracks of one frame."""
    summary = annotations.summary()
    has_outlines = bool(summary.content & (Capability.MASKS | Capability.POLYGONS))
    outlines = has_outlines if options.outlines is None else options.outlines
    holds = Capability.TRACKS | Capability.CLASSES | Capability.OCCLUSION | Capability.KEYFRAMES
    note = "their outlines are written" if outlines else "--outlines writes polygons and the format cvatimages masks"
    instead = {Capability.MASKS: note, Capability.POLYGONS: note}
    holds = holds | Capability.POLYGONS if outlines else holds
    warn_unsupported(summary.content, "CVAT for video", holds, instead=instead, shapes_for_boxes=outlines)
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
