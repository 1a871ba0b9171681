"""A quality from components: what each shortcoming costs, fitted to whether comparisons succeed.

Log-odds of a match are the sum of one falling or rising piecewise line for each component (a monotone additive logistic
model; Hastie and Tibshirani, "Generalized Additive Models", 1990). Monotone by construction: a calibration must not
learn from few images that blur is good. Fitted by L-BFGS-B with a small ridge, so that one data set gives one answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from overt.detector.calibration import RISING, Calibration

Column = NDArray[np.float64]

_QUANTILES = (0.01, 0.05, 0.12, 0.25, 0.5, 0.8)
_RIDGE = 1.0
"""On the gain of each piece, whose sum over all comparisons is what it is weighed against."""


def fitted(components: Mapping[str, Column], success: NDArray[np.bool_]) -> Calibration:
    """The calibration for columns [n] by name (of `overt.detector.calibration.RISING`) and outcomes [n].

    Raises ValueError when all outcomes are the same.
    """
    if success.all() or not success.any():
        raise ValueError("every comparison ended the same way, so nothing can be fitted")
    knots = {name: _knots(column, rising=RISING[name]) for name, column in components.items()}
    lacks = [_lacks(column, knots[name], rising=RISING[name]) for name, column in components.items()]
    pieces = np.column_stack(lacks)
    wanted = success.astype(np.float64)

    def loss(coefficients: Column) -> tuple[float, Column]:
        odds = coefficients[0] - pieces @ coefficients[1:]
        off = expit(odds) - wanted
        value = float(np.sum(np.logaddexp(0, odds) - wanted * odds) + _RIDGE / 2 * np.sum(coefficients[1:] ** 2))
        return value, np.concatenate([[off.sum()], -pieces.T @ off + _RIDGE * coefficients[1:]])

    bounds = [(None, None)] + [(0.0, None)] * pieces.shape[1]
    found = minimize(loss, np.zeros(1 + pieces.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    ends = np.cumsum([0] + [lack.shape[1] for lack in lacks])
    penalties = {
        name: _line(knots[name], found.x[1 + begin : 1 + end], rising=RISING[name])
        for name, begin, end in zip(components, ends[:-1], ends[1:], strict=True)
    }
    return Calibration(round(float(found.x[0]), 3), penalties)


def _knots(column: Column, *, rising: bool) -> Column:
    """Where lines may bend, ascending. Beyond the first and last nothing more is lost or gained."""
    shares = _QUANTILES if rising else tuple(1 - q for q in reversed(_QUANTILES))
    return np.unique([float(f"{v:.3g}") for v in np.quantile(column, shares)])


def _lacks(column: Column, knots: Column, *, rising: bool) -> Column:
    """[n, knots - 1], 0 to 1: what a value lacks of each piece between two knots."""
    shares = np.clip((column[:, None] - knots[:-1]) / np.diff(knots), 0, 1)
    return np.asarray(1 - shares if rising else shares, np.float64)


def _line(knots: Column, costs: Column, *, rising: bool) -> tuple[tuple[float, float], ...]:
    """The penalty at each knot."""
    total = (
        np.concatenate([np.cumsum(costs[::-1])[::-1], [0.0]]) if rising else np.concatenate([[0.0], np.cumsum(costs)])
    )
    return tuple((float(x), round(float(y), 3)) for x, y in zip(knots, total, strict=True))
