"""Comparisons one to one (ISO/IEC 19795-1): FMR, FNMR, TAR at an FMR. What there is where a data set has no identities
is FMR alone: pairs of images are then taken to be of different people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.intervals import Rate
from overt.evaluation.unmeasurable import NotMeasurable

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


def verify_at(mated: NDArray[np.float64], non_mated: NDArray[np.float64], threshold: float) -> VerificationPoint:
    """`mated`, `non_mated`: similarities of pairs, either may be empty. NaN (no template) never matches and counts."""
    raise NotImplementedError


def threshold_at_fmr(non_mated: NDArray[np.float64], target: float) -> float | NotMeasurable:
    """As `openset.threshold_at_fpir`, of pairs."""
    raise NotImplementedError


def tar_at_fmr(
    mated: NDArray[np.float64], non_mated: NDArray[np.float64], targets: Sequence[float] = FMR_TARGETS
) -> tuple[TarAtFmr, ...]:
    """TAR at each FMR target."""
    raise NotImplementedError
