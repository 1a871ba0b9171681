"""Who on a list resembles whom: the same person under two ids, near-twins, and an image that is not its subject's.

Exact: every entry is compared with every other, in blocks of a matrix product, so that memory stays bounded while the
work grows with the square of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overt.messages import Vector, WatchlistEntry
from overt.watchlist.results import Pair, Resemblance

_ROWS, _COLUMNS = 1024, 4096
MOST_PAIRS = 1000
"""Pairs that are named; more are counted."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Similarities of a category from which entries are alike."""

    match: float
    """A probe as similar as this is a match."""
    strong: float
    """One match as similar as this is an alert."""


@dataclass(frozen=True, slots=True)
class Resemblances:
    """Pairs, the most telling first, and how many there are in all."""

    pairs: tuple[Pair, ...]
    in_all: int


def resemblances(
    entries: Sequence[WatchlistEntry],
    alike: Mapping[str, Alike],
    unlike_below: float,
    progress: Callable[[int, int], None],
) -> Resemblances:
    """Compares all entries of a list. alike: by category. unlike_below: an image whose most similar image of the same
    subject stays below it is shown as perhaps somebody else's. `progress` is told of rows that are done.
    """
    if len(entries) < 2:
        return Resemblances((), 0)
    order = sorted(range(len(entries)), key=lambda i: (entries[i].subject_id, entries[i].entry_id))
    table = _Table.of([entries[i] for i in order], alike)
    unlike = table.unlike(unlike_below)
    found = _Best(MOST_PAIRS)
    for start in range(0, len(order), _ROWS):
        table.compare(start, found)
        progress(min(start + _ROWS, len(order)), len(order))
    pairs = [*table.named(found), *unlike]
    pairs.sort(key=lambda p: (list(Resemblance).index(p.what), -abs(p.similarity), p.entry_id, p.other_id))
    return Resemblances(tuple(pairs[:MOST_PAIRS]), found.in_all() + len(unlike))


class _Best:
    """The most similar pairs of subjects so far, each pair of subjects once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[int, int], tuple[float, int, int]] = {}
        self._floor = -np.inf
        self._met = 0
        self._dropped = False

    def add(self, rows: NDArray[np.intp], columns: NDArray[np.intp], values: Vector, subject: NDArray[np.intp]) -> None:
        """Takes in pairs of entries; few at a time stay, however many come."""
        self._met += len(values)
        if len(values) > 4 * self._most:
            self._dropped = True
            best = np.argpartition(-values, 4 * self._most)[: 4 * self._most]
            rows, columns, values = rows[best], columns[best], values[best]
        for row, column, value in zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True):
            if value <= self._floor:
                continue
            pair = (int(subject[row]), int(subject[column]))
            if pair not in self._kept or self._kept[pair][0] < value:
                self._kept[pair] = (value, row, column)
        if len(self._kept) > 2 * self._most:
            kept = sorted(self._kept.items(), key=lambda item: (-item[1][0], item[0]))[: self._most]
            self._kept, self._floor, self._dropped = dict(kept), kept[-1][1][0], True

    def in_all(self) -> int:
        """Pairs of subjects; where there were too many to remember, pairs of their images."""
        return self._met if self._dropped else len(self._kept)

    def pairs(self) -> list[tuple[float, int, int]]:
        """Similarity and the two entries, the most similar first."""
        return sorted(self._kept.values(), key=lambda pair: (-pair[0], pair[1:]))[: self._most]


@dataclass(frozen=True, slots=True)
class _Table:
    """Entries as columns, those of a subject beside each other."""

    entries: Sequence[WatchlistEntry]
    vectors: Vector = field(repr=False)  # it must never reach a log
    subject: NDArray[np.intp] = field(repr=False)
    """The number of each entry's subject."""
    match: Vector = field(repr=False)
    strong: Vector = field(repr=False)

    @staticmethod
    def of(entries: Sequence[WatchlistEntry], alike: Mapping[str, Alike]) -> _Table:
        names = [entry.subject_id for entry in entries]
        first = np.array([i == 0 or names[i] != names[i - 1] for i in range(len(names))])
        return _Table(
            entries,
            np.stack([entry.vector for entry in entries]),
            np.cumsum(first).astype(np.intp) - 1,
            np.array([alike[entry.category].match for entry in entries], np.float32),
            np.array([alike[entry.category].strong for entry in entries], np.float32),
        )

    def compare(self, start: int, found: _Best) -> None:
        """Compares a block of entries with all that follow: one of two categories' thresholds is enough, since the
        person of either may pass by."""
        end = min(start + _ROWS, len(self.entries))
        lowest = float(self.match.min())
        for left in range(start, len(self.entries), _COLUMNS):
            right = min(left + _COLUMNS, len(self.entries))
            similarity = self.vectors[start:end] @ self.vectors[left:right].T
            rows, columns = np.nonzero(similarity >= lowest)
            values = similarity[rows, columns]
            rows, columns = rows + start, columns + left
            either = np.minimum(self.match[rows], self.match[columns])
            wanted = (columns > rows) & (self.subject[rows] != self.subject[columns]) & (values >= either)
            found.add(rows[wanted], columns[wanted], values[wanted], self.subject)

    def named(self, found: _Best) -> list[Pair]:
        return [self._pair(value, row, column) for value, row, column in found.pairs()]

    def _pair(self, value: float, row: int, column: int) -> Pair:
        same = value >= min(self.strong[row], self.strong[column])
        what = Resemblance.SAME_PERSON if same else Resemblance.NEAR_TWINS
        return Pair(what, self.entries[row].entry_id, self.entries[column].entry_id, round(value, 6))

    def unlike(self, below: float) -> list[Pair]:
        """Images that resemble none of their subject's others, each with the one that it resembles most."""
        starts = np.flatnonzero(np.diff(self.subject, prepend=-1))
        found = []
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(self.entries)], strict=True):
            if end - start < 2:
                continue
            similarity = self.vectors[start:end] @ self.vectors[start:end].T
            np.fill_diagonal(similarity, -np.inf)
            best = similarity.argmax(axis=1)
            for i, j in enumerate(best.tolist()):
                if similarity[i, j] < below and not (best[j] == i and j < i):  # a pair of two is said once
                    one, other = self.entries[start + i].entry_id, self.entries[start + j].entry_id
                    found.append(Pair(Resemblance.UNLIKE, one, other, round(float(similarity[i, j]), 6)))
        return found
