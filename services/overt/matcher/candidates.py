"""From rows that may be the nearest to candidates: similarities made exact, the best entry of each subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from overt.matcher.rows import RowNumbers, Rows
from overt.messages import Vector
from overt.ports import Candidate

_AT_ONCE = 1024


def first_look(subjects: int) -> int:
    """Rows to look at for that many subjects, where most have an image or two."""
    return 2 * subjects + 8


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows found for probes, three columns: `probe` and `row` numbers, and a similarity that is near enough."""

    probe: RowNumbers
    row: RowNumbers
    similarity: Vector = field(repr=False)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0, np.intp)
        return cls(
            np.concatenate([none, *(part.probe for part in parts)]),
            np.concatenate([none, *(part.row for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.similarity for part in parts)]),
        )

    def moved(self, by: int) -> Self:
        """The same for probes that are numbered from `by`."""
        return type(self)(self.probe + by, self.row, self.similarity)

    def where(self, keep: np.ndarray) -> Self:
        return type(self)(self.probe[keep], self.row[keep], self.similarity[keep])


def rank(rows: Rows, probes: Vector, hits: Hits, subjects: int) -> list[list[Candidate]]:
    """Up to `subjects` candidates for each probe, most similar first; ties go to the subject, then the entry, that
    sorts first. The best entry speaks for its subject."""
    best: list[dict[str, Candidate]] = [{} for _ in range(len(probes))]
    exact = similarities(rows, probes, hits)
    for probe, row, similarity in zip(hits.probe.tolist(), hits.row.tolist(), exact.tolist(), strict=True):
        listed = rows.listed[row]
        if listed is None:
            continue
        seen = best[probe].get(listed.subject_id)
        if seen is None or (-similarity, listed.entry_id) < (-seen.similarity, seen.entry_id):
            best[probe][listed.subject_id] = Candidate(listed.subject_id, listed.entry_id, listed.category, similarity)
    return [sorted(found.values(), key=lambda c: (-c.similarity, c.subject_id))[:subjects] for found in best]


def similarities(rows: Rows, probes: Vector, hits: Hits) -> Vector:
    """float32 [hits]: cosine similarities that depend on the two vectors alone, and not on row, batch or gallery.

    A matrix product rounds differently at another place or batch size. Here products of float32 are exact in float64
    and each row is summed in one and the same order.
    """
    exact = np.empty(len(hits.row), np.float32)
    dimension = probes.shape[1]
    entry = np.empty((min(_AT_ONCE, len(hits.row)), dimension), np.float64)
    for start in range(0, len(hits.row), _AT_ONCE):
        numbers = hits.row[start : start + _AT_ONCE]
        for place, row in enumerate(numbers.tolist()):
            entry[place] = rows.vector(row)
        part = entry[: len(numbers)]
        part *= probes[hits.probe[start : start + _AT_ONCE]]
        exact[start : start + len(numbers)] = part.sum(axis=1)
    entry.fill(0)  # freed memory would keep entries that are removed later
    return exact
