"""What a set of cameras keeps together and whom it notifies: one store of events, alerts, retention."""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tracker.errors import ConfigError, SinkError, TrackerError
from tracker.lock import Claim
from tracker.watch.alerts import AlertGate, AlertSender, heir_of, target_of, why_silent, with_known_classes
from tracker.watch.camera_set import CameraSet
from tracker.watch.event_backlog import EventBacklog
from tracker.watch.event_store import EventStore, StoredEvent
from tracker.watch.retention import DAY_S, clear_out

__all__ = ["EVENTS_FILE", "SetRecords"]

log = logging.getLogger(__name__)

EVENTS_FILE = "events.sqlite"
LOCK_FILE = "watch.lock"
RETENTION_EVERY_S = 60.0
FLUSH_EVERY_S = 1.0
JOIN_S = 1.0


class SetRecords:
    """Takes the events of all cameras of a set from any thread and never holds one up, from `start` until `stop`.

    One program at a time keeps a set: two would record everything twice, and send every alert twice.
    """

    def __init__(self, cameras: CameraSet) -> None:
        if any(alert.mqtt for alert in cameras.alert) and importlib.util.find_spec("paho") is None:
            raise ConfigError("an alert names an MQTT broker, and paho-mqtt is missing: pip install paho-mqtt")
        self._set = cameras
        self.store = EventStore(cameras.folder / EVENTS_FILE)
        self._backlog = EventBacklog(self.store)
        self._gate = AlertGate(cameras.alert)
        self._senders = [AlertSender(name, alert, self.store) for name, alert in self._gate.alerts.items()]
        self._claim: Claim | None = None
        self._stop, self._wake = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._run, name="sightline-retention", daemon=True)

    def silent_alerts(self) -> list[str]:
        """A line for each alert that nothing of its cameras can ever raise."""
        reasons = ((alert, why_silent(alert, self._set.camera)) for alert in self._set.alert)
        return [f"alert {target_of(alert)}: {reason}, so it reports nothing" for alert, reason in reasons if reason]

    def know_labels(self, labels: Sequence[str]) -> None:
        """Understand the classes of alerts as the network's. Raises ConfigError for one that it does not know."""
        self._gate = AlertGate(with_known_classes(self._set.alert, labels))

    def start(self) -> None:
        """Begin to keep and to report. Raises SinkError where another program keeps this set."""
        self._claim = Claim.take(self._set.folder / LOCK_FILE)
        if self._claim is None:
            raise SinkError(f"{self._set.folder}: another program watches this set and records it. End that one first.")
        self._find_heirs()
        for sender in self._senders:
            sender.start()
        self._keeper.start()

    @property
    def alerts_waiting(self) -> int:
        """Messages that the alerts of this set still have to tell."""
        waiting = self.store.waiting_for()
        return sum(waiting.get(name, 0) for name in self._gate.alerts)

    def keep(self, event: StoredEvent, thumbnail: bytes = b"") -> None:
        """Have an event kept and reported, soon, on another thread."""
        self._backlog.add(event, self._gate.raised_by(event), thumbnail)
        self._wake.set()

    def stop(self) -> None:
        """End: what is not yet reported waits for the next start. The store stays open to be read."""
        self._stop.set()
        self._wake.set()
        for sender in self._senders:
            sender.stop()
        if self._keeper.ident is not None:
            self._keeper.join(JOIN_S)
        if not self._backlog.flush():
            log.warning("%s: %d events could not be kept", self.store.path, len(self._backlog))
        if self._claim is not None:
            self._claim.release()

    def _find_heirs(self) -> None:
        """What alerts have left that are no longer in the set is told by one with the same target, or by none."""
        left, names = 0, [*self._gate.alerts]
        try:
            for name, count in self.store.waiting_for().items():
                heir = heir_of(name, names)
                if heir is None:
                    left += count
                elif name not in names:
                    self.store.hand_over(name, heir)
        except TrackerError as error:
            log.warning("%s", error)
        if left:
            log.warning("%d events wait for alerts that are no longer in the set; nobody is told of them", left)

    def _run(self) -> None:
        cleared = time.monotonic()
        while not self._stop.is_set():
            self._wake.wait(FLUSH_EVERY_S)
            self._wake.clear()
            self._backlog.flush()
            if time.monotonic() - cleared >= RETENTION_EVERY_S:
                cleared = time.monotonic()
                self._make_room()

    def _make_room(self) -> None:
        days = self._set.retention.days
        try:
            gone = clear_out(self._set.folder, self._set.retention, marked=self.store.marked_clips())
            self.store.drop_thumbnails(before=None if days is None else time.time() - days * DAY_S)
        except (OSError, TrackerError) as error:
            log.warning("retention: %s", error)
            return
        if gone:
            log.info("retention: %d recordings deleted, the last %s", len(gone), Path(gone[-1]).name)
