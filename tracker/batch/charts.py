"""Line charts as SVG text, for pages that must open without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

__all__ = ["Series", "line_chart"]

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 40
TICKS = 5
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#666666")
"""Okabe and Ito's palette: told apart by colour-blind readers too."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One curve."""

    name: str
    x: Float64[ndarray, " n"]
    y: Float64[ndarray, " n"]
    steps: bool = False
    """Keep each value until the next one instead of going straight to it."""


def line_chart(series: Sequence[Series], *, x_title: str, y_title: str) -> str:
    """The chart; its y axis starts at 0."""
    series = [one for one in series if len(one.x)]
    if not series:
        return "<p>Nothing was seen.</p>"
    start, end = min(float(one.x.min()) for one in series), max(float(one.x.max()) for one in series)
    top = max(max(float(one.y.max()) for one in series), 1.0)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: np.ndarray, y: np.ndarray) -> str:
        across = LEFT + (x - start) / max(end - start, 1e-9) * wide
        down = TOP + tall - y / top * tall
        return " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(across.tolist(), down.tolist(), strict=True))

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="currentColor">'
    ]
    for value in np.linspace(0, top, TICKS).tolist():
        y = TOP + tall - value / top * tall
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in np.linspace(start, end, TICKS).tolist():
        x = LEFT + (value - start) / max(end - start, 1e-9) * wide
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_title)}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 4}">{escape(y_title)}</text>')
    for number, one in enumerate(series):
        x, y = (np.repeat(one.x, 2)[1:], np.repeat(one.y, 2)[:-1]) if one.steps else (one.x, one.y)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{place(x, y)}"/>')
    legend = "".join(
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">&#9632;</span> {escape(one.name)} &nbsp; '
        for number, one in enumerate(series)
    )
    return f"<figure>{''.join(parts)}</svg><figcaption>{legend}</figcaption></figure>"
