"""Whom a run has found, by the alerter's rule (one strong match, or several within a time) over all their matches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from costs.task import CATEGORY, Task
from overt.runtime.loaded import LoadedModels

_AROUND_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """One match: who, when in the video, how similar."""

    subject_id: str
    at_s: float
    similarity: float


def found(seen: Iterable[Seen], task: Task, models: LoadedModels) -> frozenset[str]:
    """The subjects, matches within half a second of the frame that they were enrolled from left out."""
    category = task.deployment().category(CATEGORY)
    strong = models.thresholds(category).strong
    moments: dict[str, list[float]] = {}
    sure: set[str] = set()
    for match in seen:
        if task.enrolled_at_s is not None and abs(match.at_s - task.enrolled_at_s) < _AROUND_S:
            continue
        moments.setdefault(match.subject_id, []).append(match.at_s)
        if match.similarity >= strong:
            sure.add(match.subject_id)
    for subject, times in moments.items():
        times.sort()
        last = category.confirmations - 1
        if any(b - a <= category.within_s for a, b in zip(times, times[last:], strict=False)):
            sure.add(subject)
    return frozenset(sure)
