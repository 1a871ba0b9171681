"""`overt evaluate groups`: errors by group on labelled images, and the threshold that is right for the worst group.

With identities the same searches are made as for identification, and FMR is counted among one image of each person;
without them (UTKFace) every pair of images is taken to be of different people, and there is FMR alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.datasets import Dataset
from overt.evaluation.estimate import Bootstrap
from overt.evaluation.group_thresholds import GroupThreshold, worst_group_threshold, worst_group_threshold_fmr
from overt.evaluation.groups import GroupAnswers, compare_groups, compare_groups_fmr
from overt.evaluation.labels import Labels, group_column
from overt.evaluation.openset import OperatingPoint, at_threshold, threshold_at_fpir
from overt.evaluation.pair_differences import with_resampled_fmr
from overt.evaluation.protocol import Protocol, Searched, search, split_people
from overt.evaluation.templates import Template
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.verification import threshold_at_fmr

MOST_OF_A_GROUP = 3000
"""Images of a group whose pairs are counted; of more, this many are drawn."""
_NO_IDENTITIES = NotMeasurable("the images have no identities, so nobody can be searched for again")

Matrices = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the groups."""

    by: tuple[str, ...]
    """Labels; `sex+ethnicity` makes groups of both."""
    fpir: float = 0.01
    fmr: float = 1e-4
    threshold: float | None = None
    """None: where all groups together have `fpir` (searches) and `fmr` (pairs)."""


@dataclass(frozen=True, slots=True)
class LabelResult:
    """All about one label."""

    label: str
    searches: GroupAnswers | NotMeasurable
    """FNIR, FPIR and FTA of searches."""
    pairs: GroupAnswers | NotMeasurable
    """FMR of pairs within each group, and FTA of images."""
    images: Mapping[str, int]
    """Of each group."""
    unlabelled: int
    """Images in no group."""
    advice_fpir: GroupThreshold | NotMeasurable
    advice_fmr: GroupThreshold | NotMeasurable
    pooled: OperatingPoint | NotMeasurable
    """Everybody together, at the threshold of `searches`."""
    advised: OperatingPoint | NotMeasurable
    """Everybody together, at the threshold that the worst group needs for its FPIR: what fairness costs."""


@dataclass(frozen=True, slots=True)
class GroupsResult:
    """One evaluation of groups."""

    wanted: Wanted
    protocol: Protocol
    labels: tuple[LabelResult, ...]


def evaluate_groups(
    data: Dataset,
    made: Sequence[Template],
    labels: Labels | None,
    wanted: Wanted,
    protocol: Protocol,
    bootstrap: Bootstrap | None = None,
) -> GroupsResult:
    """Compares the groups of every label. Raises DatasetError for a label that there is not."""
    columns = {label: group_column(data, labels, label) for label in wanted.by}
    able = data.identified and any(n >= protocol.images_needed for n in data.images_of_a_person())
    found = search(data.samples, made, split_people(data.samples, protocol), protocol.rule) if able else None
    one_each = _one_image_each(data, protocol.seed) if data.identified else _each_once(made)
    results = [
        _of_label(label, column, made, one_each, found, wanted, protocol.seed, bootstrap)
        for label, column in columns.items()
    ]
    return GroupsResult(wanted, protocol, tuple(results))


def _of_label(
    label: str,
    column: Sequence[str],
    made: Sequence[Template],
    one_each: Sequence[int],
    found: Searched | None,
    wanted: Wanted,
    seed: int,
    bootstrap: Bootstrap | None,
) -> LabelResult:
    matrices = _matrices(column, made, one_each, seed)
    at_pairs = _pooled_fmr(made, one_each, wanted.fmr, seed) if wanted.threshold is None else wanted.threshold
    if isinstance(at_pairs, NotMeasurable):
        compared: GroupAnswers | NotMeasurable = at_pairs
    else:
        compared = with_resampled_fmr(compare_groups_fmr(label, matrices, at_pairs, bootstrap), matrices, bootstrap)
    searches, pooled, advised, advice = _of_searches(label, column, found, wanted, bootstrap)
    return LabelResult(
        label=label,
        searches=searches,
        pairs=compared,
        images={group: column.count(group) for group in sorted(set(column) - {""})},
        unlabelled=column.count(""),
        advice_fpir=advice,
        advice_fmr=worst_group_threshold_fmr(matrices, wanted.fmr, bootstrap),
        pooled=pooled,
        advised=advised,
    )


def _of_searches(
    label: str, column: Sequence[str], found: Searched | None, wanted: Wanted, bootstrap: Bootstrap | None
) -> tuple[
    GroupAnswers | NotMeasurable,
    OperatingPoint | NotMeasurable,
    OperatingPoint | NotMeasurable,
    GroupThreshold | NotMeasurable,
]:
    """Answers, the pooled operating point, the one that the worst group needs, and the advice."""
    if found is None:
        return (_NO_IDENTITIES,) * 4
    mated, non_mated = found.mated, found.non_mated
    at = threshold_at_fpir(non_mated, wanted.fpir) if wanted.threshold is None else wanted.threshold
    group = np.array(column, np.str_)
    of_mated, of_non_mated = group[found.mated_sample], group[found.non_mated_sample]
    advice = worst_group_threshold(
        {name: non_mated.where(of_non_mated == name) for name in sorted(set(of_non_mated.tolist()) - {""})},
        wanted.fpir,
        bootstrap,
    )
    if isinstance(at, NotMeasurable):
        return at, at, at, advice
    worst = advice.by_estimate
    return (
        compare_groups(label, mated, of_mated, non_mated, of_non_mated, at, bootstrap),
        at_threshold(mated, non_mated, at, bootstrap),
        worst if isinstance(worst, NotMeasurable) else at_threshold(mated, non_mated, worst, bootstrap),
        advice,
    )


def _one_image_each(data: Dataset, seed: int) -> list[int]:
    """One image of each person, drawn, by number: all pairs of them are of different people."""
    random = np.random.default_rng([seed, 1])
    own: dict[str, list[int]] = {}
    for number, sample in enumerate(data.samples):
        own.setdefault(sample.person, []).append(number)
    return sorted(int(random.choice(own[person])) for person in sorted(own))


def _each_once(made: Sequence[Template]) -> list[int]:
    """Every image by number, but of those with the same content only the first: a copy is no other person."""
    first: dict[str, int] = {}
    for number, template in enumerate(made):
        first.setdefault(template.image_sha256 or f"unread {number}", number)
    return sorted(first.values())


def _matrices(column: Sequence[str], made: Sequence[Template], images: Sequence[int], seed: int) -> Matrices:
    """Similarities within each group, float64 [m, m]; NaN where an image gave no template."""
    matrices = {}
    for number, group in enumerate(sorted({column[i] for i in images} - {""})):
        own = [i for i in images if column[i] == group]
        matrices[group] = _similarities(made, _drawn(own, seed, number))
    return matrices


def _pooled_fmr(made: Sequence[Template], images: Sequence[int], target: float, seed: int) -> float | NotMeasurable:
    """The threshold at which all together have that FMR, whatever their groups."""
    similarity = _similarities(made, _drawn(images, seed, 0))
    return threshold_at_fmr(similarity[np.triu_indices(len(similarity), 1)], target)


def _drawn(images: Sequence[int], seed: int, number: int) -> list[int]:
    if len(images) <= MOST_OF_A_GROUP:
        return list(images)
    random = np.random.default_rng([seed, 2, number])
    return sorted(random.choice(np.array(images), MOST_OF_A_GROUP, replace=False).tolist())


def _similarities(made: Sequence[Template], images: Sequence[int]) -> NDArray[np.float64]:
    vectors = [made[i].vector for i in images]
    dimension = next((len(v) for v in vectors if v is not None), 1)
    matrix = np.stack([np.full(dimension, np.nan, np.float32) if v is None else v for v in vectors])
    return (matrix @ matrix.T).astype(np.float64)
