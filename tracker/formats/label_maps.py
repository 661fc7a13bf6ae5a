"""Labels of every pixel in the two layouts that others read: COCO panoptic, and CVAT's segmentation masks.

`panoptic`, as COCO's panoptic task has it: `annotations/panoptic_default.json`, and for each frame
`annotations/panoptic_default/street_000001.png`, whose pixels are R + 256 G + 65536 B of their segment's id, 0 where
nothing is labelled. Each label of a frame is one segment, its id that of its category, and no category is a thing. The
frames themselves belong into `images/default`, which is made empty: Datumaro reads nothing without that folder.

`segmentationmask`, as CVAT has it under *Segmentation mask 1.1* and Pascal VOC before it: `labelmap.txt` with a colour
per label, `ImageSets/Segmentation/default.txt` with the names of the frames, and in those colours
`SegmentationClass/street_000001.png`, again as `SegmentationObject`, each label being one object. Black is
`background`, where nothing is labelled.

Sources: Kirillov and others, "Panoptic Segmentation", 2019; the Pascal VOC development kit for the colours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.errors import FormatError, SinkError
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.folder import inside
from tracker.types import Image

__all__ = ["LABEL_MAP_FORMATS", "LabelledFrame", "label_colours"]

SUBSET = "default"
BACKGROUND = "background"


class LabelledFrame(NamedTuple):
    """A frame as the writers take it."""

    name: str
    """Of its image, such as street_000001.jpg; relative."""
    frame: int
    """Its number, from 0."""
    labels: UInt8[ndarray, "h w"]
    """Numbers of the labels at the frame's size; any number beyond them is no label."""


def label_colours(count: int) -> UInt8[ndarray, "n 3"]:
    """A colour per number, all of them different, 0 black: Pascal VOC's, the bits of the number dealt to R, G and B."""
    numbers = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((numbers >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def write_panoptic(folder: Path, labels: Sequence[str], frames: Iterator[LabelledFrame]) -> None:
    """COCO panoptic; memory does not grow with the pixels, only by an entry per frame."""
    part = f"panoptic_{SUBSET}"
    colours = label_colours(len(labels) + 1).tolist()
    categories = [
        {"id": number, "name": name, "supercategory": "", "isthing": 0, "color": colours[number]}
        for number, name in enumerate(labels, start=1)
    ]
    images = []
    _make_folder(folder / "images" / SUBSET)
    with AtomicText(folder / "annotations" / f"{part}.json") as file:
        file.write(f'{{"info": {{}}, "licenses": [], "categories": {json.dumps(categories, ensure_ascii=False)}, ')
        file.write('"annotations": [')
        for row, labelled in enumerate(frames):
            segments = np.where(labelled.labels < len(labels), labelled.labels.astype(np.int64) + 1, 0)
            png = str(Path(labelled.name).with_suffix(".png").as_posix())
            _write_png(
                inside(folder / "annotations" / part, png),
                np.stack([segments % 256, segments // 256, np.zeros_like(segments)], axis=2).astype(np.uint8),
            )
            entry = {"image_id": labelled.frame + 1, "file_name": png, "segments_info": _segments(segments)}
            file.write((",\n" if row else "\n") + json.dumps(entry, ensure_ascii=False))
            height, width = segments.shape
            images.append({"id": labelled.frame + 1, "file_name": labelled.name, "width": width, "height": height})
        file.write(f'\n], "images": {json.dumps(images, ensure_ascii=False)}}}\n')


def _segments(segments: ndarray) -> list[dict[str, object]]:
    found = []
    for number in np.unique(segments[segments > 0]).tolist():
        covered = segments == number
        rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
        left, top = int(columns[0]), int(rows[0])
        found.append(
            {
                "id": number,
                "category_id": number,
                "area": int(covered.sum()),
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 0,
            }
        )
    return found


def write_segmentation_masks(folder: Path, labels: Sequence[str], frames: Iterator[LabelledFrame]) -> None:
    """CVAT's segmentation masks. Raises FormatError for a label that labelmap.txt cannot hold."""
    for name in labels:
        if set(name) & set(":#\n\r") or name == BACKGROUND:
            raise FormatError(
                f"label {name!r}: labelmap.txt has no place for it; {BACKGROUND!r} stands for pixels without a label "
                "there, and ':' and '#' part its columns. Export as panoptic, or train with another name."
            )
    colours = label_colours(len(labels) + 1)
    table = np.zeros((256, 3), np.uint8)
    table[: len(labels)] = colours[1:]
    with AtomicText(folder / "labelmap.txt") as file:
        file.write("# label:color_rgb:parts:actions\n")
        for name, colour in zip((BACKGROUND, *labels), colours.tolist(), strict=True):
            file.write(f"{name}:{','.join(map(str, colour))}::\n")
    with AtomicText(folder / "ImageSets" / "Segmentation" / f"{SUBSET}.txt") as file:
        for frame in frames:
            stem = str(Path(frame.name).with_suffix("").as_posix())
            for kind in ("SegmentationClass", "SegmentationObject"):
                _write_png(inside(folder / kind, f"{stem}.png"), table[frame.labels])
            file.write(f"{stem}\n")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be made: {error.strerror}. Choose another folder.") from error


def _write_png(path: Path, pixels: Image) -> None:
    _make_folder(path.parent)
    try:
        _, content = cv2.imencode(".png", pixels[:, :, ::-1])
        path.write_bytes(content.tobytes())
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}. Free space or choose another folder.") from error


class LabelMapFormat(NamedTuple):
    """A format of recordings that have a label per pixel."""

    title: str
    write: Callable[[Path, Sequence[str], Iterator[LabelledFrame]], None]
    """Writes into a new folder."""


LABEL_MAP_FORMATS = {
    "panoptic": LabelMapFormat("COCO panoptic, a label per pixel", write_panoptic),
    "segmentationmask": LabelMapFormat("CVAT segmentation mask, a label per pixel", write_segmentation_masks),
}
"""By the name that the command line calls them."""
