"""How the positions of a map fare through one operation: which pixels each sees, and in which dimensions they stand.

Shapes and numbers alone, so that torch's operations and ONNX's are followed by one set of rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from tracker.explain.layer_table import Window
from tracker.nets.receptive_field import IMAGE, Field

__all__ = [
    "UNKNOWN",
    "WHOLE",
    "Positions",
    "Shape",
    "dense",
    "enlarge",
    "join",
    "of_image",
    "pad",
    "permute",
    "pool_to",
    "reduce",
    "reshape",
    "slice_along",
    "slide",
]

Shape: TypeAlias = Sequence[int]


class Positions(NamedTuple):
    """What is known of a map's positions."""

    fields: tuple[Field, Field] | None
    """Down and across; None where they are unknown or the whole image."""
    axes: tuple[int, ...] = (-2, -1)
    """Which dimensions these are, counted from the last; none while positions stand in one row."""
    sides: tuple[int, int] = (0, 0)
    """How many positions, down and across, where they stand in one row."""
    whole: bool = False
    """Whether each value sees the whole image."""


UNKNOWN, WHOLE = Positions(None), Positions(None, whole=True)


def of_image(axes: tuple[int, int] = (-2, -1)) -> Positions:
    """Of the image itself."""
    return Positions((IMAGE, IMAGE), axes)


def slide(seen: Positions, window: Window, *, before: tuple[int, int], transposed: bool = False) -> Positions:
    """After a convolution or pooling over the last two dimensions, `before` being the padding above and to the left."""
    if seen.fields is None or seen.axes != (-2, -1):
        return WHOLE if seen.whole else UNKNOWN
    parts = zip(seen.fields, window.kernel, window.stride, before, window.dilation, strict=True)
    move: Callable[..., Field] = Field.transposed if transposed else Field.windowed
    down, across = (
        move(field, kernel, stride=stride, before=first, dilation=apart)
        for field, kernel, stride, first, apart in parts
    )
    return Positions((down, across))


def pool_to(seen: Positions, before: Shape, after: Shape) -> Positions:
    """After pooling to a given size: known where that divides the map's."""
    sides = list(zip(before[-2:], after[-2:], strict=True))
    if seen.fields is None:
        return seen
    if all(new == 1 for _, new in sides):
        return WHOLE
    if any(old % new for old, new in sides):
        return UNKNOWN
    steps = (sides[0][0] // sides[0][1], sides[1][0] // sides[1][1])
    return slide(seen, Window(steps, steps, (0, 0)), before=(0, 0))


def enlarge(seen: Positions, before: Shape, after: Shape, *, linear: bool) -> Positions:
    """After up-sampling of the last two dimensions: known where by a whole factor."""
    factors = [new / old for old, new in zip(before[-2:], after[-2:], strict=True)]
    if seen.fields is None or seen.axes != (-2, -1) or any(factor != int(factor) for factor in factors):
        return WHOLE if seen.whole else UNKNOWN
    down, across = (
        field.enlarged(int(factor), linear=linear) for field, factor in zip(seen.fields, factors, strict=True)
    )
    return Positions((down, across))


def reduce(seen: Positions, before: Shape, after: Shape) -> Positions:
    """After a mean or maximum: over positions it sees the whole image, over channels nothing changes."""
    if seen.fields is None:
        return seen
    if not seen.axes:
        return WHOLE
    sides = [before[axis] for axis in seen.axes]
    if len(after) == len(before) and [after[axis] for axis in seen.axes] == sides:
        return seen
    return WHOLE if all(side == 1 or side not in after[1:] for side in sides) else UNKNOWN


def dense(seen: Positions, before: Shape, after: Shape) -> Positions:
    """After a dense layer over the last dimension: at each position alone, or over all that stand in it."""
    if seen.fields is not None:
        in_row = not seen.axes and math.prod(seen.sides) in after[:-1]
        if in_row or (seen.axes and -1 not in seen.axes and keeps(seen, before, after)):
            return seen
    return WHOLE if seen.whole or seen.fields is not None or math.prod(after[:-1]) == 1 else UNKNOWN


def permute(seen: Positions, order: Sequence[int]) -> Positions:
    """After the dimensions were put into another order."""
    if seen.fields is None or not seen.axes:
        return seen
    count = len(order)
    return seen._replace(axes=tuple(list(order).index(axis % count) - count for axis in seen.axes))


def pad(seen: Positions, top: int, left: int) -> Positions:
    """After values were added above and to the left of the last two dimensions (negative: taken away)."""
    if seen.fields is None or seen.axes != (-2, -1):
        return seen
    return Positions((seen.fields[0].moved(-top), seen.fields[1].moved(-left)))


def slice_along(seen: Positions, axis: int, start: int, step: int) -> Positions:
    """After taking every n-th value from `start` on along one dimension, counted from the last."""
    if seen.fields is None or not seen.axes:
        return seen
    down, across = (
        field.moved(start, stride=step) if own == axis else field
        for field, own in zip(seen.fields, seen.axes, strict=True)
    )
    return seen._replace(fields=(down, across))


def reshape(seen: Positions, before: Shape, after: Shape) -> Positions:
    """Positions may be put into one row, and back into rows and columns; else they are given up."""
    if seen.fields is None:
        return seen
    if not seen.axes:
        pairs = list(pairwise(after))
        if seen.sides in pairs:
            place = pairs.index(seen.sides) - len(after)
            return Positions(seen.fields, (place, place + 1))
        return seen if math.prod(seen.sides) in after else UNKNOWN
    if keeps(seen, before, after):
        return seen
    down, across = (before[axis] for axis in seen.axes)
    return Positions(seen.fields, (), (down, across)) if down * across in after else UNKNOWN


def keeps(seen: Positions, before: Shape, after: Shape) -> bool:
    """Whether the positions are still the dimensions they were."""
    if any(-axis > len(after) or after[axis] != before[axis] for axis in seen.axes):
        return False
    return len(before) == len(after) or math.prod(before[-2:]) == math.prod(after[-2:])


def join(one: Positions, other: Positions) -> Positions:
    """Of maps that are added, multiplied or stacked."""
    if one.whole or other.whole:
        return WHOLE
    if one.fields is None or other.fields is None or (one.axes, one.sides) != (other.axes, other.sides):
        return UNKNOWN
    down, across = (a.joined(b) for a, b in zip(one.fields, other.fields, strict=True))
    return UNKNOWN if down is None or across is None else one._replace(fields=(down, across))
