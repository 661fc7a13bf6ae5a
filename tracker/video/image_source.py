"""A folder, a glob or a list of images as Frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from glob import glob, has_magic
from pathlib import Path

from tracker.errors import SourceError
from tracker.image_file import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES, read_image
from tracker.protocols import FrameSource
from tracker.types import Frame, Image, SourceInfo

__all__ = ["ImageSource", "natural_key"]

log = logging.getLogger(__name__)


class ImageSource(FrameSource):
    """Images in natural order ("2.jpg" before "10.jpg"), turned upright by their EXIF orientation.

    Images have no time stamps: frame i is given the time i / `rate`, by default 30 a second. They may differ in size.
    An image that cannot be read is skipped with a warning and counted in `damage`; its index stays unused, so that
    index and file keep belonging together. A JPEG that was cut off is used as far as it goes, reported and counted.
    What had to be assumed to show an image is warned of, each kind once. A frame's `source` is its file's name.
    """

    live = False

    def __init__(
        self, images: str | Path | Sequence[str | Path], *, vid_stride: int = 1, rate: Fraction | float = Fraction(30)
    ):
        self._paths = _find(images)
        self.name = _name_of(images)
        self.damage = 0
        self._stride = max(1, vid_stride)
        self._rate = Fraction(rate).limit_denominator(100_000)
        self._closed = False
        height, width = self._first_image().shape[:2]
        self.info = SourceInfo(
            width=width,
            height=height,
            rate=self._rate,
            frame_count=len(self._paths),
            duration_s=float(len(self._paths) / self._rate),
            time_base=1 / self._rate,
        )

    def __iter__(self) -> Iterator[Frame]:
        self.damage = 0
        noted: set[str] = set()
        for index, path in enumerate(self._paths):
            if self._closed:
                return
            if index % self._stride:
                continue
            image, whole, note = read_image(path)
            self.damage += not whole
            kind = re.sub(r"\d+", "", note)
            if note and kind not in noted:
                noted.add(kind)
                log.warning("%s: %s%s.", path.name, note, "" if len(self._paths) == 1 else "; others too may be such")
            if image is None:
                log.warning("%s cannot be read as an image; skipped.", path)
            else:
                if not whole:
                    log.warning("%s was cut off; what is there of it is used. Copy it again to have all of it.", path)
                yield Frame(image, index, float(index / self._rate), path.name)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in their natural order."""
        return self._paths

    def frame_at(self, index: int) -> Frame:
        """The image of that index."""
        if not 0 <= index < len(self._paths):
            raise SourceError(f"{self.name}: frame {{0}} is none of its {len(self._paths)} images", frames=(index,))
        path = self._paths[index]
        image, _, note = read_image(path)
        if image is None:
            why = f" ({note})" if note else ""
            raise SourceError(f"{path}: frame {{0}} cannot be read as an image{why}", frames=(index,))
        return Frame(image, index, float(index / self._rate), path.name)

    def close(self) -> None:
        self._closed = True

    def _first_image(self) -> Image:
        for path in self._paths:
            image = read_image(path).pixels
            if image is not None:
                return image
        raise SourceError(f"{self.name}: none of its {len(self._paths)} images can be read. Check one in a viewer.")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts numbers inside names by their value."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _find(images: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    if not isinstance(images, (str, Path)):
        return tuple(Path(image) for image in images)
    path = Path(images)
    if path.is_file():
        return (path,)
    if path.is_dir():
        inside = [entry for entry in path.iterdir() if entry.is_file()]
    else:
        inside = [
            Path(match)
            for match in glob(str(images), recursive=True)  # noqa: PTH207  (patterns may be absolute)
            if Path(match).is_file()
        ]
    found = sorted((entry for entry in inside if entry.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
    left_out = [entry.name for entry in inside if entry.suffix.lower() in UNREADABLE_SUFFIXES]
    if found and left_out:
        log.warning(
            "%s: %d images of a kind that is not read here are left out, such as %s; convert them to JPEG or PNG.",
            images, len(left_out), min(left_out),
        )  # fmt: skip
    if not found:
        where = "folder" if path.is_dir() else "pattern"
        others = sorted({entry.suffix.lower() or "no suffix" for entry in inside})
        holds = f"{len(inside)} other files ({', '.join(others[:5])})" if inside else "no file at all"
        raise SourceError(
            f"{images}: no images match this {where}, which holds {holds}. Expected one of "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}; videos are read one at a time, by their file name."
        )
    return tuple(found)


def _name_of(images: str | Path | Sequence[str | Path]) -> str:
    if not isinstance(images, (str, Path)):
        return f"{len(images)} images"
    path = Path(images)
    if has_magic(str(images)) and not path.exists():
        fixed = [part for part in path.parts if not has_magic(part)]
        return fixed[-1] if fixed and fixed[-1] != path.anchor else "images"
    return path.resolve().name or str(path)
