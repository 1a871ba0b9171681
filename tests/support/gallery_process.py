"""A process that keeps a gallery, so that its memory can be looked through from outside. Vectors come on standard input
and are read straight to where they are wiped from again."""

from __future__ import annotations

import os
import sys

import numpy as np

from overt.matcher.hnsw import HnswIndex
from overt.matcher.live import Answer, Kind, LiveGallery
from overt.messages import WatchlistEntry
from tests.support import messages as make
from tests.support.messages import SPACE


def main(kind: str, entries: int, dimension: int) -> None:
    """Holds `entries` of them; then removes those named on a line, replaces the last one named, and waits."""
    received = np.zeros((entries + 1, dimension), np.float32)
    _read_into(memoryview(received.data).cast("B"))
    gallery = LiveGallery(SPACE, dimension)
    gallery.apply([_entry(number, received[number]) for number in range(entries)])
    if kind == Kind.HNSW:
        index = HnswIndex(dimension, entries)
        gallery.begin(index)
        index.put(np.concatenate([block.matrix for block in gallery.rows.blocks()]), range(entries))
        gallery.decide(index, Answer(Kind.HNSW, "for a test", entries))
    received[:entries] = 0
    _look(gallery, dimension)
    _say("holding")
    removed = _line().split()
    gallery.apply([_entry(int(removed[-1][1:]), received[entries])], removed[:-1])
    received.fill(0)
    while gallery.tend():
        pass
    _say("removed")
    _line()
    _look(gallery, dimension)
    _say("looked")
    _line()


def _look(gallery: LiveGallery, dimension: int) -> None:
    random = np.random.default_rng(5)
    for size in (64, 1, 16):
        probes = random.standard_normal((size, dimension)).astype(np.float32)
        probes /= np.linalg.norm(probes, axis=1, keepdims=True)
        gallery.search(probes, 4, [50] * size)


def _entry(number: int, vector: np.ndarray) -> WatchlistEntry:
    return make.entry(entry_id=f"e{number}", subject_id=f"S{number}", vector=vector)


def _read_into(buffer: memoryview) -> None:
    while len(buffer):
        buffer = buffer[os.readv(0, [buffer]) :]


def _line() -> str:
    read = b""
    while not read.endswith(b"\n"):
        read += os.read(0, 1)
    return read.decode()


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
