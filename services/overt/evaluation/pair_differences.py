"""Differences in FMR between groups whose pairs share images.

Of m images only m // 2 pairs are sure to be independent, and a test of so few would call hardly any difference shown.
Resampling images keeps what their pairs have in common (the subset bootstrap, as `overt.evaluation.estimate`), and two
groups have no image in common. With few matching pairs a bootstrap is too sure of itself; there clusters of pairs that
hang together by their images are taken for rare independent events, one more than were seen (Poisson).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from overt.evaluation.differences import holm
from overt.evaluation.estimate import Bootstrap, Estimate, person_weights
from overt.evaluation.groups import Difference, GroupAnswers
from overt.evaluation.intervals import Interval

Floats = NDArray[np.float64]

LEAST_MATCHES = 5
"""With fewer matching pairs in a group they are taken for rare events."""
_POWER = 2.8
"""Standard errors: 1.96 for 5 % and 0.84 for a power of 0.8."""


def with_resampled_fmr(
    answers: GroupAnswers, similarity: Mapping[str, Floats], bootstrap: Bootstrap | None = None
) -> GroupAnswers:
    """The same answers with the differences in FMR told by resampling images.

    similarity: for each group [m, m] as `groups.compare_groups_fmr` takes it.
    """
    plan = bootstrap or Bootstrap()
    measured = {g.group: g.fmr for g in answers.groups if isinstance(g.fmr, Estimate)}
    resamples = {
        group: fmr_resamples(similarity[group], answers.threshold, replace(plan, seed=plan.seed + number))
        for number, group in enumerate(measured)
    }
    told = [_told(d, resamples, plan) for d in answers.differences]
    corrected = holm({(d.a, d.b): d.p for d in told if d.error == "fmr"})
    return replace(
        answers,
        differences=tuple(replace(d, p_holm=corrected[d.a, d.b]) if d.error == "fmr" else d for d in told),
    )


def fmr_resamples(similarity: Floats, threshold: float, bootstrap: Bootstrap) -> Floats:
    """FMR as it might have come out, float64 [resamples]. similarity: [m, m], m >= 2."""
    m = len(similarity)
    one, other = np.nonzero(np.triu(np.nan_to_num(similarity, nan=-np.inf) >= threshold, 1))
    if len(one) < LEAST_MATCHES:
        return _rare(one, other, m, bootstrap)
    rates = [  # pairs of an image with itself are left out
        np.einsum("bk,bk->b", drawn[:, one], drawn[:, other]) / ((m * m - (drawn * drawn).sum(axis=1)) / 2)
        for drawn in person_weights(m, bootstrap)
    ]
    return np.concatenate(rates)


def _rare(one: NDArray[np.intp], other: NDArray[np.intp], m: int, bootstrap: Bootstrap) -> Floats:
    """The posterior of a Poisson rate of clusters, each of as many pairs as the clusters seen have on average."""
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(m, m))
    apart, _ = connected_components(graph, directed=False)
    clusters = len(np.union1d(one, other)) - (m - apart)
    size = len(one) / clusters if clusters else 1.0
    drawn = np.random.default_rng(bootstrap.seed).gamma(clusters + 1, size=bootstrap.resamples)
    return np.asarray(drawn * size / (m * (m - 1) / 2), np.float64)


def _told(difference: Difference, resamples: Mapping[str, Floats], plan: Bootstrap) -> Difference:
    if difference.error != "fmr":
        return difference
    drawn = resamples[difference.a] - resamples[difference.b]
    tail = (1 - plan.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    # How far 0 is in the tail of what was drawn, never less than one resample can tell.
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    interval = Interval(low, high, plan.level, "bootstrap by image")
    return replace(difference, interval=interval, p=p, smallest_detectable=_POWER * float(drawn.std()))
