"""Telling somebody: every event once and in order, from threads that hold up nothing, over outages and restarts."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import subprocess
import threading
import time
import urllib.error
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tracker.detect.classes import choose_classes
from tracker.errors import TrackerError
from tracker.video.address import redact, redact_path
from tracker.watch.broker import Publisher
from tracker.watch.camera_set import STATES, AlertConfig, CameraConfig, in_span
from tracker.watch.event_store import EventStore, StoredEvent
from tracker.watch.webhook import post

__all__ = [
    "AlertGate",
    "AlertSender",
    "deliver",
    "heir_of",
    "message_of",
    "names_of",
    "signature_of",
    "target_of",
    "why_not_delivered",
    "why_silent",
    "with_known_classes",
]

log = logging.getLogger(__name__)

SECRET_VARIABLE = "SIGHTLINE_WEBHOOK_SECRET"
MQTT_VARIABLE = "SIGHTLINE_MQTT_PASSWORD"
TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
GLANCE_S = 0.5
MINUTE_S = 60.0

Send = Callable[[AlertConfig, StoredEvent], None]
"""Delivers one message. Raises OSError or subprocess.SubprocessError where it did not arrive."""


def with_known_classes(alerts: Sequence[AlertConfig], labels: Sequence[str]) -> tuple[AlertConfig, ...]:
    """The alerts with their classes as the network calls them, groups as their members.

    Raises ConfigError, naming the nearest, for a class it does not know: such an alert would tell of nothing.
    """
    chosen = []
    for alert in alerts:
        rows = choose_classes(alert.classes, labels, option="alert: classes")
        chosen.append(replace(alert, classes=() if rows is None else tuple(labels[row] for row in rows)))
    return tuple(chosen)


def why_silent(alert: AlertConfig, cameras: Sequence[CameraConfig]) -> str:
    """Why an alert can never be raised by what its cameras notice, in words; empty where it can."""
    own = [camera for camera in cameras if not alert.cameras or camera.name in alert.cameras]
    noticed = set().union(*(camera.rules.noticed_kinds() for camera in own))
    if not alert.kinds or noticed.intersection(alert.kinds) or set(STATES).intersection(alert.kinds):
        return ""
    return f"no camera of it has a rule that notices {' or '.join(alert.kinds)}"


class AlertGate:
    """Which alerts an event raises, by their filters, quiet hours and limits; classes are the network's own names."""

    def __init__(self, alerts: Sequence[AlertConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._alerts = dict(zip(names_of(alerts), alerts, strict=True))
        self._recent: dict[str, deque[float]] = {name: deque() for name in self._alerts}
        self._clock = clock
        self._lock = threading.Lock()
        self.left_out = 0
        """Events that were not reported because of a limit."""

    @property
    def alerts(self) -> dict[str, AlertConfig]:
        """All alerts by name."""
        return self._alerts

    def raised_by(self, event: StoredEvent) -> list[str]:
        """Names of the alerts that tell of this event."""
        return [name for name, alert in self._alerts.items() if self._wants(alert, event) and self._has_room(name)]

    def _wants(self, alert: AlertConfig, event: StoredEvent) -> bool:
        if (alert.cameras and event.camera not in alert.cameras) or (alert.kinds and event.kind not in alert.kinds):
            return False
        if alert.classes and event.label not in alert.classes and not (alert.kinds and event.kind in STATES):
            return False  # the state of a camera has no class: where it is asked for by its kind it is reported
        moment = time.localtime(event.time)
        return not (alert.quiet and in_span(alert.quiet, 60 * moment.tm_hour + moment.tm_min))

    def _has_room(self, name: str) -> bool:
        now = self._clock()
        with self._lock:
            recent = self._recent[name]
            while recent and now - recent[0] > MINUTE_S:
                recent.popleft()
            if len(recent) >= self._alerts[name].at_most_per_minute:
                self.left_out += 1
                return False
            recent.append(now)
            return True


class AlertSender:
    """Delivers what one alert has in the store, one message after the other, trying again for as long as it takes."""

    def __init__(
        self,
        name: str,
        alert: AlertConfig,
        store: EventStore,
        send: Send | None = None,
        *,
        pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._name, self._alert, self._store = name, alert, store
        self._send = send or self._deliver
        self._publisher: Publisher | None = None
        self._first_pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sightline-alert", daemon=True)
        self.failing = False
        """Whether the last try did not arrive."""

    def start(self) -> None:
        """Begin with what is waiting."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not delivered waits in the store."""
        self._stop.set()

    def _deliver(self, alert: AlertConfig, event: StoredEvent) -> None:
        store = self._store.identity()
        if alert.mqtt and self._publisher is None:
            self._publisher = Publisher(alert.mqtt, client_id_of(store, self._name), _Released(self._store, self._name))
        deliver(alert, event, f"{store}-{event.event}", self._publisher)

    def _run(self) -> None:
        pause_s, delivered = self._first_pause_s, -1
        while not self._stop.is_set():
            try:
                message = self._store.next_message(self._name)
                if message is None:
                    self._stop.wait(GLANCE_S)
                    continue
                number, event = message
                if number != delivered:
                    self._send(self._alert, event)
                delivered = number  # a store that cannot be written must not have it sent again
                self._store.mark_sent(number)
                delivered = -1  # of an empty table the next message takes the same number
                self.failing, pause_s = False, self._first_pause_s
            except (OSError, ValueError, subprocess.SubprocessError, TrackerError) as error:
                if not self.failing:
                    where, why = target_of(self._alert), why_not_delivered(error)
                    log.warning("alert %s: not delivered (%s); it is tried again", where, why)
                self.failing = True
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@dataclass(frozen=True)
class _Released:
    """What the store remembers for one alert's publisher."""

    store: EventStore
    alert: str

    def is_released(self, number: int) -> bool:
        return self.store.is_released(self.alert, number)

    def mark_released(self, number: int) -> None:
        self.store.mark_released(self.alert, number)


def names_of(alerts: Sequence[AlertConfig]) -> list[str]:
    """What each alert's messages are filed under: its target, and its place among those with the same one.

    So they are found again when another alert comes before it, or goes.
    """
    seen = Counter[str]()
    names = []
    for alert in alerts:
        target = alert.webhook or alert.mqtt or json.dumps(alert.command)
        digest = hashlib.sha256(target.encode()).hexdigest()[:16]
        names.append(f"{digest}-{seen[digest]}")
        seen[digest] += 1
    return names


def heir_of(name: str, names: Sequence[str]) -> str | None:
    """Of these the alert with the target of one that is no longer there; None where none has it."""
    return next((other for other in names if other.rpartition("-")[0] == name.rpartition("-")[0]), None)


def target_of(alert: AlertConfig) -> str:
    """Whom an alert goes to, without secrets: its address, of a webhook the host alone, or the program that it runs."""
    return redact_path(alert.webhook) if alert.webhook else redact(alert.mqtt) or alert.command[0]


def client_id_of(store: str, alert: str) -> str:
    """What a broker knows an alert's publisher by: letters and digits, and no more than every broker must take."""
    return "sightline" + hashlib.sha256(f"{store} {alert}".encode()).hexdigest()[:14]


def message_of(event: StoredEvent, message_id: str) -> dict[str, Any]:
    """The event as it is reported, under an id that no other event has, whatever store it is of."""
    return {
        "id": message_id,
        "event": event.event,
        "camera": event.camera,
        "kind": event.kind,
        "name": event.name,
        "class": event.label,
        "track": event.track,
        "time": datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds"),
        "value": event.value,
        "clip": event.clip,
    }


def signature_of(body: bytes, secret: str) -> str:
    """What stands in X-Sightline-Signature: HMAC with SHA-256 over the body, in hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(alert: AlertConfig, event: StoredEvent, message_id: str, publisher: Publisher | None = None) -> None:
    """Post, publish or run. Raises OSError or subprocess.SubprocessError where it failed.

    Of what failed nobody knows whether it arrived, as where a webhook's answer is lost: told again it has the same id.
    """
    message = message_of(event, message_id)
    if alert.webhook:
        body = json.dumps(message).encode()
        headers = {"Content-Type": "application/json", "X-Sightline-Event": str(event.event)}
        headers["Idempotency-Key"] = f'"{message_id}"'
        if secret := os.environ.get(SECRET_VARIABLE):
            headers["X-Sightline-Signature"] = signature_of(body, secret)
        post(alert.webhook, body, headers, within_s=TIMEOUT_S)
        return
    if alert.mqtt:
        publisher = publisher or Publisher(alert.mqtt)
        publisher.publish(event.event, json.dumps(message), password=os.environ.get(MQTT_VARIABLE), within_s=TIMEOUT_S)
        return
    values = {key: str(value) for key, value in message.items()}
    command = [_filled(part, values) for part in alert.command]
    subprocess.run(command, timeout=TIMEOUT_S, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def why_not_delivered(error: Exception) -> str:
    """Why `deliver` failed, in words without the address or what was sent."""
    if isinstance(error, urllib.error.HTTPError):
        phrase = http.client.responses.get(error.code, "")
        moved = "; give the address that it names as the new one" if 300 <= error.code < 400 else ""
        return f"it answers {error.code} {phrase}".rstrip() + moved
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
        return f"no answer in {TIMEOUT_S:g} s"
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit code {error.returncode}"
    if isinstance(error, OSError | TrackerError):
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return type(error).__name__


def _filled(part: str, values: dict[str, str]) -> str:
    """The argument with its fields filled in; other braces stay."""
    for key, value in values.items():
        part = part.replace(f"{{{key}}}", value)
    return part
