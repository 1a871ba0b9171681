"""How often the graph finds whom the exact answer finds: measured with degraded copies of the entries themselves.

A copy has a cosine to its entry that is drawn evenly between the lowest threshold of the deployment, below which nobody
leaves the matcher, and three quarters of the way from there to 1. The rest of it is noise with the covariance of the
list: faces differ along the directions in which faces differ, where more neighbours are than in all directions alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from overt.matcher.candidates import first_look, rank
from overt.matcher.exact import scan
from overt.matcher.hnsw import HnswIndex, look
from overt.matcher.rows import Listed, Rows, Times
from overt.messages import Vector
from overt.ports import Candidate

CONFIDENCE = 0.95
_SAMPLE = 512
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Recall:
    """Of `tried` copies that the exact answer attributes to their subject, the graph did so for `found`."""

    found: int
    tried: int
    ef: int

    @property
    def share(self) -> float:
        return self.found / self.tried if self.tried else 0.0

    @property
    def lower(self) -> float:
        """One-sided lower 95 % bound (Clopper and Pearson, 1934). 0 misses of 3,000 give 0.9990."""
        return lower_bound(self.found, self.tried)

    @property
    def upper(self) -> float:
        """One-sided upper 95 % bound."""
        return 1 - lower_bound(self.tried - self.found, self.tried)


def lower_bound(found: int, tried: int) -> float:
    """The exact binomial lower bound of a share at `CONFIDENCE`, one-sided; 0 where nothing was tried or found."""
    from scipy.special import betaincinv  # slow to load, and not needed by whoever only changes a list

    return 0.0 if found == 0 else float(betaincinv(found, tried - found + 1, 1 - CONFIDENCE))


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Degraded copies in batches, each with its entry, whose subject the exact answer names first. They resemble
    people: `wipe` them after use, and `wipe_gone` when entries are removed meanwhile."""

    probes: list[Vector] = field(default_factory=list, repr=False)
    entries: list[list[Listed]] = field(default_factory=list, repr=False)
    at_us: list[Times] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.entries))

    def draw(
        self,
        rows: Rows,
        wanted: int,
        threshold: float,
        random: Generator,
        pause: Callable[[], None] = lambda: None,
        among: Sequence[int] | None = None,
    ) -> None:
        """At least `wanted` of them; fewer where four times as many draws do not give them. Entries take turns, and
        come again where they are few. `pause` is called between batches. among: only of these rows."""
        occupied = list(rows.row_of.values()) if among is None else among
        for numbers in _turns(occupied, wanted * 4, random):
            pause()
            self._batch(rows, numbers, threshold, random)
            if len(self) >= wanted:
                return

    def wipe(self) -> None:
        """Overwrites all copies."""
        for probes in self.probes:
            probes.fill(0)

    def wipe_gone(self, rows: Rows) -> None:
        """Overwrites the copies of entries that have been removed or replaced. They count no more."""
        for probes, entries in zip(self.probes, self.entries, strict=True):
            probes[[not rows.lists(entry) for entry in entries]] = 0

    def _batch(self, rows: Rows, numbers: list[int], threshold: float, random: Generator) -> None:
        there = [(row, listed) for row in numbers if (listed := rows.listed[row]) is not None]
        if not there:
            return
        probes = degraded(rows, [row for row, _ in there], threshold, random)
        at_us = np.array([rows.valid_from_us(row) for row, _ in there], np.int64)
        first = rank(rows, probes, scan(rows, probes, first_look(1), at_us), 1)
        kept = [i for i, (_, entry) in enumerate(there) if _names(first[i], entry)]
        self.probes.append(probes[kept])
        self.entries.append([there[i][1] for i in kept])
        self.at_us.append(at_us[kept])
        probes.fill(0)


def measure(
    rows: Rows, index: HnswIndex, known: Copies, most_misses: int, pause: Callable[[], None] = lambda: None
) -> Recall:
    """Recall at the graph's present `ef`; ends early once there are more misses than allowed. Copies of entries that
    have been removed or replaced meanwhile do not count."""
    found = tried = 0
    for probes, entries, at_us in zip(known.probes, known.entries, known.at_us, strict=True):
        pause()
        if not len(probes):
            continue
        hits = look(rows, index, probes, first_look(1), at_us)
        named = rank(rows, probes, hits, 1) if hits is not None else [[] for _ in entries]
        still = [rows.lists(entry) for entry in entries]
        tried += sum(still)
        found += sum(_names(c, entry) for c, entry, listed in zip(named, entries, still, strict=True) if listed)
        if tried - found > most_misses:
            break
    return Recall(found, tried, index.ef)


def _names(candidates: Sequence[Candidate], entry: Listed) -> bool:
    return bool(candidates) and candidates[0].subject_id == entry.subject_id


def most_misses(tried: int, target: float) -> int:
    """Misses of `tried` at which the bound still reaches the target; -1 where not even none would do."""
    misses = -1
    while misses < tried - 1 and lower_bound(tried - misses - 1, tried) >= target:
        misses += 1
    return misses


def degraded(rows: Rows, numbers: list[int], threshold: float, random: Generator) -> Vector:
    """float32 [n, D]: a degraded copy of each row, of unit length."""
    entries = np.stack([rows.vector(row) for row in numbers])
    noise = _noise(rows, len(numbers), random)
    noise -= np.einsum("nd,nd->n", noise, entries)[:, None] * entries
    noise /= np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-12)
    cosine = random.uniform(threshold, 1 - (1 - threshold) / 4, (len(numbers), 1)).astype(np.float32)
    probes = cosine * entries + np.sqrt(1 - cosine**2) * noise
    entries.fill(0)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    return np.asarray(probes, np.float32)


def _noise(rows: Rows, count: int, random: Generator) -> Vector:
    """Gaussian, with the covariance of a sample of the list, and a little in all directions: a list of three people
    spans no space."""
    occupied = list(rows.row_of.values())
    chosen = random.choice(len(occupied), min(_SAMPLE, len(occupied)), replace=False)
    sample = np.stack([rows.vector(occupied[i]) for i in chosen])
    sample -= sample.mean(axis=0)
    weights = random.standard_normal((count, len(sample)), np.float32) / np.float32(np.sqrt(len(sample)))
    noise = weights @ sample
    sample.fill(0)
    noise += random.standard_normal(noise.shape, np.float32) * np.float32(0.1 / np.sqrt(noise.shape[1]))
    return np.asarray(noise, np.float32)


def _turns(occupied: Sequence[int], draws: int, random: Generator) -> Iterator[list[int]]:
    rows, drawn = np.array(occupied, np.intp), 0
    while drawn < draws and len(rows):
        order = random.permutation(rows)[: draws - drawn]
        drawn += len(order)
        yield from (order[i : i + _BATCH].tolist() for i in range(0, len(order), _BATCH))
