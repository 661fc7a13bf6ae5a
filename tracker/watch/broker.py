"""Messages handed to an MQTT broker exactly once (QoS 2), each over in time, also with a broker that never answers.

What keeps a message single is the session that broker and publisher remember: a message whose acknowledgement was lost
is gone on with under its number, as PUBLISH or PUBREL, and not published anew (MQTT 3.1.1, 4.3.3 and 4.4). Of the
publisher's part a file holds what a restart must not forget, whether the message was released.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from tracker.errors import TrackerError
from tracker.video.address import redact

__all__ = ["Memory", "Publisher"]

log = logging.getLogger(__name__)

GLANCE_S = 0.2
AT_LEAST_ONCE, EXACTLY_ONCE = 1, 2
UNANSWERED = 3
"""Connections that end, by the broker or for want of time, without a word on a message: it does not take QoS 2."""


class Memory(Protocol):
    """What outlasts the publisher: which messages were released and not yet known to be through."""

    def is_released(self, number: int) -> bool:
        """Whether this message was released."""

    def mark_released(self, number: int) -> None:
        """This message is about to be released. Raises TrackerError where that cannot be noted."""


class Publisher:
    """Hands one message after the other to one broker; for one thread.

    `client_id`, by which the broker knows the session again, is one that nobody else uses; without one every publisher
    is new to the broker, and a message is no longer single once the publisher is gone. With a `memory` it is, whoever
    goes on with it: the first message is taken for one that an earlier publisher may have begun.

    Where the broker forgets a session in the middle of a message, the message is published anew: rather twice than
    never.
    """

    def __init__(self, address: str, client_id: str = "", memory: Memory | None = None) -> None:
        self._address = urlsplit(address)
        self._client_id, self._memory = client_id, memory
        self._first = memory is not None
        self._number = 0
        self._lost: int | None = None
        """The message that the broker forgot, if it did."""
        self._client: Any = None
        self._unfinished: str | None = None
        """The message that the client still holds."""
        self._connected = self._taken = False
        self._refused = ""
        self._quality = EXACTLY_ONCE
        self._answered = False
        """Whether any message was ever acknowledged."""
        self._unanswered = 0
        self._session_is_dirty = bool(client_id) and memory is None
        """Whether the broker may hold messages of numbers that others have now."""

    def publish(self, number: int, body: str, *, password: str | None, within_s: float) -> None:
        """Return once the broker has the message of that number, from 0. Raises OSError where it has not, in time.

        Given again afterwards, the message is gone on with where it stood.
        """
        from paho.mqtt import MQTTException

        logging.getLogger("paho.mqtt").setLevel(logging.CRITICAL)  # it takes the end of every connection for an error
        ends = time.monotonic() + within_s
        if self._unfinished not in (None, body):
            self._forget()
            self._session_is_dirty = True
        self._number = number
        try:
            while not self._taken:
                try:
                    self._exchange(body, password, ends)
                except _SessionLostError:
                    self._forget()
                    self._lost = number
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
            self._session_is_dirty = True

    def _forget(self) -> None:
        self._client, self._unfinished, self._taken = None, None, False

    def _exchange(self, body: str, password: str | None, ends: float) -> None:
        """One connection, in which the message is begun or gone on with."""

        def connected(client: Any, flags: Any) -> None:
            if self._unfinished is None:
                self._unfinished = body
                client.next_mid = self._mid
                client.publish(topic, body, qos=self._quality)
            elif not flags.session_present:
                raise _SessionLostError  # before the library goes on with what the broker knows nothing of

        topic = self._address.path.strip("/")
        if self._client is None:
            if self._session_is_dirty and self._client_id:
                self._connect(self._new_client(clean=True), password, ends, lambda *_: None, lambda: self._connected)
                self._session_is_dirty = False
            self._client = self._new_client(clean=not self._client_id)
        if self._unfinished is None and self._memory is not None and self._number != self._lost:
            released = self._memory.is_released(self._number)
            if self._first or released:
                self._client.hold(self._mid, topic, body, released=released)
                self._unfinished = body
            self._answered = self._answered or released
        self._first = False
        self._connect(self._client, password, ends, connected, lambda: self._taken)

    @property
    def _mid(self) -> int:
        """The number by which broker and publisher know the message, from 1 to 65,535."""
        return self._number % 65535 + 1

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
        if self._memory is not None and text.startswith("Received PUBREC"):
            try:
                self._memory.mark_released(self._number)  # before the library releases it
            except TrackerError as error:
                log.warning("%s", error)


@cache
def _client_class() -> Any:
    """The library's client, which goes on with what another one began, and forgets nothing in between.

    After a second connection on end that fails the library takes a message that is released for one to be published,
    and the broker for a new one. It numbers messages from 1 in each run.
    """
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import MessageState

    class Client(mqtt.Client):
        next_mid = 1

        def hold(self, mid: int, topic: str, body: str, *, released: bool) -> None:
            """Go on with a message that may have been published before."""
            message = mqtt.MQTTMessage(mid, topic.encode())
            message.payload, message.qos, message.dup = body.encode(), EXACTLY_ONCE, True
            message.state = MessageState.MQTT_MS_RESEND_PUBREL if released else MessageState.MQTT_MS_PUBLISH
            self._out_messages[mid] = message

        def _mid_generate(self) -> int:
            return self.next_mid

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
