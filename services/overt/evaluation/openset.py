"""Open-set identification (ISO/IEC 19795-1): TPIR and FNIR at a threshold, FPIR, rank 1, failures to acquire.

A failure to acquire counts in every denominator: a listed person whose pass gave no template was missed (FNIR), and an
unlisted one raised no alert (FPIR).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overt.evaluation.estimate import Bootstrap, Estimate, estimate
from overt.evaluation.intervals import Interval
from overt.evaluation.searches import Flags, MatedSearches, NonMatedSearches, Strings
from overt.evaluation.thresholds import threshold_at_rate, varied_thresholds
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable
from overt.evaluation.wording import claim_in_words

FPIR_TARGETS = (0.1, 0.01, 0.001)

NO_MATED = NotMeasurable("nobody who is enrolled was searched for")
NO_NON_MATED = NotMeasurable("nobody who is not enrolled was searched for, so false alerts cannot be counted")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What happens at a threshold. An alert is raised where similarity >= threshold."""

    threshold: float
    tpir: Estimate | NotMeasurable
    fpir: Estimate | NotMeasurable
    misidentified: Estimate | NotMeasurable
    """Listed people's searches that alert for somebody else."""

    @property
    def fnir(self) -> Estimate | NotMeasurable:
        """1 - TPIR."""
        return self.tpir if isinstance(self.tpir, NotMeasurable) else self.tpir.complement


@dataclass(frozen=True, slots=True)
class TargetPoint:
    """The operating point for an FPIR that was asked for."""

    target: float
    point: OperatingPoint | NotMeasurable
    """The lowest threshold among the non-mated scores at which the measured FPIR does not exceed the target."""
    tpir_interval: Interval | None
    """By person, the threshold being found anew in each resample: it also carries the threshold's own uncertainty. At
    least as wide as that of the point."""
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
    """Counts everything. FTE is a rate of enrolments, which the caller knows: `estimate(failed, person)`."""
    everybody = np.concatenate([mated.person, non_mated.person])
    failed = ~np.concatenate([mated.acquired, non_mated.acquired])
    splits = len(np.unique(np.concatenate([mated.split, non_mated.split])))
    return Identification(
        mated_searches=len(mated),
        non_mated_searches=len(non_mated),
        mated_people=len(np.unique(mated.person)),
        non_mated_people=len(np.unique(non_mated.person)),
        splits=splits,
        rank1=at_rank(mated, 1, bootstrap),
        fta=_share(failed, everybody, NotMeasurable("nobody was searched for"), bootstrap),
        targets=tuple(_at_target(mated, non_mated, target, bootstrap) for target in targets),
        given=tuple(at_threshold(mated, non_mated, threshold, bootstrap) for threshold in thresholds),
    )


def at_threshold(
    mated: MatedSearches, non_mated: NonMatedSearches, threshold: float, bootstrap: Bootstrap | None = None
) -> OperatingPoint:
    """TPIR, FPIR and misidentifications at one threshold. Raises CannotMeasure when it is no number."""
    if not math.isfinite(threshold):
        raise CannotMeasure(f"a threshold of {threshold} is none")
    other = mated.acquired & (mated.best_other >= threshold) & (mated.best_other >= mated.mate)
    return OperatingPoint(
        threshold=threshold,
        tpir=_share(mated.found_at >= threshold, mated.person, NO_MATED, bootstrap),
        fpir=_share(non_mated.alerts_at >= threshold, non_mated.person, NO_NON_MATED, bootstrap),
        misidentified=_share(other, mated.person, NO_MATED, bootstrap),
    )


def at_rank(mated: MatedSearches, rank: int, bootstrap: Bootstrap | None = None) -> Estimate | NotMeasurable:
    """Share of mated searches whose mate is among the first `rank` subjects, whatever the similarity."""
    found = (mated.rank >= 1) & (mated.rank <= rank) & (mated.mate > -np.inf)
    return _share(found, mated.person, NO_MATED, bootstrap)


def threshold_at_fpir(non_mated: NonMatedSearches, target: float) -> float | NotMeasurable:
    """The lowest non-mated score at which alerting for it and all above stays within `target`; equal scores stand or
    fall together. NotMeasurable where one false alert is already more than the target allows (n < 1 / target)."""
    return threshold_at_rate(non_mated.alerts_at, target, "FPIR", "searches of people who are not enrolled")


def _at_target(
    mated: MatedSearches, non_mated: NonMatedSearches, target: float, bootstrap: Bootstrap | None
) -> TargetPoint:
    threshold = threshold_at_fpir(non_mated, target)
    if isinstance(threshold, NotMeasurable):
        return TargetPoint(target, threshold, None, None, claim_in_words(threshold, target, "FPIR"))
    point = at_threshold(mated, non_mated, threshold, bootstrap)
    tpirs, thresholds = varied_thresholds(mated, non_mated, target, bootstrap or Bootstrap())
    if tpirs is not None and not isinstance(point.tpir, NotMeasurable):
        fixed = point.tpir.interval  # never narrower: where nobody is missed, resamples miss nobody either
        tpirs = Interval(min(tpirs.low, fixed.low), max(tpirs.high, fixed.high), tpirs.level, tpirs.method)
    return TargetPoint(target, point, tpirs, thresholds, claim_in_words(point.fpir, target, "FPIR"))


def _share(
    success: Flags, person: Strings, otherwise: NotMeasurable, bootstrap: Bootstrap | None
) -> Estimate | NotMeasurable:
    return estimate(success, person, bootstrap) if len(person) else otherwise
