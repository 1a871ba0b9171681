"""How far a long step has come, on standard error: on a terminal one line that is written over, elsewhere now and then
a line of its own."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from overt.models.obtain import Progress, Step

_TICK_S = 0.5
_FIRST_LINE_S = 10.0
"""Off a terminal: the first line comes after this long, each later one after twice as long as the one before."""
_QUARTER = 25
_PACE_S = 30.0
"""Seconds that a rate is taken over."""
_SAMPLE_S = 0.2
"""Least time between what is shown, and between what a rate is taken from."""


class _Line:
    """The one line of a terminal that is written over. Whoever prints something else clears it first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shown = False

    def show(self, text: str) -> None:
        """Writes the text over the line, cut to the terminal's width."""
        width = shutil.get_terminal_size().columns - 1
        with self._lock:
            sys.stderr.write(f"\r\033[K{text[:width]}")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Takes the line away where one is shown."""
        with self._lock:
            if self._shown:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()
                self._shown = False

    def above(self, text: str, *, err: bool) -> None:
        """Prints a line that stays where this one was."""
        with self._lock:
            self.clear()
            click.echo(text, err=err)


_LINE = _Line()


def clear() -> None:
    """Makes room for another message."""
    _LINE.clear()


def say(text: str) -> None:
    """A line on standard error that stays."""
    _LINE.above(text, err=True)


def tell(text: str) -> None:
    """A result, on standard output. Raises OSError when it cannot be written."""
    _LINE.above(text, err=False)


class Bar:
    """Called with how much is done and how much there is: `what: 3/7`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._quarter = -1

    def __call__(self, done: int, total: int) -> None:
        text = f"{self._what}: {done}/{total}"
        if sys.stderr.isatty() and done < total:
            _LINE.show(text)
            return
        quarter = 100 * done // max(total, 1) // _QUARTER
        if quarter > self._quarter:
            self._quarter = quarter
            say(text)


class Pace:
    """As `Bar`, for long work that may take many small steps: with the rate of the last seconds and the time that is
    left at that rate. Off a terminal it speaks as `during` does, and at the end."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._next_s, self._gap_s = clock() + _FIRST_LINE_S, _FIRST_LINE_S
        self._ended = False

    def __call__(self, done: int, total: int) -> None:
        now_s = self._clock()
        if done < total and now_s - self._seen[-1][0] < _SAMPLE_S:
            return
        self._seen.append((now_s, done))
        while now_s - self._seen[0][0] > _PACE_S and len(self._seen) > 2:
            self._seen.popleft()
        if done >= total:
            if not self._ended:
                say(f"{self._what}: {done}/{total}")
            self._ended = True
            return
        text = f"{self._what}: {done}/{total}{self._rate(total - done)}"
        if sys.stderr.isatty():
            _LINE.show(text)
        elif now_s >= self._next_s:
            self._gap_s *= 2
            self._next_s += self._gap_s
            say(text)

    def _rate(self, left: int) -> str:
        (then_s, then), (now_s, now) = self._seen[0], self._seen[-1]
        if now_s <= then_s or now <= then:
            return ""
        a_second = (now - then) / (now_s - then_s)
        return f", {a_second:{'.0f' if a_second >= 100 else '.3g'}}/s, {_spoken(left / a_second)} left"


def _spoken(seconds: float) -> str:
    """A duration as one says it: `40 s`, `4 min`, `2 h 10 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class Downloads:
    """Called with the progress of files that are obtained, one after the other."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, progress: Progress) -> None:
        if progress.step is Step.READY:
            clear()
            return
        done_mb, total_mb = progress.done_bytes / 1e6, progress.total_bytes / 1e6
        text = f"{progress.name}: {progress.step.value}"
        if sys.stderr.isatty():
            _LINE.show(text + (f" {done_mb:.1f} of {total_mb:.1f} MB" if total_mb else ""))
        elif text != self._said:
            self._said = text
            say(text + (f" of {total_mb:.1f} MB" if total_mb else ""))


@contextmanager
def during(status: Callable[[], str]) -> Iterator[None]:
    """Shows what `status` says, again and again until the block ends. It is called on a thread of its own."""
    over = threading.Event()
    thread = threading.Thread(target=_keep_telling, args=(status, over), name="progress", daemon=True)
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(_above)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for handler in handlers:
            handler.removeFilter(_above)
        clear()


def _above(record: logging.LogRecord) -> bool:
    """A filter that lets everything pass, above the line."""
    del record
    clear()
    return True


def _keep_telling(status: Callable[[], str], over: threading.Event) -> None:
    next_s, gap_s = time.monotonic() + _FIRST_LINE_S, _FIRST_LINE_S
    while not over.wait(_TICK_S):
        if sys.stderr.isatty():
            _LINE.show(status())
        elif time.monotonic() >= next_s:
            gap_s *= 2
            next_s += gap_s
            say(status())
