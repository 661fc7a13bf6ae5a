"""Name tags: measured, placed without covering each other where that is cheap, and drawn.

Text goes through OpenCV 5's TrueType renderer, which is anti-aliased, knows UTF-8 and carries its fonts inside:
class names may be Cyrillic, Chinese or Korean. What no font holds shows as a question mark. Where another package
brought OpenCV 4, its stroke font stands in, which holds ASCII only.
"""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from tracker.overlay.palette import Colour, text_colour_on
from tracker.overlay.shapes import fill
from tracker.types import Image

__all__ = ["Pen", "Tag", "draw_tag", "place_tag"]

log = logging.getLogger(__name__)

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]")
_WEIGHT = 560
"""Between medium and semibold: thin strokes drown in video noise."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A text with its place: x, y is the top-left corner of the filled tag."""

    text: str
    colour: Colour
    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Tag) -> int:
        """Square pixels both tags would cover."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        tall = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return wide * tall if wide > 0 and tall > 0 else 0


class Pen:
    """Measures and writes text of one size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.padding = max(2, round(size * 0.3))
        self.height = round(size * 1.36)
        self._font = _TrueType(size) if hasattr(cv2, "FontFace") else _Strokes(size)
        self._widths: dict[str, int] = {}

    def width(self, text: str) -> int:
        """Pixels from the tag's left to its right edge."""
        known = self._widths.get(text)
        if known is None:
            if len(self._widths) > 1000:  # ids and scores make ever new texts
                self._widths.clear()
            known = self._widths[text] = self._font.width(text) + 2 * self.padding
        return known

    def write(self, canvas: Image, text: str, x: int, baseline: int, colour: Colour) -> None:
        """Put the text on the image with its left end at x."""
        self._font.write(canvas, text, (x, baseline), colour)


class _TrueType:
    """The letters that OpenCV 5 carries."""

    def __init__(self, size: int) -> None:
        self._size, self._face = size, cv2.FontFace("sans")

    def width(self, text: str) -> int:
        _, _, wide, _ = cv2.getTextSize((0, 0), text, (0, 0), self._face, self._size, _WEIGHT)
        return int(wide)

    def write(self, canvas: Image, text: str, at: tuple[int, int], colour: Colour) -> None:
        cv2.putText(canvas, text, at, colour, self._face, self._size, _WEIGHT)


class _Strokes:
    """OpenCV 4's Hershey letters: ASCII; accents are left off, other characters become question marks."""

    def __init__(self, size: int) -> None:
        _tell_of_old_opencv()
        self._line = max(1, round(size / 12))
        self._scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, round(size * 0.62), self._line)

    def width(self, text: str) -> int:
        (wide, _), _ = cv2.getTextSize(_as_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, self._scale, self._line)
        return int(wide)

    def write(self, canvas: Image, text: str, at: tuple[int, int], colour: Colour) -> None:
        x, baseline = at
        place = x, baseline - self._line  # these letters reach lower below their baseline
        font, scale, line = cv2.FONT_HERSHEY_SIMPLEX, self._scale, self._line
        cv2.putText(canvas, _as_ascii(text), place, font, scale, colour, line, cv2.LINE_AA)


@functools.cache
def _tell_of_old_opencv() -> None:
    log.warning(
        "OpenCV %s is installed, whose letters are ASCII only; for names in other letters install opencv-python 5, "
        "and remove opencv-python-headless.",
        cv2.__version__,
    )


def _as_ascii(text: str) -> str:
    """The text in ASCII: letters without their accents, a question mark for each other character."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).encode("ascii", "replace").decode()


def printable(text: str) -> str:
    """The text without control characters, cut where it would be longer than a tag should be."""
    text = _UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= 48 else text[:47] + "…"


def place_tag(
    texts: Sequence[str],
    box: tuple[int, int, int, int],
    colour: Colour,
    *,
    pen: Pen,
    line: int,
    taken: Sequence[Tag],
    frame_size: tuple[int, int],
) -> Tag:
    """A tag inside the frame, at the first place around the box that covers none of the `taken` ones.

    `texts` go from the full label to shorter ones, which are tried where the full one fits nowhere; `line` is the
    width of the box's line, `frame_size` the frame's width and height. Where nothing is free, the place that
    covers least is taken.
    """
    x1, y1, x2, y2 = box
    frame_width, frame_height = frame_size
    height = pen.height
    best: Tag | None = None
    least = 0
    for text in texts:
        width = pen.width(text)
        left, right = x1 - line // 2, x2 + line // 2 + 1 - width
        above, below = y1 - line // 2 - height, y2 + line // 2 + 1
        spots = ((left, above), (right, above), (left, below), (right, below), (left, y1), (right, y2 - height))
        for spot, (x, y) in enumerate(spots):
            if not 0 <= y <= frame_height - height and spot != len(spots) - 2:
                continue
            x = min(max(x, 0), max(frame_width - width, 0))
            y = min(max(y, 0), max(frame_height - height, 0))
            tag = Tag(text, colour, x, y, width, height)
            covered = sum(tag.overlap(other) for other in taken)
            if covered == 0:
                return tag
            if best is None or covered < least:
                best, least = tag, covered
    assert best is not None, "the place inside the box is always tried"
    return best


def draw_tag(canvas: Image, tag: Tag, pen: Pen) -> None:
    """Fill the tag and write its text in black or white, whichever reads better."""
    fill(canvas, (tag.x, tag.y, tag.x + tag.width, tag.y + tag.height), tag.colour)
    pen.write(
        canvas,
        tag.text,
        tag.x + pen.padding,
        tag.y + round(tag.height * 0.5 + pen.size * 0.355),
        text_colour_on(tag.colour),
    )
