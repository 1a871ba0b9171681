"""Advice: the threshold at which the worst group meets the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap, Estimate, estimate
from overt.evaluation.planner import passes_needed
from overt.evaluation.searches import NonMatedSearches
from overt.evaluation.thresholds import threshold_at_rate
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.verification import fmr_of_images

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GroupThreshold:
    """The lowest thresholds at which every group meets the target."""

    target: float
    by_estimate: float | NotMeasurable
    """Every group's measured rate is within the target."""
    worst: str
    """The group that asks for it; where not measurable, the one that hinders."""
    by_upper_bound: float | NotMeasurable
    """Every group's one-sided upper 95 % bound is within the target: what may be claimed of each."""
    worst_by_upper_bound: str
    each: Mapping[str, float | NotMeasurable]
    """By group, the threshold at which its own measured rate is within the target."""


def worst_group_threshold(
    groups: Mapping[str, NonMatedSearches], target: float, bootstrap: Bootstrap | None = None
) -> GroupThreshold:
    """From the non-mated searches of each group, for an FPIR of `target`."""

    def upper(searches: NonMatedSearches) -> float | NotMeasurable:
        scores = searches.alerts_at
        people = len(np.unique(searches.person))
        return _claimable(scores, target, people, lambda at: estimate(scores >= at, searches.person, bootstrap))

    each = {
        name: threshold_at_rate(searches.alerts_at, target, "FPIR", "searches of people who are not enrolled")
        for name, searches in groups.items()
    }
    return _advice(target, each, {name: upper(searches) for name, searches in groups.items()})


def worst_group_threshold_fmr(
    similarity: Mapping[str, Floats], target: float, bootstrap: Bootstrap | None = None
) -> GroupThreshold:
    """From the images of each group, [m, m] as `fmr_of_images` takes them, for an FMR of `target`."""

    def pairs(matrix: Floats) -> Floats:
        scores = matrix[np.triu_indices(len(matrix), 1)]
        return np.where(np.isnan(scores), -np.inf, scores)

    def upper(matrix: Floats) -> float | NotMeasurable:
        return _claimable(pairs(matrix), target, len(matrix) // 2, lambda at: fmr_of_images(matrix, at, bootstrap))

    each = {
        name: threshold_at_rate(pairs(matrix), target, "FMR", "pairs of different people")
        for name, matrix in similarity.items()
    }
    return _advice(target, each, {name: upper(matrix) for name, matrix in similarity.items()})


def _claimable(
    scores: Floats, target: float, units: int, measure: Callable[[float], Estimate]
) -> float | NotMeasurable:
    """The lowest score at which the upper bound of `measure` is within the target, by bisection."""
    needed = passes_needed(target)
    if units < needed:
        return NotMeasurable(f"it needs at least {needed:,} independent trials of each group; here are {units:,}")
    finite = np.unique(scores[np.isfinite(scores)])
    if not finite.size:
        return NotMeasurable("no template was acquired")
    candidates = np.append(finite, np.nextafter(finite[-1], math.inf))
    low, high = -1, len(candidates) - 1  # above the highest nothing matches, and enough trials carry that
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if measure(float(candidates[middle])).at_most <= target else (middle, high)
    return float(candidates[high])


def _advice(
    target: float, each: Mapping[str, float | NotMeasurable], claims: Mapping[str, float | NotMeasurable]
) -> GroupThreshold:
    by_estimate, worst = _highest(each)
    by_upper_bound, worst_by_upper_bound = _highest(claims)
    return GroupThreshold(target, by_estimate, worst, by_upper_bound, worst_by_upper_bound, each)


def _highest(each: Mapping[str, float | NotMeasurable]) -> tuple[float | NotMeasurable, str]:
    """The threshold that suits all, and whose it is; one group that cannot be told leaves all untold."""
    found: dict[str, float] = {}
    for name, threshold in each.items():
        if isinstance(threshold, NotMeasurable):
            return NotMeasurable(f"{name}: {threshold.reason}"), name
        found[name] = threshold
    if not found:
        return NotMeasurable("there are no groups"), ""
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst
