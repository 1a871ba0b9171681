"""How FPIR grows with the watchlist: measured on galleries of every size up to the one there is, then the law beyond.

With comparisons independent, FPIR(N) = 1 - (1 - FMR)^N (ISO/IEC 19795-1); people resemble each other, so the law is
shown beside the measurement and never instead of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from overt.evaluation.estimate import Bootstrap, resampled
from overt.evaluation.intervals import Interval, Rate
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable


@dataclass(frozen=True, slots=True)
class FpirAtSize:
    """FPIR with a list of `subjects`: averaged over all lists of that size that the gallery holds (exactly, not by
    drawing some), and by the law."""

    subjects: int
    measured: float | NotMeasurable
    """NotMeasurable where the list is larger than the gallery."""
    interval: Interval | None
    """By person; of the people who pass, not of who might be on the list."""
    law: float
    """1 - (1 - FMR)^N with the FMR of all comparisons."""


def fpir_by_list_size(
    hits: NDArray[np.int64],
    subjects: int,
    person: NDArray[np.str_],
    sizes: Sequence[int],
    bootstrap: Bootstrap | None = None,
) -> tuple[FpirAtSize, ...]:
    """`hits` [n]: for each non-mated search, how many of the gallery's `subjects` reach the threshold (0 without
    template). A random list of N of G subjects holds none of h hits with probability C(G-h, N) / C(G, N).

    Raises CannotMeasure for hits outside 0..subjects, and sizes below 1.
    """
    if len(hits) != len(person) or not len(hits):
        raise CannotMeasure(f"{len(hits)} hits of {len(person)} searches: expected one for each, and at least one")
    if ((hits < 0) | (hits > subjects)).any() or min(sizes, default=1) < 1:
        raise CannotMeasure(f"hits lie in 0..{subjects}, the number of subjects, and a list has one subject at least")
    fmr = float(hits.sum()) / (len(hits) * subjects)
    return tuple(_at(size, hits, subjects, person, fmr, bootstrap) for size in sizes)


def law(fmr: float, subjects: int) -> float:
    """1 - (1 - FMR)^N, without loss of digits where FMR is tiny."""
    return 1.0 if fmr >= 1 else -math.expm1(subjects * math.log1p(-fmr))


def _at(
    size: int,
    hits: NDArray[np.int64],
    subjects: int,
    person: NDArray[np.str_],
    fmr: float,
    bootstrap: Bootstrap | None,
) -> FpirAtSize:
    if size > subjects:
        reason = f"the gallery has {subjects:,} subjects, the law tells what {size:,} might give"
        return FpirAtSize(size, NotMeasurable(reason), None, law(fmr, size))
    alert = 1 - _no_hit(hits, subjects, size)
    _, index = np.unique(person, return_inverse=True)
    trials = np.bincount(index).astype(np.float64)
    plan = bootstrap or Bootstrap()
    if not hits.any():
        interval = Rate(0, len(trials)).clopper_pearson(plan.level)
    elif len(trials) == 1:
        interval = Interval(0.0, 1.0, plan.level, "one person")
    else:
        sums = np.bincount(index, weights=alert).astype(np.float64)
        tail = (1 - plan.level) / 2
        low, high = np.quantile(resampled(sums[:, None], trials, plan)[:, 0], [tail, 1 - tail]).tolist()
        interval = Interval(low, high, plan.level, "bootstrap by person")
    return FpirAtSize(size, float(alert.mean()), interval, law(fmr, size))


def _no_hit(hits: NDArray[np.int64], subjects: int, size: int) -> NDArray[np.float64]:
    """C(G-h, N) / C(G, N) for each h; 0 where fewer than N subjects are no hit."""
    rest = subjects - hits
    possible = rest >= size
    left = np.where(possible, rest - size, 0)
    log = gammaln(rest + 1.0) - gammaln(left + 1.0) - gammaln(subjects + 1.0) + gammaln(subjects - size + 1.0)
    chance: NDArray[np.float64] = np.where(possible, np.exp(np.minimum(log, 0.0)), 0.0)
    return np.where(hits == 0, 1.0, chance)
