"""A network drawn as its maps, from the image to the answer: a slab per layer, as the papers draw them. SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

from tracker.explain.layer_table import Layer, Summary, counted

__all__ = ["draw_layers"]

MOST = 26
"""With more layers than that, those of one shape and one row are drawn as one slab."""
LONGEST = 21
"""Letters of a name that have room between two slabs."""
ROOM = 112.0
"""What they take, in the drawing's units."""
TALLEST, SHORTEST, SLANT = 170.0, 14.0, 0.35
COLOURS = (
    ("transposed", "#b45f9e"),
    ("up-sampling", "#b45f9e"),
    ("upsample", "#b45f9e"),
    ("conv", "#3d7fb8"),
    ("pool", "#d9822b"),
    ("subsampling", "#d9822b"),
    ("linear", "#4f9d5d"),
    ("dense", "#4f9d5d"),
    ("attention", "#4f9d5d"),
)
OTHER = "#8a8f98"


def draw_layers(summary: Summary, title: str) -> str:
    """The drawing: height stands for a map's side, depth for its channels, the label for its shape and field."""
    slabs = _slabs([layer for layer in summary.layers if layer.shape and not _is_norm(layer)])
    tallest = max([*(max(_side(layer), 1) for layer, _ in slabs), 1])
    deepest = max([*(layer.shape[0] for layer, _ in slabs), 1])
    parts, x = [], 24.0
    middle = 60 + TALLEST / 2 + 30
    for layer, count in slabs:
        flat = _side(layer) == 0
        high = SHORTEST + (TALLEST - SHORTEST) * (_side(layer) / tallest) ** 0.5
        if flat:
            high = 40 + 90 * (layer.shape[-1] / deepest) ** 0.5
        wide = 8.0 if flat else 6 + 30 * (layer.shape[0] / deepest) ** 0.5
        slant = 0.0 if flat else high * SLANT
        parts.append(_slab(layer, x, middle, wide=wide, high=high, slant=slant))
        parts += _label(layer, count, x, middle + TALLEST / 2 + 26)
        x += max(wide + slant, ROOM) + 12
    width, height = max(x + 20, 320), middle + TALLEST / 2 + 100
    work = counted(2 * summary.multiply_adds)
    words = f"{summary.parameters:,} parameters, {work}FLOPs at {summary.size[1]} x {summary.size[0]}"
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif">',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
            f'<text x="24" y="28" font-size="16" fill="#222">{escape(title)}</text>',
            f'<text x="24" y="46" font-size="11" fill="#555">{escape(words)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _slabs(layers: Sequence[Layer]) -> list[tuple[Layer, int]]:
    """(the last layer of each slab, how many it stands for)."""
    if len(layers) <= MOST:
        return [(layer, 1) for layer in layers]
    runs = [list(run) for _, run in groupby(layers, key=lambda layer: layer.shape)]
    if len(runs) > MOST:
        runs = [list(run) for _, run in groupby(layers, key=lambda layer: (layer.shape[-1], len(layer.shape)))]
    return [(run[-1], len(run)) for run in runs]


def _slab(layer: Layer, x: float, middle: float, *, wide: float, high: float, slant: float) -> str:
    """A box seen from the side: its front, and where it has a second side, that and its top."""
    colour, top, rise = _colour(layer), middle - high / 2, slant * 0.5
    front = f'<rect x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{colour}" stroke="white"/>'
    if not slant:
        return front
    right, bottom = x + wide, top + high
    side = (
        f'<path d="M{right:.1f} {top:.1f} l{slant:.1f} {-rise:.1f} v{high:.1f} L{right:.1f} {bottom:.1f} z" '
        f'fill="{colour}" fill-opacity="0.55" stroke="white"/>'
    )
    lid = (
        f'<path d="M{x:.1f} {top:.1f} l{slant:.1f} {-rise:.1f} h{wide:.1f} L{right:.1f} {top:.1f} z" '
        f'fill="{colour}" fill-opacity="0.8" stroke="white"/>'
    )
    return front + side + lid


def _label(layer: Layer, count: int, x: float, y: float) -> list[str]:
    """What the slab is, line by line."""
    name = _short(layer.name, LONGEST if count == 1 else LONGEST - len("to "))
    words = [name if count == 1 else f"{count} layers", layer.kind if count == 1 else f"to {name}"]
    words.append(" x ".join(map(str, layer.shape)))
    if layer.window is not None and count == 1:
        words.append(layer.window.text())
    if layer.field is not None:
        words.append(f"sees {layer.field[0]} x {layer.field[1]}")
    colours = ["#111", *["#555"] * len(words)]
    return [
        f'<text x="{x:.1f}" y="{y + 13 * row:.1f}" font-size="10" fill="{colours[row]}">{escape(text)}</text>'
        for row, text in enumerate(words)
    ]


def _short(name: str, most: int) -> str:
    """As many of the last parts of a layer's name as fit below its slab, as two stages have layers of one name.

    >>> _short("backbone.layer2.0.conv1", 21), _short("/network/backbone/stem/conv/Conv", 21)
    ('layer2.0.conv1', 'stem/conv/Conv')
    """
    while len(name) > most and set(name) & set("./"):
        name = re.sub(r"^[^./]*[./]", "", name)
    return name[-most:]


def _side(layer: Layer) -> int:
    """Of the map; 0 where it has no rows and columns."""
    return layer.shape[-1] if len(layer.shape) == 3 else 0


def _is_norm(layer: Layer) -> bool:
    return "norm" in layer.kind.lower()


def _colour(layer: Layer) -> str:
    kind = layer.kind.lower()
    return next((colour for word, colour in COLOURS if word in kind), OTHER)
