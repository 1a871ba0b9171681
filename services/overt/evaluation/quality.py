"""What a quality is worth, and the calibration that makes it worth most.

Each component alone and the calibrated whole are judged by error against reject (`overt.evaluation.error_reject`): how
fast false non-matches fall when the poorest faces are refused. The whole is judged on people whose images it was not
fitted to: everybody is in one of two halves, and each half is judged by the fit of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from overt.detector.calibration import RISING, Calibration
from overt.evaluation.error_reject import ErrorReject, error_reject, mated_errors
from overt.evaluation.quality_fit import fitted
from overt.evaluation.quality_trials import Trials
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

Column = NDArray[np.float64]
FMR = 1e-3
"""At which a comparison fails or succeeds."""
WHOLE = "calibrated, all of them"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One model's errors against one quality."""

    model: str
    quality: str
    curve: ErrorReject
    gain: float | NotMeasurable


@dataclass(frozen=True, slots=True)
class Step:
    """Faces whose quality lies within a range: what becomes of them."""

    least: float
    most: float
    trials: int
    matched: Mapping[str, float]
    """By model, the share that matches."""


@dataclass(frozen=True, slots=True, eq=False)
class QualityResult:
    """`thresholds`: each model's cosine at `FMR`, measured on these images; `fnmr`: its errors with nobody refused."""

    trials: int
    people: int
    not_found: int
    thresholds: Mapping[str, float]
    fnmr: Mapping[str, float]
    judged: Sequence[Judged]
    without: Mapping[str, Mapping[str, float | NotMeasurable]]
    """By component and model: the whole's gain when that component is left out."""
    steps: Sequence[Step]
    calibration: Calibration
    """Fitted to all trials."""


def measured(trials: Trials, seed: int) -> QualityResult:
    """All of it. Raises CannotMeasure where the images cannot tell."""
    similarity = {name: trials.probes[name] @ trials.references[name].T for name in trials.probes}
    rows = np.arange(len(trials))
    thresholds, success = {}, {}
    for name, all_pairs in similarity.items():
        others = np.ones(all_pairs.shape, np.bool_)
        others[rows, trials.person] = False
        if not others.any():
            raise CannotMeasure("one person: there is nobody whom they could be taken for")
        thresholds[name] = float(np.quantile(all_pairs[others], 1 - FMR))
        success[name] = ~mated_errors(all_pairs[rows, trials.person].astype(np.float64), thresholds[name])
    half = np.random.default_rng(seed).permutation(trials.person.max() + 1)[trials.person] % 2 == 0
    wholes = _cross_fitted(trials.components, success, half)
    qualities = {name: _signed(name, column) for name, column in trials.components.items()} | {WHOLE: wholes}
    judged = [
        Judged(model, quality, curve, curve.gain())
        for model, good in success.items()
        for quality, column in qualities.items()
        if not isinstance(curve := error_reject(column, ~good), NotMeasurable)
    ]
    return QualityResult(
        trials=len(trials),
        people=int(trials.person.max()) + 1,
        not_found=trials.not_found,
        thresholds=thresholds,
        fnmr={name: float(1 - good.mean()) for name, good in success.items()},
        judged=judged,
        without={name: _gains_without(name, trials.components, success, half) for name in trials.components},
        steps=_steps(wholes, success),
        calibration=_fit(trials.components, success, np.ones(len(trials), np.bool_)),
    )


def _signed(name: str, column: Column) -> Column:
    return column if RISING[name] else -column


def _fit(
    components: Mapping[str, Column], success: Mapping[str, NDArray[np.bool_]], rows: NDArray[np.bool_]
) -> Calibration:
    """One calibration for all models: each comparison counts once for each."""
    stacked = {name: np.concatenate([column[rows]] * len(success)) for name, column in components.items()}
    try:
        return fitted(stacked, np.concatenate([good[rows] for good in success.values()]))
    except ValueError as error:
        raise CannotMeasure(str(error)) from error


def _cross_fitted(
    components: Mapping[str, Column], success: Mapping[str, NDArray[np.bool_]], half: NDArray[np.bool_]
) -> Column:
    """Each trial's quality by the fit of the half that it is not in."""
    result = np.empty(len(half))
    for rows in (half, ~half):
        calibration = _fit(components, success, ~rows)
        for row in np.flatnonzero(rows):
            result[row] = calibration.quality({name: float(column[row]) for name, column in components.items()})
    return result


def _gains_without(
    left_out: str, components: Mapping[str, Column], success: Mapping[str, NDArray[np.bool_]], half: NDArray[np.bool_]
) -> dict[str, float | NotMeasurable]:
    rest = {name: column for name, column in components.items() if name != left_out}
    column = _cross_fitted(rest, success, half)
    gains = {}
    for model, good in success.items():
        curve = error_reject(column, ~good)
        gains[model] = curve if isinstance(curve, NotMeasurable) else curve.gain()
    return gains


def _steps(quality: Column, success: Mapping[str, NDArray[np.bool_]]) -> list[Step]:
    edges = np.linspace(0, 1, 11)
    steps = []
    for least, most in pairwise(edges):
        inside = (quality >= least) & ((quality < most) | (most == 1))
        if inside.any():
            matched = {model: float(good[inside].mean()) for model, good in success.items()}
            steps.append(Step(float(least), float(most), int(inside.sum()), matched))
    return steps
