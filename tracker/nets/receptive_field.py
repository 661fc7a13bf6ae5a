"""Which pixels of the image each value of a map can see, worked out layer by layer.

Along one direction, output position i of a layer sees input positions low(i) to high(i). Strides above 1 move both by
the same step, up-sampling makes them repeat with a period; so a field is one period of (low, high) and the step from
one period to the next, and stays exact through every layer. Positions beyond the image count too: it is the field of a
place that is far from the edge.

Source: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019, to which
the periods of up-sampling layers are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["IMAGE", "Field"]


@dataclass(frozen=True, slots=True)
class Field:
    """The field of every position of a map, along one direction."""

    step: int
    """Image pixels from one period to the next."""
    low: tuple[int, ...]
    """The first pixel that each position of the period at 0 sees."""
    high: tuple[int, ...]
    """The last one."""

    @property
    def size(self) -> int:
        """Pixels that a position sees, at most."""
        return max(high - low + 1 for low, high in zip(self.low, self.high, strict=True))

    @property
    def stride(self) -> Fraction:
        """Image pixels from one position to the next."""
        return Fraction(self.step, len(self.low))

    def at(self, position: int) -> tuple[int, int]:
        """(first, last) pixel that a position sees."""
        turn, place = divmod(position, len(self.low))
        return self.step * turn + self.low[place], self.step * turn + self.high[place]

    def windowed(self, kernel: int, *, stride: int = 1, before: int = 0, dilation: int = 1) -> Field:
        """After a convolution or pooling, with `before` values of padding at the beginning."""
        period = len(self.low) // math.gcd(len(self.low), stride)
        taps = range(0, dilation * kernel, dilation)
        return self._over(period, self.step * period * stride, lambda at: [stride * at - before + tap for tap in taps])

    def transposed(self, kernel: int, *, stride: int = 1, before: int = 0, dilation: int = 1) -> Field:
        """After a transposed convolution whose output is cut by `before` values at the beginning."""

        def seen(at: int) -> list[int]:
            laid = [at + before - dilation * tap for tap in range(kernel)]
            return [place // stride for place in laid if place % stride == 0] or [(at + before) // stride]

        period = len(self.low) * stride
        return self._over(period, self.step * period // stride, seen)

    def enlarged(self, factor: int, *, linear: bool) -> Field:
        """After up-sampling by a whole factor: the nearest value, or between two (pixel centres kept)."""

        def seen(at: int) -> list[int]:
            if not linear:
                return [at // factor]
            place = Fraction(2 * at + 1, 2 * factor) - Fraction(1, 2)
            return [math.floor(place), math.ceil(place)]

        period = len(self.low) * factor
        return self._over(period, self.step * period // factor, seen)

    def moved(self, by: int, *, stride: int = 1) -> Field:
        """After cutting `by` values away at the beginning (negative: adding), and taking every n-th."""
        return self.windowed(1, stride=stride, before=-by)

    def joined(self, other: Field) -> Field | None:
        """Of maps that are added or stacked, each position sees what both see; None where their strides differ."""
        if self.stride != other.stride:
            return None
        period = math.lcm(len(self.low), len(other.low))
        both = [(self.at(place), other.at(place)) for place in range(period)]
        low, high = [min(a[0], b[0]) for a, b in both], [max(a[1], b[1]) for a, b in both]
        return _shortest(int(self.stride * period), low, high)

    def _over(self, period: int, step: int, seen: Callable[[int], list[int]]) -> Field:
        """The field where each position of a new period sees the positions that `seen` says."""
        fields = [[self.at(place) for place in seen(at)] for at in range(period)]
        return _shortest(
            step // len(self.low),
            [min(low for low, _ in each) for each in fields],
            [max(high for _, high in each) for each in fields],
        )


def _shortest(step: int, low: list[int], high: list[int]) -> Field:
    """The same with the shortest period that it repeats after."""
    whole = len(low)
    for period in range(1, whole):
        if whole % period or step * period % whole:
            continue
        small = step * period // whole
        if all(
            edge[at] == edge[at % period] + at // period * small for edge in (low, high) for at in range(period, whole)
        ):
            return Field(small, tuple(low[:period]), tuple(high[:period]))
    return Field(step, tuple(low), tuple(high))


IMAGE = Field(1, (0,), (0,))
"""Of the image itself: each pixel sees itself."""
