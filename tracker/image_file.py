"""A still image in a file, of any kind that can be read, as upright RGB of 8 bits.

May import types only: sources, formats and training data read their images here, so that all see the same pixels.
"""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tracker.types import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "UNREADABLE_SUFFIXES",
    "ImageFinder",
    "StillImage",
    "decode_image",
    "is_image",
    "read_image",
]

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".gif", ".bmp", ".dib", ".webp", ".avif", ".tif", ".tiff"}
    | {".pbm", ".pgm", ".ppm", ".pnm"}
)
UNREADABLE_SUFFIXES = frozenset({".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".psd", ".exr"})
"""Images too, which no library at hand decodes."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP  ")
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_TAIL = 4096
SENSOR_BITS = (10, 12, 14)
"""Depths of cameras whose values are stored in 16 bits as they are."""
HALFTONE_SIGMA = 1.4
"""Width, in pixels, of the blur that turns a pattern of black and white dots back into shades."""
TIFF_BITS, TIFF_SAMPLES, TIFF_SHORT = 258, 277, 3


class StillImage(NamedTuple):
    """What a file holds."""

    pixels: Image | None
    """None where it cannot be decoded."""
    whole: bool
    """False where the file was cut off or cannot be decoded."""
    note: str = ""
    """What was assumed to show it, for people; empty where nothing was."""


def read_image(path: Path) -> StillImage:
    """The image in a file; a JPEG that was cut off is used as far as it goes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        log.debug("%s: %s", path, error)
        return StillImage(None, False)
    return decode_image(content)


def decode_image(content: bytes) -> StillImage:
    """The image of a file's content.

    Values of 10, 12 or 14 bits in a 16-bit file are spread over the whole range, dots of a 1-bit file are blurred to
    shades, of an animation the first image is taken; `note` says so.
    """
    cut = content.startswith(JPEG_START) and JPEG_END not in content[-JPEG_TAIL:]
    if cut:
        content += JPEG_END  # without an end OpenCV refuses also what can be decoded
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        stored = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error as error:
        log.debug("%s", error)
        stored = None
    if stored is None or stored.dtype not in (np.uint8, np.uint16):
        return StillImage(None, False)
    notes = ["it holds several images, the first is used"] if _holds_several(content) else []
    if stored.dtype == np.uint16:
        highest = int(stored.max(initial=0))
        depth = next((bits for bits in SENSOR_BITS if highest < 1 << bits), 16)
        stored = (stored.astype(np.int32) >> (depth - 8)).astype(np.uint8)
        if depth < 16:
            notes.append(f"its 16-bit values go no higher than {highest} and are taken for {depth} bits")
    if _is_bilevel(content):
        stored = cv2.GaussianBlur(stored, (0, 0), HALFTONE_SIGMA)
        notes.append("it is black and white only; its dots are blurred to shades, and little may be found")
    image = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)
    image.flags.writeable = False
    return StillImage(image, not cut, "; ".join(notes))


def is_image(path: Path) -> bool:
    """Whether the content is a still image; an unreadable or empty file, or a GIF, which may be one, by its suffix."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    if start.startswith(SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or start[4:12] == b"ftypavif":
        return True
    return path.suffix.lower() in IMAGE_SUFFIXES and not start.startswith(b"GIF8")


class ImageFinder:
    """Images by their path without the suffix, which may be written in any case; each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, stem: Path) -> Path | None:
        """The image `stem`.jpg, .JPG, .png ...; None where there is none."""
        if stem.parent not in self._folders:
            entries = sorted(stem.parent.iterdir()) if stem.parent.is_dir() else []
            images = (entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES)
            self._folders[stem.parent] = {entry.stem: entry for entry in images}
        return self._folders[stem.parent].get(stem.name)


def _holds_several(content: bytes) -> bool:
    """Whether it is an animation, or has several pages."""
    if content.startswith(b"GIF8"):
        return _gif_images(content) > 1
    if content[8:16] == b"WEBPVP8X":
        return bool(content[20] & 0x02)
    if content.startswith(b"\x89PNG"):
        return b"acTL" in content[: content.find(b"IDAT")]
    if content[4:12] == b"ftypavis":
        return True
    directory = _tiff_directory(content)
    return directory is not None and directory.next_offset > 0


def _gif_images(content: bytes) -> int:
    """Images of a GIF file: each begins with a comma and a header, its data come in blocks that tell their length."""
    flags = content[10] if len(content) > 10 else 0
    position, images = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while content[position : position + 1] in (b"!", b","):
        if content[position : position + 1] == b",":
            images += 1
            flags = content[position + 9] if len(content) > position + 9 else 0
            position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            position += 2
        while position < len(content) and content[position]:
            position += content[position] + 1
        position += 1
    return images


def _is_bilevel(content: bytes) -> bool:
    """Whether every pixel is stored in one bit."""
    if content.startswith(b"\x89PNG"):
        return content[24:26] == b"\x01\x00"
    if content.startswith(b"BM"):
        return content[28:30] == b"\x01\x00"
    directory = _tiff_directory(content)
    if directory is not None:
        return directory.values.get(TIFF_BITS, 1) == 1 and directory.values.get(TIFF_SAMPLES, 1) == 1
    return content[:2] in (b"P1", b"P4")


class _TiffDirectory(NamedTuple):
    values: dict[int, int]
    """The fields of one short number, by tag."""
    next_offset: int
    """Where the next page's begins; 0 after the last."""


def _tiff_directory(content: bytes) -> _TiffDirectory | None:
    """The first directory of a TIFF file; None where it is none, or broken."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(content[:4])
    if order is None:
        return None
    try:
        (offset,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, offset)
        fields = [struct.unpack_from(f"{order}HHIH", content, offset + 2 + 12 * place) for place in range(count)]
        (following,) = struct.unpack_from(f"{order}I", content, offset + 2 + 12 * count)
    except struct.error:
        return None
    values = {tag: value for tag, kind, length, value in fields if kind == TIFF_SHORT and length == 1}
    return _TiffDirectory(values, following)
