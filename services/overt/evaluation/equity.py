"""One number for how unequal groups' errors are. Each hides something; none replaces the groups' own rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overt.evaluation.intervals import Rate
from overt.evaluation.unmeasurable import NotMeasurable

ALPHA = 0.5
"""Weight of the false positives in FDR and GARBE."""


def inequity_ratio(errors: Mapping[str, Rate]) -> float | NotMeasurable:
    """Worst group's error / geometric mean of the groups' (P. Grother, NISTIR 8429, 2022)."""
    raise NotImplementedError


def fdr(fmr: Mapping[str, Rate], fnmr: Mapping[str, Rate], alpha: float = ALPHA) -> float | NotMeasurable:
    """1 - (a max dFMR + (1-a) max dFNMR); 1 is equal (T. de Freitas Pereira, S. Marcel, 2021, fairness discrepancy
    rate)."""
    raise NotImplementedError


def gini(values: Sequence[float]) -> float | NotMeasurable:
    """Gini coefficient with the n/(n-1) correction (arXiv 2203.05051); 0 where all are equal, also all 0."""
    raise NotImplementedError


def garbe(fpir: Mapping[str, Rate], fnir: Mapping[str, Rate], alpha: float = ALPHA) -> float | NotMeasurable:
    """a Gini(false positives) + (1-a) Gini(false negatives); 0 is equal (arXiv 2203.05051)."""
    raise NotImplementedError
