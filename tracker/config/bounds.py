"""The bounds that settings of several kinds have in common; each is refused by its name, as the settings' own check."""

from __future__ import annotations

from typing import Any

__all__ = ["check_least", "check_shares"]


def check_shares(settings: Any, *names: str) -> None:
    """Raise ValueError for a share or a probability that is not from 0 to 1."""
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} must be from 0 to 1, found {getattr(settings, name)}")


def check_least(settings: Any, *names: str, least: float) -> None:
    """Raise ValueError for a value below `least`."""
    for name in names:
        if not getattr(settings, name) >= least:
            raise ValueError(f"{name} must be {least} or more, found {getattr(settings, name)}")
