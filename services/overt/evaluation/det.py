"""The DET curve of open-set identification: FNIR against FPIR over all thresholds, with intervals on both."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap, resampled
from overt.evaluation.intervals import LEVEL, clopper_pearson_columns
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DetCurve:
    """Columns [p], by rising threshold: FPIR falls, FNIR rises. Intervals are those of `Estimate.interval`."""

    threshold: Column
    fpir: Column
    fpir_low: Column
    fpir_high: Column
    fnir: Column
    fnir_low: Column
    fnir_high: Column

    def rows(self) -> list[dict[str, float]]:
        """For a CSV: one mapping for each point."""
        columns = {column.name: getattr(self, column.name).tolist() for column in fields(self)}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def det_curve(
    mated: MatedSearches, non_mated: NonMatedSearches, *, points: int = 200, bootstrap: Bootstrap | None = None
) -> DetCurve | NotMeasurable:
    """At most `points` thresholds, spread so that low FPIR is resolved best: one at each of the highest non-mated
    scores, fewer below. The last lies just above the highest, where no false alert was seen."""
    if not len(mated) or not len(non_mated):
        return NotMeasurable("a DET curve needs searches of people who are enrolled and of people who are not")
    falling = np.unique(non_mated.alerts_at[non_mated.acquired])[::-1]
    if not falling.size or not np.isfinite(falling[0]):
        return NotMeasurable("no search of people who are not enrolled gave a template")
    falling = falling[np.isfinite(falling)]
    picks = np.unique(np.geomspace(1, falling.size, max(1, points - 1)).round().astype(np.int64)) - 1
    threshold = np.append(falling[picks][::-1], np.nextafter(falling[0], np.inf))
    fpir = shares_reaching(non_mated.person, non_mated.alerts_at, threshold, bootstrap)
    tpir = shares_reaching(mated.person, mated.found_at, threshold, bootstrap)
    return DetCurve(threshold, *fpir, 1 - tpir[0], 1 - tpir[2], 1 - tpir[1])


def shares_reaching(
    person: NDArray[np.str_], reaches: Column, threshold: Column, bootstrap: Bootstrap | None
) -> tuple[Column, Column, Column]:
    """Share of searches that reach each threshold [p], and its bounds as `estimate` makes them."""
    _, index = np.unique(person, return_inverse=True)
    trials = np.bincount(index).astype(np.float64)
    n, people = len(person), len(trials)
    # A search reaches the first `passed` thresholds: counted at the last of them, and summed from the end.
    passed = np.searchsorted(threshold, reaches, side="right")
    counts = np.zeros((people, len(threshold) + 1))
    np.add.at(counts, (index, passed), 1.0)
    reached = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    total = reached.sum(axis=0)
    level = bootstrap.level if bootstrap else LEVEL
    low, high = clopper_pearson_columns(total, np.full_like(total, n), level)
    if people < n:
        low, high = _by_person(total, n, reached, trials, bootstrap)
    return total / n, low, high


def _by_person(
    total: Column, n: int, reached: NDArray[np.float64], trials: Column, bootstrap: Bootstrap | None
) -> tuple[Column, Column]:
    """Bounds where people were searched for repeatedly: see `Estimate.interval`."""
    level = bootstrap.level if bootstrap else LEVEL
    people = len(trials)
    still = (total == 0) | (total == n)
    of_people = clopper_pearson_columns(
        np.where(total == 0, 0.0, float(people)), np.full_like(total, float(people)), level
    )
    if people == 1:  # who shows both: of people nothing is known
        return np.where(still, of_people[0], 0.0), np.where(still, of_people[1], 1.0)
    rates = resampled(reached, trials, bootstrap)
    tail = (1 - level) / 2
    low, high = np.quantile(rates, [tail, 1 - tail], axis=0)
    share, variance = total / n, rates.var(axis=0)
    with np.errstate(all="ignore"):  # where nothing varies another bound is taken
        effective = np.where(variance > 0, np.minimum(n, share * (1 - share) / variance), float(n))
    exact = clopper_pearson_columns(share * effective, effective, level)
    return (
        np.where(still, of_people[0], np.minimum(low, exact[0])),
        np.where(still, of_people[1], np.maximum(high, exact[1])),
    )
