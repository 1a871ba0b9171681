"""How FPIR grows with the watchlist: measured on galleries of every size up to the one there is, then the law beyond.

With comparisons independent, FPIR(N) = 1 - (1 - FMR)^N (ISO/IEC 19795-1); people resemble each other, so the law is
shown beside the measurement and never instead of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap
from overt.evaluation.intervals import Interval
from overt.evaluation.unmeasurable import NotMeasurable


@dataclass(frozen=True, slots=True)
class FprAtSize:
    """FPIR with a list of `subjects`: averaged over all lists of that size that the gallery holds (exactly, not by
    drawing some), and by the law."""

    subjects: int
    measured: float | NotMeasurable
    """NotMeasurable where the list is larger than the gallery."""
    interval: Interval | None
    law: float
    """1 - (1 - FMR)^N with the FMR of all comparisons."""


def fpir_by_list_size(
    hits: NDArray[np.int64],
    subjects: int,
    person: NDArray[np.str_],
    sizes: Sequence[int],
    bootstrap: Bootstrap | None = None,
) -> tuple[FprAtSize, ...]:
    """`hits` [n]: for each non-mated search, how many of the gallery's `subjects` reach the threshold.

    A random list of N of G subjects holds none of h hits with probability C(G-h, N) / C(G, N).
    """
    raise NotImplementedError


def law(fmr: float, subjects: int) -> float:
    """1 - (1 - FMR)^N, without loss of digits where FMR is tiny."""
    raise NotImplementedError
