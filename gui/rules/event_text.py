"""Events in words."""

from __future__ import annotations

from tracker.types import Event, EventKind

__all__ = ["describe_event"]


def describe_event(event: Event, label: str) -> str:
    """An event in words."""
    who = f"{label or 'object'} {event.track_id}"
    words = {
        EventKind.LINE: f"{who} crossed {event.name}, {'in' if event.value > 0 else 'out'}",
        EventKind.ZONE_ENTER: f"{who} entered {event.name}",
        EventKind.ZONE_LEAVE: f"{who} left {event.name} after {event.value:.0f} s",
        EventKind.ZONE_DWELL: f"{who} stays in {event.name}, {event.value:.0f} s",
        EventKind.SPEED: f"{who} at {event.value:.0f} km/h",
    }
    return words[event.kind]
