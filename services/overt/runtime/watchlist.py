"""A matcher's view of the watchlist: the whole topic, then what comes. Every replica has its own and none commits."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace

from overt.matcher.exact import ExactGallery, check_unit
from overt.messages import WatchlistEntry
from overt.picture import Picture
from overt.ports import Codec, Follower, Gallery, KeyGone, NotAuthentic, Record, Undecodable
from overt.runtime.metrics import Metrics

_log = logging.getLogger(__name__)
_MOST = 500
_NO_PICTURE = Picture(encoded=b"")


class WatchlistView:
    """Follows the watchlist topic and keeps a gallery of what is on it. A worker's companion.

    A new gallery is made when the topic has nothing more to give at the moment, and swapped in whole. An entry whose
    key is destroyed is not on the list any more, tombstone or not. What cannot enter is refused, counted and named.
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
    ) -> None:
        self._open = follow
        self._codec = codec
        self._deployment_id = deployment_id
        self._space_id = space_id
        self._dimension = dimension
        self._categories = categories
        self._metrics = metrics
        self._follower: Follower | None = None
        self._waiting: deque[Record] = deque()
        """Read and not taken in yet. No follower hands a record out twice: what the vault could not open stays here."""
        self._entries: dict[str, WatchlistEntry] = {}
        self._gallery: Gallery = ExactGallery(space_id, [])
        self._changed = False
        self._ready = False

    def gallery(self) -> Gallery:
        """The gallery as it is now."""
        return self._gallery

    def ready(self) -> bool:
        """Whether everything that was on the topic at the start is in the gallery."""
        return self._ready

    def follow(self) -> None:
        """Takes in what is new on the topic, without waiting. Raises Unavailable."""
        if self._follower is None:
            self._follower = self._open()
        if not self._waiting:
            self._waiting.extend(self._follower.poll(_MOST, 0.0 if self._ready else 0.2))
        all_there_is = len(self._waiting) < _MOST
        while self._waiting:
            self._apply(self._waiting[0])
            self._waiting.popleft()
        if self._changed and all_there_is:
            self._rebuild()
        if not self._ready and not self._changed and self._follower.caught_up():
            self._ready = True
            _log.info("matcher: the watchlist has %d entries", len(self._gallery))
            if not len(self._gallery):
                _log.warning("matcher: the watchlist is empty: nobody can be found until entries are published")

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()

    def _apply(self, record: Record) -> None:
        entry = None if record.value is None else self._decode(record)
        self._changed = True
        if entry is None:
            self._entries.pop(record.key, None)
        else:
            # Whom a probe resembles is said by ids: nobody's picture is needed here, so none is held for days.
            self._entries[entry.entry_id] = replace(entry, reference_image=_NO_PICTURE)

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

    def _rebuild(self) -> None:
        self._gallery = ExactGallery(self._space_id, list(self._entries.values()))
        self._changed = False
        self._metrics.gallery_entries.set(len(self._gallery))
        self._metrics.gallery.info({"kind": "exact", "space": self._space_id})
