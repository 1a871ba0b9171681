"""Elapsed time for lives that must neither be prolonged nor cut short when somebody sets the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable

Elapsed = Callable[[], float]
"""Seconds since some moment of this machine's run; only differences mean anything."""


def elapsed_s() -> float:
    """Seconds since the machine started, those of a suspended machine included where the system can tell (Linux).

    `time.monotonic` stands still while a machine is suspended: a key would outlive its life by as long.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
