"""How far a long step has come, how fast it goes, and when it will be done."""

from __future__ import annotations

import time
from collections import deque

_WINDOW_S = 30.0
"""The rate is that of this long: what an earlier attempt had done already goes by in a moment and tells nothing."""
_SAMPLE_S = 0.5


class Pace:
    """Called with how much is done and how much there is; `status` says it, for `overt.cli.progress.during`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._done, self._total = 0, 0

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        now_s = time.monotonic()
        if now_s - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((now_s, done))
            while now_s - self._samples[0][0] > _WINDOW_S:
                self._samples.popleft()

    def status(self) -> str:
        """One line: `enrolling: 312 of 5000 images, 18.2 a second, 4 min left`."""
        if not self._total:
            return f"{self._what}: beginning"
        text = f"{self._what}: {self._done} of {self._total}"
        (from_s, from_done), (to_s, to_done) = self._samples[0], self._samples[-1]
        if to_s <= from_s or to_done <= from_done:
            return text
        rate = (to_done - from_done) / (to_s - from_s)
        return f"{text}, {rate:.3g} a second, {spoken((self._total - self._done) / rate)} left"


def spoken(seconds: float) -> str:
    """A duration as one says it: `40 s`, `4 min`, `2 h 10 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
