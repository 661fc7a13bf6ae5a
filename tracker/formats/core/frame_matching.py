"""Which frames the named images of a file are: of a folder of images by name, of a video by the number in the name.

Formats of single frames (COCO, Pascal VOC, YOLO text) number them in the order they stand in, so where some are left
out, as programs do that write no file for an empty frame, these numbers are not those of the frames.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from tracker.errors import FormatError
from tracker.formats.core.annotations import Annotations

__all__ = ["NUMBERED_BY_PLACE", "are_gapless", "place_in_folder", "place_in_video"]

log = logging.getLogger(__name__)

NUMBERED_BY_PLACE = ("coco", "voc", "yolo", "cvat")
"""Formats that know frames by their names."""
FROM_ZERO = re.compile(r"frame_\d{6}")
"""What CVAT and Datumaro call the frames of a video."""


def place_in_folder(annotations: Annotations, path: Path | str, images: Mapping[int, str]) -> Annotations:
    """The annotations with each named image at the frame whose image is called so; `images` are file names by frame.

    A name agrees with its folder, without it, or without its suffix too. Raises FormatError where an image is missing
    or meant twice.
    """
    names = annotations.frames.names
    if not any(names):
        return annotations
    by_name = _unique((PurePosixPath(name).name, frame) for frame, name in images.items())
    by_stem = _unique((PurePosixPath(name).stem, frame) for frame, name in images.items())
    frames, missing = [], []
    for name in names:
        frame = by_name.get(PurePosixPath(name).name, by_stem.get(PurePosixPath(name).stem))
        if frame is None:
            missing.append(name)
        else:
            frames.append(frame)
    if missing:
        _refuse(path, f"{len(missing)} of its {len(names)} images are not in the folder, {missing[0]!r} for one")
    if len(set(frames)) < len(frames):
        twice = next(frame for frame in frames if frames.count(frame) > 1)
        _refuse(path, f"mentions twice the image {images[twice]}; give the part that belongs to this folder")
    return _moved(annotations, frames)


def place_in_video(annotations: Annotations, path: Path | str, video: str, count: int) -> Annotations:
    """The annotations with each named image at the frame of the video, which has `count`, that its name says.

    Names without numbers are taken in order where there is one for each frame. Raises FormatError where it cannot be
    reported which frames are meant.
    """
    names = annotations.frames.names
    indices = annotations.frames.indices.tolist()
    if not any(names) or len(names) == count or indices != list(range(len(indices))):
        return annotations
    fault = f"mentions {len(names)} images, but {video} has {count} frames; "
    numbers = _numbers(names)
    if numbers is None:
        _refuse(path, f"{fault}names that end in the frame's number, such as clip_000001, tell which they are")
    least, most = min(numbers), max(numbers)
    stem = PurePosixPath(names[0]).stem
    own = re.fullmatch(rf"{re.escape(PurePosixPath(video).stem)}_\d+", stem) is not None
    if most > count or (least == 0 and most == count):
        _refuse(path, f"{fault}{PurePosixPath(names[numbers.index(most)]).name} is behind its end")
    if least == 0 or (FROM_ZERO.fullmatch(stem) and most < count):
        first = 0
    elif own or least == 1 or most == count:
        first = 1
    else:
        _refuse(
            path, f"{fault}whether the numbers in their names, {least} to {most}, count from 0 or 1 is unclear; "
            f"call them {PurePosixPath(video).stem}_{least:06d} and so on, from 1"
        )  # fmt: skip
    log.warning(
        "%s: the images %s to %s are taken for frames %d to %d of %s, counted from 0",
        path, names[numbers.index(least)], names[numbers.index(most)], least - first, most - first, video,
    )  # fmt: skip
    return _moved(annotations, [number - first for number in numbers])


def are_gapless(annotations: Annotations) -> bool:
    """Whether the numbers that the images' names end in, if they do, follow each other as the frames do."""
    numbers = _numbers(annotations.frames.names)
    return numbers is None or numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _numbers(names: Sequence[str]) -> list[int] | None:
    """What the names end in, where all are the same text before it and no number stands twice.

    >>> _numbers(["street_009.jpg", "street_010.jpg"]), _numbers(["street_009.jpg", "park_010.jpg"])
    ([9, 10], None)
    """
    found = [re.fullmatch(r"(.*?)(\d{1,15})", PurePosixPath(name).stem) for name in names]
    parts = [match.groups() for match in found if match is not None]
    numbers = [int(number) for _, number in parts]
    same = len(parts) == len(names) and len({text for text, _ in parts}) == 1
    return numbers if same and len(set(numbers)) == len(numbers) else None


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Frames by key, without the keys that stand for several.

    >>> _unique([("a", 0), ("b", 1), ("a", 2)])
    {'b': 1}
    """
    found: dict[str, int] = {}
    several = set()
    for key, frame in pairs:
        if key in found:
            several.add(key)
        found[key] = frame
    return {key: frame for key, frame in found.items() if key not in several}


def _moved(annotations: Annotations, indices: Sequence[int]) -> Annotations:
    """The annotations with other frame numbers, in their order."""
    frames, objects = annotations.frames, annotations.objects
    order = np.argsort(indices, kind="stable")
    rank = np.argsort(order, kind="stable")
    chosen = objects[np.argsort(rank[objects.frames], kind="stable")]
    return replace(
        annotations,
        frames=replace(frames[order], indices=np.array(indices, np.int64)[order]),
        objects=replace(chosen, frames=rank[chosen.frames].astype(np.int64)),
    )


def _refuse(path: Path | str, reason: str) -> NoReturn:
    raise FormatError(f"{path}: {reason}")
