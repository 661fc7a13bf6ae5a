"""Events in words."""

from __future__ import annotations

from tracker.types import Event

__all__ = ["describe_event"]


def describe_event(event: Event, label: str) -> str:
    """An event in words."""
    who = f"{label or 'object'} {event.track_id}"
    words = {
        "line": f"{who} crossed {event.name}, {'in' if event.value > 0 else 'out'}",
        "zone-enter": f"{who} entered {event.name}",
        "zone-leave": f"{who} left {event.name} after {event.value:.0f} s",
        "zone-dwell": f"{who} stays in {event.name}, {event.value:.0f} s",
        "speed": f"{who} at {event.value:.0f} km/h",
    }
    return words.get(event.kind, f"{who}: {event.kind} {event.name}")
