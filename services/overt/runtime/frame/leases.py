"""Which cameras this replica reads: leases taken, renewed and given back, without ever waiting for a camera."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from overt.ports import Leases, Unavailable

_log = logging.getLogger(__name__)

_LOOK_S = 0.25


@dataclass(slots=True)
class _Held:
    epoch: int
    renew_at_s: float


class LeaseKeeper:
    """Holds at most `most` of the cameras.

    A thread of its own prolongs leases, so that a slow bus or a large picture costs none; everything else is called by
    the loop. A camera that is not held is tried every `acquire_s`, so that with a lease of 6 s the camera of a replica
    that was killed is read again within 8 s. When the store is away, a lease stands until its life is over.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        most: int | None,
        renew_s: float,
        acquire_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._leases = leases
        self._most = most
        self._renew_s = renew_s
        self._acquire_s = acquire_s
        self._monotonic = monotonic
        self._lock = threading.Lock()  # of what follows; never held while the store is asked
        self._held: dict[str, _Held] = {}
        self._lost: list[str] = []
        self._acquire_at_s: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None
        self.failing = False

    def start(self, alive: Callable[[], bool]) -> None:
        """Begins to renew, as long as the loop is `alive`."""
        self._thread = threading.Thread(target=self._run, args=(alive,), name="leases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the renewing and gives all cameras back, unless nobody answers: then the leases end by themselves."""
        self._stopped.set()
        for camera_id in list(self.epochs):
            if not self.release(camera_id):
                break  # each of the others would wait as long, and a service must end in time with any number
        if self._thread is not None:
            self._thread.join(2 * _LOOK_S)

    @property
    def epochs(self) -> Mapping[str, int]:
        """The cameras held, and the number of each lease."""
        with self._lock:
            return {camera_id: held.epoch for camera_id, held in self._held.items()}

    def held(self, camera_id: str) -> bool:
        """Whether a frame of this camera may be sent now. Never waits."""
        with self._lock:
            held = self._held.get(camera_id)
        return held is not None and self._leases.held(camera_id, held.epoch)

    def lost(self) -> Sequence[str]:
        """Cameras whose lease has ended against our will since this was last asked: stop them at once. Raises what has
        ended the thread that renews."""
        if self._fault is not None:
            raise self._fault
        for camera_id, epoch in self.epochs.items():
            if not self._leases.held(camera_id, epoch):
                self._lose(camera_id, epoch)
        with self._lock:
            lost, self._lost = self._lost, []
        return lost

    def acquire(self, wanted: Iterable[str]) -> Sequence[str]:
        """Tries for the wanted cameras that are not held; returns those gained. One that was lost is left alone until
        `lost` has said so."""
        gained: list[str] = []
        with self._lock:
            taken = {*self._held, *self._lost}
        free = [camera_id for camera_id in wanted if camera_id not in taken]
        for camera_id in free:
            now_s = self._monotonic()
            if self._most is not None and len(self._held) >= self._most:
                break
            if now_s < self._acquire_at_s.get(camera_id, now_s):
                continue
            self._acquire_at_s[camera_id] = now_s + self._acquire_s
            try:
                epoch = self._leases.acquire(camera_id)
            except Unavailable as error:
                self._away(error)
                # The others are not asked for: each would wait as long.
                self._acquire_at_s.update(dict.fromkeys(free, self._monotonic() + self._acquire_s))
                break
            self.failing = False
            if epoch is not None:
                with self._lock:
                    self._held[camera_id] = _Held(epoch, now_s + self._renew_s)
                gained.append(camera_id)
        return gained

    def release(self, camera_id: str, *, again_in_s: float = 0.0) -> bool:
        """Gives a camera back: to others at once, to this replica after a while at the earliest. False when the store
        was not told, and others must wait for the lease's end."""
        with self._lock:
            held = self._held.pop(camera_id, None)
        if held is None:
            return True
        self._acquire_at_s[camera_id] = self._monotonic() + again_in_s
        try:
            self._leases.release(camera_id, held.epoch)
        except Unavailable as error:
            self._away(error)  # it ends by itself
            return False
        return True

    def renew(self) -> None:
        """Prolongs the leases whose time has come. The thread calls it; a test may, too."""
        now_s = self._monotonic()
        with self._lock:
            due = [(c, held.epoch) for c, held in self._held.items() if now_s >= held.renew_at_s]
        for camera_id, epoch in due:
            try:
                kept = self._leases.renew(camera_id, epoch)
            except Unavailable as error:
                self._away(error)
                return
            self.failing = False
            if not kept:
                self._lose(camera_id, epoch)
                continue
            with self._lock:
                if (held := self._held.get(camera_id)) is not None and held.epoch == epoch:
                    held.renew_at_s = now_s + self._renew_s

    def _run(self, alive: Callable[[], bool]) -> None:
        try:
            while not self._stopped.wait(_LOOK_S):
                if alive():
                    self.renew()
        except Exception as error:  # handed to the loop: else every camera would be lost again and again, unexplained
            self._fault = error

    def _lose(self, camera_id: str, epoch: int) -> None:
        with self._lock:
            held = self._held.get(camera_id)
            if held is None or held.epoch != epoch:  # given back meanwhile
                return
            del self._held[camera_id]
            self._lost.append(camera_id)
        self._acquire_at_s[camera_id] = self._monotonic() + self._acquire_s

    def _away(self, error: Unavailable) -> None:
        if not self.failing:
            _log.warning("frame: camera leases cannot be asked for: %s", error)
        self.failing = True


class ProgressNotes:
    """How far files were sent, told to the store once in a while: what a successor sends twice is recognised."""

    def __init__(self, leases: Leases, *, every_s: float, monotonic: Callable[[], float]) -> None:
        self._leases = leases
        self._every_s = every_s
        self._monotonic = monotonic
        self._reached: dict[str, int] = {}
        self._due_at_s = 0.0

    def reached(self, camera_id: str, position: int) -> None:
        """The bus has acknowledged the image of this position, and all before it."""
        self._reached[camera_id] = position

    def forget(self, camera_id: str) -> None:
        self._reached.pop(camera_id, None)

    def note(self, *, at_once: bool) -> None:
        """Tells the store, if it is time or `at_once`. What it could not be told is told the next time."""
        now_s = self._monotonic()
        if not self._reached or (not at_once and now_s < self._due_at_s):
            return
        self._due_at_s = now_s + self._every_s
        try:
            for camera_id in list(self._reached):
                self._leases.progress(camera_id, self._reached[camera_id])
                del self._reached[camera_id]
        except Unavailable:
            _log.debug("frame: progress cannot be noted now")
