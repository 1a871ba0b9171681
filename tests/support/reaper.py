"""Ends the process groups of a test run whose own process is gone.

Run as a script with a pipe as standard input: a line `+PGID` adds a group, `-PGID` takes it off. The pipe closes when
the test run ends in any way, SIGKILL included; the groups still listed then are killed. A parent-death signal
(`PR_SET_PDEATHSIG`) would be shorter, but it follows the thread that started the child, and tests start services
from threads that end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read the pipe to its end, then kill what is left."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
