"""A rate measured on people who were searched for more than once: both of its intervals, and which one to believe.

Searches of one person resemble each other, and repeated splits search the same people again, so that counting them as
independent makes intervals too narrow. Resampling people with replacement (the subset bootstrap: R. M. Bolle,
N. K. Ratha, S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", 2004) keeps a person's
searches together. It is too narrow in turn where few people err; there Clopper-Pearson with the effective sample, which
the variance between people tells (E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998), is wide enough. The wider
bound of both is taken on each side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overt.evaluation.intervals import LEVEL, Interval, Rate, lower_bound, upper_bound
from overt.evaluation.unmeasurable import CannotMeasure

Floats = NDArray[np.float64]

_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How people are resampled. The same seed and data give the same interval."""

    resamples: int = 2000
    seed: int = 0
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with the number of people behind it."""

    rate: Rate
    people: int
    independent: Interval
    """Clopper-Pearson, as if every trial were another person."""
    by_person: Interval | None
    """Percentile bootstrap over people; None where it says nothing: every trial is another person, or nothing varies
    (no error, only errors, one person)."""
    interval: Interval
    """The one to publish: Clopper-Pearson where each trial is another person; else the wider of bootstrap and
    Clopper-Pearson of the effective sample; where nothing varies, Clopper-Pearson with as many trials as people."""
    at_most: float
    """One-sided upper bound, as wide as `interval` is: what may be claimed."""
    at_least: float
    """One-sided lower bound."""
    of_people: bool = True
    """Whether `people` are people; else they are trials that are surely independent, such as pairs without a common
    image."""

    @property
    def value(self) -> float:
        """count / trials."""
        return self.rate.value

    @property
    def effective(self) -> Rate:
        """The rate as if each person had been one trial: for tests that need independent trials."""
        return self.rate if self.people >= self.rate.trials else Rate(round(self.value * self.people), self.people)

    @property
    def complement(self) -> Estimate:
        """The estimate of the opposite: FNIR from TPIR."""
        return Estimate(
            self.rate.complement,
            self.people,
            self.independent.complement,
            None if self.by_person is None else self.by_person.complement,
            self.interval.complement,
            1 - self.at_least,
            1 - self.at_most,
            self.of_people,
        )


def estimate(success: ArrayLike, person: ArrayLike, bootstrap: Bootstrap | None = None) -> Estimate:
    """Share of `success` (bool [n]) with its intervals; `person` (text [n]) says whose trial each is.

    Raises CannotMeasure when lengths differ or there is no trial.
    """
    flags, people = np.asarray(success, np.bool_), np.asarray(person, np.str_)
    if flags.ndim != 1 or flags.shape != people.shape:
        raise CannotMeasure(f"{flags.shape} outcomes of {people.shape} people: expected two columns of one length")
    if not flags.size:
        raise CannotMeasure("a rate of no trials at all: look whether there is one before estimating it")
    _, index = np.unique(people, return_inverse=True)
    successes = np.bincount(index, weights=flags).astype(np.float64)
    trials = np.bincount(index).astype(np.float64)
    rate = Rate(int(flags.sum()), flags.size)
    if len(trials) == flags.size or not 0 < rate.count < rate.trials or len(trials) == 1:
        return estimate_of(rate, len(trials), None, bootstrap)
    return estimate_of(rate, len(trials), resampled(successes[:, None], trials, bootstrap)[:, 0], bootstrap)


def estimate_of(rate: Rate, people: int, resamples: Floats | None, bootstrap: Bootstrap | None = None) -> Estimate:
    """An estimate from what is known already. `resamples` [b]: the rate in each resample of people; None where every
    trial is another person or nothing varies. `people`: independent units behind the trials."""
    level = (bootstrap or Bootstrap()).level
    independent = rate.clopper_pearson(level)
    if resamples is not None:
        return _of_resamples(rate, people, resamples, independent)
    if people >= rate.trials:
        return Estimate(rate, people, independent, None, independent, rate.at_most(level), rate.at_least(level))
    if 0 < rate.count < rate.trials:  # one person, who shows both: of people nothing is known
        return Estimate(rate, people, independent, None, Interval(0.0, 1.0, level, "one person"), 1.0, 0.0)
    units = Rate(people if rate.count else 0, people)
    interval = Interval(*_bounds(units.clopper_pearson(level)), level, "Clopper-Pearson of people")
    return Estimate(rate, people, independent, None, interval, units.at_most(level), units.at_least(level))


def _of_resamples(rate: Rate, people: int, resamples: Floats, independent: Interval) -> Estimate:
    level, value = independent.level, rate.value
    tail = (1 - level) / 2
    low, high, least, most = np.quantile(resamples, [tail, 1 - tail, 1 - level, level]).tolist()
    n = effective_trials(value, rate.trials, float(resamples.var()))
    interval = Interval(
        min(low, lower_bound(n * value, n, tail)),
        max(high, upper_bound(n * value, n, tail)),
        level,
        "wider of bootstrap by person and Clopper-Pearson of the effective sample",
    )
    return Estimate(
        rate,
        people,
        independent,
        Interval(low, high, level, "bootstrap by person"),
        interval,
        max(most, upper_bound(n * value, n, 1 - level)),
        min(least, lower_bound(n * value, n, 1 - level)),
    )


def effective_trials(value: float, trials: int, variance: float) -> float:
    """How many independent trials would vary as much; no more than there were."""
    return min(float(trials), value * (1 - value) / variance) if variance > 0 else float(trials)


def _bounds(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def resampled(successes: Floats, trials: Floats, bootstrap: Bootstrap | None = None) -> Floats:
    """Rates in resamples of people, float64 [resamples, p].

    `successes` [people, p]: each person's successes in each of p counts; `trials` [people]. A resample that draws no
    trial does not occur where everybody has one. People who are alike in all counts are drawn as one class, which is
    the same distribution and much less work.
    """
    plan = bootstrap or Bootstrap()
    rows, counts = np.unique(np.column_stack([successes, trials]), axis=0, return_counts=True)
    rng = np.random.default_rng(plan.seed)
    rates = np.empty((plan.resamples, successes.shape[1]))
    for start in range(0, plan.resamples, _CHUNK):
        drawn = min(_CHUNK, plan.resamples - start)
        sums = rng.multinomial(counts.sum(), counts / counts.sum(), size=drawn).astype(np.float64) @ rows
        rates[start : start + drawn] = sums[:, :-1] / sums[:, -1:]
    return rates


def person_weights(people: int, bootstrap: Bootstrap) -> Iterator[Floats]:
    """How often each person is drawn, for measures that are no plain rate: chunks float64 [c, people] of all
    resamples; each row sums to `people`."""
    rng = np.random.default_rng(bootstrap.seed)
    for start in range(0, bootstrap.resamples, _CHUNK):
        drawn = min(_CHUNK, bootstrap.resamples - start)
        picks = rng.integers(people, size=(drawn, people)) + np.arange(drawn)[:, None] * people
        yield np.bincount(picks.ravel(), minlength=drawn * people).reshape(drawn, people).astype(np.float64)
