"""Whatever keeps Redis from serving is one thing for whoever asks it: it is away."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from overt.ports import Unavailable
from overt.runtime.redis_client import connect

PROTECTED = b"-DENIED Redis is running in protected mode because no password is set for the default user.\r\n"


class Refusing(socketserver.StreamRequestHandler):
    """As Redis in protected mode: its refusal at once, to whatever is asked, and the end."""

    def handle(self) -> None:
        self.wfile.write(PROTECTED)
        self.rfile.readline()


@pytest.fixture
def refusing() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()


def test_a_server_in_protected_mode_is_away_and_says_why(refusing: str) -> None:
    client = connect(refusing)
    with pytest.raises(Unavailable, match="protected mode"):
        client.call("GET", "x")
    client.close()
