"""One pass, scored by several rules from the same crops: the ablation of what a track adds to a single frame.

A rule gives each subject a score; an alert at threshold t goes to the subject with the highest score if that is at
least t. Where nothing speaks for a subject its score is `NOTHING`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.video.tap import Probe
from overt.messages import WatchlistEntry

Scores = NDArray[np.float64]
NOTHING = -1.0
"""The least cosine similarity there is."""


class Subjects:
    """A watchlist as columns: similarities of vectors to the best entry of each subject. An independent computation,
    not the matcher's."""

    def __init__(self, entries: Sequence[WatchlistEntry]) -> None:
        ordered = sorted(entries, key=lambda entry: entry.subject_id)
        self.names = sorted({entry.subject_id for entry in ordered})
        self._column = {name: i for i, name in enumerate(self.names)}
        owner = [self._column[entry.subject_id] for entry in ordered]
        self._starts = np.searchsorted(owner, np.arange(len(self.names)))
        self._matrix = np.stack([entry.vector for entry in ordered]).astype(np.float64)

    def column(self, subject: str) -> int | None:
        """Where a subject's scores are; None for somebody who is not on the list."""
        return self._column.get(subject)

    def similarities(self, vectors: Sequence[NDArray[np.float32]]) -> Scores:
        """[vectors, subjects]."""
        return np.asarray(np.maximum.reduceat(np.stack(vectors) @ self._matrix.T, self._starts, axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class Confirming:
    """How a deployment confirms: a match `strong_by` above the threshold suffices, or `matches` within `within_us`."""

    strong_by: float
    matches: int
    within_us: int


def scores(
    crops: Sequence[Probe], probes: Sequence[Probe], subjects: Subjects, confirming: Confirming, seed: int
) -> Mapping[str, Scores]:
    """By rule: each subject's score. Empty where the pass gave no crop. `seed` chooses a crop at random."""
    if not crops:
        return {}
    each = subjects.similarities([crop.vector for crop in crops])
    qualities = np.array([crop.quality for crop in crops])
    chance = int(np.random.default_rng(seed).integers(len(crops)))
    vectors = np.stack([crop.vector for crop in crops]).astype(np.float64)
    found = {
        "first crop": each[0],
        "random crop": each[chance],
        "best crop": each[int(qualities.argmax())],
        "any crop": each.max(0),
        "alert rule on single crops": alerting(crops, each, confirming),
        "mean of crops": subjects.similarities([fused(vectors, np.ones(len(crops)))])[0],
        "mean by quality": subjects.similarities([fused(vectors, qualities)])[0],
    }
    if probes:
        travelled = subjects.similarities([probe.vector for probe in probes])
        found["pipeline, any embedding"] = travelled.max(0)
        found["pipeline, alert rule"] = alerting(probes, travelled, confirming)
    return found


def fused(vectors: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """The weighted mean of unit vectors [N, D], as a unit vector [D]."""
    total = weights @ vectors
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)


def alerting(probes: Sequence[Probe], each: Scores, confirming: Confirming) -> Scores:
    """For each subject, the highest threshold at which the alerter would alert for it in one of the probes' tracks.

    Only a probe's first subject matches. With the threshold t, a match suffices at t + `strong_by`, or the k-th best of
    those within `within_us` at t; so a subject's score is the larger of best - strong_by and the k-th best.
    """
    result = np.full(each.shape[1], NOTHING)
    first = each.argmax(1)
    by_track: dict[tuple[str, int], list[int]] = {}
    for row in sorted(range(len(probes)), key=lambda row: probes[row].captured_at_us):
        by_track.setdefault((probes[row].track_id, int(first[row])), []).append(row)
    for (_, subject), rows in by_track.items():
        times = [probes[row].captured_at_us for row in rows]
        for last, row in enumerate(rows):
            strong = each[row, subject] - confirming.strong_by
            near = [each[rows[i], subject] for i in range(last + 1) if times[i] > times[last] - confirming.within_us]
            kth = sorted(near)[-confirming.matches] if len(near) >= confirming.matches else NOTHING
            result[subject] = max(result[subject], strong, kth)
    return result
