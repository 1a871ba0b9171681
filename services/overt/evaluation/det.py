"""The DET curve of open-set identification: FNIR against FPIR over all thresholds, with intervals on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DetCurve:
    """Columns [p], by rising threshold: FPIR falls, FNIR rises. Intervals are by person (see Estimate.interval)."""

    threshold: Column
    fpir: Column
    fpir_low: Column
    fpir_high: Column
    fnir: Column
    fnir_low: Column
    fnir_high: Column

    def rows(self) -> list[dict[str, float]]:
        """For a CSV: one mapping for each point."""
        raise NotImplementedError


def det_curve(
    mated: MatedSearches, non_mated: NonMatedSearches, *, points: int = 200, bootstrap: Bootstrap | None = None
) -> DetCurve | NotMeasurable:
    """At most `points` thresholds, spread over the non-mated scores so that low FPIR is resolved best."""
    raise NotImplementedError
