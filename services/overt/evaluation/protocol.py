"""Open-set identification on labelled images (ISO/IEC 19795-1): who is enrolled, who searches, repeated splits.

In each split the people who have images enough are shuffled: a share of them stays unlisted, as does everybody who has
fewer images; of each listed person m images are enrolled, and all others are mated searches. Every image of an unlisted
person is a non-mated search. Splits are drawn before anybody knows which images give a template, so that failures fall
where they fall and stay in the denominators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.datasets import DatasetError, Sample
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.templates import Template

SubjectRule = Literal["max", "mean"]
"""A subject's similarity: of its best entry, as the gallery has it, or the mean over its entries."""

MIN_EYES_PX = 24.0
"""Fewer pixels between the eyes of a reference image and it is not enrolled: the bar of a deployment's enrolment."""

SCORE_BINS = 200
_PROBES_AT_ONCE = 1024

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often what is drawn."""

    enrol: int = 1
    splits: int = 10
    unlisted_share: float = 0.2
    """Of the people who have images enough to be listed."""
    list_size: int | None = None
    """People on the list; None: all who are not kept unlisted. Whoever is left over is unlisted too."""
    at_least: int | None = None
    """Images that a person needs to be listed; None: one more than are enrolled."""
    rule: SubjectRule = "max"
    seed: int = 0

    @property
    def images_needed(self) -> int:
        """Of a person who is listed: those that are enrolled, and one to search with."""
        return max(self.enrol + 1, self.at_least or 0)


@dataclass(frozen=True, slots=True)
class Split:
    """One drawing. All are numbers of samples."""

    number: int
    enrolled: tuple[Numbers, ...] = field(repr=False)
    """[m] for each listed person."""
    mated: Numbers = field(repr=False)
    mate: Numbers = field(repr=False)
    """For each mated search: the number of its person in `enrolled`."""
    non_mated: Numbers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Searched:
    """What all splits gave."""

    mated: MatedSearches
    non_mated: NonMatedSearches
    mated_sample: Numbers = field(repr=False)
    """For each mated search, the number of its sample."""
    non_mated_sample: Numbers = field(repr=False)
    list_size: int
    enrolments_failed: NDArray[np.bool_] = field(repr=False)
    """For each image that should be enrolled."""
    enrolments_person: NDArray[np.str_] = field(repr=False)
    subjects_failed: NDArray[np.bool_] = field(repr=False)
    """For each person who should be listed, whether no image could be enrolled."""
    subjects_person: NDArray[np.str_] = field(repr=False)
    impostor_histogram: Numbers = field(repr=False)
    """Similarities of non-mated searches with every subject, in `SCORE_BINS` bins over -1..1."""


def split_people(samples: Sequence[Sample], protocol: Protocol) -> list[Split]:
    """The splits of a data set; the same seed gives the same. Raises DatasetError where nobody can be listed."""
    images: dict[str, list[int]] = {}
    for number, sample in enumerate(samples):
        images.setdefault(sample.person, []).append(number)
    able = sorted(person for person, own in images.items() if len(own) >= protocol.images_needed)
    if not able:
        most = max(map(len, images.values()))
        raise DatasetError(
            f"nobody can be listed: {protocol.images_needed} images of a person are needed ({protocol.enrol} enrolled, "
            f"the others search), and nobody has more than {most}; name people by subfolder, prefix or manifest, or "
            "enrol fewer"
        )
    listed = len(able) - round(protocol.unlisted_share * len(able))
    if protocol.list_size is not None:
        listed = protocol.list_size
        if listed > len(able):
            raise DatasetError(
                f"a list of {listed} cannot be drawn: {len(able)} people have {protocol.images_needed} images"
            )
    listed = max(1, listed)
    return [_split(number, images, able, listed, protocol) for number in range(protocol.splits)]


def _split(number: int, images: dict[str, list[int]], able: list[str], listed: int, protocol: Protocol) -> Split:
    random = np.random.default_rng([protocol.seed, number])
    order = [able[i] for i in random.permutation(len(able))]
    enrolled: list[Numbers] = []
    mated: list[int] = []
    mate: list[int] = []
    for person in order[:listed]:
        own = random.permutation(np.array(images[person], np.int64))
        mated += own[protocol.enrol :].tolist()
        mate += [len(enrolled)] * (len(own) - protocol.enrol)
        enrolled.append(own[: protocol.enrol])
    on_list = set(order[:listed])
    others = [i for person, own in images.items() if person not in on_list for i in own]
    return Split(number, tuple(enrolled), *(np.array(column, np.int64) for column in (mated, mate, others)))


def search(samples: Sequence[Sample], made: Sequence[Template], splits: Sequence[Split], rule: SubjectRule) -> Searched:
    """Every search of every split. `made` is the template of each sample."""
    people = np.array([sample.person for sample in samples])
    usable = np.array([t.vector is not None for t in made])
    enrolable = usable & np.array([t.eyes_px >= MIN_EYES_PX for t in made])
    vectors = _matrix(made)
    mated: list[tuple[NDArray[np.float64], ...]] = []
    tops: list[NDArray[np.float64]] = []
    histogram = np.zeros(SCORE_BINS, np.int64)
    for split in splits:
        mated.append(_mated(split, vectors, usable, enrolable, rule))
        top = np.full(len(split.non_mated), np.nan)
        for rows, scores in _scores(split, split.non_mated, vectors, enrolable, rule):
            top[rows] = scores.max(1)
            histogram += np.histogram(scores[usable[split.non_mated[rows]]], SCORE_BINS, (-1, 1))[0]
        top[~usable[split.non_mated]] = np.nan
        tops.append(top)
    mated_sample = np.concatenate([s.mated for s in splits])
    non_mated_sample = np.concatenate([s.non_mated for s in splits])
    wanted = np.concatenate([np.concatenate(s.enrolled) for s in splits])
    failed = [[not enrolable[own].any() for own in s.enrolled] for s in splits]
    mate, best_other = (np.concatenate(column) for column in zip(*mated, strict=True))
    return Searched(
        MatedSearches(people[mated_sample], mate, best_other, _numbers(splits, "mated")),
        NonMatedSearches(people[non_mated_sample], np.concatenate(tops), _numbers(splits, "non_mated")),
        mated_sample,
        non_mated_sample,
        len(splits[0].enrolled),
        ~enrolable[wanted],
        people[wanted],
        np.concatenate([np.array(f, bool) for f in failed]),
        people[np.concatenate([[own[0] for own in s.enrolled] for s in splits])],
        histogram,
    )


def hits_at(
    made: Sequence[Template], splits: Sequence[Split], rule: SubjectRule, thresholds: Sequence[float]
) -> Numbers:
    """For each threshold and each non-mated search of every split [t, n]: how many subjects reach it."""
    usable = np.array([t.vector is not None for t in made])
    enrolable = usable & np.array([t.eyes_px >= MIN_EYES_PX for t in made])
    vectors = _matrix(made)
    counted = []
    for split in splits:
        hits = np.zeros((len(thresholds), len(split.non_mated)), np.int64)
        for rows, scores in _scores(split, split.non_mated, vectors, enrolable, rule):
            for row, threshold in enumerate(thresholds):
                hits[row, rows] = (scores >= threshold).sum(1)
        hits[:, ~usable[split.non_mated]] = 0
        counted.append(hits)
    return np.concatenate(counted, axis=1)


def _mated(
    split: Split,
    vectors: NDArray[np.float32],
    usable: NDArray[np.bool_],
    enrolable: NDArray[np.bool_],
    rule: SubjectRule,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns of the split's mated searches: the mate's score, the best other's."""
    mate, best_other = np.full((2, len(split.mated)), np.nan)
    for rows, scores in _scores(split, split.mated, vectors, enrolable, rule):
        own = split.mate[rows]
        at = np.arange(len(own))
        mate[rows] = scores[at, own]
        scores[at, own] = -np.inf
        best_other[rows] = scores.max(1)
    without = ~usable[split.mated]
    mate[without] = best_other[without] = np.nan
    return mate, best_other


def _scores(
    split: Split, probes: Numbers, vectors: NDArray[np.float32], enrolable: NDArray[np.bool_], rule: SubjectRule
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Similarities [n, subjects], some probes at a time; -inf for subjects who could not be enrolled."""
    counts = np.array([int(enrolable[own].sum()) for own in split.enrolled])
    entries = np.concatenate([own[enrolable[own]] for own in split.enrolled])
    there = np.nonzero(counts)[0]
    starts = np.concatenate([[0], np.cumsum(counts[there])[:-1]]).astype(np.intp)
    for first in range(0, len(probes), _PROBES_AT_ONCE):
        rows = slice(first, min(first + _PROBES_AT_ONCE, len(probes)))
        scores = np.full((rows.stop - first, len(counts)), -np.inf)
        if len(there):
            similarity = (vectors[probes[rows]] @ vectors[entries].T).astype(np.float64)
            if rule == "max":
                scores[:, there] = np.maximum.reduceat(similarity, starts, axis=1)
            else:
                scores[:, there] = np.add.reduceat(similarity, starts, axis=1) / counts[there]
        yield rows, scores


def _matrix(made: Sequence[Template]) -> NDArray[np.float32]:
    """All vectors [n, D]; zeros where there is no template."""
    dimension = next((len(t.vector) for t in made if t.vector is not None), 1)
    return np.stack([np.zeros(dimension, np.float32) if t.vector is None else t.vector for t in made])


def _numbers(splits: Sequence[Split], column: Literal["mated", "non_mated"]) -> Numbers:
    """The split of each search."""
    return np.concatenate([np.full(len(getattr(s, column)), s.number, np.int64) for s in splits])
