"""How many frames may still be sent before the detector is full, known without asking the bus for every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from overt.ports import Backlog, Unavailable

ASK_EVERY_S = 0.02
_REST_S = 0.5


@dataclass(slots=True)
class _Known:
    waiting: int
    """Frames that waited when the bus was asked, and those sent since."""
    asked_at_s: float


class Room:
    """Room for `most` unconsumed frames in each partition.

    It counts what is sent and asks the backlog when that count is reached, so the detector is given `most` frames at
    most whether asking is cheap or takes round trips. The backlog must answer for the moment (no cache).
    """

    def __init__(self, backlog: Backlog, most: int, monotonic: Callable[[], float]) -> None:
        self._backlog = backlog
        self._most = most
        self._monotonic = monotonic
        self._known: dict[int, _Known] = {}
        self._old = False
        self._away_until_s = float("-inf")

    def full(self, partition: int) -> bool:
        """Whether no frame may be sent now. Raises Unavailable, and then for half a second without asking again."""
        if self._old:
            self._old = False
            self._known.clear()
        now_s = self._monotonic()
        known = self._known.get(partition)
        if known is not None and (known.waiting < self._most or now_s < known.asked_at_s + ASK_EVERY_S):
            return known.waiting >= self._most
        if now_s < self._away_until_s:
            raise Unavailable("the backlog of frames could not be asked for a moment ago")
        try:
            waiting = self._backlog.unconsumed(partition)
        except Unavailable:
            self._away_until_s = self._monotonic() + _REST_S
            raise
        self._known[partition] = _Known(waiting, self._monotonic())
        return waiting >= self._most

    def ask_again(self) -> None:
        """The detector has finished frames: what is known is old. May be called from any thread."""
        self._old = True

    def sent(self, partition: int) -> None:
        """One more frame of this partition is on its way."""
        if (known := self._known.get(partition)) is not None:
            known.waiting += 1
