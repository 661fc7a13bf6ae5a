"""What asks for the health and the numbers of a set, and what it is answered."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tracker.errors import ConfigError
from tracker.watch.server import StatusServer

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with closing(StatusServer("127.0.0.1", 0, lambda: (False, {"ok": False}), lambda: "up 1\n" * 10_000)) as running:
        yield running


def asked(port: int, method: str, path: str, host: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.mark.parametrize("path", ["/healthz", "/healthz?full=1"])
def test_get_tells_and_head_gives_the_code_alone(server: StatusServer, path: str) -> None:
    """HEAD, as some health checks ask, was not understood, nor was an address with a query."""
    status, heads, body = asked(server.port, "GET", path)
    assert (status, json.loads(body)) == (503, {"ok": False})
    status, heads_alone, body = asked(server.port, "HEAD", path)
    assert (status, body) == (503, b"")
    assert heads_alone["Content-Length"] == heads["Content-Length"]
    assert "Python" not in heads["Server"]


def test_what_it_does_not_know_is_refused(server: StatusServer) -> None:
    assert asked(server.port, "GET", "/")[0] == 404
    assert asked(server.port, "POST", "/healthz")[0] == 501


def test_who_hangs_up_leaves_no_traceback(server: StatusServer, capfd: pytest.CaptureFixture[str]) -> None:
    """As checks of the port alone do, every few seconds for months."""
    for request in (b"", b"\x16\x03\x01\x02", b"GET /metrics HTTP/1.1\r\n\r\n"):
        for _ in range(5):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(request)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
    assert asked(server.port, "GET", "/metrics")[0] == 200
    time.sleep(0.2)  # for those that were asked before
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_address_of_ipv6_is_one() -> None:
    try:
        server = StatusServer("::1", 0, lambda: (True, {}), lambda: "")
    except ConfigError as error:
        pytest.skip(str(error))
    with closing(server):
        assert asked(server.port, "GET", "/healthz", "::1")[0] == 200


def test_where_it_cannot_listen_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no host can be called that"):
        StatusServer("\u00fc..", 9464, lambda: (True, {}), lambda: "")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError, match="not known; give this machine's name or address"):
        StatusServer("gate", 9464, lambda: (True, {}), lambda: "")
