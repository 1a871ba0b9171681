"""Differences between two rates: is there one, how large may it be, and how small a one could have been seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from overt.evaluation.intervals import LEVEL, Interval, Rate
from overt.evaluation.unmeasurable import NotMeasurable

K = TypeVar("K")


def newcombe(a: Rate, b: Rate, level: float = LEVEL) -> Interval | NotMeasurable:
    """Interval of a - b from two Wilson intervals (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10)."""
    raise NotImplementedError


def fisher(a: Rate, b: Rate) -> float | NotMeasurable:
    """Two-sided p of Fisher's exact test that the two rates are the same."""
    raise NotImplementedError


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """p-values corrected for having made all these comparisons (S. Holm, 1979), in the given order."""
    raise NotImplementedError


def smallest_detectable(
    base: float, trials_a: int, trials_b: int, *, power: float = 0.8, level: float = LEVEL
) -> float | NotMeasurable:
    """The smallest increase over the rate `base` that these sample sizes would have shown with that power.

    ISO/IEC 19795-10 asks for it: "no significant difference" says nothing without it. Normal approximation with
    arcsine transform (J. Cohen, Statistical Power Analysis, 1988, ch. 6).
    """
    raise NotImplementedError
