"""A webhook and a broker that are down for two minutes: every event once, in order."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.watch.test_alerts import MOSQUITTO
from tests.watch.test_event_store import EVENT
from tracker.watch.alerts import AlertSender
from tracker.watch.camera_set import AlertConfig
from tracker.watch.event_store import EventStore

__all__ = ["alerts"]

EVERY_S = 0.25

Show = Callable[..., None]


class _Hook:
    """A webhook on a port of its own that is there only while it is up."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.port = _free_port()
        self._http: ThreadingHTTPServer | None = None

    def up(self) -> None:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["event"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Requests are not logged."""

        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def down(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()


class _Broker:
    """Mosquitto with a listener whose session lasts over the broker's restarts."""

    def __init__(self, folder: Path) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.got: list[int] = []
        self.port = _free_port()
        self._config = folder / "broker.conf"
        # As root it would change to a user of its own, which may not write the listener's session into the folder.
        self._config.write_text(
            f"user {getpass.getuser()}\nlistener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nmax_queued_messages 0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._listener = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._listener.reconnect_delay_set(1, 1)
        self._listener.on_message = self._take
        self._listener.on_connect = lambda client, *_: client.subscribe("house/gate", qos=2)
        self.up()
        while True:
            try:
                self._listener.connect("127.0.0.1", self.port)
                break
            except OSError:
                time.sleep(0.1)
        self._listener.loop_start()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        self.got.append(json.loads(message.payload)["event"])

    def up(self) -> None:
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stderr=subprocess.DEVNULL)

    def down(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def close(self) -> None:
        self._listener.loop_stop()
        self.down()


def why_no_broker() -> str:
    """What is missing for the row of the broker, in words; empty where nothing is."""
    lacks = [] if MOSQUITTO is not None else ["mosquitto (apt-get install mosquitto)"]
    lacks += [] if find_spec("paho") is not None else ["paho-mqtt (pip install paho-mqtt)"]
    return f"needs {' and '.join(lacks)}" if lacks else ""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def alerts(show: Show, *, full: bool) -> None:
    """Four events a second before, during and after the outage."""
    outage_s = 120.0 if full else 6.0
    with tempfile.TemporaryDirectory() as text:
        folder, hook = Path(text), _Hook()
        hook.up()
        targets: list[tuple[str, Any, AlertConfig]] = [
            ("webhook", hook, AlertConfig(webhook=f"http://127.0.0.1:{hook.port}/"))
        ]
        missing = why_no_broker()
        if not missing:
            broker = _Broker(folder)
            targets.append(("broker", broker, AlertConfig(mqtt=f"mqtt://127.0.0.1:{broker.port}/house/gate")))
        with closing(EventStore(folder / "events.sqlite")) as store:
            senders = [AlertSender(name, alert, store) for name, _, alert in targets]
            for sender in senders:
                sender.start()
            count = 0
            for seconds, act in ((3.0, "down"), (outage_s, "up"), (3.0, "")):
                ended = time.monotonic() + seconds
                while time.monotonic() < ended:
                    store.add(replace(EVENT, time=EVENT.time + count), [name for name, _, _ in targets])
                    count += 1
                    time.sleep(EVERY_S)
                for _, target, _ in targets:
                    if act:
                        getattr(target, act)()
            ended = time.monotonic() + 90
            while time.monotonic() < ended and any(len(target.got) < count for _, target, _ in targets):
                time.sleep(0.2)
            time.sleep(1.0)
            for sender in senders:
                sender.stop()
        for name, target, _ in targets:
            show("alerts", f"{name} down for {outage_s:g} s: each event once, in order",
                 f"{len(target.got)} of {count}", good=target.got == list(range(1, count + 1)))  # fmt: skip
        if missing:
            show("alerts", f"broker down for {outage_s:g} s: left out", missing, good=None)
        hook.down()
        if not missing:
            broker.close()
