"""Looking for bytes in the memory of a running process, as whoever takes a memory dump would."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

_PIECE = 64
_AT_ONCE = 16 << 20


def holds(pid: int, content: bytes) -> bool:
    """Whether a process's writable memory holds any 64 bytes in a row of `content` (whose length is their multiple),
    freed memory included. Pages that are read while the process changes them may be missed: ask again."""
    pieces = [content[at : at + _PIECE] for at in range(0, len(content) - _PIECE + 1, _PIECE)]
    with FileIO(f"/proc/{pid}/mem") as memory:
        return any(_found(memory, start, end, pieces) for start, end in _writable(pid))


def _writable(pid: int) -> list[tuple[int, int]]:
    spans = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, permissions = line.split()[:2]
        if permissions.startswith("rw"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            spans.append((start, end))
    return spans


def _found(memory: FileIO, start: int, end: int, pieces: list[bytes]) -> bool:
    at = start
    while at < end:
        try:
            memory.seek(at)
            part = memory.read(min(end - at, _AT_ONCE) + _PIECE)
        except OSError:  # mapped, but nothing is there
            return False
        if any(piece in part for piece in pieces):
            return True
        at += _AT_ONCE
    return False
