"""Run by each Python process that has this folder on PYTHONPATH: it tells in HEAP_FOLDER/PID what its heap has in use.

In use, and not resident: what was freed is no part of it, though the allocator may keep it, so that nothing can hide
there. The number is the least of the last second, since what a process has in hand is no part of it either; garbage in
cycles is collected now and then. With PYTHONMALLOC=malloc small objects are counted, too.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from collections import deque
from pathlib import Path

_EVERY_S = 0.1
_A_SECOND = 10
_COLLECTED_EVERY = 50


class _Mallinfo2(ctypes.Structure):
    """mallinfo(3), glibc 2.33 or newer: of all arenas, in bytes."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "top",
        )
    )


def _tell(file: Path) -> None:
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo2
    last: deque[int] = deque(maxlen=_A_SECOND)
    with file.open("wb", buffering=0) as opened:
        for number in range(1 << 62):
            if number % _COLLECTED_EVERY == 0:
                gc.collect()
            info = mallinfo()
            last.append(info.uordblks + info.hblkhd)
            os.pwrite(opened.fileno(), min(last).to_bytes(8, "little"), 0)
            time.sleep(_EVERY_S)


if folder := os.environ.get("HEAP_FOLDER"):
    threading.Thread(target=_tell, args=[Path(folder) / str(os.getpid())], daemon=True).start()
