"""Comparisons one to one (ISO/IEC 19795-1): FMR, FNMR, TAR at an FMR. Where a data set has no identities there is FMR
alone: its images are then taken to be of different people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap, Estimate, estimate_of, person_weights
from overt.evaluation.intervals import Rate
from overt.evaluation.thresholds import threshold_at_rate
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

Floats = NDArray[np.float64]

FMR_TARGETS = (1e-3, 1e-4, 1e-5)


@dataclass(frozen=True, slots=True)
class VerificationPoint:
    """At a threshold. A pair matches where similarity >= threshold."""

    threshold: float
    fmr: Rate | NotMeasurable
    fnmr: Rate | NotMeasurable


@dataclass(frozen=True, slots=True)
class TarAtFmr:
    """TAR = 1 - FNMR at the threshold of an FMR target."""

    target: float
    point: VerificationPoint | NotMeasurable


def verify_at(mated: Floats, non_mated: Floats, threshold: float) -> VerificationPoint:
    """`mated`, `non_mated`: similarities of pairs, either may be empty. NaN (no template) never matches and counts."""
    if not math.isfinite(threshold):
        raise CannotMeasure(f"a threshold of {threshold} is none")
    matched, wrong = int(np.count_nonzero(mated >= threshold)), int(np.count_nonzero(non_mated >= threshold))
    return VerificationPoint(
        threshold,
        Rate(wrong, len(non_mated)) if len(non_mated) else NotMeasurable("there are no pairs of different people"),
        Rate(len(mated) - matched, len(mated)) if len(mated) else NotMeasurable("there are no two images of anybody"),
    )


def threshold_at_fmr(non_mated: Floats, target: float) -> float | NotMeasurable:
    """As `openset.threshold_at_fpir`, of pairs; NaN counts as a pair that never matches."""
    scores = np.where(np.isnan(non_mated), -np.inf, non_mated)
    return threshold_at_rate(scores, target, "FMR", "pairs of different people")


def tar_at_fmr(mated: Floats, non_mated: Floats, targets: Sequence[float] = FMR_TARGETS) -> tuple[TarAtFmr, ...]:
    """TAR at each FMR target."""
    points = []
    for target in targets:
        found = threshold_at_fmr(non_mated, target)
        point = found if isinstance(found, NotMeasurable) else verify_at(mated, non_mated, found)
        points.append(TarAtFmr(target, point))
    return tuple(points)


def fmr_of_images(similarity: Floats, threshold: float, bootstrap: Bootstrap | None = None) -> Estimate:
    """FMR over all pairs of images of different people.

    similarity: [m, m], symmetric; NaN where an image gave no template. Pairs share images: of m images only m // 2
    pairs are sure to be independent, so images are resampled (pairs of an image with itself are left out), and where no
    pair matches, the bound is that of m // 2 pairs. Raises CannotMeasure unless m >= 2.
    """
    m = len(similarity)
    if similarity.shape != (m, m) or m < 2:
        raise CannotMeasure(f"similarities of shape {similarity.shape}: expected a square of at least two images")
    upper = np.triu(np.nan_to_num(similarity, nan=-np.inf) >= threshold, 1)
    rate = Rate(int(upper.sum()), m * (m - 1) // 2)
    if not 0 < rate.count < rate.trials or m < 4:
        return replace(estimate_of(rate, max(1, m // 2), None, bootstrap), of_people=False)
    one, other = np.nonzero(upper)
    rates = [
        np.einsum("bk,bk->b", drawn[:, one], drawn[:, other]) / ((m * m - (drawn * drawn).sum(axis=1)) / 2)
        for drawn in person_weights(m, bootstrap or Bootstrap())
    ]
    return replace(estimate_of(rate, m // 2, np.minimum(np.concatenate(rates), 1.0), bootstrap), of_people=False)
