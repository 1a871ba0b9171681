"""`/metrics`, `/healthz` and `/readyz` of one process, on a thread of their own. They tell numbers and no content."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from overt.ports import Unavailable

_log = logging.getLogger(__name__)


_ASKING_S = 10.0
"""Who connects and says nothing for so long is hung up on."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone away in between: that is no news, and the base class would print a traceback."""
        del request, client_address
        _log.debug("a request could not be answered", exc_info=True)


class HealthServer:
    """Serves until `close`: the registry's metrics, and those of the process (processor, memory, open files).

    healthy: the loop still turns; ready: the service can do its work now; refresh brings gauges up to date that nobody
    else does, and may raise Unavailable."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        healthy: Callable[[], bool],
        ready: Callable[[], bool],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._registry = registry
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._healthy = healthy
        self._ready = ready
        self._refresh = refresh
        self._server: ThreadingHTTPServer | None = None

    def open(self, host: str, port: int) -> int:
        """Listens on host and port (0: a free one, which is returned). Raises OSError when it cannot."""
        routes = {"/metrics": self._metrics, "/healthz": self._health, "/readyz": self._readiness}

        class Handler(BaseHTTPRequestHandler):
            timeout = _ASKING_S

            def do_GET(self) -> None:
                route = self.path.partition("?")[0]
                try:
                    status, kind, body = routes.get(route, _not_found)()
                except Exception as error:  # the service goes on; whoever watches it must learn that
                    _log.error("%s cannot be answered: %s", route, type(error).__name__)
                    status, kind, body = 500, "text/plain", b"failed; see the log\n"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
                """A scrape every few seconds is no news."""

        self._server = _Server((host, port), Handler)
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        bound = int(self._server.server_address[1])
        _log.info("metrics at http://%s:%d/metrics", host, bound)
        return bound

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _metrics(self) -> tuple[int, str, bytes]:
        with suppress(Unavailable):  # the rest is told all the same, and never more wanted than when a part is away
            self._refresh()
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry) + generate_latest(self._process)

    def _health(self) -> tuple[int, str, bytes]:
        return _verdict(self._healthy(), "the loop has stood still")

    def _readiness(self) -> tuple[int, str, bytes]:
        return _verdict(self._ready(), "not ready")


def _not_found() -> tuple[int, str, bytes]:
    return 404, "text/plain", b"not found\n"


def _verdict(good: bool, otherwise: str) -> tuple[int, str, bytes]:
    return (200, "text/plain", b"ok\n") if good else (503, "text/plain", f"{otherwise}\n".encode())
