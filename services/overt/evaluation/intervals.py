"""A rate is a count over trials, and its uncertainty is part of it.

Clopper-Pearson (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934; ISO/IEC 19795-1 annex B names it for independent
trials); with no error seen, the exact form of the rule of three (at 95 % close to 3/n). Trials that repeat people are
not independent: see `overt.evaluation.estimate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from overt.evaluation.unmeasurable import CannotMeasure

Column = NDArray[np.float64]

LEVEL = 0.95
"""Confidence of every interval unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies with confidence `level`. `method` names how it was made."""

    low: float
    high: float
    level: float = LEVEL
    method: str = "Clopper-Pearson"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def complement(self) -> Interval:
        """The interval of one minus the value."""
        return Interval(1 - self.high, 1 - self.low, self.level, self.method)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `trials`. Raises CannotMeasure when count is not in 0..trials; `trials` may be 0: ask `measurable`."""

    count: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.trials:
            raise CannotMeasure(f"{self.count} of {self.trials} is no rate: the count lies in 0..trials")

    @property
    def measurable(self) -> bool:
        """Whether there were trials at all."""
        return self.trials > 0

    @property
    def value(self) -> float:
        """count / trials. NaN without trials."""
        return self.count / self.trials if self.trials else math.nan

    @property
    def complement(self) -> Rate:
        """The rate of the opposite."""
        return Rate(self.trials - self.count, self.trials)

    def clopper_pearson(self, level: float = LEVEL) -> Interval:
        """The exact two-sided interval for independent trials; [0, 1] without trials."""
        tail = (1 - _checked(level)) / 2
        return Interval(lower_bound(self.count, self.trials, tail), upper_bound(self.count, self.trials, tail), level)

    def at_most(self, level: float = LEVEL) -> float:
        """The exact one-sided upper bound: what may be claimed as `at most`. With no error it is 1 - (1-level)^(1/n),
        the rule of three."""
        return upper_bound(self.count, self.trials, 1 - _checked(level))

    def at_least(self, level: float = LEVEL) -> float:
        """The exact one-sided lower bound."""
        return lower_bound(self.count, self.trials, 1 - _checked(level))

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.count + other.count, self.trials + other.trials)


def lower_bound(count: float, trials: float, tail: float) -> float:
    """Clopper-Pearson's lower bound with `tail` below it; counts need not be whole (effective samples)."""
    return 0.0 if count <= 0 else float(betaincinv(count, trials - count + 1, tail))


def upper_bound(count: float, trials: float, tail: float) -> float:
    """Clopper-Pearson's upper bound with `tail` above it; counts need not be whole (effective samples)."""
    return 1.0 if count >= trials else float(betaincinv(count + 1, trials - count, 1 - tail))


def clopper_pearson_columns(count: Column, trials: Column, level: float = LEVEL) -> tuple[Column, Column]:
    """Lower and upper bounds of many counts of trials [p], as `Rate.clopper_pearson` gives them."""
    tail = (1 - _checked(level)) / 2
    with np.errstate(all="ignore"):  # the branch that is not taken asks for the beta distribution of nothing
        low = np.where(count <= 0, 0.0, betaincinv(np.maximum(count, 1e-9), trials - count + 1, tail))
        high = np.where(count >= trials, 1.0, betaincinv(count + 1, np.maximum(trials - count, 1e-9), 1 - tail))
    return low, high


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise CannotMeasure(f"a confidence of {level} is none: expected a number between 0 and 1, such as 0.95")
    return level
