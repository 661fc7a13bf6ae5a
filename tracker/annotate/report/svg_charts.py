"""Line charts as SVG text, for pages that must open without a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

__all__ = ["Series", "clock", "line_chart"]

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 26, 36
MOST_TICKS = 6
MINUTE, HOUR = 60, 3600
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
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


def line_chart(series: Sequence[Series], *, y_title: str) -> str:
    """The chart over time in seconds; its y axis counts from 0."""
    series = [one for one in series if len(one.x)]
    if not series:
        return "<p>Nothing was seen.</p>"
    start, end = min(float(one.x.min()) for one in series), max(float(one.x.max()) for one in series)
    levels = _ticks(0.0, max(max(float(one.y.max()) for one in series), 1.0), _count_step)
    top = levels[-1]
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(x: np.ndarray) -> np.ndarray:
        return LEFT + (x - start) / max(end - start, 1e-9) * wide

    def place(x: np.ndarray, y: np.ndarray) -> str:
        down = TOP + tall - y / top * tall
        return " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(across(x).tolist(), down.tolist(), strict=True))

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="currentColor">'
    ]
    for value in levels:
        y = TOP + tall - value / top * tall
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in _ticks(start, end, _time_step):
        x = float(across(np.array(value)))
        if LEFT <= x <= WIDTH - RIGHT:
            parts.append(f'<path d="M{x:.1f} {TOP + tall}v5" stroke="currentColor" stroke-opacity=".5"/>')
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{clock(value)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end" opacity=".7">time</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 8}" opacity=".7">{escape(y_title)}</text>')
    for number, one in enumerate(series):
        xs, ys = (np.repeat(one.x, 2)[1:], np.repeat(one.y, 2)[:-1]) if one.steps else (one.x, one.y)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{place(xs, ys)}"/>')
    legend = "".join(
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">&#9632;</span> {escape(one.name)} &nbsp; '
        for number, one in enumerate(series)
    )
    return f"<figure>{''.join(parts)}</svg><figcaption>{legend}</figcaption></figure>"


def clock(seconds: float) -> str:
    """Seconds as people read them off a player: 7 s, 1:05 or 2:00:07."""
    if seconds < MINUTE:
        return f"{seconds:g} s"
    hours, rest = divmod(round(seconds), HOUR)
    return f"{hours}:{rest // MINUTE:02}:{rest % MINUTE:02}" if hours else f"{rest // MINUTE}:{rest % MINUTE:02}"


def _ticks(low: float, high: float, step_for: Callable[[float], float]) -> list[float]:
    """Round values from at most `low` to at least `high`."""
    step = step_for((high - low) / (MOST_TICKS - 1))
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _count_step(least: float) -> float:
    """The round whole number that is not below."""
    size = 10.0 ** math.floor(math.log10(max(least, 1.0)))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least)


def _time_step(least: float) -> float:
    """The number of seconds not below that people count time in."""
    if least < 1:
        return next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if step >= least)
    return next((float(step) for step in TIME_STEPS if step >= least), math.ceil(least / 86400) * 86400.0)
