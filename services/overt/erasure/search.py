"""Searches bytes: for pictures in the clear, for known contents, and for sealed payloads."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overt.erasure.known import KnownContents

# How a JPEG begins needs a few bytes more than its first marker to be told from chance (ITU-T T.81 B.1.1.3, B.2.1).
JPEG = re.compile(rb"\xff\xd8\xff(?:\xe0..JFIF\0|\xe1..Exif\0|\xee..Adobe|\xdb\0[\x43\x84]\0)", re.DOTALL)
PNG = re.compile(rb"\x89PNG\r\n\x1a\n")
_PICTURES = {
    "a JPEG": JPEG,
    "a PNG": PNG,
    "a JPEG in base64": re.compile(rb"/9j/4(?:AAQSkZJRg|[0-9A-Za-z+/]{4}RXhpZg)"),
    "a PNG in base64": re.compile(rb"iVBORw0KGgo"),
}
_BLOCK_BYTES = 8 * 1024 * 1024
_HEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Sighted:
    """Something that was found where it must not be."""

    place: str
    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes that begin with the magic of a sealed payload."""

    place: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Findings:
    """What a search has found, and how much it has read."""

    clear: list[Sighted] = field(default_factory=list)
    """The first sight of each thing in each place."""
    sealed: list[Found] = field(default_factory=list)
    places: int = 0
    bytes_read: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Files and folders that could not be read, and why: nothing is known of them."""


class Searcher:
    """Looks for pictures, JPEG and PNG, for pieces of `known` contents (`known.SHORTEST` bytes in a row), and for what
    begins with `magic`.

    keep: told the first 64 bytes (fewer at an end) from a magic on, how many are worth keeping, up to `most_kept`.
    A file is read in blocks and never mapped: a broker cuts its files while it runs, and what is gone from under a
    mapping kills the process that looks at it.
    """

    def __init__(
        self,
        known: Mapping[str, bytes],
        magic: bytes,
        keep: Callable[[bytes], int],
        *,
        most_kept: int = 64 * 1024,
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        self._known = KnownContents(known)
        self._magic = magic
        self._keep = keep
        self._overlap = max(most_kept, _HEAD_BYTES)
        self._block_bytes = block_bytes

    def look(self, place: str, data: bytes, findings: Findings) -> None:
        """Adds what `data` holds to the findings."""
        findings.places += 1
        findings.bytes_read += len(data)
        self._look(place, 0, data, len(data), set(), findings)

    def look_into(self, paths: Sequence[Path], findings: Findings) -> None:
        """Searches files, and folders with everything below them; links are followed, no file is read twice. What
        vanishes meanwhile is passed over."""
        for path in _files(paths, findings.unreadable):
            try:
                with path.open("rb", buffering=0) as file:
                    self._look_through(str(path), file.read, findings)
            except FileNotFoundError:
                continue
            except OSError as error:
                findings.unreadable.append(f"{path}: {error.strerror}")

    def _look_through(self, place: str, read: Callable[[int], bytes | None], findings: Findings) -> None:
        """Blocks overlap, so that nothing is cut by their edges: what begins in the overlap is the next block's."""
        findings.places += 1
        seen: set[str] = set()
        data, begins_at = b"", 0
        while block := read(self._block_bytes):
            findings.bytes_read += len(block)
            data += block
            end = max(0, len(data) - self._overlap)
            self._look(place, begins_at, data, end, seen, findings)
            data, begins_at = data[end:], begins_at + end
        self._look(place, begins_at, data, len(data), seen, findings)

    def _look(self, place: str, begins_at: int, data: bytes, end: int, seen: set[str], findings: Findings) -> None:
        """What begins before `end`. `seen`: what was found in this place already."""
        for at, what in (*self._pictures(data, end), *self._known.find(data)):
            if what not in seen:
                seen.add(what)
                findings.clear.append(Sighted(place, begins_at + at, what))
        at = data.find(self._magic)
        while 0 <= at < end:
            kept = min(self._keep(data[at : at + _HEAD_BYTES]), self._overlap)
            if kept:
                findings.sealed.append(Found(place, begins_at + at, data[at : at + kept]))
            at = data.find(self._magic, at + 1)

    def _pictures(self, data: bytes, end: int) -> Iterator[tuple[int, str]]:
        for what, pattern in _PICTURES.items():
            found = pattern.search(data)
            if found is not None and found.start() < end:
                yield found.start(), what


def _files(paths: Sequence[Path], unreadable: list[str]) -> Iterator[Path]:
    """Every regular file once. A folder that cannot be listed is said, not passed over."""
    seen: set[tuple[int, int]] = set()
    waiting = list(reversed(paths))
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(path) as entries:
                    waiting += sorted((Path(entry.path) for entry in entries), reverse=True)
            elif stat.S_ISREG(status.st_mode):
                yield path
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable.append(f"{path}: {error.strerror}")
