"""Ports of 127.0.0.1 for the servers that tests start."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

_FIRST, _END = 20_000, 32_000
"""Below the range that the kernel hands out for outgoing connections."""


def free_port(counter: Path | None = None) -> int:
    """A port of 127.0.0.1 that nothing listens on, and that nobody else was given within the last thousands.

    A server takes its port a while after it was given one. So every process of this user on this machine takes the next
    number of one counter, a file that is locked meanwhile: ports drawn by lot met now and then, one broker in hundreds.
    A server that is killed and restarted on its port finds it free: no connection was given it meanwhile.
    Raises RuntimeError when all are taken. `counter`: another file than everybody's.
    """
    path = counter or Path(tempfile.gettempdir()) / f"overt-test-ports-{os.getuid()}"
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        given = int(file.read() or 0)
        for number in range(given, given + _END - _FIRST):
            port = _FIRST + number % (_END - _FIRST)
            if _is_free(port):
                file.truncate(0)
                file.write(str(number + 1))
                return port
    raise RuntimeError(f"no port from {_FIRST} to {_END - 1} is free on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """True when something accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
