"""Health and numbers over HTTP, for service managers and Prometheus; on this machine only, unless set otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tracker.errors import ConfigError

__all__ = ["StatusServer"]

Health = Callable[[], tuple[bool, dict[str, Any]]]
Metrics = Callable[[], str]


class StatusServer:
    """Answers GET /healthz (200 or 503, JSON) and /metrics (Prometheus' text format)."""

    def __init__(self, host: str, port: int, health: Health, metrics: Metrics) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path == "/healthz":
                    well, tree = health()
                    self._answer(200 if well else 503, "application/json", json.dumps(tree))
                elif self.path == "/metrics":
                    self._answer(200, "text/plain; version=0.0.4", metrics())
                else:
                    self._answer(404, "text/plain", "there are /healthz and /metrics\n")

            def log_message(self, *_: object) -> None:
                """Requests are not logged."""

            def _answer(self, code: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        try:
            self._http = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigError(f"--listen {host}:{port}: {error.strerror}; choose another port") from error
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, name="sightline-status", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()
