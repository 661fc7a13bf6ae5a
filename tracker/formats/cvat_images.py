"""CVAT for images 1.1: one XML file of images, each with its shapes; `cvat` reads it.

    <image id="0" name="street_000001.jpg" width="1920" height="1080">
      <mask label="person" source="manual" occluded="0" rle="3, 4, ..." left="10" top="20" width="21" height="41"
        z_order="0"><attribute name="track_id">1</attribute></mask>

`id` is the frame's number, by which CVAT finds it in a video's task. An object is a `<mask>` where it has one (run
lengths of the rows of a window), a `<polygon>` where it has one outline, else a `<box>`; all are kept as they are. CVAT
keeps the attributes where the task's labels have a number called `track_id` and a checkbox called `interpolated`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from tracker.formats.core.annotations import Annotations
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.content import Capability
from tracker.formats.core.decimals import number
from tracker.formats.core.polygons import to_window
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.cvat import read

__all__ = ["read", "write"]

ATTRIBUTES = {
    "track_id": ("number", "0", "0\n9007199254740992\n1"),
    "interpolated": ("checkbox", "false", "false"),
}
"""Kind, default and values of each attribute of a label."""


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """One file; a warning lists what it cannot hold."""
    shapes = Capability.MASKS | Capability.POLYGONS | Capability.OCCLUSION | Capability.KEYFRAMES
    holds = Capability.TRACKS | Capability.CLASSES | Capability.UNTRACKED | shapes
    warn_unsupported(annotations.summary().content, "CVAT for images", holds, shapes_for_boxes=True)
    with AtomicText(path) as file:
        file.write("\n".join(_head(annotations)) + "\n")
        for part in annotations.by_frames():
            names = part.file_names(".jpg")
            columns = zip(part.frames.indices.tolist(), names, part.rows_by_frame(), strict=True)
            for frame, (index, name, rows) in enumerate(columns):
                width, height = int(part.frames.widths[frame]), int(part.frames.heights[frame])
                name = quoteattr(part.frames.names[frame] or name)
                file.write(f'  <image id="{index}" name={name} width="{width}" height="{height}">\n')
                file.write("".join(_shape(part, row, (width, height)) for row in rows))
                file.write("  </image>\n")
        file.write("</annotations>\n")


def _head(annotations: AnnotationParts) -> Iterator[str]:
    summary, source = annotations.summary(), escape(annotations.source)
    origin = "" if summary.are_images else f"\n    <source>{source}</source>"
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield f"<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n      <name>{source}</name>"
    yield f"      <size>{summary.last_frame - summary.first_frame + 1}</size>\n      <mode>annotation</mode>"
    yield "      <labels>"
    for name in annotations.labels:
        yield f"        <label><name>{escape(name)}</name><attributes>"
        for attribute, (kind, default, values) in ATTRIBUTES.items():
            yield (
                f"          <attribute><name>{attribute}</name><mutable>False</mutable><input_type>{kind}</input_type>"
                f"<default_value>{default}</default_value><values>{values}</values></attribute>"
            )
        yield "        </attributes></label>"
    yield f"      </labels>\n    </task>{origin}\n  </meta>"


def _shape(annotations: Annotations, row: int, size: tuple[int, int]) -> str:
    """One object of an image."""
    objects = annotations.objects
    label = quoteattr(annotations.labels[objects.class_ids[row]])
    head = f'label={label} source="manual" occluded="{int(objects.occluded[row])}"'
    segmentation, (width, height) = objects.segmentations[row], size
    tag, place = "box", ""
    if isinstance(segmentation, tuple) and len(segmentation) == 1:
        pairs = zip(segmentation[0][::2], segmentation[0][1::2], strict=True)
        tag, place = "polygon", f'points="{";".join(f"{number(x)},{number(y)}" for x, y in pairs)}"'
    elif segmentation is not None and width:
        (down, across), covered = to_window(segmentation, width=width, height=height)
        if covered.size:
            tall, wide = covered.shape
            tag, place = "mask", f'rle="{", ".join(map(str, _row_runs(covered)))}" left="{across.start}" '
            place += f'top="{down.start}" width="{wide}" height="{tall}"'
    if tag == "box":
        x1, y1, x2, y2 = (number(edge) for edge in objects.boxes[row].tolist())
        place = f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"'
    written = {"track_id": str(int(objects.track_ids[row]))} if objects.track_ids[row] else {}
    written |= {} if objects.keyframes[row] else {"interpolated": "true"}
    attributes = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in written.items())
    return f'    <{tag} {head} {place} z_order="0">{attributes}</{tag}>\n'


def _row_runs(covered: Bool[ndarray, "h w"]) -> list[int]:
    """Lengths of the runs outside, inside, outside ... of the rows one after another."""
    flat = covered.ravel()
    edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    runs: list[int] = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs
