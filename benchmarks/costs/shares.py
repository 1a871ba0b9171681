"""Where the embedded pipeline's CPU time goes: the stages' own functions, clocked on the thread that runs them.

Clocking is put around the product's functions for one run and taken off again. What a function calls that is clocked
itself is counted there and not twice. The rest of the process's time is that of loops, bus, threads and metrics.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from costs.task import Task, open_models
from costs.variants import Embedded
from overt.alerter.stage import AlerterStage
from overt.detector import choice, views
from overt.detector.align import Aligner
from overt.detector.locate import Locator
from overt.detector.stage import DetectorStage
from overt.embedder.stage import EmbedderStage
from overt.frame.folder import FolderReader
from overt.frame.video import VideoReader
from overt.frame.zone import Zone
from overt.matcher.stage import MatcherStage
from overt.models.session import Session
from overt.runtime.memory import MemoryLog, MemorySink, MemorySource
from overt.runtime.worker import Worker

DECODE = "decode"
ZONE = "zone cut out"
FIND = "find faces: network"
FIND_AROUND = "find faces: reduce, convert, read boxes"
LOOK = "second look: network"
LOOK_AROUND = "second look: cut, convert, read boxes"
TRACK = "track and choose"
ALIGN = "align"
QUALITY = "quality"
VIEW = "thumbnail"
EMBED = "embed: network"
EMBED_AROUND = "embed: convert, mirror, normalise"
MATCH = "match"
ALERT = "alert"
BUS = "bus"
LOOPS = "worker loops and metrics"
REST = "frame loop, threads, waiting"

ORDER = (
    *(DECODE, ZONE, FIND, FIND_AROUND, LOOK, LOOK_AROUND, TRACK, QUALITY, ALIGN, VIEW),
    *(EMBED, EMBED_AROUND, MATCH, ALERT, BUS, LOOPS, REST),
)
NETWORKS = (FIND, LOOK, EMBED)

_FUNCTIONS: tuple[tuple[object, str, str], ...] = (
    (VideoReader, "grab", DECODE),
    (VideoReader, "retrieve", DECODE),
    (FolderReader, "retrieve", DECODE),
    (Zone, "cut", ZONE),
    (Locator, "locate", FIND_AROUND),
    (Locator, "look", LOOK_AROUND),
    (DetectorStage, "step", TRACK),
    (Aligner, "chip", ALIGN),
    (choice, "calibrated", QUALITY),
    (choice, "promise", QUALITY),
    (views, "thumbnail", VIEW),
    (EmbedderStage, "step", EMBED_AROUND),
    (MatcherStage, "__call__", MATCH),
    (AlerterStage, "step", ALERT),
    (MemorySource, "poll", BUS),
    (MemorySource, "commit", BUS),
    (MemorySink, "produce", BUS),
    (MemoryLog, "read", BUS),
    (Worker, "turn", LOOPS),
)
_NETWORK_IN = {FIND_AROUND: FIND, LOOK_AROUND: LOOK, EMBED_AROUND: EMBED}


class Ledger:
    """CPU seconds by stage, over all threads. A thread writes in a book of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self._books: list[dict[str, float]] = []

    def clocked(self, function: Callable[..., Any], stage: str | None) -> Callable[..., Any]:
        """The function, its time noted under `stage`; None: under the network of the stage that calls it."""

        @functools.wraps(function)
        def clocked(*args: Any, **named: Any) -> Any:
            book, stack = self._open()
            name = stage or _NETWORK_IN.get(stack[-1][0] if stack else "", REST)
            stack.append([name, 0.0])
            began = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                took = time.thread_time() - began
                book[name] = book.get(name, 0.0) + took - stack.pop()[1]
                if stack:
                    stack[-1][1] += took

        return clocked

    def total(self) -> dict[str, float]:
        """Seconds by stage."""
        with self._lock:
            names = {name for book in self._books for name in book}
            return {name: sum(book.get(name, 0.0) for book in self._books) for name in names}

    def _open(self) -> tuple[dict[str, float], list[list[Any]]]:
        if not hasattr(self._here, "book"):
            self._here.book, self._here.stack = {}, []
            with self._lock:
                self._books.append(self._here.book)
        return self._here.book, self._here.stack


@contextmanager
def clocks(ledger: Ledger) -> Iterator[None]:
    """Puts the clocks on, and takes them off."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in _FUNCTIONS]
    before.append((Session, "run", Session.run))
    try:
        for owner, name, stage in _FUNCTIONS:
            setattr(owner, name, ledger.clocked(getattr(owner, name), stage))
        Session.run = ledger.clocked(Session.run, None)  # type: ignore[method-assign]  # taken off below
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


@dataclass(frozen=True, slots=True)
class Shares:
    """One run, clocked."""

    cpu_s: float
    wall_s: float
    by_stage: Mapping[str, float]


class Clocked:
    """The embedded pipeline with clocks on. Costs a little more than without, so it is not what ratios are made of."""

    def __init__(self, task: Task) -> None:
        self._embedded = Embedded(task, open_models(task))
        self._embedded.run()

    def run(self) -> Shares:
        ledger = Ledger()
        with clocks(ledger):
            result = self._embedded.run()
        stages = ledger.total()
        stages[REST] = stages.get(REST, 0.0) + result.cpu_s - sum(stages.values())
        return Shares(result.cpu_s, result.wall_s, stages)
