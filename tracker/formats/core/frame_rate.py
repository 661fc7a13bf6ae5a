"""Which frames of a video are meant by a Label Studio file.

Label Studio counts as many frames a second as its configuration says (24 or 25 by default), whatever the video has, and
notes the time of frame n as n over that rate. Files of ours note the video's own time stamps.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy import ndarray

from tracker.formats.core.annotations import ExternalInfo

__all__ = ["FrameOf", "frame_counting"]

log = logging.getLogger(__name__)

FrameOf: TypeAlias = Callable[[int], int]
"""The video's frame for one as the file counts, both from 0."""
SAME = 1.5
"""Frames by which the end of the video may be missed where the rates are meant to be one: lengths are rounded."""


def frame_counting(regions: Sequence[dict[str, Any]], known: ExternalInfo, path: Path | str) -> FrameOf:
    """How the frames of a file are those of the video; `regions` are the values of its tracks."""
    pairs = [pair for region in regions for pair in _pairs(region.get("sequence"))]
    rate = _rate(regions, pairs)
    if not known.times or not rate:
        return lambda frame: frame
    times = np.array(known.times) - known.times[0]
    own_rate = (len(times) - 1) / times[-1] if times[-1] > 0 else rate
    has_own = any(_share_of_own(pairs, clock) > 0.5 for clock in (times, np.array(known.times)))
    if has_own or (abs(rate / own_rate - 1) * len(times) < SAME and _is_even(times)):
        last = known.frames - 1
        return lambda frame: last if last < frame <= last + SAME else frame
    log.warning(
        "%s: counts %.4g frames a second, the video has %.4g; its boxes are placed by their time", path, rate, own_rate
    )
    return lambda frame: int(np.abs(times - frame / rate).argmin())


def _pairs(sequence: Any) -> list[tuple[float, float]]:
    """Number, from 1, and time of the boxes that have both."""
    steps = [step for step in sequence if isinstance(step, dict)] if isinstance(sequence, list) else []
    known = [(step.get("frame"), step.get("time")) for step in steps]
    return [(frame, time) for frame, time in known if _is_number(frame) and _is_number(time)]


def _rate(regions: Sequence[dict[str, Any]], pairs: Sequence[tuple[float, float]]) -> float:
    """Frames a second that the file counts by, 0 where it does not tell."""
    rates = [frame / time for frame, time in pairs if time > 0]
    if not rates:
        known = [(region.get("framesCount"), region.get("duration")) for region in regions]
        rates = [count / length for count, length in known if _is_number(count) and _is_number(length) and length > 0]
    return float(np.median(rates)) if rates else 0.0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _share_of_own(pairs: Sequence[tuple[float, float]], times: ndarray) -> float:
    """The share of boxes that bear the time stamps of the very frames they name; those moved since bear others."""
    own = sum(0 < frame <= len(times) and abs(times[int(frame) - 1] - time) < 1e-3 for frame, time in pairs)
    return float(own / max(len(pairs), 1))


def _is_even(times: ndarray) -> bool:
    """Whether the frames follow each other at one rate."""
    even = np.linspace(0, times[-1], len(times))
    return bool(np.abs(times - even).max() <= 0.5 * times[-1] / max(len(times) - 1, 1))
