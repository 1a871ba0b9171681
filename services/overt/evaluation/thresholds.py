"""The threshold for an error that is allowed, and how sure one can be of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap, person_weights
from overt.evaluation.intervals import Interval
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

Floats = NDArray[np.float64]


def threshold_at_rate(scores: Floats, target: float, measure: str, trials: str) -> float | NotMeasurable:
    """The lowest of `scores` [n] (-inf: never) such that no more than `target` of them reach it.

    Equal scores stand or fall together; where the highest are equal and too many, the next number above them.
    NotMeasurable where n < 1 / target, or no score is finite. Raises CannotMeasure for a target outside 0..1 or NaN.
    """
    if not 0 < target <= 1:
        raise CannotMeasure(f"{measure} {target}: expected a share above 0, such as 0.01")
    if np.isnan(scores).any():
        raise CannotMeasure(f"a score is NaN: {measure} counts a trial without template as -inf")
    n, allowed = len(scores), math.floor(target * len(scores) + 1e-9)
    if not allowed:
        needed = math.ceil(1 / target - 1e-9)
        return NotMeasurable(f"{measure} {100 * target:.4g} % needs at least {needed:,} {trials}; here are {n:,}")
    falling = np.sort(scores[np.isfinite(scores)])[::-1]
    if not falling.size:
        return NotMeasurable(f"none of {n:,} {trials} gave a template")
    if falling.size <= allowed:
        return float(falling[-1])
    higher = falling[:allowed][falling[:allowed] > falling[allowed]]
    return float(higher[-1]) if higher.size else float(np.nextafter(falling[0], np.inf))


def varied_thresholds(
    mated: MatedSearches, non_mated: NonMatedSearches, target: float, bootstrap: Bootstrap
) -> tuple[Interval | None, Interval]:
    """Intervals of TPIR and of the threshold at an FPIR of `target`, by person, the threshold being found anew in each
    resample of the unlisted. None without mated searches."""
    unlisted, alerts_at = _by_falling_score(non_mated.person, non_mated.alerts_at)
    listed, found_at = _by_falling_score(mated.person, mated.found_at)
    thresholds = np.concatenate(
        [
            _thresholds_of(drawn[:, unlisted], alerts_at, target)
            for drawn in person_weights(int(unlisted.max()) + 1, bootstrap)
        ]
    )
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(thresholds, [tail, 1 - tail], method="nearest").tolist()
    of_threshold = Interval(low, high, bootstrap.level, "bootstrap by person")
    if not listed.size:
        return None, of_threshold
    apart = Bootstrap(bootstrap.resamples, bootstrap.seed + 1, bootstrap.level)  # listed and unlisted are other people
    rates, start = np.empty(bootstrap.resamples), 0
    for drawn in person_weights(int(listed.max()) + 1, apart):
        sums = np.pad(np.cumsum(drawn[:, listed], axis=1), ((0, 0), (1, 0)))
        found = np.searchsorted(-found_at, -thresholds[start : start + len(drawn)], side="right")
        rates[start : start + len(drawn)] = sums[np.arange(len(drawn)), found] / sums[:, -1]
        start += len(drawn)
    low, high = np.quantile(rates, [tail, 1 - tail]).tolist()
    return Interval(low, high, bootstrap.level, "bootstrap by person, threshold included"), of_threshold


def _by_falling_score(person: NDArray[np.str_], score: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Numbers of people and their scores, both by falling score."""
    _, index = np.unique(person, return_inverse=True)
    order = np.argsort(-score, kind="stable")
    return index[order], score[order]


def _thresholds_of(weights: Floats, falling: Floats, target: float) -> Floats:
    """As `threshold_at_rate` for each row of weights [c, n] of the falling scores [n]."""
    sums = np.cumsum(weights, axis=1)
    last = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)  # of each run of equal scores
    last = last[np.isfinite(falling[last])]
    within = sums[:, last] <= target * sums[:, -1:] + 1e-9
    runs = within.sum(axis=1)  # sums only grow: the runs that are within come first
    above = float(np.nextafter(falling[0], np.inf))
    return np.where(runs == 0, above, falling[last][np.maximum(runs, 1) - 1])
