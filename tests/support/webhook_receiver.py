"""A system that takes alerts by webhook: a real HTTP server that keeps what it was sent and answers as it is told."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.ports import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhook.md"


def receivers_code() -> dict[str, Any]:
    """What the receiver's code of docs/webhook.md defines, as printed there: `is_ours`."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@dataclass(frozen=True, slots=True)
class Letter:
    """One request, as it came."""

    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer: a status with headers; after a while, where `hangs_s` says so."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs_s: float = 0.0
    drips: bool = False
    """Sends its answer's first bytes one a tenth of a second, for ever."""


class Receiver:
    """`with Receiver() as receiver: receiver.url`. It may be stopped and started again at the same address.

    `answers`: what to answer to the n-th letter, from 0; by default everything is taken.
    """

    def __init__(
        self, answers: Callable[[int, Letter], Reply] = lambda *_: Reply(), tls: ssl.SSLContext | None = None
    ) -> None:
        self.answers = answers
        self.letters: list[Letter] = []
        self._port = free_port()
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}/alerts?token=for-the-gateway"

    def ids(self) -> list[str]:
        """`webhook-id` of each letter, repeats included."""
        return [letter.headers["webhook-id"] for letter in list(self.letters)]

    def take(self, letter: Letter) -> Reply:
        """Keeps the letter; what to answer."""
        with self._lock:
            self.letters.append(letter)
            return self.answers(len(self.letters) - 1, letter)

    def start(self) -> None:
        self._over.clear()
        self._server = _Server(("127.0.0.1", self._port), _handler(self, self._over))
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


def _handler(receiver: Receiver, over: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = receiver.take(Letter(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            over.wait(reply.hangs_s)
            while reply.drips and not over.is_set():
                self.wfile.write(b"H")
                self.wfile.flush()
                time.sleep(0.1)
            self.send_response(reply.status)
            for name, value in {"Content-Length": "0", **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the base class names it
            """Quiet."""

    return Handler
