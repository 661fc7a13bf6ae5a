"""A set of cameras as it stands in a TOML file, for the window and for `watch`.

folder = "recordings"                     # beside this file, unless it begins at a root
[retention]
days = 14
gigabytes = 50
[[camera]]
name = "gate"
address = "rtsp://192.168.1.20/stream1"   # never with its password
user = "viewer"                           # its password: SIGHTLINE_PASSWORD_GATE, or the system's keyring
classes = ["person", "car"]
roi = [[0, 200], [640, 200], [640, 480], [0, 480]]   # detect in there alone, in pixels of the camera's image
record = "event"                          # never, event or continuous
schedule = "07:00-19:00"
blur_classes = ["person"]
[camera.rules]                            # as of `annotate --rules`
[[camera.rules.zone]]
name = "door"
polygon = [[10, 10], [300, 10], [300, 200]]
[[alert]]
webhook = "https://example.org/hook"      # or mqtt = "mqtt://broker/house/gate",
                                          # or command = ["notify-send", "{camera}: {kind} {name}"]
cameras = ["gate"]
kinds = ["zone-enter"]
quiet = "22:00-06:00"
at_most_per_minute = 6
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from tracker.analytics import Rules
from tracker.config import DetectorConfig, HardwareChoice, build, nearest, read_settings
from tracker.errors import ConfigError
from tracker.overlay import OverlayConfig
from tracker.paths import safe_name
from tracker.types import EventKind, LinkState
from tracker.video.address import holds_account, is_address, redact, redact_path, redact_within

__all__ = [
    "ENDED",
    "EVENT_KINDS",
    "STATES",
    "AlertConfig",
    "CameraConfig",
    "CameraSet",
    "RetentionConfig",
    "account_of",
    "address_of",
    "keep_password",
    "needs_password",
    "read_cameras",
]

log = logging.getLogger(__name__)

MOST_CAMERAS = 500
ENDED = "ended"
"""The state of a camera that is a file and has come to its end."""
STATES: tuple[str, ...] = (*(state.value for state in LinkState), ENDED)
"""The states of a camera, each an event when it begins."""
EVENT_KINDS: tuple[str, ...] = (*(kind.value for kind in EventKind), *STATES)
"""Everything that an event can be: what rules notice, and the states of a camera."""
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera, and what is wanted of it."""

    name: str
    """What its recordings and events are called."""
    address: str
    """Where it is: an address without password, a camera's number or name, or a file."""
    user: str = ""
    """Who signs in; the password comes from SIGHTLINE_PASSWORD_NAME or the system's keyring."""
    classes: tuple[str, ...] = ()
    """Classes that are followed; empty follows all."""
    roi: tuple[tuple[float, float], ...] = ()
    """Corners of the polygon that alone is detected in, in pixels of the camera's image; without it everywhere."""
    record: Literal["never", "event", "continuous"] = "event"
    """What is recorded."""
    schedule: str = ""
    """Hours in which it is recorded, as 07:00-19:00; empty records at all hours."""
    before_s: float = 5.0
    """Seconds before an event that its clip begins."""
    after_s: float = 5.0
    """Seconds after the last event that its clip ends."""
    segment_s: float = 600.0
    """Length of the files of a continuous recording."""
    blur_classes: tuple[str, ...] = ()
    """Classes that are made unrecognisable in everything that is kept."""
    blur_regions: tuple[tuple[float, float, float, float], ...] = ()
    """Rectangles that are always unrecognisable: left, top, right, bottom as shares of width and height."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """What carries an RTSP stream."""
    hwaccel: HardwareChoice = "none"
    """Device that decodes, as `--hwaccel` of track."""
    rules: Rules = field(default_factory=Rules)
    """Lines, zones and speeds that make events."""

    def __post_init__(self) -> None:
        if not self.name or safe_name(self.name) != self.name:
            raise ValueError(f"camera {self.name!r}: a name has letters, digits, blanks, dots and hyphens")
        if not self.address.strip():
            raise ValueError(f"camera {self.name}: its address is empty; give an address, a camera's number or a file")
        plain = not is_address(self.address)
        if holds_account(self.address) if plain else urlsplit(self.address).password:
            shown = redact_within(self.address) if plain else redact(self.address)
            variable = password_variable(self.name)
            raise ValueError(f"camera {self.name}: {shown}: leave the password out; set {variable}")
        if self.schedule:
            in_span(self.schedule, 0)
        if self.roi:
            DetectorConfig(roi=self.roi)  # refuses what is no polygon
        OverlayConfig(blur_regions=self.blur_regions)  # and what is no share of an image
        if not 0 <= self.before_s <= 60 or not 1 <= self.after_s <= 600 or not 10 <= self.segment_s <= 86_400:
            raise ValueError(
                f"camera {self.name}: before_s must be 0 to 60, after_s 1 to 600 and segment_s 10 to 86400 seconds"
            )


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """How long recordings are kept; the oldest go first, marked events never."""

    days: float | None = None
    """Days after which a recording is deleted."""
    gigabytes: float | None = None
    """Size that all recordings together may have."""

    def __post_init__(self) -> None:
        for name in ("days", "gigabytes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e6:
                raise ValueError(f"{name} must be more than 0, found {value}")


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """Who is notified of which events."""

    webhook: str = ""
    """Address that the event is posted to as JSON, signed where SIGHTLINE_WEBHOOK_SECRET is set. Sent again it has the
    same `id`, in Idempotency-Key too."""
    mqtt: str = ""
    """Broker and topic that it is published to with QoS 2, mqtt://[USER@]HOST[:PORT]/TOPIC or mqtts://; the password
    stands in SIGHTLINE_MQTT_PASSWORD. Needs `pip install sightline[mqtt]`."""
    command: tuple[str, ...] = ()
    """Program and arguments that are run; {camera}, {kind}, {name}, {class}, {time} and {id} are filled in."""
    cameras: tuple[str, ...] = ()
    """Cameras it is for; empty for all."""
    kinds: tuple[str, ...] = ()
    """Kinds of events, such as line, zone-enter or lost; empty for all."""
    classes: tuple[str, ...] = ()
    """Classes it is for, or groups such as people-and-vehicles; empty for all."""
    quiet: str = ""
    """Hours in which nobody is notified, as 22:00-06:00."""
    at_most_per_minute: int = 60
    """Events beyond that in a minute are left out and counted."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.webhook, self.mqtt, self.command))) != 1:
            raise ValueError("an alert has either a webhook, an mqtt address or a command")
        if self.mqtt:
            parts = urlsplit(self.mqtt)
            if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not parts.path.strip("/"):
                raise ValueError(f"mqtt {redact(self.mqtt)}: expected mqtt://HOST/TOPIC")
            if _port_of(parts) == 0:
                raise ValueError(f"mqtt {parts.hostname}: expected a port from 1 to 65535")
            if set("?#+") & set(self.mqtt.partition("://")[2].partition("/")[2]):
                raise ValueError(f"mqtt {redact(self.mqtt)}: a topic to publish to has no ?, # or +")
            if parts.password:
                raise ValueError(f"mqtt {parts.hostname}: leave the password out; set SIGHTLINE_MQTT_PASSWORD")
        if self.webhook:
            parts = urlsplit(self.webhook)
            odd = not self.webhook.isprintable() or " " in self.webhook
            if parts.scheme not in ("http", "https") or not parts.hostname or _port_of(parts) == 0 or odd:
                raise ValueError(f"webhook {redact_path(self.webhook)[:80]!r}: expected an http:// or https:// address")
        if self.command and not self.command[0].strip():
            raise ValueError("an alert's command begins with the name of a program")
        if any("\0" in part for part in self.command):
            raise ValueError("an alert's command holds a zero byte, which no program can be given")
        for kind in self.kinds:
            if kind not in EVENT_KINDS:
                raise ValueError(f"there are no events of kind {kind!r}; {nearest(kind, EVENT_KINDS)}")
        if self.quiet:
            in_span(self.quiet, 0)
        if self.at_most_per_minute < 1:
            raise ValueError("at_most_per_minute must be 1 or more")


@dataclass(frozen=True, slots=True)
class CameraSet:
    """Everything that is watched together."""

    camera: tuple[CameraConfig, ...]
    """The cameras."""
    folder: Path = Path("recordings")
    """Where recordings and events go."""
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    """How long recordings are kept."""
    alert: tuple[AlertConfig, ...] = ()
    """Who is notified of what."""

    def __post_init__(self) -> None:
        names = [camera.name.casefold() for camera in self.camera]
        if not names:
            raise ValueError("no [[camera]] in it")
        if len(names) > MOST_CAMERAS:
            raise ValueError(f"{len(names)} cameras in it; {MOST_CAMERAS} at most, the others in a set of their own")
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            raise ValueError(f"two cameras are called {name!r}")
        known = {camera.name for camera in self.camera}
        for alert in self.alert:
            for name in alert.cameras:
                if name not in known:
                    raise ValueError(f"alert: no camera is called {name!r}; {nearest(name, known)}")


def read_cameras(path: Path) -> CameraSet:
    """The set in a TOML file, its folder found from there. Raises ConfigError for what makes no sense."""
    tables = read_settings(path)
    if "folder" not in tables:
        tables["folder"] = "recordings"
    if isinstance(tables["folder"], str):
        tables["folder"] = str(path.absolute().parent / tables["folder"])
    if "camera" not in tables:
        raise ConfigError(f"{path}: no [[camera]] in it; see `sightline watch --help`")
    return build(CameraSet, tables, str(path))


def address_of(camera: CameraConfig, password: str | None = None) -> str:
    """Where to connect, with the password: the one given, or the one found.

    Raises ConfigError where a user is named and no password is found.
    """
    if not camera.user or not is_address(camera.address):
        return camera.address
    password = password or password_of(camera)
    if password is None:
        variable = password_variable(camera.name)
        raise ConfigError(
            f"camera {camera.name}: no password for {camera.user!r}. Set {variable}, or keep it in the system's "
            f"keyring (keyring set sightline {account_of(camera)})"
        )
    scheme, _, rest = camera.address.partition("://")
    return f"{scheme}://{quote(camera.user, safe='')}:{quote(password, safe='')}@{rest}"


def needs_password(camera: CameraConfig) -> bool:
    """Whether a user signs in there whose password is not found."""
    return bool(camera.user) and is_address(camera.address) and password_of(camera) is None


def password_of(camera: CameraConfig) -> str | None:
    """The camera's password from the environment, or from the system's keyring."""
    return os.environ.get(password_variable(camera.name)) or _from_keyring(camera)


def keep_password(camera: CameraConfig, password: str) -> bool:
    """Put a password into the system's keyring; False where there is none, or it is locked."""
    try:
        import keyring
    except ImportError:
        return False
    try:
        keyring.set_password("sightline", account_of(camera), password)
    except keyring.errors.KeyringError as error:
        log.debug("keyring: %s", error)
        return False
    return True


def account_of(camera: CameraConfig) -> str:
    """Whose password it is, user@host: a camera of the same name at another host, in a set of somebody else, is not
    sent it."""
    return f"{camera.user}@{urlsplit(camera.address).netloc}"


def password_variable(name: str) -> str:
    """The environment variable that may hold a camera's password."""
    return "SIGHTLINE_PASSWORD_" + re.sub(r"\W", "_", name).upper()


def _port_of(parts: SplitResult) -> int | None:
    """The port of an address, None where it has none, 0 for what is no port."""
    try:
        return parts.port
    except ValueError:
        return 0


def in_span(span: str, minute_of_day: int) -> bool:
    """Whether a minute of the day lies in a span such as 22:00-06:00. Raises ValueError for a span that is none."""
    match = _SPAN.fullmatch(span)
    if match is None:
        raise ValueError(f"{span!r}: expected hours as 07:00-19:00")
    begin_hour, begin_minute, end_hour, end_minute = map(int, match.groups())
    begin, end = 60 * begin_hour + begin_minute, 60 * end_hour + end_minute
    if begin <= end:
        return begin <= minute_of_day < end
    return minute_of_day >= begin or minute_of_day < end


def _from_keyring(camera: CameraConfig) -> str | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password("sightline", account_of(camera))
    except keyring.errors.KeyringError as error:  # a server has none, or it is locked
        log.debug("keyring: %s", error)
        return None
    return found
