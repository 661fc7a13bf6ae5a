"""Colours that stay with an id and stay apart for colour-blind people.

The twelve colours are the seven chromatic ones of Okabe and Ito ("Color Universal Design", 2008) and five lighter or
darker variants of them. They are ordered so that any two of five consecutive ids keep a CIELAB distance of at least
16.9 as seen with normal vision and with full protanopia, deuteranopia and tritanopia (Machado et al., 2009); any two
of the twelve keep 10.5. Ids that live at the same time are mostly near each other, so neighbours matter most.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["BLACK", "LABEL_PALETTE", "PALETTE", "WHITE", "Colour", "colour_of", "text_colour_on"]

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0..255."""

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

PALETTE: tuple[Colour, ...] = (
    (0x56, 0xB4, 0xE9),  # sky blue
    (0xF0, 0xE4, 0x42),  # yellow
    (0xE6, 0x9F, 0x00),  # orange
    (0xD5, 0x5E, 0x00),  # vermilion
    (0xCC, 0x79, 0xA7),  # reddish purple
    (0x7F, 0xE4, 0xBB),  # mint
    (0xFF, 0xC4, 0xEC),  # pale pink
    (0x00, 0x9E, 0x73),  # bluish green
    (0xF7, 0x89, 0x45),  # coral
    (0xA2, 0x57, 0x81),  # plum
    (0x00, 0x72, 0xB2),  # blue
    (0xEC, 0xA3, 0xCA),  # pink
)

LABEL_PALETTE: tuple[Colour, ...] = (
    (0x78, 0x87, 0xFF),  # periwinkle
    (0x96, 0x00, 0x00),  # dark red
    (0x5A, 0x0F, 0x1E),  # maroon
    (0x87, 0x5A, 0x87),  # greyish purple
    (0x87, 0x2D, 0xFF),  # violet
    (0xA5, 0xFF, 0x2D),  # lime
    (0xE1, 0xF0, 0xA5),  # pale yellow
    (0xC3, 0x69, 0x5A),  # terracotta
    (0xFF, 0x4B, 0x00),  # red orange
    (0x00, 0xFF, 0xFF),  # cyan
    (0x00, 0x1E, 0x87),  # navy
    (0xD2, 0x96, 0xA5),  # old rose
    (0x4B, 0x1E, 0x4B),  # aubergine
    (0xB4, 0xA5, 0xF0),  # lavender
    (0x00, 0xD2, 0x4B),  # green
    (0x1E, 0x5A, 0xA5),  # cobalt
)
"""Of labels per pixel, which lie side by side all at once: chosen one by one, each the farthest from all before in
CIELAB as the four kinds of eyes see it. Any two of the first twelve keep 26, any two of all 21."""


def colour_of(number: int) -> Colour:
    """The colour of a track id (counted from 1) or of a class id plus one."""
    return PALETTE[(number - 1) % len(PALETTE)]


def text_colour_on(background: Colour) -> Colour:
    """Black or white, whichever reads better; the contrast ratio (WCAG 2.1) is then never below 4.5."""
    # Black gives (luminance + 0.05) / 0.05, white 1.05 / (luminance + 0.05): they meet at 0.179.
    return BLACK if relative_luminance(background) > 0.179 else WHITE


def relative_luminance(colour: Colour) -> float:
    """Light given off, 0 for black to 1 for white (WCAG 2.1)."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
