"""Error against reject: how fast errors fall when the poorest images are refused (ISO/IEC 29794-1; P. Grother,
E. Tabassi, "Performance of biometric quality measures", IEEE TPAMI 29, 2007). It tells what a quality is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.unmeasurable import NotMeasurable

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorReject:
    """Columns [p] by rising share of rejected comparisons; the first point rejects nobody."""

    rejected: Column
    error: Column
    """Error rate of what is left; equal qualities are rejected together."""
    least_quality: Column
    """Comparisons of less quality than this are rejected."""

    def area(self, up_to: float = 0.2) -> float:
        """Mean error for shares rejected in 0..up_to (partial area / up_to); smaller is better."""
        raise NotImplementedError

    def gain(self, up_to: float = 0.2) -> float | NotMeasurable:
        """0: no better than rejecting at random; 1: as good as knowing the errors; below 0: worse than random."""
        raise NotImplementedError


def error_reject(quality: NDArray[np.float64], error: NDArray[np.bool_]) -> ErrorReject | NotMeasurable:
    """`quality` [n] of each comparison (the lesser of its two images'), `error` [n] whether it went wrong.

    NaN qualities raise CannotMeasure.
    """
    raise NotImplementedError


def mated_errors(similarity: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """False non-matches of mated comparisons: below the threshold, or no template (NaN)."""
    return ~(similarity >= threshold)
