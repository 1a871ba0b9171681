"""Searches of a watchlist, as columns: what open-set identification is counted from (ISO/IEC 19795-1).

A search is one pass or one probe image. It is *mated* when its person is enrolled, *non-mated* when not. The product
alerts for a track's best subject only, so a mated search succeeds when the mate is first and reaches the threshold; a
tie with somebody else is a failure, since nobody could rely on the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Strings = NDArray[np.str_]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MatedSearches:
    """Searches of people who are enrolled. All columns [n]; lists are converted. Raises CannotMeasure."""

    person: Strings
    mate: Scores
    """Similarity of the person's own best entry; -inf where the person could not be enrolled; NaN where no template
    was acquired."""
    best_other: Scores
    """Similarity of the best other subject; -inf where there is none; NaN where no template was acquired."""
    split: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """Which repetition; all 0 when left out."""
    rank: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """1 + subjects at least as similar as the mate; when left out, 1 or 2 as `best_other` tells. 0 without template."""


@dataclass(frozen=True, slots=True, eq=False)
class NonMatedSearches:
    """Searches of people who are not enrolled. All columns [n]. Raises CannotMeasure."""

    person: Strings
    top: Scores
    """Similarity of the best subject; NaN where no template was acquired."""
    split: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
