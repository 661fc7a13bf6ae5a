"""What of lines and zones is drawn into images: points, whether they close, and the text beside them."""

from __future__ import annotations

from typing import TypeAlias

from tracker.analytics.rules import LineRule, Point, ZoneRule

__all__ = ["RuleFigure", "line_figure", "zone_figure"]

RuleFigure: TypeAlias = tuple[tuple[Point, ...], bool, str]


def line_figure(rule: LineRule, inward: int, outward: int) -> RuleFigure:
    """A line with how many have crossed it each way."""
    return (rule.start, rule.end), False, f"{rule.name}  in {inward}  out {outward}"


def zone_figure(rule: ZoneRule, inside: int) -> RuleFigure:
    """A zone with how many are in it."""
    return rule.polygon, True, f"{rule.name}  {inside}"
