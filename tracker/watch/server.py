"""Health and numbers over HTTP, for service managers and Prometheus; on this machine only, unless set otherwise."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tracker.errors import ConfigError

__all__ = ["StatusServer"]

log = logging.getLogger(__name__)

Health = Callable[[], tuple[bool, dict[str, Any]]]
Metrics = Callable[[], str]


class StatusServer:
    """Answers GET and HEAD of /healthz (200 or 503, JSON) and /metrics (Prometheus' text format)."""

    def __init__(self, host: str, port: int, health: Health, metrics: Metrics) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10
            server_version, sys_version = "sightline", ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/healthz":
                    well, tree = health()
                    self._answer(200 if well else 503, "application/json", json.dumps(tree))
                elif path == "/metrics":
                    self._answer(200, "text/plain; version=0.0.4", metrics())
                else:
                    self._answer(404, "text/plain", "there are /healthz and /metrics\n")

            def do_HEAD(self) -> None:
                self.do_GET()  # as health checks ask that want the code alone

            def log_message(self, *_: object) -> None:
                """Requests are not logged."""

            def _answer(self, code: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._http = _Server(family, place, Handler)
        except socket.gaierror as error:
            raise ConfigError(
                f"--listen {host}:{port}: {error.strerror}; give this machine's name or address"
            ) from error
        except UnicodeError as error:
            raise ConfigError(f"--listen {host}:{port}: no host can be called that") from error
        except OSError as error:
            raise ConfigError(f"--listen {host}:{port}: {error.strerror}; choose another port") from error
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, name="sightline-status", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    """Of either family of addresses; who hangs up is passed over, and no name is asked for."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, place: Any, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = family
        super().__init__(place, handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks up what this machine is called

    def handle_error(self, *_: object) -> None:
        log.debug("a request for the status broke off", exc_info=True)
