"""One number for how unequal groups' errors are. Each hides something; none replaces the groups' own rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from overt.evaluation.intervals import Rate
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable

ALPHA = 0.5
"""Weight of the false positives in FDR and GARBE."""

_TOO_FEW = NotMeasurable("fewer than two groups have trials")


def inequity_ratio(errors: Mapping[str, Rate]) -> float | NotMeasurable:
    """Worst group's error / geometric mean of the groups' (P. Grother, NISTIR 8429, 2022)."""
    groups = _with_trials(errors)
    if len(groups) < 2:
        return _TOO_FEW
    for name, rate in groups.items():
        if not rate.count:
            return NotMeasurable(f"no error was seen of {name} in {rate.trials:,} trials, and a ratio to none is none")
    values = [rate.value for rate in groups.values()]
    return max(values) / math.exp(math.fsum(map(math.log, values)) / len(values))


def fdr(
    false_positives: Mapping[str, Rate], false_negatives: Mapping[str, Rate], alpha: float = ALPHA
) -> float | NotMeasurable:
    """1 - (a max dFMR + (1-a) max dFNMR); 1 is equal (T. de Freitas Pereira, S. Marcel, "Fairness in biometrics", 2021:
    fairness discrepancy rate)."""
    return _weighted(false_positives, false_negatives, alpha, lambda values: max(values) - min(values), of_one=True)


def garbe(
    false_positives: Mapping[str, Rate], false_negatives: Mapping[str, Rate], alpha: float = ALPHA
) -> float | NotMeasurable:
    """a Gini(false positives) + (1-a) Gini(false negatives); 0 is equal (arXiv 2203.05051)."""
    return _weighted(false_positives, false_negatives, alpha, gini, of_one=False)


def gini(values: Sequence[float]) -> float:
    """Gini coefficient with the n/(n-1) correction for few groups (arXiv 2203.05051): 0 where all are equal, 1 where
    one has all. Raises CannotMeasure for fewer than two values, negative ones and NaN."""
    n, total = len(values), math.fsum(values)
    if n < 2 or not all(value >= 0 for value in values):
        raise CannotMeasure("a Gini coefficient needs two values or more, none of them negative or NaN")
    if not total:
        return 0.0
    ranked = math.fsum((2 * place - n - 1) * value for place, value in enumerate(sorted(values), 1))
    return ranked / (n * total) * n / (n - 1)


def _weighted(
    false_positives: Mapping[str, Rate],
    false_negatives: Mapping[str, Rate],
    alpha: float,
    spread: Callable[[Sequence[float]], float],
    *,
    of_one: bool,
) -> float | NotMeasurable:
    """alpha times the spread of the one error and the rest of the other's, or one minus that."""
    if not 0 <= alpha <= 1:
        raise CannotMeasure(f"alpha {alpha}: expected a weight between 0 and 1")
    parts = [_with_trials(false_positives), _with_trials(false_negatives)]
    for part, what in zip(parts, ("false positives", "false negatives"), strict=True):
        if len(part) < 2:
            return NotMeasurable(f"it needs {what} of two groups or more")
    positives, negatives = (spread([rate.value for rate in part.values()]) for part in parts)
    whole = alpha * positives + (1 - alpha) * negatives
    return 1 - whole if of_one else whole


def _with_trials(errors: Mapping[str, Rate]) -> dict[str, Rate]:
    return {name: rate for name, rate in errors.items() if rate.trials}
