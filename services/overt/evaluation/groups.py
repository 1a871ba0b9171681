"""Groups compared (ISO/IEC 19795-10): each group's errors with intervals, how they differ, and what the sample could
have shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.differences import fisher, holm, newcombe, smallest_detectable
from overt.evaluation.equity import fdr, garbe, inequity_ratio
from overt.evaluation.estimate import Bootstrap, Estimate, estimate
from overt.evaluation.intervals import Interval
from overt.evaluation.openset import at_threshold
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import CannotMeasure, NotMeasurable
from overt.evaluation.verification import fmr_of_images

Labels = NDArray[np.str_]
"""The group of each search [n]; empty where it is not known."""

ERRORS = ("fnir", "fpir", "fmr", "fta")

_NO_IDENTITIES = NotMeasurable("the images have no identities, so nobody can be searched for again")
_NO_PAIRS = NotMeasurable("searches were counted, not pairs")
_ONE_IMAGE = NotMeasurable("a pair needs two images")


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """One group at one threshold."""

    group: str
    people: int
    """Images, where there are no identities."""
    fnir: Estimate | NotMeasurable
    fpir: Estimate | NotMeasurable
    fmr: Estimate | NotMeasurable
    """Of pairs within the group; then FNIR and FPIR are NotMeasurable."""
    fta: Estimate | NotMeasurable

    def error(self, name: str) -> Estimate | NotMeasurable:
        """The error of that name, one of `ERRORS`."""
        found: Estimate | NotMeasurable = getattr(self, name)
        return found


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two groups in one error: rate of `a` minus rate of `b`. Where people were searched for repeatedly each
    counts once in all that needs independent trials."""

    error: str
    a: str
    b: str
    difference: float
    interval: Interval
    """Newcombe's."""
    p: float
    """Fisher's exact test."""
    p_holm: float
    """Corrected over all pairs of groups of this error."""
    smallest_detectable: float | NotMeasurable
    """The smallest difference from the lesser rate that these two samples would have shown with power 0.8."""

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


def compare_groups(
    label: str,
    mated: MatedSearches,
    mated_groups: Labels,
    non_mated: NonMatedSearches,
    non_mated_groups: Labels,
    threshold: float,
    bootstrap: Bootstrap | None = None,
) -> GroupAnswers:
    """Identification errors by group of the person who passes. Raises CannotMeasure when lengths differ."""
    if len(mated_groups) != len(mated) or len(non_mated_groups) != len(non_mated):
        raise CannotMeasure(
            f"{label}: {len(mated_groups)} and {len(non_mated_groups)} labels for {len(mated)} mated and"
            f" {len(non_mated)} non-mated searches; expected one for each, empty where it is not known"
        )
    groups = tuple(
        _of_searches(
            name, mated.where(mated_groups == name), non_mated.where(non_mated_groups == name), threshold, bootstrap
        )
        for name in sorted({*mated_groups.tolist(), *non_mated_groups.tolist()} - {""})
    )
    unlabelled = int(np.count_nonzero(mated_groups == "") + np.count_nonzero(non_mated_groups == ""))
    return _answers(label, threshold, groups, unlabelled)


def compare_groups_fmr(
    label: str, similarity: Mapping[str, NDArray[np.float64]], threshold: float, bootstrap: Bootstrap | None = None
) -> GroupAnswers:
    """Where a data set has no identities: FMR of all pairs within each group, the rest NotMeasurable.

    similarity: for each group [m, m], symmetric, NaN where an image gave no template (see `fmr_of_images`).
    """
    groups = []
    for name, matrix in sorted(similarity.items()):
        fmr = fmr_of_images(matrix, threshold, bootstrap) if len(matrix) > 1 else _ONE_IMAGE
        failed = np.isnan(matrix.diagonal())
        images = np.arange(len(matrix)).astype(np.str_)
        fta = estimate(failed, images, bootstrap) if len(matrix) else _ONE_IMAGE
        groups.append(GroupErrors(name, len(matrix), _NO_IDENTITIES, _NO_IDENTITIES, fmr, fta))
    return _answers(label, threshold, tuple(groups), 0)


def labels_of(person: NDArray[np.str_], group_of: Mapping[str, str]) -> Labels:
    """Labels of searches from labels of people; empty for people without one."""
    return np.array([group_of.get(name, "") for name in person.tolist()], np.str_)


def _of_searches(
    name: str, mated: MatedSearches, non_mated: NonMatedSearches, threshold: float, bootstrap: Bootstrap | None
) -> GroupErrors:
    point = at_threshold(mated, non_mated, threshold, bootstrap)
    everybody = np.concatenate([mated.person, non_mated.person])
    failed = ~np.concatenate([mated.acquired, non_mated.acquired])
    return GroupErrors(
        name, len(np.unique(everybody)), point.fnir, point.fpir, _NO_PAIRS, estimate(failed, everybody, bootstrap)
    )


def _answers(label: str, threshold: float, groups: tuple[GroupErrors, ...], unlabelled: int) -> GroupAnswers:
    rates = {error: {g.group: e.rate for g in groups if isinstance(e := g.error(error), Estimate)} for error in ERRORS}
    positives = rates["fpir"] or rates["fmr"]
    return GroupAnswers(
        label=label,
        threshold=threshold,
        groups=groups,
        unlabelled=unlabelled,
        differences=tuple(d for error in ERRORS for d in _differences(error, groups)),
        inequity={error: inequity_ratio(rates[error]) for error in ERRORS if rates[error]},
        fdr=fdr(positives, rates["fnir"]),
        garbe=garbe(positives, rates["fnir"]),
    )


def _differences(error: str, groups: tuple[GroupErrors, ...]) -> list[Difference]:
    measured = {g.group: e for g in groups if isinstance(e := g.error(error), Estimate)}
    pairs = list(combinations(measured, 2))
    p_values = {}
    for a, b in pairs:
        p = fisher(measured[a].effective, measured[b].effective)
        assert not isinstance(p, NotMeasurable)  # an estimate has trials
        p_values[a, b] = p
    corrected = holm(p_values)
    return [_difference(error, a, b, measured, p_values[a, b], corrected[a, b]) for a, b in pairs]


def _difference(error: str, a: str, b: str, measured: Mapping[str, Estimate], p: float, p_holm: float) -> Difference:
    one, other = measured[a], measured[b]
    units_a, units_b = one.effective, other.effective
    interval = newcombe(units_a, units_b)
    assert not isinstance(interval, NotMeasurable)  # likewise
    lesser = min(one.value, other.value)
    least = smallest_detectable(lesser, units_a.trials, units_b.trials)
    return Difference(error, a, b, one.value - other.value, interval, p, p_holm, least)
