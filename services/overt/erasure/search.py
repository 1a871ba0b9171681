"""Searches bytes: for pictures in the clear, for known content, and for sealed payloads."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SIGNATURES: Mapping[str, bytes] = {
    "a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "a PNG": b"\x89PNG\r\n\x1a\n",
}
"""How pictures begin as OpenCV writes them; any of them in the clear is somebody's."""

_PROBE = 24
_PIECES = 5


@dataclass(frozen=True, slots=True)
class Sighted:
    """Something that was found where it must not be."""

    place: str
    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class SealedBytes:
    """A sealed payload that was found; `data` begins with its header and may go on behind it."""

    place: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Findings:
    """What a search has found, and how much it has read."""

    clear: list[Sighted] = field(default_factory=list)
    sealed: list[SealedBytes] = field(default_factory=list)
    places: int = 0
    bytes_read: int = 0
    unreadable: list[str] = field(default_factory=list)


def pieces(name: str, content: bytes) -> dict[str, bytes]:
    """Some stretches of a content that is looked for; a part of it on a disk is enough to be found."""
    if len(content) <= _PROBE:
        return {name: content}
    step = max(1, (len(content) - _PROBE) // _PIECES)
    return {f"{name} at {at}": content[at : at + _PROBE] for at in range(0, len(content) - _PROBE + 1, step)}


class Searcher:
    """Looks for `known` contents (by name), for pictures of any kind, and for sealed payloads (by their magic)."""

    def __init__(self, known: Mapping[str, bytes], magic: bytes, longest_payload: int = 16 * 1024 * 1024) -> None:
        self._needles = {**SIGNATURES}
        for name, content in known.items():
            self._needles |= pieces(name, content)
        self._magic = magic
        self._longest = longest_payload

    def look(self, place: str, data: bytes | mmap.mmap, findings: Findings) -> None:
        """Adds what `data` holds to the findings."""
        findings.places += 1
        findings.bytes_read += len(data)
        for what, needle in self._needles.items():
            at = data.find(needle)
            if at >= 0:
                findings.clear.append(Sighted(place, at, what))
        at = data.find(self._magic)
        while at >= 0:
            findings.sealed.append(SealedBytes(place, at, data[at : at + self._longest_of(data, at)]))
            at = data.find(self._magic, at + 1)

    def _longest_of(self, data: bytes | mmap.mmap, at: int) -> int:
        # The header says how long the payload is; whoever reads the bytes checks it.
        declared = int.from_bytes(data[at + 29 : at + 33], "big") + 33
        return min(declared, self._longest)

    def look_into(self, paths: Sequence[Path], findings: Findings) -> None:
        """Searches files, and folders with everything below them. What vanishes meanwhile is passed over."""
        for path in _files(paths):
            try:
                if path.stat().st_size == 0:
                    continue
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    self.look(str(path), data, findings)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                findings.unreadable.append(f"{path}: {error}")


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (p for p in sorted(path.rglob("*")) if p.is_file() and not p.is_symlink())
        else:
            yield path
