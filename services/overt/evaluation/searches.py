"""Searches of a watchlist, as columns: what open-set identification is counted from (ISO/IEC 19795-1).

A search is one pass or one probe image. It is *mated* when its person is enrolled, *non-mated* when not. The product
alerts for a track's best subject only, so a mated search succeeds when the mate is first and reaches the threshold; a
tie with somebody else is a failure, since nobody could rely on the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overt.evaluation.unmeasurable import CannotMeasure

Scores = NDArray[np.float64]
Strings = NDArray[np.str_]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatedSearches:
    """Searches of people who are enrolled. All columns [n]; lists are converted. Raises CannotMeasure."""

    person: Strings
    mate: Scores
    """Similarity of the person's own best entry; -inf where the person could not be enrolled; NaN where no template
    was acquired."""
    best_other: Scores
    """Similarity of the best other subject; -inf where there is none; NaN where no template was acquired."""
    split: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """Which repetition; all 0 when left out."""
    rank: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """1 + subjects at least as similar as the mate; when left out, 1 or 2 as `best_other` tells. 0 without template."""

    def __post_init__(self) -> None:
        size = _columns(self, "mate", "best_other")
        apart = np.flatnonzero(np.isnan(self.mate) != np.isnan(self.best_other))
        if apart.size:
            raise CannotMeasure(
                f"mated search {apart[0]} of {size}: NaN means that no template was acquired, so it stands in both of"
                " mate and best_other or in none; for a mate who could not be enrolled write -inf"
            )
        _rank(self, size)

    def __len__(self) -> int:
        return len(self.person)

    @property
    def acquired(self) -> Flags:
        """Which searches gave a template."""
        return ~np.isnan(self.mate)

    @property
    def found_at(self) -> Scores:
        """The highest threshold at which each search finds its mate; -inf where none does."""
        with np.errstate(invalid="ignore"):
            return np.where(self.mate > self.best_other, self.mate, -np.inf)

    def where(self, chosen: Flags) -> MatedSearches:
        """Those searches only."""
        return MatedSearches(
            self.person[chosen],
            self.mate[chosen],
            self.best_other[chosen],
            self.split[chosen],
            self.rank[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NonMatedSearches:
    """Searches of people who are not enrolled. All columns [n]; lists are converted. Raises CannotMeasure."""

    person: Strings
    top: Scores
    """Similarity of the best subject; NaN where no template was acquired."""
    split: Whole = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        _columns(self, "top")

    def __len__(self) -> int:
        return len(self.person)

    @property
    def acquired(self) -> Flags:
        """Which searches gave a template."""
        return ~np.isnan(self.top)

    @property
    def alerts_at(self) -> Scores:
        """The highest threshold at which each search raises an alert; -inf where none does."""
        return np.where(self.acquired, self.top, -np.inf)

    def where(self, chosen: Flags) -> NonMatedSearches:
        """Those searches only."""
        return NonMatedSearches(self.person[chosen], self.top[chosen], self.split[chosen])


def _columns(searches: MatedSearches | NonMatedSearches, *scores: str) -> int:
    """Makes arrays of the columns and returns their length."""
    person = _column("person", searches.person, np.str_)
    split = _column("split", searches.split, np.int64)
    columns = {"person": person, "split": split if split.size else np.zeros(len(person), np.int64)}
    columns |= {name: _column(name, getattr(searches, name), np.float64) for name in scores}
    for name, column in columns.items():
        if len(column) != len(person):
            raise CannotMeasure(f"{name} has {len(column)} values for {len(person)} searches")
        if name in scores and (column == np.inf).any():
            raise CannotMeasure(
                f"{name} of search {int(np.argmax(column == np.inf))} is infinite: a similarity is a number"
            )
        object.__setattr__(searches, name, column)
    if (person == "").any():
        raise CannotMeasure(f"search {int(np.argmax(person == ''))} has no person: intervals are made by person")
    return len(person)


def _rank(searches: MatedSearches, size: int) -> None:
    """Fills in the ranks, or looks whether they fit the similarities."""
    first = searches.found_at > -np.inf
    told = np.where(searches.acquired, np.where(first, 1, 2), 0).astype(np.int64)
    if not searches.rank.size:
        object.__setattr__(searches, "rank", told)
        return
    rank = _column("rank", searches.rank, np.int64)
    if len(rank) != size:
        raise CannotMeasure(f"rank has {len(rank)} values for {size} searches")
    enrolled = ~(searches.mate == -np.inf)
    wrong = np.flatnonzero(np.where(enrolled, np.minimum(rank, 2) != told, rank == 1))
    if wrong.size:
        raise CannotMeasure(
            f"mated search {wrong[0]} of {size} has rank {rank[wrong[0]]}, but its similarities say"
            f" {('no template (0)', 'first (1)', 'not first (2 or more; a tie counts so)')[told[wrong[0]]]}"
        )
    object.__setattr__(searches, "rank", rank)


def _column(name: str, values: ArrayLike, dtype: type[np.generic]) -> NDArray[np.generic]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise CannotMeasure(f"{name} has {column.ndim} dimensions, expected a column")
    return column.astype(dtype) if column.size else np.zeros(0, dtype)
