"""Which images of a source are taken, at which position and time, from the beginning or from where another stopped.

For a file this is a function of the file and the settings alone: every replica that plays it gets the same positions
and times, so a successor can go on where its predecessor stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from overt.frame.reader import BadImage, EndOfSource, Reader
from overt.picture import Bgr


@dataclass(frozen=True, slots=True)
class Playback:
    """How a source is played. Times are microseconds of the source's own time, over all its repetitions."""

    fps: float | None = None
    """Most images taken for each second; None: all."""
    loop: bool = False
    """Whether a file starts again at its end; times and positions go on."""
    resume_at: int = 0
    """Position from which images are handed out; those before it are passed over."""
    from_us: int = 0
    """Images before this time are not taken and have no position."""
    until_us: int | None = None
    """From this time on nothing is taken: the source ends there."""


@dataclass(frozen=True, slots=True)
class Due:
    """The next image to be taken."""

    position: int
    """Number among the images taken, from 0. A damaged image has one too."""
    media_time_us: int
    retrieve: Callable[[], Bgr | BadImage]
    """Makes the pixels; to be called before the next step, or not at all."""


@dataclass(frozen=True, slots=True)
class Played:
    """The end."""

    position: int
    """Images taken in all; also those that were passed over."""
    media_time_us: int
    """Time of the last image taken; 0 when there was none."""
    damage: str | None
    """What the source lacks of what it declares, in words."""


class Sampler:
    """Takes at most `fps` images for each second, evenly: one is taken when it is due, or due within a quarter of the
    interval, so that a source of exactly that rate with rounded times loses nothing."""

    def __init__(self, fps: float | None) -> None:
        self._interval_us = 0 if fps is None else round(1e6 / fps)
        self._due_us = 0

    def takes(self, media_time_us: int) -> bool:
        """Whether the image of this time is taken; to be asked once for each image, in order."""
        if media_time_us < self._due_us - self._interval_us // 4:
            return False
        # Without a gap the rhythm stays even; after one it starts afresh, and what was missed is not made up for.
        on_time = media_time_us - self._due_us < self._interval_us
        self._due_us = (self._due_us if on_time else media_time_us) + self._interval_us
        return True


def play(open_it: Callable[[], Reader], playback: Playback) -> Generator[Due | Played, None, None]:
    """The images to be taken, in order, and at last Played. Opens on the first step; closing the iterator closes the
    source. Raises CameraError."""
    return _Player(open_it, playback).steps()


class _Player:
    def __init__(self, open_it: Callable[[], Reader], playback: Playback) -> None:
        self._open = open_it
        self._playback = playback
        self._position = 0
        self._offset_us = 0
        self._last_us = 0
        self._cut = False

    def steps(self) -> Generator[Due | Played, None, None]:
        while True:
            first = self._position
            reader = self._open()
            try:
                end = yield from self._pass(reader)
            finally:
                reader.close()
            if self._cut or not self._playback.loop:
                yield Played(self._position, self._last_us, end.damage)
                return
            whole = self._offset_us >= self._playback.from_us
            self._offset_us += end.duration_us
            if whole:
                self._jump(self._position - first, end.duration_us)

    def _pass(self, reader: Reader) -> Generator[Due, None, EndOfSource]:
        """One reading from the beginning to the end, or to the time at which all ends."""
        plan, sampler = self._playback, Sampler(self._playback.fps)
        while not isinstance(grabbed := reader.grab(), EndOfSource):
            at_us = self._offset_us + grabbed.media_time_us
            if plan.until_us is not None and at_us >= plan.until_us:
                self._cut = True
                return EndOfSource(grabbed.number, grabbed.media_time_us)
            if at_us < plan.from_us or not sampler.takes(grabbed.media_time_us):
                continue
            self._last_us = at_us
            self._position += 1
            if self._position > plan.resume_at:
                yield Due(self._position - 1, at_us, reader.retrieve)
        return grabbed

    def _jump(self, taken: int, duration_us: int) -> None:
        """Passes over whole repetitions that a successor need not read again: all are like the one just read."""
        if not taken:
            return
        times = max(0, (self._playback.resume_at - self._position) // taken)
        if self._playback.until_us is not None:
            times = min(times, max(0, (self._playback.until_us - self._offset_us) // duration_us))
        self._position += times * taken
        self._offset_us += times * duration_us
        self._last_us += times * duration_us
