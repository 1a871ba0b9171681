"""Keeping a file to its own pace, and how long to wait before a lost camera is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

LATE_US = 100_000
"""An image that comes this much later than its time is skipped, so that a file that fell behind catches up."""
LONGEST_SKIP_US = 1_000_000
"""After skipping this much of a file one image is taken all the same: a machine too slow for it still sees it."""


class Pacer:
    """Maps a file's time to time as it passes: its first image is due when it is first asked about.

    `monotonic` gives seconds and never jumps, unlike the wall clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._start_us: int | None = None
        self._taken_us = 0

    def wait_us(self, media_time_us: int) -> int | None:
        """How long until this image is due, 0 when it is due now; None when it is too late and to be skipped."""
        now_us = round(self._monotonic() * 1e6)
        if self._start_us is None:
            self._start_us, self._taken_us = now_us - media_time_us, media_time_us
        ahead_us = self._start_us + media_time_us - now_us
        if ahead_us < -LATE_US and media_time_us - self._taken_us < LONGEST_SKIP_US:
            return None
        self._taken_us = media_time_us
        return max(0, ahead_us)


class Backoff:
    """Waits that double from `least_s` to `most_s`, each shortened at random by up to half, so that the cameras of a
    switch that comes back do not all call at once."""

    def __init__(self, least_s: float, most_s: float, jitter: random.Random) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._jitter = jitter
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        self._failures = min(self._failures + 1, 32)
        longest_s = min(self._most_s, self._least_s * 2.0**self._failures)
        return max(self._least_s, longest_s * self._jitter.uniform(0.5, 1.0))

    def reset(self) -> None:
        """The camera works again."""
        self._failures = 0
