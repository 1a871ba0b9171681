"""The gallery that is changed while it answers, and the choice of what answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from overt.matcher.exact import scrub, search_exactly
from overt.matcher.hnsw import HnswIndex, search_indexed
from overt.matcher.recall import Recall
from overt.matcher.rows import Rows
from overt.messages import Vector, WatchlistEntry
from overt.ports import Candidate, Gallery

_MOST_BEHIND = 2000
"""Changed rows that an index may be behind with: each is compared with every probe until the index has it."""
_MOST_STALE = 400
"""Of them, rows of which the index still has what they held before. It overwrites a hundred in a second; where there
are more the whole index is let go, so that nothing that was removed is in memory after five seconds."""
_WORN = 0.1
"""Share of the entries that may change before the index is built anew and its recall measured again."""


class Kind(StrEnum):
    """What answers look-ups."""

    EXACT = "exact"
    HNSW = "hnsw"


@dataclass(frozen=True, slots=True)
class Options:
    """How an index is built and what is asked of it."""

    threshold: float = 0.45
    """The lowest similarity at which anybody leaves the matcher."""
    target: float = 0.999
    """What the lower bound of the mate recall must reach."""
    probes: int = 5000
    """Copies in a measurement; at 5,000 one miss is allowed, at 3,000 none."""
    efs: Sequence[int] = (64, 96, 128, 192, 256, 384, 512)
    smallest: int = 10_000_000
    """Numbers in the list (entries times dimension) below which everybody is compared and no index is tried."""
    trial: int = 100_000
    """Entries at which the index of a list of three times as many or more is looked at for the first time: an index
    that loses too many of these loses more of all, and takes hours."""
    links: int = 16
    width: int = 200
    threads: int = 1
    """One builds the same graph each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What serves now, why, and what was measured when that was decided."""

    kind: Kind
    reason: str
    entries: int = 0
    """Entries when it was decided."""
    recall: Recall | None = None
    """The index's mate recall, also where it does not serve."""
    exact_s: float | None = None
    hnsw_s: float | None = None
    """Seconds a probe, in batches of 16, on this machine."""


class LiveGallery:
    """A gallery of one model space whose entries come and go; itself the view that it hands out.

    Safe to share between threads: a search sees all of a change or nothing of it. When `apply` returns, what it removed
    is found by no later search, and its numbers are in no array nor left over from a product; the index overwrites them
    in `tend`. The caller wipes its own copies. Nothing runs by itself: somebody calls `tend`, and runs an
    `overt.matcher.build.IndexBuild` where `wants_index`.
    """

    def __init__(self, space_id: str, dimension: int, options: Options = Options()) -> None:
        self.space_id = space_id
        self.options = options
        self.rows = Rows(space_id, dimension)
        self.lock = threading.Lock()
        """Held for every change of rows or of the serving index, and for every search."""
        self._serving: HnswIndex | None = None
        self._making: HnswIndex | None = None
        self._changed = 0
        self._searched = False
        self.answer = Answer(Kind.EXACT, "the list is short enough to compare everybody")

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self.rows.row_of

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        assert self.rows.dimension is not None
        return self.rows.dimension

    def gallery(self) -> Gallery:
        """The gallery as it is now."""
        return self

    def apply(self, adds: Sequence[WatchlistEntry] = (), removes: Sequence[str] = ()) -> None:
        """Removes, then adds, as one change. An entry whose id is there already replaces it; an id to be removed that
        is not there is no error. Vectors are copied. Raises BadEntry, and then nothing has changed."""
        with self.lock:
            change = self.rows.apply(adds, removes)
            rows = {*change.cleared, *change.written}
            self._changed += len(rows)
            if change.cleared and self._searched:
                scrub(self.rows)
                self._searched = False
            for index in (self._serving, self._making):
                if index is not None:
                    index.behind.update(rows)
            if self._serving is not None and _overtaken(self._serving):
                self._drop("too much has changed at once: a new index is due")

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        """See `overt.ports.Gallery.search`."""
        with self.lock:
            self._searched = True
            if self._serving is not None:
                return search_indexed(self.rows, self._serving, probes, subjects, at_us)
            return search_exactly(self.rows, probes, subjects, at_us)

    def tend(self, most: int = 1) -> int:
        """Lets the serving index take in up to `most` changed rows, overwriting what was removed; how many are left."""
        with self.lock:
            return 0 if self._serving is None else catch_up(self._serving, self.rows, most)

    # Making an index

    def wants_index(self) -> bool:
        """Whether an index should be built: the list is long, and none was tried or much has changed since."""
        entries = len(self.rows)
        if entries * self.dimension < self.options.smallest:
            return False
        return self._making is None and (not self.answer.entries or self._changed > _WORN * self.answer.entries)

    def begin(self, index: HnswIndex) -> None:
        """From now on `index` is told of every change."""
        with self.lock:
            self._making, self._changed = index, 0

    def decide(self, index: HnswIndex | None, answer: Answer) -> None:
        """Ends the making. `index` serves from the next search on; None: the exact answer does."""
        with self.lock:
            if self._making is None:
                self._changed = 0
            self._making = None
            self._serving, self.answer = index, answer

    def abandon(self) -> None:
        """Ends the making. What served goes on serving."""
        with self.lock:
            self._making = None

    def shrunk(self) -> bool:
        """Drops the index of a list that has become short. True where it did."""
        with self.lock:
            if self._serving is None or len(self.rows) * self.dimension >= self.options.smallest // 2:
                return False
            self._drop("the list is short enough to compare everybody")
            return True

    def let_go(self, reason: str) -> None:
        """Drops the index, and with it all that it holds: the exact answer serves."""
        with self.lock:
            self._drop(reason)

    def _drop(self, reason: str) -> None:
        self._serving, self.answer = None, Answer(Kind.EXACT, reason)


def catch_up(index: HnswIndex, rows: Rows, most: int) -> int:
    """Takes up to `most` rows that the index is behind with into it, those first of which it has the former content;
    how many are left. The lock must be held."""
    while index.behind and most > 0:
        row = min(index.behind, key=lambda row: (not index.holds(row), row))  # the same order in every replica
        if rows.listed[row] is None:
            index.forget(row)
        else:
            index.put(rows.vector(row)[None], [row])
        index.behind.remove(row)
        most -= 1
    return len(index.behind)


def _overtaken(index: HnswIndex) -> bool:
    behind = index.behind
    return len(behind) > _MOST_BEHIND or (len(behind) > _MOST_STALE and sum(map(index.holds, behind)) > _MOST_STALE)
