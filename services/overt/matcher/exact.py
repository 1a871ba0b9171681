"""The exact gallery: every entry compared, block by block, one matrix product for a batch of probes.

Of a block's similarities only those are looked at that can be among the best so far: strips of columns are reduced to
their maxima, the best maxima bar the rest (each is the similarity of another row, so the m-th best of them is a lower
bound of the m-th best row).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overt.matcher.candidates import Hits, first_look, rank
from overt.matcher.rows import BLOCK, Block, Rows, Times
from overt.messages import Vector, WatchlistEntry
from overt.ports import Candidate

_STRIP = 32
_PROBES = 64
"""Probes of one product."""


class ExactGallery:
    """A gallery that compares every probe with every entry and does not change. Safe to share between threads.

    Raises BadEntry when an entry belongs to another model space, or its vector is not a unit vector of the dimension
    of the others.
    """

    def __init__(self, space_id: str, entries: Sequence[WatchlistEntry]) -> None:
        self.space_id = space_id
        self._rows = Rows(space_id)
        self._rows.apply(entries, ())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dimension(self) -> int | None:
        """Numbers in a vector; None while the gallery is empty."""
        return self._rows.dimension

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        """See `overt.ports.Gallery.search`."""
        return search_exactly(self._rows, probes, subjects, at_us)


def search_exactly(rows: Rows, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
    """The exact answer to `overt.ports.Gallery.search`."""
    found: list[Sequence[Candidate]] = [[] for _ in range(len(probes))]
    if not len(rows) or subjects < 1:
        return found
    left, most = np.arange(len(probes)), first_look(subjects)
    when = np.asarray(at_us, np.int64)
    while len(left):
        ranked = rank(rows, probes[left], scan(rows, probes[left], most, when[left]), subjects)
        for probe, candidates in zip(left, ranked, strict=True):
            found[probe] = candidates
        if most >= len(rows):
            break
        left = left[[len(candidates) < subjects for candidates in ranked]]
        most *= 8  # several images of the same subjects fill the first places
    return found


def scan(rows: Rows, probes: Vector, most: int, at_us: Times) -> Hits:
    """For each probe its `most` most similar valid rows, and what rounding does not tell from the last."""
    groups = [
        _scan(rows, probes[i : i + _PROBES], most, at_us[i : i + _PROBES]).moved(i)
        for i in range(0, len(probes), _PROBES)
    ]
    return Hits.joined(groups)


def scrub(rows: Rows) -> None:
    """Overwrites what the linear algebra library keeps of earlier products: it packs rows into work areas of its own,
    interleaved, and leaves them there. A product of zeros, as large as any with these rows, takes their place."""
    if rows.dimension is not None:
        zeros = np.zeros((max(_PROBES, min(BLOCK, len(rows.listed))), rows.dimension), np.float32)
        np.matmul(zeros[:_PROBES], zeros.T)


def _scan(rows: Rows, probes: Vector, most: int, at_us: Times) -> Hits:
    top = np.full((len(probes), most), -np.inf, np.float32)
    # The error of a dot product of unit vectors is at most D u (Higham, 2002, 3.1), in the bar and in what it bars.
    slack = np.float32(2 * probes.shape[1] * np.finfo(np.float32).eps / 2)
    hits = []
    for block in rows.blocks():
        similarity = _similarity(probes, block, at_us)
        strips = similarity.reshape(len(probes), _STRIP, -1)
        best = strips.max(axis=1)
        top = np.partition(np.concatenate([top, best], axis=1), -most, axis=1)[:, -most:]
        bar = np.maximum(top[:, 0] - slack, np.finfo(np.float32).min)  # what is invalid is minus infinity
        probe, strip = np.nonzero(best >= bar[:, None])
        inside, place = np.nonzero(strips[probe, :, strip] >= bar[probe, None])
        column = place * best.shape[1] + strip[inside]
        hits.append(Hits(probe[inside], block.first_row + column, strips[probe[inside], place, strip[inside]]))
    found = Hits.joined(hits)
    return found.where(found.similarity >= (top[:, 0] - slack)[found.probe])


def _similarity(probes: Vector, block: Block, at_us: Times) -> Vector:
    """float32 [N, rows of the block, filled up to whole strips]; minus infinity where the entry is not valid."""
    used = len(block.matrix)
    similarity = np.full((len(probes), -(-used // _STRIP) * _STRIP), -np.inf, np.float32)
    np.matmul(probes, block.matrix.T, out=similarity[:, :used])
    earliest, latest = at_us.min(), at_us.max()
    begun, open_still = block.valid_from_us <= earliest, block.valid_until_us > latest
    for column in np.flatnonzero(~(begun & open_still)):  # few: what is free, not yet or not any more valid
        valid = (at_us >= block.valid_from_us[column]) & (at_us < block.valid_until_us[column])
        similarity[~valid, column] = -np.inf
    return similarity
