"""The gallery of a matcher process: what serves look-ups now, and what is being made in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from overt.matcher.build import IndexBuild, Stopped
from overt.matcher.hnsw import memory_bytes
from overt.matcher.live import Answer, Kind, LiveGallery, Options
from overt.messages import WatchlistEntry
from overt.ports import Gallery
from overt.runtime.metrics import Metrics

_log = logging.getLogger(__name__)
_TOLD_EVERY_S = 30.0
_LOADING_TOLD_EVERY_S = 10.0
_BESIDE_BYTES = 300
"""What is kept of an entry beside its numbers: ids, category, validity; measured at 1,000,000."""
_ENDS_WITHIN_S = 5.0
_MB = 1 << 20
_WORDS = {Kind.EXACT: "everybody is compared", Kind.HNSW: "an HNSW index answers"}


class ServedGallery:
    """A `LiveGallery` with its metrics, and its index made, measured and kept up on a thread of its own.

    `apply` any number of times, then `loaded` once everything that was on the topic is in: from then on an index is
    built where the list is long enough for one. Comparing everybody serves meanwhile. The thread starts when it is
    first needed; a short list never has one. clock: seconds, by which look-ups are timed.
    """

    def __init__(
        self,
        space_id: str,
        dimension: int,
        metrics: Metrics,
        options: Options | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._live = LiveGallery(space_id, dimension, options or Options())
        self._metrics = metrics
        self._loaded = False
        self._began_s: float | None = None
        self._told_s = 0.0
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._tell()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._live

    @property
    def answer(self) -> Answer:
        """What serves now, and why."""
        return self._live.answer

    def gallery(self) -> Gallery:
        """What answers look-ups. The same object for ever; see `overt.ports.Gallery`."""
        return self._live.gallery()

    def apply(self, adds: Sequence[WatchlistEntry] = (), removes: Sequence[str] = ()) -> None:
        """See `LiveGallery.apply`. An index overwrites what was removed within five seconds, on its thread. Raises
        BadEntry, and then nothing has changed."""
        if self._began_s is None:
            self._began_s = self._told_s = time.monotonic()
        self._live.apply(adds, removes)
        self._tell()
        self._tell_loading()
        self._see_to_it()

    def loaded(self) -> None:
        """Everything that was there at the start is in."""
        self._loaded = True
        self._see_to_it()

    def close(self) -> None:
        """Ends what runs in the background, and waits for it for a few seconds."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_ENDS_WITHIN_S)

    def _see_to_it(self) -> None:
        if self._thread is not None:
            self._wake.set()
        elif self._loaded and self._live.wants_index() and not self._stop.is_set():
            self._thread = threading.Thread(target=self._work, name="gallery", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
        except BaseException:
            self._live.let_go("the index failed")  # it would keep what is removed from now on
            self._tell()
            raise

    def _turn(self) -> None:
        self._wake.clear()
        while self._live.tend(1) and not self._stop.is_set():
            pass
        if self._live.shrunk():
            self._tell()
        elif self._live.wants_index():
            self._build()
        else:
            self._wake.wait(1.0)

    def _build(self) -> None:
        live, options = self._live, self._live.options
        size = memory_bytes(len(live), live.dimension, options.links)
        rows = 4 * live.dimension * len(live)
        what = f"{len(live)} entries, {size // _MB} MB beside the list's {rows // _MB} MB"
        _log.info("gallery: building an index of %s; %s meanwhile", what, _WORDS[live.answer.kind])
        began_s = time.monotonic()
        try:
            answer = IndexBuild(live, self._clock, _Told(self._metrics), self._stop.is_set).run()
        except Stopped:
            return
        finally:
            self._metrics.gallery_building.set(0)
        self._tell()
        _log.info("gallery: %s, after %.0f s", said(answer), time.monotonic() - began_s)

    def _tell_loading(self) -> None:
        """How far a long list has come, until everything is in."""
        now_s, entries = time.monotonic(), len(self._live)
        if self._loaded or self._began_s is None or now_s - self._told_s < _LOADING_TOLD_EVERY_S:
            return
        self._told_s = now_s
        megabytes = entries * (4 * self._live.dimension + _BESIDE_BYTES) // _MB
        _log.info("gallery: %d entries are in, %d MB, %.0f/s", entries, megabytes, entries / (now_s - self._began_s))

    def _tell(self) -> None:
        metrics, answer = self._metrics, self._live.answer
        metrics.gallery_entries.set(len(self._live))
        metrics.gallery.info({"kind": answer.kind.value, "space": self._live.space_id})
        serving = answer.recall if answer.kind is Kind.HNSW else None
        metrics.gallery_recall.labels("measured").set(serving.share if serving else 1)
        metrics.gallery_recall.labels("lower95").set(serving.lower if serving else 1)
        metrics.gallery_ef.set(serving.ef if serving else 0)
        for kind, cost_s in ((Kind.EXACT, answer.exact_s), (Kind.HNSW, answer.hnsw_s)):
            if cost_s is not None:
                metrics.gallery_lookup_seconds.labels(kind.value).set(cost_s)


def said(answer: Answer) -> str:
    """One sentence for people: who answers, why, and what was measured."""
    parts = [f"{_WORDS[answer.kind]}: {answer.reason}"]
    if answer.exact_s is not None and answer.hnsw_s is not None:
        parts.append(f"{answer.hnsw_s * 1e3:.2f} ms a look-up with the index, {answer.exact_s * 1e3:.2f} ms without")
    if (recall := answer.recall) is not None:
        parts.append(
            f"mate recall {recall.found} of {recall.tried} at ef {recall.ef}, at least {recall.lower:.4f} (95 %)"
        )
    return "; ".join(parts)


class _Told:
    """Progress as log lines now and then, and as a metric."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began_s = self._told_s = time.monotonic()
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if what != self._what:
            self._what, self._began_s = what, now_s
        if what == "building":
            self._metrics.gallery_building.set(done / total)
        if now_s - self._told_s < _TOLD_EVERY_S or not done:
            return
        self._told_s = now_s
        rate = done / max(now_s - self._began_s, 1e-9)
        _log.info("gallery: %s: %d of %d, %.0f/s, %.0f s left", what, done, total, rate, (total - done) / rate)
