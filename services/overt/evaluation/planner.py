"""How many passes of unlisted people a claim needs, and what a number of passes can claim."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import binom

from overt.evaluation.intervals import LEVEL, Rate
from overt.evaluation.unmeasurable import CannotMeasure


@dataclass(frozen=True, slots=True)
class Plan:
    """`passes` of different people are needed to claim `FPIR <= fpir` at `level` when `errors` false alerts come."""

    fpir: float
    errors: int
    passes: int
    level: float = LEVEL


def passes_needed(fpir: float, errors: int = 0, level: float = LEVEL) -> int:
    """The least n whose exact upper bound with `errors` in n is within `fpir`; with none, about 3 / fpir.

    Raises CannotMeasure unless 0 < fpir < 1, errors >= 0 and 0 < level < 1.
    """
    if not (0 < fpir < 1 and errors >= 0 and 0 < level < 1):
        raise CannotMeasure(f"FPIR {fpir}, {errors} errors, level {level}: expected 0 < FPIR < 1, no negative errors")
    if errors == 0:
        return math.ceil(math.log(1 - level) / math.log1p(-fpir) - 1e-12)
    low, high = errors, 2 * errors  # the bound is met exactly where seeing so few in n has a chance of 1 - level
    while binom.cdf(errors, high, fpir) > 1 - level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binom.cdf(errors, middle, fpir) > 1 - level else (low, middle)
    return high


def claimable(passes: int, errors: int = 0, level: float = LEVEL) -> float:
    """The FPIR that may be claimed: the exact upper bound. 1 without passes."""
    return Rate(errors, passes).at_most(level)


def plans(fpir: float, errors: tuple[int, ...] = (0, 1, 3, 10), level: float = LEVEL) -> tuple[Plan, ...]:
    """What the claim costs for several numbers of errors on the way."""
    return tuple(Plan(fpir, number, passes_needed(fpir, number, level), level) for number in errors)
