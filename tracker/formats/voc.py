"""Pascal VOC: a folder with one XML file per image in `Annotations`, the names of all in `ImageSets/Main`.

Corners are written as continuous edges, as LabelImg and CVAT do, not as VOC's own pixel numbers counted from 1. Track
ids stand in CVAT's `attributes`, the classes in its `labelmap.txt`. The images belong into `JPEGImages`. Read are
single files and folders, with or without `Annotations`, turned boxes of roLabelImg and polygons of Roboflow.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability, Polygons
from tracker.formats.core.decimals import number
from tracker.formats.core.folder import files_in, frame_number, inside, new_folder
from tracker.formats.core.image_names import is_elsewhere, relative_parts
from tracker.formats.core.parsing import to_float, to_int
from tracker.formats.core.polygons import around, turned_box
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.xml_tree import Node, read_xml
from tracker.image_file import IMAGE_SUFFIXES, ImageFinder, read_image

__all__ = ["read", "write", "write_dataset"]

log = logging.getLogger(__name__)

_VIDEO = "sightline video frame"
"""Stands in `source/annotation` where an image is a frame of a video, whose number its name ends in."""


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All images of a folder, in the order of their names. Raises FormatError for a file that breaks the format."""
    rows = Collector(path, source=known.source, labels=known.labels or None)
    files = files_in(path, ".xml", subfolder="Annotations")
    roots = [read_xml(file, "annotation") for file in files]
    names = _image_names(Path(path), files, roots)
    without = 0
    for place, (file, root) in enumerate(zip(files, roots, strict=True)):
        rows.path = file
        without += _read_file(root, rows, place, *names[place], known)
    if without:
        log.warning("%s: left out: %d objects without a box or outline", path, without)
    return rows.finish()


def _image_names(path: Path, files: Sequence[Path], roots: Sequence[Node]) -> list[tuple[str, Path | None]]:
    """What the image of each file is called, and where it lies if it does.

    File and image are a pair by their own names, as LabelImg and VOC have it: `<filename>` may be that of another
    machine, lack its suffix, or be left from before the files were renamed. It counts where only that image is there,
    and where none is, unless several files say the same.
    """
    finder = ImageFinder()
    base = path / "Annotations" if (path / "Annotations").is_dir() else path if path.is_dir() else path.parent
    file_names = [root.words("filename") for root in roots]
    counts = Counter(file_names)
    found = [
        _image_name(file, name, base, finder, is_unique=counts[name] == 1)
        for file, name in zip(files, file_names, strict=True)
    ]
    others = [
        f"{file.name} ({name})"
        for file, name, (own, _) in zip(files, file_names, found, strict=True)
        if name and _stem(relative_parts(own)[-1]) != _stem((relative_parts(name) or ("",))[-1])
    ]
    if others:
        text = "%s: <filename> gives another image than the file's own name in %d files, such as %s; the latter counts"
        log.warning(text, path, len(others), others[0])
    return found


def _image_name(file: Path, given: str, base: Path, finder: ImageFinder, *, is_unique: bool) -> tuple[str, Path | None]:
    parts = relative_parts(given)
    own, other = _found(file, finder, file.stem), _found(file, finder, _stem(parts[-1])) if parts else None
    counts = bool(parts) and own is None and (other is not None or is_unique)
    image, stem = (other, _stem(parts[-1])) if counts else (own, file.stem)
    suffix = image.suffix if image is not None else PurePosixPath(parts[-1]).suffix if parts else ""
    folders = (
        parts[:-1] if counts and len(parts) > 1 and not is_elsewhere(given) else file.parent.relative_to(base).parts
    )
    return "/".join((*folders, stem + (suffix if suffix.lower() in IMAGE_SUFFIXES else ".jpg"))), image


def _stem(name: str) -> str:
    """The name without the suffix of an image; other ends after a dot belong to it."""
    return PurePosixPath(name).stem if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name


def _found(file: Path, finder: ImageFinder, stem: str) -> Path | None:
    """The image of that name beside the file, or where VOC and others keep images."""
    above = file.parent.parent
    for folder in (file.parent, above / "JPEGImages", above / "images"):
        image = finder.find(folder / stem)
        if image is not None:
            return image
    return None


def _read_file(root: Node, rows: Collector, place: int, name: str, image: Path | None, known: ExternalInfo) -> int:
    """Take the objects of one file; returns how many have no box."""
    path, where = rows.path, f"line {root.line}"
    width, height = (to_int(root.words("size", side) or "0", side, path, where) for side in ("width", "height"))
    index = place
    if root.words("source", "annotation") == _VIDEO:
        index = frame_number(root.words("filename"), rows, where)
        rows.source = rows.source or root.words("source", "database")
        name = ""
    if not width and not known.width and image is not None:
        pixels = read_image(image).pixels
        height, width = pixels.shape[:2] if pixels is not None else (0, 0)
    rows.frame(index, where, width=width, height=height, name=name)
    without = 0
    for node in root.all("object"):
        where = f"line {node.line}"
        if not node.words("name"):
            rows.refuse(where, "an object without a <name>")
        box, outline = _shape(node, rows)
        if box is None:
            without += 1
            continue
        attributes = node.first("attributes")
        track_id = None
        for attribute in attributes.all("attribute") if attributes else ():
            if attribute.words("name") == "track_id":
                track_id = attribute.words("value")
        rows.add(
            index,
            box,
            where,
            class_id=rows.class_id(node.words("name"), where),
            track_id=None if track_id is None else to_int(track_id, "track_id", path, where),
            segmentation=outline,
            occluded=node.words("occluded") == "1",
        )
    return without


def _shape(node: Node, rows: Collector) -> tuple[Sequence[float] | None, Polygons | None]:
    """Box and outline of an object: upright, turned as roLabelImg has it, or a polygon as Roboflow has it."""
    path, where = rows.path, f"line {node.line}"
    turned, polygon = node.first("robndbox"), node.first("polygon")
    if turned is not None:
        cx, cy, width, height, angle = (
            to_float(turned.words(part), part, path, where) for part in ("cx", "cy", "w", "h", "angle")
        )
        outline = turned_box((cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2), math.degrees(angle))
        return around(outline), (outline,)
    points: tuple[float, ...] = ()
    if polygon is not None:
        corners = sorted((int(child.tag[1:]), child) for child in polygon.children if re.fullmatch(r"x\d+", child.tag))
        cells = [cell for number, x in corners for cell in (x.text, polygon.words(f"y{number}"))]
        points = tuple(to_float(cell.strip(), "polygon", path, where) for cell in cells)
    outlines = (points,) if len(points) >= 6 else None
    if node.first("bndbox") is None:
        return (around(points), outlines) if outlines else (None, None)
    edges = ("xmin", "ymin", "xmax", "ymax")
    return [to_float(node.words("bndbox", edge), edge, path, where) for edge in edges], outlines


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """A folder with one file per image, empty ones too; a warning lists what they cannot hold."""
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
