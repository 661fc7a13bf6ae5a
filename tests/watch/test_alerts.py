"""Every event once and in order, over an outage; within limits and hours."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from tests.watch.test_event_store import EVENT
from tracker.analytics import Rules, ZoneRule
from tracker.errors import ConfigError
from tracker.watch import alerts
from tracker.watch.alerts import (
    AlertGate,
    AlertSender,
    deliver,
    heir_of,
    message_of,
    names_of,
    signature_of,
    target_of,
    why_not_delivered,
    why_silent,
    with_known_classes,
)
from tracker.watch.camera_set import AlertConfig, CameraConfig
from tracker.watch.event_store import EventStore

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Hook:
    """A webhook that may be down, and answers 500 at times."""

    def __init__(self, *, failures: int = 0, forgotten: int = 0, moved: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str | None] = []
        self.keys: list[str | None] = []
        self.failures = failures
        self.forgotten = forgotten
        """Events whose answer is lost."""
        self.asked_elsewhere = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if moved:
                    self.send_response(301)
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    return
                if owner.failures > 0:
                    owner.failures -= 1
                    self.send_error(500)
                    return
                owner.bodies.append(body)
                owner.signatures.append(self.headers["X-Sightline-Signature"])
                owner.keys.append(self.headers["Idempotency-Key"])
                if owner.forgotten > 0:
                    owner.forgotten -= 1
                    self.close_connection = True
                    return
                self.send_response(204)
                self.end_headers()

            def do_GET(self) -> None:
                owner.asked_elsewhere += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}/hook"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120  # for machines that have other things to do
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_events_that_come_one_by_one_arrive_all(tmp_path: Path) -> None:
    """Each is delivered before the next happens: the queue is empty in between."""
    sent: list[int] = []
    store = EventStore(tmp_path / "events.sqlite")
    sender = AlertSender("a", AlertConfig(webhook="http://a/"), store, lambda _, event: sent.append(event.event))
    sender.start()
    for number in range(1, 5):
        store.add(EVENT, ["a"])
        until(lambda: not store.waiting_for())
        until(lambda number=number: len(sent) == number)  # type: ignore[misc]
    sender.stop()
    sender._thread.join()
    assert sent == [1, 2, 3, 4]
    store.close()


def test_every_event_arrives_once_and_in_order_over_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_WEBHOOK_SECRET", "key")
    hook = Hook(failures=4)
    store = EventStore(tmp_path / "events.sqlite")
    alert = AlertConfig(webhook=hook.address)
    sender = AlertSender("a", alert, store, pause_s=0.05)
    for number in range(5):
        store.add(replace(EVENT, time=EVENT.time + number), ["a"])
    sender.start()
    until(lambda: not store.waiting_for())
    sender.stop()
    assert [json.loads(body)["event"] for body in hook.bodies] == [1, 2, 3, 4, 5]
    assert hook.signatures == [signature_of(body, "key") for body in hook.bodies]
    hook.close()
    store.close()


def test_an_address_that_has_moved_is_no_delivery(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The new one was asked without the event, and its answer taken for a delivery."""
    hook = Hook(moved=True)
    store = EventStore(tmp_path / "events.sqlite")
    store.add(EVENT, ["a"])
    sender = AlertSender("a", AlertConfig(webhook=hook.address), store, pause_s=0.05)
    sender.start()
    until(lambda: sender.failing or not store.waiting_for())
    sender.stop()
    assert sum(store.waiting_for().values()) == 1
    assert hook.asked_elsewhere == 0
    [told] = caplog.messages
    assert told.endswith(
        "(it answers 301 Moved Permanently; give the address that it names as the new one); it is tried again"
    )
    hook.close()
    store.close()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (HTTPError("http://a/?key=s3cret", 500, "s3cret", Message(), None), "it answers 500 Internal Server Error"),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (URLError(TimeoutError()), "no answer in 10 s"),
        (subprocess.CalledProcessError(3, ["notify", "s3cret"]), "exit code 3"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OSError("not authorised"), "not authorised"),
        (ValueError("s3cret"), "ValueError"),
    ],
)
def test_why_an_alert_did_not_arrive_is_said_without_secrets(error: Exception, told: str) -> None:
    assert why_not_delivered(error) == told


TLS_HEAD = b"\x16\x03\x03\x40\x00"
"""An encrypted record of 16 KB begins."""
LEFT_BY_PAHO = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
"""The library leaves a connection whose encryption fails to Python's memory, which closes it."""


class Trickle:
    """A server that is alive and never done: it sends `begin`, then `drop` for as long as somebody listens."""

    def __init__(self, begin: bytes, drop: bytes) -> None:
        self.asked = 0
        self._content = begin, drop
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.asked += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        begin, drop = self._content
        with suppress(OSError), client:
            client.recv(65536)
            client.sendall(begin)
            while drop or client.recv(4096):
                client.sendall(drop)
                time.sleep(0.02)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize(
    ("scheme", "begin", "drop"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"."),
        ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("http", b"HTTP/1.1 ", b""),
        ("https", TLS_HEAD, b"."),
        ("https by a proxy", b"HTTP/1.1 200 OK\r\n", b"X-Slow: .\r\n"),
        ("https by a proxy", b"HTTP/1.1 ", b"."),
        ("mqtt", b"", b""),
        ("mqtt", b"\x20\x02\x00\x00", b""),
        ("mqtt", b"\x20\x02\x00\x00", b"\xd0\x00"),
        pytest.param("mqtts", b"", b"", marks=LEFT_BY_PAHO),
        pytest.param("mqtts", TLS_HEAD, b".", marks=LEFT_BY_PAHO),
    ],
)
def test_a_server_that_never_comes_to_an_end_is_given_up_told_and_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    scheme: str,
    begin: bytes,
    drop: bytes,
) -> None:
    """Each byte began the library's time limit anew; MQTT's waited for ever by itself."""
    if scheme.startswith("mqtt"):
        pytest.importorskip("paho.mqtt")
    monkeypatch.setattr(alerts, "TIMEOUT_S", 0.4)
    server, store = Trickle(begin, drop), EventStore(tmp_path / "events.sqlite")
    store.add(EVENT, ["a"])
    address = f"{scheme}://127.0.0.1:{server.port}/hook"
    if scheme.endswith("by a proxy"):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        address = "https://hook.invalid/"
    target = "mqtt" if scheme.startswith("mqtt") else "webhook"
    sender = AlertSender("a", AlertConfig(**{target: address}), store, pause_s=0.02)  # type: ignore[arg-type]
    sender.start()
    first = 2 if target == "mqtt" and begin.startswith(b"\x20") else 1  # connections of the first try
    until(lambda: server.asked > first)
    sender.stop()
    assert sum(store.waiting_for().values()) == 1
    [told] = caplog.messages
    assert told.endswith("(no answer in 0.4 s); it is tried again")
    sender._thread.join(30)
    assert not sender._thread.is_alive()
    server.close()
    store.close()


def test_whom_an_alert_goes_to_is_said_without_secrets() -> None:
    """A webhook's path is what opens it, and a command may hold a key."""
    assert (
        target_of(AlertConfig(webhook="https://me:pw@hooks.example/T0/B0/s3cret?key=1")) == "https://hooks.example/***"
    )
    assert target_of(AlertConfig(mqtt="mqtts://me@broker:8883/house/gate")) == "mqtts://broker:8883/house/gate"
    assert target_of(AlertConfig(command=("curl", "-H", "Authorization: Bearer s3cret"))) == "curl"


def test_an_event_that_was_accepted_is_not_sent_again_for_a_body_without_end(tmp_path: Path) -> None:
    server = Trickle(b"HTTP/1.1 200 OK\r\n\r\n", b".")
    with closing(EventStore(tmp_path / "events.sqlite")) as store:
        store.add(EVENT, ["a"])
        sender = AlertSender("a", AlertConfig(webhook=f"http://127.0.0.1:{server.port}/"), store)
        sender.start()
        until(lambda: not store.waiting_for())
        sender.stop()
    assert server.asked == 1
    server.close()


def test_what_is_sent_again_is_known_by_its_id_which_no_other_store_has(tmp_path: Path) -> None:
    """Of an answer that is lost nobody here knows whether the event had arrived."""
    hook = Hook(forgotten=1)
    ids: list[list[str]] = []
    for name in ("one", "two"):
        with closing(EventStore(tmp_path / f"{name}.sqlite")) as store:
            sender = AlertSender("a", AlertConfig(webhook=hook.address), store, pause_s=0.02)
            for _ in range(2):
                store.add(EVENT, ["a"])
            sender.start()
            until(lambda store=store: not store.waiting_for())  # type: ignore[misc]
            sender.stop()
            sender._thread.join()
        ids.append([json.loads(body)["id"] for body in hook.bodies])
        assert hook.keys == [f'"{text}"' for text in ids[-1]]
        hook.bodies.clear()
        hook.keys.clear()
    assert ids[0][0] == ids[0][1]
    assert len({*ids[0], *ids[1]}) == 4
    hook.close()


def test_an_answer_that_is_no_http_ends_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The error was of a kind that nobody took, and the thread was gone with all later events."""
    server, store = Trickle(b"220 mail.example ESMTP\r\n", b""), EventStore(tmp_path / "events.sqlite")
    store.add(EVENT, ["a"])
    sender = AlertSender("a", AlertConfig(webhook=f"http://127.0.0.1:{server.port}/"), store, pause_s=0.02)
    sender.start()
    until(lambda: server.asked >= 2)
    sender.stop()
    assert [message.partition("not delivered ")[2] for message in caplog.messages] == [
        "(what it answers is not HTTP); it is tried again"
    ]
    server.close()
    store.close()


def test_what_nobody_answers_waits_for_the_next_start(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    store.add(EVENT, ["a"])
    sender = AlertSender("a", AlertConfig(webhook="http://127.0.0.1:9/"), store, pause_s=0.05)
    sender.start()
    until(lambda: sender.failing)
    sender.stop()
    assert sum(store.waiting_for().values()) == 1
    store.close()


def test_filters_quiet_hours_and_limits() -> None:
    now = [0.0]
    several = [
        AlertConfig(webhook="http://a/", at_most_per_minute=2),
        AlertConfig(webhook="http://b/", cameras=("yard",)),
        AlertConfig(webhook="http://c/", kinds=("line",), classes=("person",)),
        AlertConfig(webhook="http://d/", quiet="00:00-23:59"),
    ]
    gate = AlertGate(several, clock=lambda: now[0])
    names = list(gate.alerts)
    noon = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
    event = replace(EVENT, time=noon)
    assert gate.raised_by(event) == [names[0]]
    assert gate.raised_by(replace(event, camera="yard", kind="line")) == names[:3]
    assert gate.raised_by(event) == []
    assert gate.left_out == 1
    now[0] = 61
    assert gate.raised_by(event) == [names[0]]


def test_an_alert_has_the_same_name_wherever_it_stands() -> None:
    """It had another one when an alert before it went, and what waited for it was told to nobody."""
    first, second, again = (AlertConfig(webhook=f"http://{host}/") for host in "aba")
    names = names_of([first, second, again])
    assert len(set(names)) == 3
    assert names_of([second, first]) == [names[1], names[0]]
    assert heir_of(names[2], names_of([second, first])) == names[0]
    assert heir_of(names[2], names_of([second])) is None


def test_the_state_of_a_camera_is_told_to_who_asks_for_it_whatever_the_classes() -> None:
    both = AlertConfig(webhook="http://a/", kinds=("line", "lost"), classes=("person",))
    gate = AlertGate([both, AlertConfig(webhook="http://b/", classes=("person",))])
    lost = replace(EVENT, kind="lost", label="")
    assert gate.raised_by(lost) == list(gate.alerts)[:1]
    assert gate.raised_by(replace(EVENT, kind="line", label="car")) == []


def test_classes_of_alerts_are_the_networks_or_refused() -> None:
    alert = AlertConfig(webhook="http://a/", classes=("Person", "vehicles"))
    labels = ("person", "car", "dog")
    with pytest.raises(ConfigError, match=r"alert: classes vehicles: .* did you mean 'people-and-vehicles'"):
        with_known_classes([alert], labels)
    known = with_known_classes([replace(alert, classes=("people-and-vehicles",))], labels)
    assert known[0].classes == ("person", "car")


def test_an_alert_that_no_rule_can_raise_is_told() -> None:
    zone = ZoneRule("door", ((0, 0), (9, 0), (9, 9)))
    cameras = [CameraConfig("gate", "0", rules=Rules(zone=(zone,))), CameraConfig("yard", "1")]
    of_kind = AlertConfig(webhook="http://a/", kinds=("zone-enter",))
    assert why_silent(of_kind, cameras) == ""
    assert "notices zone-enter" in why_silent(replace(of_kind, cameras=("yard",)), cameras)
    assert why_silent(replace(of_kind, cameras=("yard",), kinds=("zone-enter", "lost")), cameras) == ""
    assert "notices zone-dwell or speed" in why_silent(replace(of_kind, kinds=("zone-dwell", "speed")), cameras)
    assert why_silent(AlertConfig(webhook="http://a/"), cameras) == ""


def test_a_command_gets_the_event_as_arguments_not_through_a_shell(tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    out = tmp_path / "told.txt"
    alert = AlertConfig(command=(sys.executable, "-c", script, str(out), "{camera}: {kind} {name} {other}"))
    deliver(alert, replace(EVENT, name="$(touch x); door"), "ab-1")
    assert out.read_text() == "gate: zone-enter $(touch x); door {other}"
    assert message_of(EVENT, "ab-1")["time"] == "2023-11-14T22:13:20.250+00:00"


@pytest.mark.skipif(MOSQUITTO is None, reason="needs Debian's mosquitto, a broker")
def test_a_broker_that_comes_up_later_gets_every_event_in_order(tmp_path: Path) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = EventStore(tmp_path / "events.sqlite")
    for number in range(4):
        store.add(replace(EVENT, time=EVENT.time + number), ["a"])
    sender = AlertSender("a", AlertConfig(mqtt=f"mqtt://127.0.0.1:{port}/house/gate"), store, pause_s=0.2)
    sender.start()
    until(lambda: sender.failing)
    config = tmp_path / "broker.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = subprocess.Popen([str(MOSQUITTO), "-c", str(config)], stderr=subprocess.DEVNULL)
    got: list[int] = []
    listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    listener.on_message = lambda _client, _data, message: got.append(json.loads(message.payload)["event"])

    def listening() -> bool:
        try:
            listener.connect("127.0.0.1", port)
        except OSError:
            return False
        return True

    try:
        until(listening)
        listener.subscribe("house/gate", qos=2)
        listener.loop_start()
        until(lambda: not store.waiting_for())
        store.add(EVENT, ["a"])
        until(lambda: 5 in got)
        assert got == sorted(set(got))
    finally:
        sender.stop()
        listener.loop_stop()
        listener.disconnect()
        broker.terminate()
        broker.wait(10)
        store.close()
