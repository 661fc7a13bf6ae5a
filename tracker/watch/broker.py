"""One message handed to an MQTT broker, which is over in time, also with a broker that never answers."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

__all__ = ["publish"]

GLANCE_S = 0.2
AT_LEAST_ONCE = 1


def publish(address: str, body: str, *, password: str | None, within_s: float) -> None:
    """Hand the message to the broker and return once it has it. Raises OSError where it has not, in time.

    The library's own function waits for ever: a broker that accepts the connection and says nothing is asked again
    and again.
    """
    from paho.mqtt import MQTTException
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    logging.getLogger("paho.mqtt").setLevel(logging.CRITICAL)  # it takes the end of every connection for an error
    parts = urlsplit(address)
    secure = parts.scheme == "mqtts"
    taken: list[bool] = []
    refused: list[str] = []

    def connected(client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            refused.append(str(reason))
        else:
            client.publish(parts.path.strip("/"), body, qos=AT_LEAST_ONCE)

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = connected
    client.on_publish = lambda *_: taken.append(True)
    if parts.username:
        client.username_pw_set(parts.username, password)
    if secure:
        client.tls_set()
    ends = time.monotonic() + within_s
    client.connect_timeout = within_s
    try:
        client.connect(str(parts.hostname), parts.port or (8883 if secure else 1883))
        while not taken:
            failure = client.loop(GLANCE_S)
            if refused:
                raise OSError(refused[0])
            if failure:
                raise OSError(mqtt.error_string(failure))
            if time.monotonic() > ends:
                raise TimeoutError
    except (MQTTException, ValueError) as error:
        raise OSError(str(error)) from error
    finally:
        client.disconnect()
        client.loop(0.0)
