"""Messages handed to an MQTT broker exactly once (QoS 2), each over in time, also with a broker that never answers.

What keeps a message single is the session that broker and publisher remember: a message whose acknowledgement was lost
is gone on with under its number, as PUBLISH or PUBREL, and not published anew (MQTT 3.1.1, 4.3.3 and 4.4).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from tracker.video.address import redact

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

GLANCE_S = 0.2
AT_LEAST_ONCE, EXACTLY_ONCE = 1, 2
UNANSWERED = 3
"""Connections that end, by the broker or for want of time, without a word on a message: it does not take QoS 2."""


class Publisher:
    """Hands one message after the other to one broker; for one thread.

    `client_id`, by which the broker knows the session again, is one that nobody else uses; without one every publisher
    is new to the broker, and a message is no longer single once the publisher is gone.

    The session begins empty: what an earlier run of the program was about to publish the broker forgets, since the
    numbers of messages begin anew. Where the broker forgets a session in the middle of a message, the message is
    published anew: rather twice than never.
    """

    def __init__(self, address: str, client_id: str = "") -> None:
        self._address = urlsplit(address)
        self._client_id = client_id
        self._client: Any = None
        self._unfinished: str | None = None
        """The message that the client still holds."""
        self._connected = self._taken = False
        self._refused = ""
        self._quality = EXACTLY_ONCE
        self._answered = False
        """Whether any message was ever acknowledged."""
        self._unanswered = 0

    def publish(self, body: str, *, password: str | None, within_s: float) -> None:
        """Return once the broker has the message. Raises OSError where it has not, in time.

        Given again afterwards, the message is gone on with where it stood.
        """
        from paho.mqtt import MQTTException

        logging.getLogger("paho.mqtt").setLevel(logging.CRITICAL)  # it takes the end of every connection for an error
        ends = time.monotonic() + within_s
        if self._unfinished not in (None, body):
            self._forget()
        try:
            while not self._taken:
                try:
                    self._exchange(body, password, ends)
                except _SessionLostError:
                    self._forget()
                except OSError as error:
                    if self._is_doubtful():
                        self._count_unanswered()
                        if not isinstance(error, TimeoutError):
                            continue
                    raise
        except (MQTTException, ValueError) as error:
            raise OSError(str(error)) from error
        self._taken, self._unfinished = False, None

    def _is_doubtful(self) -> bool:
        """Whether it may be the quality of service that keeps the broker from saying anything on a message."""
        return self._connected and not self._answered and self._quality == EXACTLY_ONCE

    def _count_unanswered(self) -> None:
        self._unanswered += 1
        if self._unanswered == UNANSWERED:
            self._quality = AT_LEAST_ONCE
            self._forget()

    def _forget(self) -> None:
        self._client, self._unfinished, self._taken = None, None, False

    def _exchange(self, body: str, password: str | None, ends: float) -> None:
        """One connection, in which the message is begun or gone on with."""

        def connected(client: Any, flags: Any) -> None:
            if self._unfinished is None:
                self._unfinished = body
                client.publish(self._address.path.strip("/"), body, qos=self._quality)
            elif not flags.session_present:
                raise _SessionLostError  # before the library goes on with what the broker knows nothing of

        if self._client is None:
            if self._client_id:
                self._connect(self._new_client(clean=True), password, ends, lambda *_: None, lambda: self._connected)
            self._client = self._new_client(clean=not self._client_id)
        self._connect(self._client, password, ends, connected, lambda: self._taken)

    def _new_client(self, *, clean: bool) -> Any:
        from paho.mqtt.enums import CallbackAPIVersion

        client = _client_class()(CallbackAPIVersion.VERSION2, client_id=self._client_id, clean_session=clean)
        client.on_publish = self._note_taken
        client.on_log = self._note_answer
        if self._address.scheme == "mqtts":
            client.tls_set()
        return client

    def _connect(
        self,
        client: Any,
        password: str | None,
        ends: float,
        then: Callable[[Any, Any], None],
        done: Callable[[], bool],
    ) -> None:
        """One connection, until what it is for is done. The library's own function waits for ever."""
        from paho.mqtt import client as mqtt

        self._connected, self._refused = False, ""

        def connected(client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                self._refused = str(reason)
                return
            self._connected = True
            then(client, flags)

        left_s = max(GLANCE_S, ends - time.monotonic())
        client.on_connect = connected
        if self._address.username:
            client.username_pw_set(self._address.username, password)
        client.connect_timeout = left_s
        usual = 8883 if self._address.scheme == "mqtts" else 1883
        try:
            client.connect(str(self._address.hostname), self._address.port or usual, keepalive=math.ceil(left_s))
            while not done():
                failure = client.loop(GLANCE_S)
                if self._refused:
                    raise OSError(self._refused)
                if done():
                    return
                if failure:
                    raise OSError(mqtt.error_string(failure))
                if time.monotonic() > ends:
                    raise TimeoutError
        finally:
            client.disconnect()
            with suppress(_SessionLostError):
                client.loop(0.0)

    def _note_taken(self, *_: Any) -> None:
        self._taken = True

    def _note_answer(self, _client: Any, _data: Any, _level: int, text: str) -> None:
        """The library tells of the first of QoS 2's two acknowledgements, and of their kind, in its log alone."""
        if text.startswith(("Received PUBREC", "Received PUBACK")):
            if not self._answered and text.startswith("Received PUBACK"):
                address = redact(self._address.geturl())
                log.warning("alert %s: the broker does not take QoS 2, so an event may arrive twice", address)
            self._answered = True


@cache
def _client_class() -> Any:
    """The library's client, whose second connection on end that fails does not forget that a message is released.

    It takes such a message for one to be published, and the broker for a new one.
    """
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import MessageState

    class Client(mqtt.Client):
        def _messages_reconnect_reset_out(self) -> None:
            released = [
                message
                for message in self._out_messages.values()
                if message.state in (MessageState.MQTT_MS_WAIT_FOR_PUBCOMP, MessageState.MQTT_MS_RESEND_PUBREL)
            ]
            super()._messages_reconnect_reset_out()
            if not self._check_clean_session():
                for message in released:
                    message.state = MessageState.MQTT_MS_RESEND_PUBREL

    return Client


class _SessionLostError(Exception):
    """The broker no longer knows of the message that is under way."""
