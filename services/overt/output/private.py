"""Files in which somebody can be recognised: their owner writes them, a group may read them, and nobody else."""

from __future__ import annotations

import os
from pathlib import Path


def for_few(path: str | Path, flags: int) -> int:
    """Opens a file, the `opener` of `open`; one that it makes gets 0640 less what the umask takes. Raises OSError."""
    return os.open(path, flags, 0o640)


def make_anew(path: Path) -> None:
    """An empty file in the place of any that was there, whose mode it might have kept. Raises OSError."""
    path.unlink(missing_ok=True)
    os.close(for_few(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def write_for_few(path: Path, content: bytes) -> None:
    """Writes a file at once and whole, with its folder, replacing an older one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        make_anew(unfinished)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
