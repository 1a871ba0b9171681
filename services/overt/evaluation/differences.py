"""Differences between two rates: is there one, how large may it be, and how small a one could have been seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from scipy.special import ndtri
from scipy.stats import fisher_exact

from overt.evaluation.intervals import LEVEL, Interval, Rate
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

K = TypeVar("K")

_NO_TRIALS = NotMeasurable("one of the two has no trials")


def newcombe(a: Rate, b: Rate, level: float = LEVEL) -> Interval | NotMeasurable:
    """Interval of a - b from two Wilson intervals (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10)."""
    if not (a.trials and b.trials):
        return _NO_TRIALS
    (low_a, high_a), (low_b, high_b) = _wilson(a, level), _wilson(b, level)
    difference = a.value - b.value
    return Interval(
        difference - math.hypot(a.value - low_a, high_b - b.value),
        difference + math.hypot(high_a - a.value, b.value - low_b),
        level,
        "Newcombe",
    )


def _wilson(rate: Rate, level: float) -> tuple[float, float]:
    z, n, p = float(ndtri((1 + level) / 2)), rate.trials, rate.value
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def fisher(a: Rate, b: Rate) -> float | NotMeasurable:
    """Two-sided p of Fisher's exact test that the two rates are the same."""
    if not (a.trials and b.trials):
        return _NO_TRIALS
    table = np.array([[a.count, a.trials - a.count], [b.count, b.trials - b.count]])
    return min(1.0, float(fisher_exact(table).pvalue))


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """p-values corrected for having made all these comparisons (S. Holm, 1979), in the given order.

    Raises CannotMeasure for what is no probability.
    """
    corrected: dict[K, float] = {}
    least = 0.0
    for place, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if not 0 <= p <= 1:
            raise CannotMeasure(f"p = {p} of {key} is no probability")
        least = max(least, min(1.0, (len(p_values) - place) * p))
        corrected[key] = least
    return {key: corrected[key] for key in p_values}


def smallest_detectable(
    base: float, trials_a: int, trials_b: int, *, power: float = 0.8, level: float = LEVEL
) -> float | NotMeasurable:
    """The smallest increase over the rate `base` that these sample sizes would have shown with that power.

    ISO/IEC 19795-10 asks for it: "no significant difference" says nothing without it. Normal approximation with
    arcsine transform (J. Cohen, Statistical Power Analysis, 1988, ch. 6).
    """
    if not (trials_a and trials_b):
        return _NO_TRIALS
    if not 0 <= base <= 1:
        raise CannotMeasure(f"a rate of {base} lies outside 0..1")
    effect = float(ndtri((1 + level) / 2) + ndtri(power)) * math.sqrt(1 / trials_a + 1 / trials_b)
    angle = 2 * math.asin(math.sqrt(base)) + effect
    if angle > math.pi:
        return NotMeasurable(f"with {trials_a} and {trials_b} trials not even an error of 100 % would have shown")
    return math.sin(angle / 2) ** 2 - base
