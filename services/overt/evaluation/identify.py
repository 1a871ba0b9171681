"""`overt evaluate identify`: everything that is measured of open-set identification on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.datasets import Dataset, DatasetError
from overt.evaluation.det import DetCurve, det_curve
from overt.evaluation.estimate import Bootstrap, Estimate, estimate, person_weights
from overt.evaluation.group_thresholds import worst_group_threshold
from overt.evaluation.intervals import Interval
from overt.evaluation.listsize import FpirAtSize, fpir_by_list_size
from overt.evaluation.openset import (
    FPIR_TARGETS,
    Identification,
    OperatingPoint,
    at_threshold,
    identification,
    threshold_at_fpir,
)
from overt.evaluation.pairs import Pairs, pairs
from overt.evaluation.planner import Plan, claimable, passes_needed, plans
from overt.evaluation.protocol import Protocol, Searched, SubjectRule, hits_at, search, split_people
from overt.evaluation.templates import Template
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.verification import TarAtFmr, tar_at_fmr

PLANNED_FPIR = (1e-2, 1e-3, 1e-4, 1e-5)
LIST_SIZES = (1_000, 10_000, 17_000, 100_000)
"""Sizes beyond the measured ones that the law is shown for."""
_COMPARED_AT = 0.01
"""FPIR at which subject rules are compared."""


@dataclass(frozen=True, slots=True)
class Named:
    """A threshold that was asked for, and where it comes from."""

    threshold: float
    origin: str


@dataclass(frozen=True, slots=True)
class RuleGain:
    """What the other subject rule would give: each at its own threshold for the same FPIR, on the same searches."""

    rule: SubjectRule
    other: SubjectRule
    fpir: float
    tpir: float
    other_tpir: float
    gain: float
    """TPIR of `other` minus that of `rule`."""
    interval: Interval
    """By person, the thresholds being fixed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lowest threshold at which `FPIR <= target` can be claimed at 95 %: the upper bound is within the target."""

    target: float
    point: OperatingPoint | NotMeasurable


@dataclass(frozen=True, slots=True)
class Growth:
    """FPIR against list size at one threshold."""

    threshold: float
    origin: str
    sizes: tuple[FpirAtSize, ...]


@dataclass(frozen=True, slots=True)
class IdentifyResult:
    """All of one evaluation."""

    protocol: Protocol
    list_size: int
    identification: Identification
    named: tuple[Named, ...]
    claimed: tuple[Claimed, ...]
    fte: Estimate
    """Of images that should be enrolled."""
    fte_people: Estimate
    """Of people none of whose images could be enrolled."""
    pairs: Pairs
    verification: tuple[TarAtFmr, ...]
    det: DetCurve | NotMeasurable
    growth: tuple[Growth, ...]
    plans: tuple[tuple[Plan, ...], ...]
    claimable: float | NotMeasurable
    """FPIR that could be claimed if not one of the unlisted people here had raised an alert."""
    rules: RuleGain | NotMeasurable
    searched: Searched


def identify(
    data: Dataset,
    made: Sequence[Template],
    protocol: Protocol,
    named: Sequence[Named] = (),
    bootstrap: Bootstrap | None = None,
) -> IdentifyResult:
    """Runs the protocol. Raises DatasetError when it cannot be run on these data."""
    if not data.identified:
        raise DatasetError(
            f"{data.source}: nothing says which images show the same person; name people by subfolder, prefix or "
            "manifest (without identities `overt evaluate groups` can measure FMR)"
        )
    splits = split_people(data.samples, protocol)
    found = search(data.samples, made, splits, protocol.rule)
    answers = identification(found.mated, found.non_mated, thresholds=[n.threshold for n in named], bootstrap=bootstrap)
    compared = pairs(made, [sample.person for sample in data.samples], protocol.seed)
    unlisted = answers.non_mated_people
    growing = [*named, *_measured(answers)]
    at = [line.threshold for line in growing]
    return IdentifyResult(
        protocol=protocol,
        list_size=found.list_size,
        identification=answers,
        named=tuple(named),
        claimed=tuple(_claimed(found, target, bootstrap) for target in FPIR_TARGETS),
        fte=estimate(found.enrolments_failed, found.enrolments_person, bootstrap),
        fte_people=estimate(found.subjects_failed, found.subjects_person, bootstrap),
        pairs=compared,
        verification=tar_at_fmr(compared.mated, compared.non_mated),
        det=det_curve(found.mated, found.non_mated, bootstrap=bootstrap),
        growth=tuple(
            Growth(
                line.threshold,
                line.origin,
                fpir_by_list_size(hits, found.list_size, found.non_mated.person, sizes(found.list_size), bootstrap),
            )
            for line, hits in zip(growing, hits_at(made, splits, protocol.rule, at), strict=True)
            if unlisted
        ),
        plans=tuple(plans(fpir) for fpir in PLANNED_FPIR),
        claimable=claimable(unlisted) if unlisted else NotMeasurable("nobody is unlisted"),
        rules=_other_rule(data, made, protocol, found, bootstrap or Bootstrap()),
        searched=found,
    )


def _claimed(found: Searched, target: float, bootstrap: Bootstrap | None) -> Claimed:
    people, needed = len(np.unique(found.non_mated.person)), passes_needed(target)
    if people < needed:
        return Claimed(target, NotMeasurable(f"it takes {needed:,} unlisted people at least; here are {people:,}"))
    threshold = worst_group_threshold({"all": found.non_mated}, target, bootstrap).by_upper_bound
    if isinstance(threshold, NotMeasurable):
        return Claimed(target, threshold)
    return Claimed(target, at_threshold(found.mated, found.non_mated, threshold, bootstrap))


def sizes(list_size: int) -> list[int]:
    """1, 2, 5, 10, ... up to the list's size, and then those of `LIST_SIZES`."""
    small = [n * 10**power for power in range(6) for n in (1, 2, 5) if n * 10**power < list_size]
    return [*small, list_size, *(size for size in LIST_SIZES if size > list_size)]


def _measured(answers: Identification) -> list[Named]:
    """The threshold that was found for an FPIR of 1 %."""
    return [
        Named(target.point.threshold, f"FPIR {100 * target.target:g} % here")
        for target in answers.targets
        if target.target == _COMPARED_AT and not isinstance(target.point, NotMeasurable)
    ]


def _other_rule(
    data: Dataset, made: Sequence[Template], protocol: Protocol, found: Searched, bootstrap: Bootstrap
) -> RuleGain | NotMeasurable:
    if protocol.enrol == 1:
        return NotMeasurable("one image of each person is enrolled, so that all subject rules are the same")
    other: SubjectRule = "mean" if protocol.rule == "max" else "max"
    against = search(data.samples, made, split_people(data.samples, protocol), other)
    thresholds = [threshold_at_fpir(searched.non_mated, _COMPARED_AT) for searched in (found, against)]
    ours, theirs = thresholds
    if isinstance(ours, NotMeasurable) or isinstance(theirs, NotMeasurable):
        return ours if isinstance(ours, NotMeasurable) else NotMeasurable(str(theirs))
    a, b = found.mated.found_at >= ours, against.mated.found_at >= theirs
    gain = b.astype(np.float64) - a
    interval = mean_interval(gain, found.mated.person, bootstrap)
    return RuleGain(protocol.rule, other, _COMPARED_AT, float(a.mean()), float(b.mean()), float(gain.mean()), interval)


def mean_interval(values: NDArray[np.float64], person: NDArray[np.str_], bootstrap: Bootstrap) -> Interval:
    """Of the mean of `values` [n], by person: for differences between two treatments of the same searches."""
    _, who = np.unique(person, return_inverse=True)
    sums, counts = np.bincount(who, values), np.bincount(who).astype(np.float64)
    means = np.concatenate([drawn @ sums / (drawn @ counts) for drawn in person_weights(len(sums), bootstrap)])
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return Interval(low, high, bootstrap.level, "bootstrap by person")
