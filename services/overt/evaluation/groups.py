"""Groups compared (ISO/IEC 19795-10): each group's errors with intervals, how they differ, what the sample could have
shown, and the threshold at which the worst group meets the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.estimate import Bootstrap, Estimate
from overt.evaluation.intervals import Interval, Rate
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable

Labels = NDArray[np.str_]
"""The group of each search [n]; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """One group at one threshold."""

    group: str
    people: int
    fnir: Estimate | NotMeasurable
    fpir: Estimate | NotMeasurable
    fmr: Rate | NotMeasurable
    """Of pairs within the group; with a `NotMeasurable` FNIR and FPIR where there are no identities."""
    fta: Estimate | NotMeasurable


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two groups in one error. `p` is Fisher's, `p_holm` corrected over all pairs of that error."""

    error: str
    a: str
    b: str
    difference: float
    interval: Interval
    p: float
    p_holm: float
    smallest_detectable: float | NotMeasurable
    """The smallest difference from the better group's rate that these two samples would have shown (power 0.8)."""

    @property
    def significant(self) -> bool:
        """Whether it remains after the correction, at 5 %."""
        return self.p_holm < 0.05


@dataclass(frozen=True, slots=True)
class GroupAnswers:
    """All about one label (sex, age band, ...)."""

    label: str
    threshold: float
    groups: tuple[GroupErrors, ...]
    unlabelled: int
    """Searches whose group is not known; they are in no group."""
    differences: tuple[Difference, ...]
    inequity: Mapping[str, float | NotMeasurable]
    """By error: worst / geometric mean."""
    fdr: float | NotMeasurable
    garbe: float | NotMeasurable


@dataclass(frozen=True, slots=True)
class GroupThreshold:
    """Advice: the lowest thresholds at which every group meets the target."""

    target: float
    by_estimate: float | NotMeasurable
    """Every group's measured rate is within the target."""
    worst: str
    """The group that asks for it; empty where not measurable."""
    by_upper_bound: float | NotMeasurable
    """Every group's upper 95 % bound is within the target: what may be claimed."""


def compare_groups(
    label: str,
    mated: MatedSearches,
    mated_groups: Labels,
    non_mated: NonMatedSearches,
    non_mated_groups: Labels,
    threshold: float,
    bootstrap: Bootstrap | None = None,
) -> GroupAnswers:
    """Identification errors by group. Raises CannotMeasure when labels and searches differ in length."""
    raise NotImplementedError


def compare_groups_fmr(
    label: str, scores: Mapping[str, NDArray[np.float64]], threshold: float, *, images: Mapping[str, int] | None = None
) -> GroupAnswers:
    """Where a data set has no identities: FMR of pairs within each group, the rest NotMeasurable.

    Pairs share images, so they are not independent: `images` says how many each group's pairs come from, for `people`.
    """
    raise NotImplementedError


def worst_group_threshold(scores: Mapping[str, NDArray[np.float64]], target: float) -> GroupThreshold:
    """`scores`: the non-mated scores (searches' top, or pairs') of each group, NaN where no template was acquired."""
    raise NotImplementedError


def labels_of(person: NDArray[np.str_], group_of: Mapping[str, str]) -> Labels:
    """Labels of searches from labels of people; empty for people without one."""
    raise NotImplementedError


def all_groups(*labels: Sequence[str]) -> tuple[str, ...]:
    """The groups that occur, sorted, without the empty one."""
    raise NotImplementedError
