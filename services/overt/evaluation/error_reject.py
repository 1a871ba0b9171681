"""Error against reject: how fast errors fall when the poorest images are refused (ISO/IEC 29794-1; P. Grother,
E. Tabassi, "Performance of biometric quality measures", IEEE TPAMI 29, 2007). It tells what a quality is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorReject:
    """Columns [p] by rising share of rejected comparisons; the first point rejects nobody. Between two points the curve
    is a step: equal qualities are rejected together, so that a share between cannot be had."""

    rejected: Column
    error: Column
    """Error rate of what is left."""
    least_quality: Column
    """Comparisons of less quality than this are rejected."""

    def area(self, up_to: float = 0.2) -> float:
        """Mean error over shares rejected in 0..up_to (partial area / up_to); smaller is better."""
        if not 0 < up_to <= 1:
            raise CannotMeasure(f"an area up to {up_to}: expected a share above 0, such as 0.2")
        inside = self.rejected < up_to
        edges = np.append(self.rejected[inside], up_to)
        return float(np.sum(np.diff(edges) * self.error[inside]) / up_to)

    def gain(self, up_to: float = 0.2) -> float | NotMeasurable:
        """0: as rejecting at random; 1: as rejecting just what goes wrong; below 0: worse than at random."""
        base = float(self.error[0])
        if base in (0.0, 1.0):
            return NotMeasurable(f"{'no' if not base else 'every'} comparison went wrong, so no order is better")
        # Rejecting the errors first leaves (base - r) / (1 - r) at a share r, until none is left.
        end = min(up_to, base)
        best = (end + (1 - base) * math.log1p(-end)) / up_to
        return (base - self.area(up_to)) / (base - best)


def error_reject(quality: NDArray[np.float64], error: NDArray[np.bool_]) -> ErrorReject | NotMeasurable:
    """`quality` [n] of each comparison (the lesser of its two images'), `error` [n] whether it went wrong.

    Raises CannotMeasure for qualities that are NaN and lengths that differ.
    """
    if quality.shape != error.shape or quality.ndim != 1:
        raise CannotMeasure(f"{quality.shape} qualities for {error.shape} comparisons: expected columns of one length")
    if np.isnan(quality).any():
        raise CannotMeasure(f"the quality of comparison {int(np.argmax(np.isnan(quality)))} is NaN")
    if not len(quality):
        return NotMeasurable("there are no comparisons")
    levels, index = np.unique(quality, return_inverse=True)
    many = np.bincount(index)
    wrong = np.bincount(index, weights=error)
    left, left_wrong = np.cumsum(many[::-1])[::-1], np.cumsum(wrong[::-1])[::-1]
    return ErrorReject(1 - left / len(quality), left_wrong / left, levels)


def mated_errors(similarity: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """False non-matches of mated comparisons: below the threshold, or no template (NaN)."""
    return ~(similarity >= threshold)
