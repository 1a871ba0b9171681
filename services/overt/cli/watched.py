"""What a service says of itself while it runs: that it is ready, that it waits, that it has stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from overt.ports import Unavailable

_log = logging.getLogger(__name__)

_TICK_S = 0.5
_PATIENCE_S = 30.0
"""A service that is not ready for this long says so, and again each time that it has waited twice as long."""


@contextmanager
def watched(service: str, ready: Callable[[], bool]) -> Iterator[None]:
    """Logs that the service is ready, or has long not been, until the block ends; and then that it has stopped."""
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(service, ready, over), name="watched", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    _log.info("%s: stopped", service)


def _watch(service: str, ready: Callable[[], bool], over: threading.Event) -> None:
    said_ready, waits_since_s, patience_s = False, time.monotonic(), _PATIENCE_S
    while not over.wait(_TICK_S):
        if _asked(ready):
            if not said_ready:
                _log.info("%s: ready", service)
            said_ready, waits_since_s, patience_s = True, time.monotonic(), _PATIENCE_S
        elif (waited_s := time.monotonic() - waits_since_s) >= patience_s:
            said_ready, patience_s = False, 2 * patience_s
            _log.warning("%s: not ready for %.0f s, and goes on trying; the reasons stand above", service, waited_s)


def _asked(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except Unavailable:
        return False
