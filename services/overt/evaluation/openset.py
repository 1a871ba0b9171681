"""Open-set identification (ISO/IEC 19795-1): TPIR and FNIR at a threshold, FPIR, thresholds for an FPIR, rank 1.

A failure to acquire counts in every denominator: a listed person whose pass gave no template was missed (FNIR), and an
unlisted one raised no alert (FPIR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overt.evaluation.estimate import Bootstrap, Estimate
from overt.evaluation.intervals import Interval
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable

FPIR_TARGETS = (0.1, 0.01, 0.001)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What happens at a threshold. An alert is raised where similarity >= threshold."""

    threshold: float
    tpir: Estimate | NotMeasurable
    fpir: Estimate | NotMeasurable
    misidentified: Estimate | NotMeasurable
    """Listed people's searches that alert for somebody else."""


@dataclass(frozen=True, slots=True)
class TargetPoint:
    """The operating point for an FPIR that was asked for."""

    target: float
    point: OperatingPoint | NotMeasurable
    """The lowest threshold among the non-mated scores at which the measured FPIR does not exceed the target."""
    tpir_interval: Interval | None
    """By person, the threshold being found anew in each resample: it also carries the threshold's own uncertainty."""
    threshold_interval: Interval | None
    claim: str
    """In words, whether `FPIR <= target` can be claimed at 95 % from this sample, and what can."""


@dataclass(frozen=True, slots=True)
class Identification:
    """All of an open-set evaluation."""

    mated_searches: int
    non_mated_searches: int
    mated_people: int
    non_mated_people: int
    splits: int
    rank1: Estimate | NotMeasurable
    fta: Estimate | NotMeasurable
    """Of mated and non-mated searches together."""
    targets: tuple[TargetPoint, ...]
    given: tuple[OperatingPoint, ...]


def identification(
    mated: MatedSearches,
    non_mated: NonMatedSearches,
    *,
    targets: Sequence[float] = FPIR_TARGETS,
    thresholds: Sequence[float] = (),
    bootstrap: Bootstrap | None = None,
) -> Identification:
    """Counts everything. FTE is a `Rate` of enrolments, which the caller knows: `estimate(failed, person)`."""
    raise NotImplementedError


def at_threshold(
    mated: MatedSearches, non_mated: NonMatedSearches, threshold: float, bootstrap: Bootstrap | None = None
) -> OperatingPoint:
    """TPIR, FPIR and misidentifications at one threshold. Raises CannotMeasure when it is NaN."""
    raise NotImplementedError


def threshold_at_fpir(non_mated: NonMatedSearches, target: float) -> float | NotMeasurable:
    """The lowest non-mated score at which alerting for it and all above stays within `target`; equal scores stand or
    fall together. NotMeasurable where one false alert is already more than the target allows (n < 1 / target)."""
    raise NotImplementedError
