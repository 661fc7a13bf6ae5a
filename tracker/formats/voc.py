"""Pascal VOC: a folder with one XML file per picture in `Annotations`, the names of all in `ImageSets/Main`.

Corners are written as continuous edges, as LabelImg and CVAT do, not as VOC's own pixel numbers counted from 1. Track
ids stand in CVAT's `attributes`, the classes in its `labelmap.txt`. The images belong into `JPEGImages`. Read are
single files and folders, with or without `Annotations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, Collector, ExternalInfo, number
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts, Capability
from tracker.formats.core.folder import files_in, frame_number, inside, new_folder
from tracker.formats.core.parsing import to_float, to_int
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.xml_tree import Node, read_xml

__all__ = ["read", "write", "write_dataset"]

_VIDEO = "sightline video frame"
"""Stands in `source/annotation` where a picture is a frame of a video, whose number its name ends in."""


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All pictures of a folder, in the order of their names. Raises FormatError for a file that breaks the format."""
    rows = Collector(path, source=known.source, labels=known.labels or None)
    for place, file in enumerate(files_in(path, ".xml", subfolder="Annotations")):
        rows.path = file
        _read_file(read_xml(file, "annotation"), rows, place)
    return rows.finish()


def _read_file(root: Node, rows: Collector, place: int) -> None:
    path, where = rows.path, f"line {root.line}"
    width, height = (to_int(root.words("size", side) or "0", side, path, where) for side in ("width", "height"))
    name, index = root.words("filename"), place
    if root.words("source", "annotation") == _VIDEO:
        index = frame_number(name, rows, where)
        rows.source = rows.source or root.words("source", "database")
        name = ""
    rows.frame(index, where, width=width, height=height, name=name)
    for node in root.all("object"):
        where = f"line {node.line}"
        x1, y1, x2, y2 = (
            to_float(node.words("bndbox", edge), edge, path, where) for edge in ("xmin", "ymin", "xmax", "ymax")
        )
        if not node.words("name"):
            rows.refuse(where, "an object without a <name>")
        attributes = node.first("attributes")
        track_id = None
        for attribute in attributes.all("attribute") if attributes else ():
            if attribute.words("name") == "track_id":
                track_id = attribute.words("value")
        rows.add(
            index,
            (x1, y1, x2, y2),
            where,
            class_id=rows.class_id(node.words("name"), where),
            track_id=None if track_id is None else to_int(track_id, "track_id", path, where),
            occluded=node.words("occluded") == "1",
        )


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """A folder with one file per picture, empty ones too; a warning lists what they cannot hold."""
    write_dataset(Path(path), {"": annotations})


def write_dataset(folder: Path, subsets: Mapping[str, AnnotationParts]) -> dict[str, Path]:
    """Annotations and lists of a new folder; returns the folder for the images, the same for each subset."""
    holds = Capability.TRACKS | Capability.CLASSES | Capability.OCCLUSION | Capability.UNTRACKED
    first = next(iter(subsets.values()))
    summary = first.summary()
    warn_unsupported(summary.content, "Pascal VOC", holds)
    new_folder(folder)
    is_video = not summary.are_images
    origin = escape(first.source) if is_video else "Unknown"
    origin = f"<database>{origin}</database>" + (f"<annotation>{_VIDEO}</annotation>" if is_video else "")
    for name, subset in subsets.items():
        with AtomicText(folder / "ImageSets" / "Main" / f"{name or 'default'}.txt") as names:
            for part in subset.by_frames():
                _write_part(folder, part, origin)
                names.write("".join(f"{file.removesuffix('.xml')}\n" for file in part.file_names(".xml")))
    with AtomicText(folder / "labelmap.txt") as file:
        file.write("# label:color_rgb:parts:actions\n" + "".join(f"{label}:::\n" for label in first.labels))
    return dict.fromkeys(subsets, new_folder(folder / "JPEGImages"))


def _write_part(folder: Path, annotations: Annotations, origin: str) -> None:
    frames, objects = annotations.frames, annotations.objects
    names = zip(annotations.file_names(".xml"), annotations.file_names(".jpg"), strict=True)
    for frame, (rows, (name, image)) in enumerate(zip(annotations.rows_by_frame(), names, strict=True)):
        width, height = int(frames.widths[frame]), int(frames.heights[frame])
        lines = [
            "<annotation>",
            f"  <folder>{escape(folder.name)}</folder>",
            f"  <filename>{escape(frames.names[frame] or image)}</filename>",
            f"  <source>{origin}</source>",
            f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
            "  <segmented>0</segmented>",
        ]
        for row in rows:
            x1, y1, x2, y2 = (number(edge) for edge in objects.boxes[row].tolist())
            track_id = int(objects.track_ids[row])
            lines += [
                "  <object>",
                f"    <name>{escape(annotations.labels[objects.class_ids[row]])}</name>",
                "    <pose>Unspecified</pose>",
                "    <truncated>0</truncated>",
                f"    <occluded>{int(objects.occluded[row])}</occluded>",
                "    <difficult>0</difficult>",
                f"    <bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>",
            ]
            if track_id:
                value = f"<name>track_id</name><value>{track_id}</value>"
                lines.append(f"    <attributes><attribute>{value}</attribute></attributes>")
            lines.append("  </object>")
        lines.append("</annotation>\n")
        with AtomicText(inside(folder / "Annotations", name)) as file:
            file.write("\n".join(lines))
