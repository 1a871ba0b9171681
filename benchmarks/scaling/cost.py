"""CPU time of processes, and of the whole machine beside them, as Linux counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes, all threads."""
    return sum(_of(Path(f"/proc/{pid}/stat")) for pid in pids)


def machine_s() -> float:
    """CPU time of everything that runs here, since the machine's start."""
    user, nice, system, _idle, _iowait, irq, softirq, _steal = _machine()
    return (user + nice + system + irq + softirq) * _TICK_S


def stolen_s() -> float:
    """CPU time that was wanted here since the machine's start, and that its hypervisor gave to other machines."""
    return _machine()[7] * _TICK_S


def _machine() -> list[int]:
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _of(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
