"""One camera, kept alive: opened, watched from outside the calls that may hang, reopened with growing waits."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overt.frame.feed import Feed, Outcome, Taken
from overt.frame.pacing import Backoff, Pacer
from overt.frame.playback import Playback, Played, play
from overt.frame.reader import Fault
from overt.frame.readers import FOLDER_FPS, OpenReader, open_reader
from overt.frame.sameness import Sameness
from overt.frame.source import CameraError, CameraSource
from overt.ports import Clock


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a live camera may be silent, in seconds, and how long to wait before it is tried again."""

    open_s: float = 10.0
    """From opening to the first image; an answer over a slow network, and its first whole picture."""
    stall_s: float = 5.0
    """For every later image."""
    frozen_s: float = 10.0
    """The same picture for so long means a frozen camera."""
    retry_least_s: float = 0.5
    retry_most_s: float = 10.0
    abandoned_most: int = 3
    """Threads left behind in calls that do not return; with so many none is added until one ends."""


@dataclass(frozen=True, slots=True)
class Up:
    """The first image since opening has come."""


@dataclass(frozen=True, slots=True)
class Down:
    """A live camera gives nothing any more, or has not yet; it is tried again in `retry_s`."""

    why: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Reopening:
    """A live camera is opened anew."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The camera has begun, or ceased, to send the same picture over and over."""

    frozen: bool


@dataclass(frozen=True, slots=True)
class Late:
    """Images that were dropped since newer ones had come, or their time was over."""

    images: int


@dataclass(frozen=True, slots=True)
class Faulty:
    """Images that could not be had."""

    fault: Fault
    images: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A file cannot be read; it is not tried again."""

    why: str


CameraEvent = Taken | Up | Down | Reopening | Frozen | Late | Faulty | Played | Failed


class Camera:
    """Call `poll` again and again from one thread: it never waits, and says what has happened since.

    Realtime, a file keeps to its own pace and the newest image wins; otherwise no image of a file is lost and reading
    waits. A live source always goes at its own pace. Nothing is opened before the first `poll`.
    """

    def __init__(
        self,
        source: CameraSource,
        playback: Playback,
        *,
        realtime: bool,
        clock: Clock,
        monotonic: Callable[[], float],
        arrived: Callable[[], object] = lambda: None,
        patience: Patience | None = None,
        jitter: random.Random | None = None,
        folder_fps: float = FOLDER_FPS,
        opens: OpenReader = open_reader,
    ) -> None:
        self._source = source
        self._opens = opens
        self._playback = playback
        self._realtime = realtime
        self._clock = clock
        self._monotonic = monotonic
        self._arrived = arrived
        self._patience = patience or Patience()
        self._folder_fps = folder_fps
        self._backoff = Backoff(
            self._patience.retry_least_s,
            self._patience.retry_most_s,
            jitter or random.Random(),  # noqa: S311  # spreads calls in time, guards nothing
        )
        self._feed: Feed | None = None
        self._abandoned: list[Feed] = []
        self._retry_at_s = 0.0
        self._opened = 0
        self._up = False
        self._sameness = Sameness(self._patience.frozen_s)
        self._frozen = False
        self._over = False

    def poll(self) -> Sequence[CameraEvent]:
        """What has happened, at most one image among it. Raises what is nobody's fault but ours."""
        if self._over:
            return []
        if self._feed is None:
            return self._open()
        events = self._counts(self._feed)
        if (taken := self._feed.take()) is not None:
            events += self._on_image(taken)
        elif (outcome := self._feed.outcome()) is not None:
            events += self._on_outcome(outcome)
        elif self._source.live and self._feed.busy_s() >= self._limit_s():
            events += self._lost(f"{self._source.name}: the camera has given nothing for {self._limit_s():g} s")
        return events

    def close(self, timeout_s: float = 0.0) -> None:
        """Stops reading at once. The thread ends when the call that it is in returns; it is waited for so long."""
        self._over, self._up = True, False
        if self._feed is not None:
            self._feed.stop()
            self._feed.join(timeout_s)

    def _open(self) -> list[CameraEvent]:
        self._abandoned = [feed for feed in self._abandoned if feed.alive]
        if self._monotonic() < self._retry_at_s or len(self._abandoned) >= self._patience.abandoned_most:
            return []
        source, patience = self._source, self._patience
        paced = self._realtime and not source.live
        self._feed = Feed(
            lambda: play(
                lambda: self._opens(
                    source,
                    clock=lambda: round(self._monotonic() * 1e6),
                    folder_fps=self._folder_fps,
                    # An attempt to open ends by itself before we lose patience. A read must not: FFmpeg answers its own
                    # timeout with the last image once more, which would pass for a sign of life.
                    open_s=0.9 * patience.open_s,
                    read_s=2 * patience.stall_s,
                ),
                self._playback,
            ),
            keep_all=not self._realtime and not source.live,
            pacer=Pacer(self._monotonic) if paced else None,
            clock=self._clock,
            monotonic=self._monotonic,
            arrived=self._arrived,
        )
        self._feed.start()
        self._opened += 1
        return [Reopening()] if self._opened > 1 else []

    def _limit_s(self) -> float:
        return self._patience.stall_s if self._up else self._patience.open_s

    def _counts(self, feed: Feed) -> list[CameraEvent]:
        dropped, faults = feed.counts()
        events: list[CameraEvent] = [Late(dropped)] if dropped else []
        events += [Faulty(fault, images) for fault, images in sorted(faults.items())]
        return events

    def _on_image(self, taken: Taken) -> list[CameraEvent]:
        events: list[CameraEvent] = []
        if not self._up:
            self._up = True
            self._backoff.reset()
            self._sameness = Sameness(self._patience.frozen_s)
            events.append(Up())
        if self._source.live:
            frozen = self._sameness.see(taken.bgr, self._monotonic())
            if frozen != self._frozen:
                self._frozen = frozen
                events.append(Frozen(frozen))
        return [*events, taken]

    def _on_outcome(self, outcome: Outcome) -> list[CameraEvent]:
        if isinstance(outcome, Exception) and not isinstance(outcome, CameraError):
            raise outcome
        if self._source.live:
            hung_up = f"{self._source.name}: the camera has hung up"
            return self._lost(str(outcome) if isinstance(outcome, CameraError) else hung_up)
        self._over, self._up = True, False
        return [Failed(str(outcome)) if isinstance(outcome, CameraError) else outcome]

    def _lost(self, why: str) -> list[CameraEvent]:
        assert self._feed is not None
        self._feed.stop()
        if self._feed.alive:
            self._abandoned.append(self._feed)
        self._feed, self._up = None, False
        retry_s = self._backoff.next_s()
        self._retry_at_s = self._monotonic() + retry_s
        thawed: list[CameraEvent] = [Frozen(False)] if self._frozen else []
        self._frozen = False
        return [*thawed, Down(why, retry_s)]
