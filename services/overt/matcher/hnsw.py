"""A graph over the rows of a gallery that finds most of the nearest ones without comparing all (HNSW: Malkov and
Yashunin, IEEE TPAMI 42(4), 2020; hnswlib). Whom it names is scored exactly from the rows, and it decides nothing else.

It is never written to a file: hnswlib writes vectors in the clear.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from overt.matcher.candidates import Hits, first_look, rank
from overt.matcher.exact import search_exactly
from overt.matcher.rows import RowNumbers, Rows, Times
from overt.messages import Vector
from overt.ports import Candidate

_SEED = 20_1603
_WIDEST = 128
"""Rows asked of the graph for one probe. Whoever needs more gets the exact answer, which is cheaper then."""


def library() -> Any | None:
    """hnswlib, or None where the extra `hnsw` is not installed."""
    try:
        return importlib.import_module("hnswlib")
    except ImportError:
        return None


def memory_bytes(entries: int, dimension: int, links: int) -> int:
    """What a graph of so many entries takes, beside the rows themselves: vectors, links, labels and their look-up."""
    return entries * (4 * dimension + 8 * links + 4 + 8 + 12 + 8 + 56)


class HnswIndex:
    """Rows by their numbers. Not for several threads: whoever shares it holds a lock.

    links: edges of a node on each layer, twice as many on the lowest (M). width: candidates kept while an entry is put
    in (ef_construction). Built on one thread in one order it is the same graph each time. Raises ModuleNotFoundError
    without hnswlib, MemoryError where there is no room for so many.
    """

    def __init__(self, dimension: int, capacity: int, *, links: int = 16, width: int = 200) -> None:
        module = library()
        if module is None:
            raise ModuleNotFoundError("hnswlib is not installed: install the extra `hnsw` to look up long lists faster")
        self._graph = module.Index("ip", dimension)
        try:
            self._graph.init_index(max(1, capacity), M=links, ef_construction=width, random_seed=_SEED)
        except (RuntimeError, MemoryError) as error:  # hnswlib: "Not enough memory"; or a bare bad_alloc
            megabytes = memory_bytes(capacity, dimension, links) >> 20
            raise MemoryError(f"there is no memory for an index of {capacity} entries ({megabytes} MB)") from error
        self._graph.set_num_threads(1)
        self._dimension = dimension
        self._inside: set[int] = set()
        self._decoys: set[int] = set()
        self._ef = 0
        self.ef = 64
        self.behind: set[int] = set()
        """Rows that have changed since the graph took them in. What it says of them does not count."""

    def __len__(self) -> int:
        """Rows that it can name."""
        return len(self._inside)

    @property
    def ef(self) -> int:
        """Candidates kept in a search: more find more, and cost more."""
        return self._ef

    @ef.setter
    def ef(self, ef: int) -> None:
        self._ef = ef
        self._graph.set_ef(ef)

    def put(self, vectors: Vector, rows: Sequence[int], threads: int = 1) -> None:
        """Takes rows in, or what stands in them now; grows where it is full. float32 [n, D], copied."""
        missing = sum(row not in self._inside and row not in self._decoys for row in rows)
        needed = len(self._inside) + len(self._decoys) + missing
        if needed > self._graph.get_max_elements():
            self._graph.resize_index(needed + needed // 4)
        for row in self._decoys.intersection(rows):
            self._graph.unmark_deleted(row)
        self._decoys.difference_update(rows)
        self._graph.add_items(vectors, rows, num_threads=threads)
        self._inside.update(rows)

    def forget(self, row: int) -> None:
        """Overwrites a row with a random unit vector and names it no more. Marking alone would keep the vector."""
        if row not in self._inside:
            return
        decoy = np.random.default_rng((_SEED, row)).normal(size=self._dimension)
        self._graph.add_items((decoy / np.linalg.norm(decoy)).astype(np.float32)[None], [row], num_threads=1)
        self._graph.mark_deleted(row)
        self._inside.remove(row)
        self._decoys.add(row)

    def holds(self, row: int) -> bool:
        """Whether the graph can name the row."""
        return row in self._inside

    def nearest(self, probes: Vector, most: int) -> RowNumbers | None:
        """Numbers of up to `most` rows for each probe, [N, most]; None where the graph finds fewer than there are."""
        try:
            labels, _ = self._graph.knn_query(probes, k=min(most, len(self._inside)), num_threads=1)
        except RuntimeError:  # hnswlib: "Probably ef or M is too small"
            return None
        return np.asarray(labels, np.intp)


def search_indexed(
    rows: Rows, index: HnswIndex, probes: Vector, subjects: int, at_us: Sequence[int]
) -> Sequence[Sequence[Candidate]]:
    """The answer of `overt.ports.Gallery.search` with the graph naming rows. Rows that it is behind with are compared
    all; probes for which too few valid rows were named get the exact answer."""
    found: list[Sequence[Candidate]] = [[] for _ in range(len(probes))]
    left, most, when = np.arange(len(probes)), first_look(subjects), np.asarray(at_us, np.int64)
    while len(left) and most <= _WIDEST and len(index):
        hits = look(rows, index, probes[left], most, when[left])
        if hits is None:
            break
        ranked = rank(rows, probes[left], hits, subjects)
        for probe, candidates in zip(left, ranked, strict=True):
            found[probe] = candidates
        if most >= len(index):
            return found
        left = left[[len(candidates) < subjects for candidates in ranked]]
        most *= 4
    if len(left):
        answers = search_exactly(rows, probes[left], subjects, when[left].tolist())
        for probe, answer in zip(left, answers, strict=True):
            found[probe] = answer
    return found


def look(rows: Rows, index: HnswIndex, probes: Vector, most: int, at_us: Times) -> Hits | None:
    """Valid rows that the graph names, and all valid ones that it is behind with. None: see `HnswIndex.nearest`."""
    named = index.nearest(probes, most)
    if named is None:
        return None
    behind = list(index.behind)
    pairs = [
        (probe, row)
        for probe, of_probe in enumerate(named.tolist())
        for row in (*(row for row in of_probe if row not in index.behind), *behind)
        if rows.valid(row, int(at_us[probe]))
    ]
    columns = np.array(pairs, np.intp).reshape(-1, 2)
    return Hits(columns[:, 0], columns[:, 1], np.zeros(len(pairs), np.float32))
