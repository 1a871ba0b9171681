"""The entries of a gallery as rows of numbers: preallocated blocks that grow without being copied, changed in place."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overt.messages import Vector, WatchlistEntry

BLOCK = 8192
"""Rows of a block. A block is one product; memory grows by a block, and no vector is ever moved to another address."""
_UNIT_TOLERANCE = 1e-3
_NEVER = np.iinfo(np.int64)

Times = NDArray[np.int64]
RowNumbers = NDArray[np.intp]


class BadEntry(ValueError):
    """An entry that cannot be in a gallery. The text names the entry and what is wrong, never its vector."""


def check_unit(vector: Vector, dimension: int | None = None) -> str | None:
    """What is wrong with a vector that should be a float32 unit vector [dimension]; None when nothing is."""
    if vector.ndim != 1 or (dimension is not None and vector.shape != (dimension,)):
        return f"its vector has the shape {vector.shape}, {dimension} numbers are wanted"
    if not np.isfinite(vector).all():
        return "its vector holds numbers that are not finite"
    norm = float(np.linalg.norm(vector))
    if abs(norm - 1) > _UNIT_TOLERANCE:
        return "its vector is not of unit length"
    return None


@dataclass(frozen=True, slots=True)
class Listed:
    """What is kept of an entry beside its row of numbers."""

    subject_id: str
    entry_id: str
    category: str


@dataclass(frozen=True, slots=True)
class Block:
    """Up to `BLOCK` rows. A row that is free is zero and valid at no time."""

    first_row: int
    matrix: Vector = field(repr=False)
    """float32 [rows, D]."""
    valid_from_us: Times
    valid_until_us: Times


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that a change has cleared, and rows that it has written. A row that was reused is in both."""

    cleared: Sequence[int]
    written: Sequence[int]


class Rows:
    """Entries by row. Not for several threads without a lock: `LiveGallery` has one.

    dimension: numbers of a vector; None takes the first entry's.
    """

    def __init__(self, space_id: str, dimension: int | None = None) -> None:
        self.space_id = space_id
        self.dimension = dimension
        self.listed: list[Listed | None] = []
        """By row; None for a free one. Its length is the number of rows ever used at a time."""
        self.row_of: dict[str, int] = {}
        self._free: list[int] = []
        self._blocks: list[Block] = []

    def __len__(self) -> int:
        """Entries."""
        return len(self.row_of)

    def apply(self, adds: Sequence[WatchlistEntry], removes: Sequence[str]) -> Change:
        """Removes, then adds; an entry whose id is there already replaces it. Ids that are not there are no error.

        Cleared rows are zero when this returns, and reused, lowest first. Raises BadEntry, and then nothing changed.
        """
        self._check(adds)
        incoming = {entry.entry_id: entry for entry in adds}
        cleared = [self._clear(entry_id) for entry_id in (*removes, *incoming) if entry_id in self.row_of]
        return Change(cleared, [self._write(entry) for entry in incoming.values()])

    def blocks(self) -> Iterator[Block]:
        """The blocks' used parts, as views: never kept, never copied."""
        used = len(self.listed)
        for block in self._blocks:
            rows = min(BLOCK, used - block.first_row)
            if rows <= 0:
                return
            yield Block(block.first_row, block.matrix[:rows], block.valid_from_us[:rows], block.valid_until_us[:rows])

    def vector(self, row: int) -> Vector:
        """The row itself, float32 [D], not a copy."""
        vector: Vector = self._blocks[row // BLOCK].matrix[row % BLOCK]
        return vector

    def valid(self, row: int, at_us: int) -> bool:
        """Whether the row's entry may match at that time."""
        block, place = self._blocks[row // BLOCK], row % BLOCK
        return bool(block.valid_from_us[place] <= at_us < block.valid_until_us[place])

    def valid_from_us(self, row: int) -> int:
        """The first moment at which the row's entry may match."""
        return int(self._blocks[row // BLOCK].valid_from_us[row % BLOCK])

    def lists(self, listed: Listed) -> bool:
        """Whether this very entry is still there: neither removed nor replaced."""
        row = self.row_of.get(listed.entry_id)
        return row is not None and self.listed[row] is listed

    def _check(self, adds: Sequence[WatchlistEntry]) -> None:
        dimension = self.dimension
        for entry in adds:
            if entry.space_id != self.space_id:
                raise BadEntry(f"entry {entry.entry_id} is of model space {entry.space_id}, not {self.space_id}")
            if wrong := check_unit(entry.vector, dimension):
                raise BadEntry(f"entry {entry.entry_id}: {wrong}")
            dimension = len(entry.vector)

    def _clear(self, entry_id: str) -> int:
        row = self.row_of.pop(entry_id)
        block, place = self._blocks[row // BLOCK], row % BLOCK
        block.matrix[place] = 0
        block.valid_from_us[place], block.valid_until_us[place] = _NEVER.max, _NEVER.min
        self.listed[row] = None
        heapq.heappush(self._free, row)
        return row

    def _write(self, entry: WatchlistEntry) -> int:
        row = heapq.heappop(self._free) if self._free else self._grow(len(entry.vector))
        block, place = self._blocks[row // BLOCK], row % BLOCK
        block.matrix[place] = entry.vector
        block.valid_from_us[place], block.valid_until_us[place] = entry.valid_from_us, entry.valid_until_us
        self.listed[row] = Listed(entry.subject_id, entry.entry_id, entry.category)
        self.row_of[entry.entry_id] = row
        return row

    def _grow(self, dimension: int) -> int:
        self.dimension = dimension
        row = len(self.listed)
        if row == len(self._blocks) * BLOCK:
            never = np.full(BLOCK, _NEVER.max), np.full(BLOCK, _NEVER.min)
            self._blocks.append(Block(row, np.zeros((BLOCK, dimension), np.float32), *never))
        self.listed.append(None)
        return row
