"""Numbers as files hold them: short, and the same on every machine."""

from __future__ import annotations

__all__ = ["number", "tidy"]


def tidy(value: float) -> float:
    """The value to a millionth, never -0.0: sums of decimal fractions become short again."""
    return round(value, 6) + 0.0


def number(value: float, least: int = 2) -> str:
    """The value as text with at least so many decimals and at most six."""
    text = f"{tidy(value):.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<{least}}" if least else text.rstrip(".")
