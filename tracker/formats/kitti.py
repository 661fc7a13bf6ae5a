"""KITTI tracking text: `frame id type truncated occluded alpha x1 y1 x2 y2 h w l x y z rotation [score]`.

Frames and ids count from 0 in KITTI's own files; here a track id is written as it is, so that it stays recognisable,
and read ids are raised by one only where the file has an id 0. `occluded` is 0 (visible) to 3 (unknown): 1 and 2 are
read as hidden. What only a 3-D annotation knows is written as KITTI's "not known". KITTI's own names
stand for classes that mean the same (`Pedestrian` for person: its `Person` is one who sits, and is not scored) and
`Misc` for others beside them, as its programs stop at names that are not theirs; where there is none of KITTI's
classes all keep their names, with underscores for blanks. `DontCare` regions (id -1) are objects without a track.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability
from tracker.formats.core.decimals import number
from tracker.formats.core.parsing import read_text, to_float, to_int
from tracker.formats.core.unsupported import warn_unsupported

__all__ = ["read", "write"]

log = logging.getLogger(__name__)

TYPES = {"person": "Pedestrian", "pedestrian": "Pedestrian", "cyclist": "Cyclist"}
TYPES |= {"car": "Car", "van": "Van", "truck": "Truck", "tram": "Tram"}
"""KITTI's names of what other data sets name otherwise, or in small letters."""


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The rows of a label or result file. Raises FormatError for a row that breaks the format."""
    rows = Collector(path, source=known.source, labels=known.labels or None)
    table = [
        (f"line {line}", text.split())
        for line, text in enumerate(read_text(path).splitlines(), start=1)
        if text.strip()
    ]
    for where, cells in table:
        if len(cells) not in (17, 18):
            rows.refuse(where, f"expected 17 or 18 columns, found {len(cells)}")
    types = _types(known.labels)
    labels = {name: label for name, label in zip(types, known.labels, strict=True) if types.count(name) == 1}
    for where, cells in table:
        frame = to_int(cells[0], "frame", path, where)
        track_id = to_int(cells[1], "id", path, where)
        occluded = to_int(cells[4], "occluded", path, where)
        x1, y1, x2, y2 = (
            to_float(cell, name, path, where)
            for cell, name in zip(cells[6:10], ("left", "top", "right", "bottom"), strict=True)
        )
        if frame < 0:
            rows.refuse(where, f"frames count from 0, found {frame}")
        rows.frame(frame, where, width=known.width, height=known.height)
        rows.add(
            frame,
            (x1, y1, x2, y2),
            where,
            class_id=rows.class_id(labels.get(cells[2], cells[2]), where),
            track_id=track_id if track_id >= 0 else None,
            score=to_float(cells[17], "score", path, where) if len(cells) == 18 else math.nan,
            occluded=occluded in (1, 2),
        )
    return rows.finish()


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """A label file, or a result file where objects have scores; a warning lists what it cannot hold."""
    holds = Capability.TRACKS | Capability.CLASSES | Capability.SCORES | Capability.OCCLUSION | Capability.UNTRACKED
    warn_unsupported(annotations.summary().content, "KITTI text", holds)
    names = _types(annotations.labels)
    pairs = zip(annotations.labels, names, strict=True)
    renamed = [f"{name} as {theirs}" for name, theirs in pairs if name != theirs]
    if renamed:
        log.warning("KITTI text: written are %s", ", ".join(renamed))
    with AtomicText(path) as file:
        for part in annotations.by_frames():
            objects = part.objects
            for row, index in enumerate(part.frames.indices[objects.frames].tolist()):
                track_id, occluded, score = int(objects.track_ids[row]), int(objects.occluded[row]), objects.scores[row]
                corners = " ".join(number(edge) for edge in objects.boxes[row].tolist())
                confidence = "" if math.isnan(score) else f" {number(float(score), 4)}"
                file.write(
                    f"{index} {track_id or -1} {names[objects.class_ids[row]]} 0 {occluded} -10 {corners} "
                    f"-1 -1 -1 -1000 -1000 -1000 -10{confidence}\n"
                )


def _types(labels: tuple[str, ...]) -> list[str]:
    """What each label is called in a file."""
    names = [TYPES.get(label.casefold(), "") for label in labels]
    if any(names):
        return [name or "Misc" for name in names]
    return ["_".join(label.split()) or "object" for label in labels]
