"""Every image against every other one: the comparisons of verification, of which FMR is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.templates import Template

MOST_IMAGES = 6000
"""Of more images this many are drawn: 18 million pairs are as much as anybody can learn from so few people."""
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Similarities of pairs: of one person, and of different people. Images without a template are in no pair."""

    mated: NDArray[np.float64] = field(repr=False)
    non_mated: NDArray[np.float64] = field(repr=False)
    images: int


def pairs(made: Sequence[Template], people: Sequence[str], seed: int = 0) -> Pairs:
    """All pairs among at most `MOST_IMAGES` images; `people` says whose image each is."""
    usable = [i for i, t in enumerate(made) if t.vector is not None]
    if len(usable) > MOST_IMAGES:
        usable = sorted(np.random.default_rng(seed).choice(usable, MOST_IMAGES, replace=False).tolist())
    if len(usable) < 2:
        nothing = np.zeros(0, np.float64)
        return Pairs(nothing, nothing, len(usable))
    vectors = np.stack([v for i in usable if (v := made[i].vector) is not None])
    _, who = np.unique(np.array([people[i] for i in usable]), return_inverse=True)
    mated, non_mated = [], []
    for first in range(0, len(usable), _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, len(usable)))
        scores = (vectors[rows] @ vectors.T).astype(np.float64)
        once = np.arange(len(usable))[None, :] > np.arange(rows.start, rows.stop)[:, None]
        same = who[rows, None] == who[None, :]
        mated.append(scores[once & same])
        non_mated.append(scores[once & ~same])
    return Pairs(np.concatenate(mated), np.concatenate(non_mated), len(usable))
