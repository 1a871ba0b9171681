"""`overt` with a clock that steps: python shifted_clock.py SECONDS serve frame ...

SIGUSR1 sets this process's wall clock forward by so many seconds, SIGUSR2 sets it right again. The monotonic clock goes
on as it did, as when an administrator or NTP steps the clock of a machine.
"""

from __future__ import annotations

import signal
import sys
import time

_right_ns, _right_s = time.time_ns, time.time
_ahead_s = 0.0


def _step(seconds: float) -> None:
    global _ahead_s
    _ahead_s = seconds


def main() -> None:
    """Replaces the clock, then runs the command."""
    seconds = float(sys.argv.pop(1))
    time.time_ns = lambda: _right_ns() + round(_ahead_s * 1e9)
    time.time = lambda: _right_s() + _ahead_s
    signal.signal(signal.SIGUSR1, lambda *_: _step(seconds))
    signal.signal(signal.SIGUSR2, lambda *_: _step(0.0))
    from overt.cli import main as overt

    overt()


if __name__ == "__main__":
    main()
