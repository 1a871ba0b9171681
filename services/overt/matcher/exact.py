"""The exact gallery: one matrix product for a batch of probes, every entry compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overt.messages import Vector, WatchlistEntry
from overt.ports import Candidate

_UNIT_TOLERANCE = 1e-3


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


class ExactGallery:
    """An immutable gallery that compares every probe with every entry. Safe to share between threads.

    Raises BadEntry when an entry belongs to another model space, or its vector is not a unit vector of the dimension
    of the others.
    """

    def __init__(self, space_id: str, entries: Sequence[WatchlistEntry]) -> None:
        self.space_id = space_id
        # Sorted by subject, so that the best entry of each subject is a maximum over one slice.
        self._entries = sorted(entries, key=lambda e: (e.subject_id, e.entry_id))
        dimension = len(self._entries[0].vector) if self._entries else None
        for entry in self._entries:
            if entry.space_id != space_id:
                raise BadEntry(f"entry {entry.entry_id} is of model space {entry.space_id}, not {space_id}")
            if wrong := check_unit(entry.vector, dimension):
                raise BadEntry(f"entry {entry.entry_id}: {wrong}")
        subjects = [e.subject_id for e in self._entries]
        self._starts = np.array([i for i, s in enumerate(subjects) if i == 0 or s != subjects[i - 1]], np.intp)
        self._ends = np.append(self._starts[1:], len(subjects))
        self._matrix = np.stack([e.vector for e in self._entries]) if self._entries else None
        self._valid_from = np.array([e.valid_from_us for e in self._entries], np.int64)
        self._valid_until = np.array([e.valid_until_us for e in self._entries], np.int64)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def dimension(self) -> int | None:
        """Numbers in a vector; None while the gallery is empty."""
        return None if self._matrix is None else self._matrix.shape[1]

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        """See `overt.ports.Gallery.search`. Ties go to the subject, then the entry, that sorts first."""
        if self._matrix is None:
            return [[] for _ in range(len(probes))]
        similarity = probes @ self._matrix.T
        when = np.asarray(at_us, np.int64)[:, None]
        similarity[(when < self._valid_from) | (when >= self._valid_until)] = -np.inf
        best = np.maximum.reduceat(similarity, self._starts, axis=1)
        return [self._candidates(row, best_row, subjects) for row, best_row in zip(similarity, best, strict=True)]

    def _candidates(self, row: Vector, best: Vector, most: int) -> list[Candidate]:
        order = np.argsort(-best, kind="stable")[:most]
        found = []
        for subject in order:
            if not np.isfinite(best[subject]):
                break
            start, end = self._starts[subject], self._ends[subject]
            entry = self._entries[start + int(np.argmax(row[start:end]))]
            found.append(Candidate(entry.subject_id, entry.entry_id, entry.category, float(best[subject])))
        return found
