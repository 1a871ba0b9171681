"""What a stack does when containers are killed, and when they are asked to stop.

Root: processes are killed from the host, since Docker takes its own `kill` for a wish and leaves the container down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.compose.stack import Container, Stack, say, wait_for

_LEFT_BY_A_SIGNAL = 128 + signal.SIGTERM  # what a Java that was asked to end says, having ended as it should


def _kill(stack: Stack, killed: Sequence[Container], services: Sequence[str], what: str) -> None:
    for one in killed:
        os.kill(one.pid, signal.SIGKILL)
    before = {one.name: one.restarts for one in killed}

    def returned() -> bool:
        now = {one.name: one.restarts for one in stack.containers()}
        return all(now[name] > restarts for name, restarts in before.items()) and stack.healthy(services)

    wait_for(what, returned, stack.states)


def check_return(stack: Stack, service: str, services: Sequence[str]) -> None:
    """A service that was killed comes back by its restart policy."""
    _kill(stack, stack.containers(service)[:1], services, f"kill -9 of {service}: it came back, all are healthy")


def check_return_of_all(stack: Stack, services: Sequence[str]) -> None:
    """Everything is killed at once, as by a loss of power: it comes back in no order, by restart policies alone."""
    killed = stack.containers(*services)
    _kill(stack, killed, services, f"kill -9 of all {len(killed)} at once: all came back and are healthy")


def check_stop(stack: Stack, overt: Sequence[str]) -> None:
    """Everything that stands ends when asked, within its grace; Overt's own with exit code 0, which says: drained."""
    asked_at = datetime.now(UTC)
    before = {one.name for one in stack.containers() if one.status == "running"}
    started_s = time.monotonic()
    stack.compose("stop")
    took_s = time.monotonic() - started_s
    faults, seconds = [], []
    for one in stack.containers():
        if one.name not in before:
            continue
        # Docker writes nanoseconds, which datetime does not read.
        ended_s = (datetime.fromisoformat(one.finished_at[:19] + "+00:00") - asked_at).total_seconds()
        seconds.append(f"{one.service} {max(0.0, ended_s):.0f} s")
        allowed = {0} if one.service in overt else {0, _LEFT_BY_A_SIGNAL}
        if one.exit_code not in allowed:
            faults.append(f"{one.name} ended with {one.exit_code}, its grace is {one.stop_timeout_s} s")
    if faults:
        raise SystemExit("smoke: stop: " + "; ".join(faults))
    say(f"all {len(before)} stopped within {took_s:.0f} s, Overt's own with exit code 0: {', '.join(sorted(seconds))}")
