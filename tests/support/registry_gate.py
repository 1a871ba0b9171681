"""What stands before a schema registry in earnest: TLS, and a user with a password."""

from __future__ import annotations

import base64
import ssl
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RegistryGate:
    """Lets one user through to the registry at `behind`; whoever is not that user gets 401. `pem` holds the gate's key
    and certificate; `clients`, where it is given, the authority that must have signed the client's.

    with RegistryGate(registry.url, pem, user="overt", password="...") as gate: gate.url
    """

    def __init__(self, behind: str, pem: Path, *, user: str, password: str, clients: Path | None = None) -> None:
        expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

        class Gate(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on(None)

            def do_POST(self) -> None:
                self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

            def _pass_on(self, body: bytes | None) -> None:
                if self.headers["Authorization"] != expected:
                    self._answer(401, b'{"error_code": 401, "message": "who are you?"}')
                    return
                headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
                try:
                    with _OPENER.open(urllib.request.Request(behind + self.path, body, headers), timeout=30) as answer:
                        self._answer(answer.status, answer.read())
                except urllib.error.HTTPError as error:
                    self._answer(error.code, error.read())

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class calls it
                """Says nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        self._server = _Server(("127.0.0.1", 0), Gate)
        # The handshake is the connection's own thread's: a client that is turned away must not stop the others.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not believe the certificate goes away; that is what some tests want."""
