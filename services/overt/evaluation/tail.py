"""How often strangers reach which similarity: the upper end of the non-mated scores, for a certificate's odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.det import shares_reaching
from overt.evaluation.estimate import Bootstrap
from overt.evaluation.searches import NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable

Column = NDArray[np.float64]

MOST_POINTS = 40


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTail:
    """Columns [p] by rising similarity. The last is just above the highest score: nobody reached it."""

    cosine: Column
    fpir: Column
    """Share of non-mated searches whose best similarity is at least so high; a failure to acquire counts as none."""
    high: Column
    """Upper 95 % bound, by person."""


def score_tail(non_mated: NonMatedSearches, bootstrap: Bootstrap | None = None) -> ScoreTail | NotMeasurable:
    """The more similar half of the scores: each of the highest, fewer of the rest. No more than 40 numbers, none of
    which belongs to a person by more than being among them."""
    scores = non_mated.alerts_at
    falling = np.unique(scores[np.isfinite(scores)])[::-1]
    if not falling.size:
        return NotMeasurable("no search of people who are not enrolled gave a template")
    upper = falling[: max(1, falling.size // 2)]
    picks = np.unique(np.geomspace(1, upper.size, min(upper.size, MOST_POINTS - 1)).round().astype(np.int64)) - 1
    cosine = np.append(upper[picks][::-1], np.nextafter(upper[0], np.inf))
    fpir, _, high = shares_reaching(non_mated.person, scores, cosine, bootstrap)
    return ScoreTail(cosine, fpir, high)
