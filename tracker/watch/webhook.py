"""One HTTP exchange that is over in time, also with a server that sends its answer byte by byte."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

__all__ = ["post"]

READ_AT_MOST = 1024


def post(address: str, body: bytes, headers: Mapping[str, str], *, within_s: float) -> None:
    """Post the body, and return once the answer's head has come and says 200 to 299. Raises OSError where it does not.

    The library's own time limit begins anew with every byte. Here the connection is cut `within_s` seconds after the
    beginning, whatever goes on in it, which is a TimeoutError.
    """
    deadline = _Deadline(within_s)
    request = urllib.request.Request(address, body, dict(headers), method="POST")
    opener = urllib.request.build_opener(_WithoutRedirects, _Http(deadline), _Https(deadline))
    try:
        with opener.open(request, timeout=within_s) as answer:
            if deadline.passed:  # the head that was cut off reads as a whole one
                raise TimeoutError
            with suppress(OSError, http.client.HTTPException):  # it has the event: what else it says is for nobody
                answer.read1(READ_AT_MOST)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        if deadline.passed:
            raise TimeoutError from error
        if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
            raise OSError("what it answers is not HTTP") from error
        raise
    finally:
        deadline.cancel()


class _Deadline:
    """Cuts the connections of one exchange when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, *arguments: Any) -> socket.socket:
        """A connection that is cut too, from its first byte on: a proxy answers before anything is asked of the server.

        It is cut by a second descriptor, since what encrypts takes the first one over.
        """
        connection = socket.create_connection(*arguments)
        with self._lock:
            self._sockets.append(connection.dup())
            if self.passed:
                _shut(connection)
        return connection

    def cancel(self) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            for connection in self._sockets:
                _shut(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


def _watched(kind: type[http.client.HTTPConnection], deadline: _Deadline) -> type[http.client.HTTPConnection]:
    """Such connections, which the deadline cuts."""

    class Connection(kind):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self._create_connection = deadline.connect  # the library's own place for it

    return Connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._connection = _watched(http.client.HTTPConnection, deadline)

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(self._connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._connection = _watched(http.client.HTTPSConnection, deadline)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(self._connection, req)


class _WithoutRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an error: the library would ask there with GET, without the event, and call it delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None
