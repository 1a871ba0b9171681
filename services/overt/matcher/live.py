"""The gallery that is changed while it answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from overt.matcher.exact import search_exactly
from overt.matcher.rows import Rows
from overt.messages import Vector, WatchlistEntry
from overt.ports import Candidate, Gallery


class LiveGallery:
    """A gallery of one model space whose entries come and go; itself the view that it hands out.

    Safe to share between threads: a search sees all of a change or nothing of it. When `apply` returns, what it removed
    is found by no later search and its vector is in none of the gallery's arrays; the caller wipes its own copies.
    """

    def __init__(self, space_id: str, dimension: int) -> None:
        self.space_id = space_id
        self._rows = Rows(space_id, dimension)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._rows.row_of

    def gallery(self) -> Gallery:
        """The gallery as it is now."""
        return self

    def apply(self, adds: Sequence[WatchlistEntry] = (), removes: Sequence[str] = ()) -> None:
        """Removes, then adds, as one change. An entry whose id is there already replaces it; an id to be removed that
        is not there is no error. Vectors are copied. Raises BadEntry, and then nothing has changed."""
        with self._lock:
            self._rows.apply(adds, removes)

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        """See `overt.ports.Gallery.search`."""
        with self._lock:
            return search_exactly(self._rows, probes, subjects, at_us)
