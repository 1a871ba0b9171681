"""Calls that may block for ever, waited for no longer than one wants.

librdkafka's synchronous commit and its close take no timeout. While a broker accepts connections and answers nothing
(a stopped process, a full disk, a network that swallows packets), a commit was seen to block for minutes; and Python's
binding makes every other call to that client wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class BoundedCalls:
    """Makes calls one after the other in a thread of its own, which starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._begun: Future[Any] | None = None
        """A call that was given up after it had begun."""

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """What `function` returns or raises; TimeoutError when that takes longer.

        A call that has begun then goes on by itself, and the next begins when it is over. One that has not is dropped.
        """
        future = self._put(function)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if not future.cancel():
                self._begun = future
            raise

    def idle(self, timeout_s: float) -> bool:
        """Whether no call is going on, waiting for the end of one that was given up."""
        if self._begun is not None and wait([self._begun], timeout_s).done:
            self._begun = None
        return self._begun is None

    def finish(self, function: Callable[[], object], timeout_s: float) -> bool:
        """Makes the last call, however long it takes to begin; returns whether it was over in time."""
        future = self._put(function)
        self._calls.put(None)
        try:
            future.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def _put(self, function: Callable[[], T]) -> Future[T]:
        if self._thread is None:
            # A daemon: a call that never returns must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, function))
        return future

    def _run(self) -> None:
        while (task := self._calls.get()) is not None:
            future, function = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # told to the caller, as it would be without the thread
                future.set_exception(error)
            else:
                future.set_result(result)
            # Nothing may be held while waiting for the next: a client lives as long as its last reference.
            del task, future, function
