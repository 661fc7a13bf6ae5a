"""A broker for publishers (MQTT 3.1.1) whose connections break at a chosen packet: it is lost, or its answer is."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
Quality = Literal["exactly once", "closes", "acknowledges once", "says nothing"]
"""What becomes of a message of QoS 2: only the first knows it."""
Cut = tuple[int, bool]
"""The packet at which a connection breaks, and whether the broker still took it, so that its answer alone is lost."""
CUTS: list[Cut] = [(packet, taken) for packet in (CONNECT, PUBLISH, PUBREL) for taken in (False, True)]


class Broker:
    """Delivers a message when it comes (`early`), or when it is released: the standard leaves both open."""

    def __init__(self, *, early: bool = True, quality: Quality = "exactly once") -> None:
        self.delivered: list[str] = []
        self.cuts: list[Cut | None] = []
        """One for each connection to come; None breaks nothing."""
        self.sessions: dict[str, dict[int, str]] = {}
        """Messages that are not released yet, of each client with a session."""
        self.asked: list[tuple[int, int]] = []
        """Packets that came, with the bits of their head."""
        self._early, self._quality = early, quality
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; the descriptor goes last, for the next broker has the same one, and two must not accept on it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            cut = self.cuts.pop(0) if self.cuts else None
            with suppress(OSError, struct.error, IndexError), client:
                self._serve(client, cut)

    def _serve(self, client: socket.socket, cut: Cut | None) -> None:
        """One connection after the other: packets until one is to break it, or the client ends it."""
        released: dict[int, str] = {}
        while (packet := _read(client)) is not None:
            kind, bits, content = packet
            self.asked.append((kind, bits))
            if cut == (kind, False):
                return
            answer: Iterable[bytes] = ()
            if kind == CONNECT:
                clean, name = bool(content[7] & 2), content[12:].decode()
                present = not clean and name in self.sessions
                if clean:
                    self.sessions.pop(name, None)
                released = {} if clean else self.sessions.setdefault(name, {})
                answer = [_packet(CONNACK, bytes([present, 0]))]
            elif kind == PUBLISH:
                reply = self._take(bits, content, released)
                if reply is None:
                    return
                answer = reply
            elif kind == PUBREL:
                text = released.pop(struct.unpack(">H", content)[0], None)
                if text is not None and not self._early:
                    self.delivered.append(text)
                answer = [_packet(PUBCOMP, content)]
            if cut == (kind, True):
                return
            for part in answer:
                client.sendall(part)

    def _take(self, bits: int, content: bytes, released: dict[int, str]) -> list[bytes] | None:
        """What is answered to a message; None ends the connection."""
        (length,) = struct.unpack(">H", content[:2])
        number, text = content[2 + length : 4 + length], content[4 + length :].decode()
        if bits >> 1 & 3 == 2:
            if self._quality == "closes":
                return None
            if self._quality == "says nothing":
                return []
            if self._quality == "exactly once":
                (key,) = struct.unpack(">H", number)
                if key not in released:
                    released[key] = text
                    if self._early:
                        self.delivered.append(text)
                return [_packet(PUBREC, number)]
        self.delivered.append(text)
        return [_packet(PUBACK, number)]


def _packet(kind: int, content: bytes) -> bytes:
    return bytes([kind << 4, len(content)]) + content


def _read(client: socket.socket) -> tuple[int, int, bytes] | None:
    """Kind, the bits beside it, and the rest of the next packet."""
    head = _exactly(client, 1)
    if not head:
        return None
    size, shift = 0, 0
    while True:
        part = _exactly(client, 1)[0]
        size |= (part & 127) << shift
        shift += 7
        if part < 128:
            return head[0] >> 4, head[0] & 15, _exactly(client, size)


def _exactly(client: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = client.recv(size - len(content))
        if not part:
            return b""
        content += part
    return content
