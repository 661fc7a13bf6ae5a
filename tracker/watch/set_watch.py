"""All cameras of a set at once: one network, one store of events, alerts, retention, health."""

from __future__ import annotations

import logging
import time
from typing import Any

from tracker.detect.shared_detector import SharedDetector
from tracker.factory import Settings, floor_of, make_detector, usable_cores
from tracker.watch.camera_set import CameraSet
from tracker.watch.camera_watch import CameraReading, CameraWatch, OpenSource, open_camera
from tracker.watch.set_records import SetRecords

__all__ = ["SetWatch"]

log = logging.getLogger(__name__)

STALE_S = 10.0
STOP_S = 5.0


class SetWatch:
    """Watches until `stop`."""

    def __init__(
        self,
        cameras: CameraSet,
        settings: Settings,
        *,
        detector: SharedDetector | None = None,
        open_source: OpenSource = open_camera,
    ) -> None:
        self._set = cameras
        tracker = settings.tracker
        self._detector = detector or SharedDetector(
            make_detector(
                settings.detector, threads=usable_cores(), floor=floor_of(tracker), appearance=tracker.appearance
            )
        )
        self._records = SetRecords(cameras)
        self.store = self._records.store
        for line in self._records.silent_alerts():
            log.warning("%s", line)
        self._records.know_labels(self._detector.labels)
        self._watches = [
            CameraWatch(camera, settings, self._detector, cameras.folder, self._records.keep, open_source=open_source)
            for camera in cameras.camera
        ]

    def start(self) -> None:
        """Begin with all cameras; returns at once. Raises SinkError where another program watches this set."""
        self._records.start()
        for watch in self._watches:
            watch.start()

    def stop(self) -> bool:
        """End: recordings are finished, what is not yet reported waits for the next start. Whether all ended."""
        for watch in self._watches:
            watch.stop()
        deadline = time.monotonic() + STOP_S
        ended = [watch.wait(max(0.0, deadline - time.monotonic())) for watch in self._watches]
        self._records.stop()
        return all(ended)

    def readings(self) -> list[CameraReading]:
        """How each camera stands."""
        return [watch.reading() for watch in self._watches]

    @property
    def running(self) -> bool:
        """Whether any camera is still watched; files come to an end."""
        return any(not watch.wait(0.0) for watch in self._watches)

    @property
    def alerts_waiting(self) -> int:
        """Messages that the alerts of this set still have to tell."""
        return self._records.alerts_waiting

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether every camera gives frames, and how each stands."""
        rows = {}
        well = True
        for reading in self.readings():
            fresh = reading.frame_age_s is not None and reading.frame_age_s < STALE_S
            well &= reading.link == "live" and fresh
            age = None if reading.frame_age_s is None else round(reading.frame_age_s, 2)
            rows[reading.name] = {"link": reading.link, "problem": reading.problem, "frame_age_s": age}
        return well, {"ok": well, "cameras": rows, "alerts_waiting": self.alerts_waiting}

    def metrics(self) -> str:
        """The numbers in Prometheus' text format."""
        lines = []
        kinds = {
            "up": "gauge", "frames_total": "counter", "dropped_total": "counter", "reconnects_total": "counter",
            "damage_total": "counter", "failed_total": "counter", "rate": "gauge", "latency_seconds": "gauge",
            "frame_age_seconds": "gauge",
        }  # fmt: skip
        readings = self.readings()
        for name, kind in kinds.items():
            lines.append(f"# TYPE sightline_camera_{name} {kind}")
            for reading in readings:
                value = _value(name, reading)
                if value is not None:
                    label = reading.name.replace("\\", "\\\\").replace('"', '\\"')
                    lines.append(f'sightline_camera_{name}{{camera="{label}"}} {value:.15g}')
        lines += ["# TYPE sightline_alerts_waiting gauge", f"sightline_alerts_waiting {self.alerts_waiting}"]
        return "\n".join([*lines, ""])


def _value(name: str, reading: CameraReading) -> float | None:
    progress = reading.progress
    if name == "up":
        return float(reading.link == "live")
    if name == "frame_age_seconds":
        return reading.frame_age_s
    if progress is None:
        return 0.0 if name.endswith("_total") else None
    values = {
        "frames_total": progress.frames,
        "dropped_total": progress.dropped,
        "reconnects_total": progress.reconnects,
        "damage_total": progress.damage,
        "failed_total": progress.failed,
        "rate": progress.rate,
        "latency_seconds": progress.latency_s,
    }
    return float(values[name])
