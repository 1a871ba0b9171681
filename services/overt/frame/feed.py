"""One attempt at reading a camera: a thread that may hang, and a mailbox that others look into without waiting."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

from overt.frame.pacing import Pacer
from overt.frame.playback import Due, Played
from overt.frame.reader import BadImage, Fault
from overt.picture import Bgr
from overt.ports import Clock

_AHEAD = 2  # images that a file is read ahead where none may be lost
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Taken:
    """One image of a camera: uint8 [H, W, 3] BGR."""

    bgr: Bgr = field(repr=False)  # it must never reach a log
    position: int
    media_time_us: int
    read_at_us: int
    """Wall clock when it was read."""


_THREAD = "overt-camera"

Steps = Generator[Due | Played, None, None]
Outcome = Played | Exception
"""How a thread ended: at the source's end, for an expected reason (CameraError), or by a fault of ours."""


class Feed:
    """Reads `steps` in a daemon thread of its own.

    Without `keep_all` the newest image wins: one that nobody has taken is dropped and counted. With it the thread waits
    until there is room. A `pacer` keeps a file to its own pace. `arrived` is called, from the thread, whenever there is
    something new. `wait` waits so many seconds and tells whether the feed was stopped meanwhile.
    """

    def __init__(
        self,
        steps: Callable[[], Steps],
        *,
        keep_all: bool,
        pacer: Pacer | None,
        clock: Clock,
        monotonic: Callable[[], float],
        arrived: Callable[[], object],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._steps = steps
        self._keep_all = keep_all
        self._pacer = pacer
        self._clock = clock
        self._monotonic = monotonic
        self._arrived = arrived
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._changed = threading.Condition()
        self._images: deque[Taken] = deque()
        self._outcome: Outcome | None = None
        self._dropped = 0
        self._faults: Counter[Fault] = Counter()
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self.run, name=_THREAD, daemon=True)

    # For the one who watches

    def start(self) -> None:
        self._busy_since_s = self._monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Tells the thread to end as soon as the call that it is in returns. Does not wait."""
        self._stopped.set()
        with self._changed:
            self._images.clear()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread; returns whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def busy_s(self) -> float:
        """For how long the thread has been inside one call to the source; 0 when it is not."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else self._monotonic() - since_s

    def take(self) -> Taken | None:
        """The next image, if there is one."""
        with self._changed:
            if not self._images:
                return None
            self._changed.notify_all()
            return self._images.popleft()

    def outcome(self) -> Outcome | None:
        """How it ended, once the last image has been taken; None before."""
        with self._changed:
            return None if self._images else self._outcome

    def counts(self) -> tuple[int, Counter[Fault]]:
        """Images dropped, and images that could not be had, since this was last asked."""
        with self._changed:
            counts = self._dropped, self._faults
            self._dropped, self._faults = 0, Counter()
            return counts

    # The thread

    def run(self) -> None:
        """Reads to the end. The thread runs this; a test may, too."""
        outcome: Outcome | None = None
        try:
            with closing(self._steps()) as steps:
                outcome = self._read(steps)
        except Exception as error:  # whatever it is, it is told to the one who watches
            outcome = error
        finally:
            self._busy_since_s = None
            with self._changed:
                self._outcome = outcome
            self._arrived()

    def _read(self, steps: Steps) -> Played | None:
        while not self._stopped.is_set():
            self._busy_since_s = self._monotonic()
            step = next(steps)
            if isinstance(step, Played):
                return step
            if not self._in_time(step):
                continue
            self._busy_since_s = self._monotonic()
            read_at_us = self._clock()
            image = step.retrieve()
            self._busy_since_s = None
            if isinstance(image, BadImage):
                with self._changed:
                    self._faults[image.fault] += 1
            else:
                self._put(Taken(image, step.position, step.media_time_us, read_at_us))
        return None

    def _in_time(self, step: Due) -> bool:
        """Waits until the image is due; False when it is to be skipped or the feed was stopped."""
        wait_us = 0 if self._pacer is None else self._pacer.wait_us(step.media_time_us)
        if wait_us is None:
            with self._changed:
                self._dropped += 1
            return False
        if wait_us == 0:
            return True
        self._busy_since_s = None
        return not self._wait(wait_us / 1e6)

    def _put(self, taken: Taken) -> None:
        with self._changed:
            while self._keep_all and len(self._images) >= _AHEAD and not self._stopped.is_set():
                self._changed.wait(_LOOK_S)
            if self._stopped.is_set():
                return
            if not self._keep_all and self._images:
                self._images.clear()
                self._dropped += 1
            self._images.append(taken)
        self._arrived()


def threads_left() -> int:
    """Camera threads that still run, in this process. After everything was closed these are stuck in calls that have
    not returned. A process that ends then must end by `os._exit` once its output is flushed: before Python 3.14 a
    thread that comes back from C++ while the interpreter is taken down aborts the process."""
    return sum(thread.name == _THREAD for thread in threading.enumerate())
