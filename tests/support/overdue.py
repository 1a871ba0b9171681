"""A whole run in CI that does not come to its end says where each of its processes is, and ends with its summary.

A test has its own limits (`timeout` and `faulthandler_timeout` in pyproject.toml). This one is for what is in no test.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from typing import Any

import psutil
import pytest

_LIMIT_S = 75 * 60.0
_TO_WRITE_S = 5.0


class Overdue:
    """A plugin of the process that prints: after 75 min it asks its workers for their stacks, and interrupts itself."""

    def __init__(self, reporter: pytest.TerminalReporter, limit_s: float = _LIMIT_S) -> None:
        self._reporter = reporter
        self._limit_s = limit_s
        self._has_workers = False
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="overdue", daemon=True).start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self) -> None:
        self._has_workers = True

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        if self._over.wait(self._limit_s):
            return
        self._reporter.ensure_newline()
        self._reporter.write_line(f"not at its end after {self._limit_s / 60:.0f} min: where the workers are", red=True)
        # This process runs no test where it has workers, so it has no other children.
        for child in psutil.Process().children() if self._has_workers else ():
            child.send_signal(signal.SIGUSR1)
        self._over.wait(_TO_WRITE_S)
        os.kill(os.getpid(), signal.SIGINT)


def tell_where_on_request(config: pytest.Config) -> None:
    """For workers: SIGUSR1 writes the stacks of all threads to standard error, whatever is captured then."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        uncaptured = os.dup(2)
    faulthandler.register(signal.SIGUSR1, file=uncaptured)
