"""A matcher's view of the watchlist: the whole topic, then what comes. Every replica has its own and none commits."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Protocol

from overt.matcher.live import Options
from overt.matcher.rows import check_unit
from overt.messages import Vector, WatchlistEntry
from overt.ports import Codec, Follower, Gallery, KeyGone, NotAuthentic, Record, Unavailable, Undecodable
from overt.runtime.metrics import Metrics
from overt.runtime.watchlist.gallery import ServedGallery

_log = logging.getLogger(__name__)
_MOST = 500
_UNTOLD_MOST = 10_000

CHANGE = "change"
"""The header that names a change which somebody waits for."""


class Attendance(Protocol):
    """By which this replica is known to whoever changes the watchlist. Every method may raise Unavailable."""

    def here(self) -> None:
        """It is there and up to date; called again and again."""
        ...

    def left(self) -> None:
        """It ends."""
        ...

    def acknowledge(self, change_id: str, /) -> None:
        """It has applied a change."""
        ...


class Alone:
    """The attendance of a process that nobody waits for."""

    def here(self) -> None: ...

    def left(self) -> None: ...

    def acknowledge(self, change_id: str, /) -> None: ...


def leave(vector: Vector) -> None:
    """For a process whose bus hands over the very entries that others hold."""
    del vector


class WatchlistView:
    """Follows the watchlist topic and keeps a gallery of what is on it. A worker's companion.

    What is new is applied to the gallery before anything else is compared. An entry whose key is destroyed is not on
    the list any more, tombstone or not; a removed entry does not come back, nor does an older revision. What cannot
    enter is refused, counted and named.

    spend: what becomes of a vector that was copied into the gallery (`overt.runtime.wipe`).
    """

    def __init__(
        self,
        follow: Callable[[], Follower],
        codec: Codec,
        *,
        deployment_id: str,
        space_id: str,
        dimension: int,
        categories: Collection[str],
        metrics: Metrics,
        attendance: Attendance | None = None,
        spend: Callable[[Vector], None] = leave,
        lookup: Options | None = None,
    ) -> None:
        self._open = follow
        self._codec = codec
        self._deployment_id = deployment_id
        self._space_id = space_id
        self._dimension = dimension
        self._categories = categories
        self._metrics = metrics
        self._attendance = attendance or Alone()
        self._spend = spend
        self._follower: Follower | None = None
        self._waiting: deque[Record] = deque()
        """Read and not taken in yet. No follower hands a record out twice: what the vault could not open stays here."""
        self._untold: deque[str] = deque(maxlen=_UNTOLD_MOST)
        """Changes that are applied and not acknowledged yet."""
        self._gallery = ServedGallery(space_id, dimension, metrics, lookup)
        self._revisions: dict[str, int] = {}
        """Of each entry in the gallery."""
        self._removed: set[str] = set()
        self._oldest_us: int | None = None
        """When the oldest entry that came in was enrolled; one that was removed meanwhile counts."""
        self._ready = False

    def gallery(self) -> Gallery:
        """The gallery as it is now."""
        return self._gallery.gallery()

    def ready(self) -> bool:
        """Whether everything that was on the topic at the start is in the gallery."""
        return self._ready

    def follow(self) -> None:
        """Takes in what is new on the topic, without waiting. Raises Unavailable."""
        if self._follower is None:
            self._follower = self._open()
        if not self._waiting:
            self._waiting.extend(self._follower.poll(_MOST, 0.0 if self._ready else 0.2))
        if self._waiting:
            self._take_in()
        if not self._ready and self._follower.caught_up():
            self._ready = True
            self._gallery.loaded()
            _log.info("matcher: the watchlist has %d entries", len(self._gallery))
            if not len(self._gallery):
                _log.warning("matcher: the watchlist is empty: nobody can be found until entries are published")
        self._tell()

    def close(self) -> None:
        self._gallery.close()
        if self._follower is not None:
            self._follower.close()
        with suppress(Unavailable):
            self._attendance.left()

    def _take_in(self) -> None:
        """Applies what waits as one change of the gallery; what came before a record that cannot be opened now, too."""
        changes: dict[str, WatchlistEntry | None] = {}
        told: list[str] = []
        try:
            while self._waiting:
                record = self._waiting[0]
                self._note(record, changes)
                self._waiting.popleft()
                if CHANGE in record.headers:
                    told.append(record.headers[CHANGE])
        finally:
            adds = [entry for entry in changes.values() if entry is not None]
            self._gallery.apply(adds, [entry_id for entry_id, entry in changes.items() if entry is None])
            self._tell_changes(adds, changed=bool(changes))
            for entry in adds:
                self._spend(entry.vector)
            self._untold.extend(told)

    def _note(self, record: Record, changes: dict[str, WatchlistEntry | None]) -> None:
        """Adds to `changes` what a record does: an entry by its id, or None where it goes. Raises Unavailable."""
        entry = None if record.value is None else self._decode(record)
        if entry is None:
            if record.value is None:
                self._removed.add(record.key)
                self._metrics.watchlist_removals.inc(record.key in self._revisions)
            self._drop(record.key, changes)
        elif entry.entry_id in self._removed:
            self._refuse(record.key, "removed", "it was removed: somebody who is listed again gets a new entry")
        elif entry.revision < self._revisions.get(entry.entry_id, entry.revision):
            self._refuse(record.key, "late", "a later revision of it is here")
        else:
            self._drop(record.key, changes)
            self._revisions[entry.entry_id] = entry.revision
            changes[entry.entry_id] = entry

    def _tell_changes(self, adds: Collection[WatchlistEntry], *, changed: bool) -> None:
        if changed:
            self._metrics.watchlist_changed_seconds.set_to_current_time()
        for entry in adds:
            self._oldest_us = min(entry.enrolled_at_us, self._oldest_us or entry.enrolled_at_us)
        self._metrics.watchlist_oldest_enrolment_seconds.set((self._oldest_us or 0) / 1e6)

    def _drop(self, entry_id: str, changes: dict[str, WatchlistEntry | None]) -> None:
        before = changes.get(entry_id)
        if before is not None:
            self._spend(before.vector)
        self._revisions.pop(entry_id, None)
        changes[entry_id] = None

    def _tell(self) -> None:
        """Acknowledges what is applied. Nothing waits for it: where nobody can be told now, they are told later."""
        try:
            while self._untold:
                self._attendance.acknowledge(self._untold[0])
                self._untold.popleft()
            if self._ready:
                self._attendance.here()
        except Unavailable as error:
            _log.debug("matcher: a change of the watchlist is not acknowledged yet: %s", error)

    def _decode(self, record: Record) -> WatchlistEntry | None:
        try:
            entry = self._codec.decode(record)
        except KeyGone:
            self._refuse(record.key, "key_gone", "its key is destroyed")
            return None
        except Undecodable as error:
            self._refuse(record.key, "undecodable", str(error))
            return None
        except NotAuthentic:
            self._refuse(record.key, "not_authentic", "its payload was changed or belongs elsewhere")
            return None
        assert isinstance(entry, WatchlistEntry)
        if entry.deployment_id != self._deployment_id:
            self._refuse(record.key, "other_deployment", f"it was made for {entry.deployment_id}")
            return None
        if entry.entry_id != record.key:  # its own tombstone would not reach it here
            self._refuse(record.key, "misplaced", f"it is entry {entry.entry_id}, written under another key")
            return None
        wrong = self._what_is_wrong(entry)
        if wrong is not None:
            self._refuse(record.key, "unusable", wrong)
            return None
        return entry

    def _what_is_wrong(self, entry: WatchlistEntry) -> str | None:
        if entry.space_id != self._space_id:
            return f"it is of model space {entry.space_id}, not {self._space_id}: enrol it again"
        if entry.category not in self._categories:
            return f"its category {entry.category} is not in the deployment file, so it could never match"
        return check_unit(entry.vector, self._dimension)

    def _refuse(self, entry_id: str, reason: str, why: str) -> None:
        self._metrics.watchlist_refused.labels(reason).inc()
        _log.warning("matcher: watchlist entry %s is left out: %s", entry_id, why)
