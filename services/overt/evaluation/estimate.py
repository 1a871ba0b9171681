"""A rate measured on people who were searched for more than once: both of its intervals, and which one to believe.

Searches of one person resemble each other, and repeated splits search the same people again, so that counting them as
independent makes intervals too narrow. Resampling people with replacement (the subset bootstrap: R. M. Bolle,
N. K. Ratha, S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", 2004) keeps a person's
searches together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.intervals import LEVEL, Interval, Rate


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with the number of people behind it."""

    rate: Rate
    people: int
    independent: Interval
    """Clopper-Pearson, as if every trial were another person."""
    by_person: Interval | None
    """Percentile bootstrap over people; None where nothing varies (no error, only errors, fewer than two people)."""

    @property
    def value(self) -> float:
        """count / trials."""
        return self.rate.value

    @property
    def interval(self) -> Interval:
        """The one to publish: Clopper-Pearson where each trial is another person; else by person; where nothing
        varies, Clopper-Pearson with as many trials as people."""
        raise NotImplementedError

    def at_most(self, level: float = LEVEL) -> float:
        """One-sided upper bound, of people and not of repeats."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How people are resampled. The same seed and data give the same interval."""

    resamples: int = 2000
    seed: int = 0
    level: float = LEVEL


def estimate(success: NDArray[np.bool_], person: NDArray[np.str_], bootstrap: Bootstrap | None = None) -> Estimate:
    """Share of `success` [n] with its intervals; `person` [n] says whose trial each is. bootstrap None: the default.

    Raises CannotMeasure when lengths differ.
    """
    raise NotImplementedError


def person_weights(people: int, bootstrap: Bootstrap) -> NDArray[np.int64]:
    """How often each person is drawn in each resample, int64 [resamples, people]; each row sums to `people`."""
    raise NotImplementedError
