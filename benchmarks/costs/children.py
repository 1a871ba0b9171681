"""One process for each variant: models are loaded there once, then it runs whenever it is told to.

So no variant warms or fills the memory of another, and all CPU time of the process is that of its variant.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from costs.live import Live
from costs.shares import Clocked
from costs.task import Task
from costs.variants import Bare, Embedded, Naive

_MAKE: dict[str, Any] = {
    "bare": Bare,
    "embedded": Embedded,
    "naive": Naive,
    "naive-plain": lambda task: Naive(task, mirror=False),
    "shares": Clocked,
    "live": Live,
}


class VariantFailed(RuntimeError):
    """The process of a variant ended, or says why it cannot run."""


class Child:
    """A variant in a process of its own. Raises VariantFailed from every call."""

    def __init__(self, name: str, task: Task) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, task), daemon=True)
        self._process.start()
        theirs.close()

    def wait_ready(self) -> None:
        """Until it has opened its models. They are opened side by side, runs are one after the other."""
        self._receive()

    def run(self, *arguments: Any) -> Any:
        """One run, with what the variant's `run` takes; blocks until it is done."""
        self._pipe.send(arguments)
        return self._receive()

    def _receive(self) -> Any:
        try:
            failure, value = self._pipe.recv()
        except EOFError as error:
            self._process.join(5)
            raise VariantFailed(f"{self.name}: its process ended with {self._process.exitcode}") from error
        if failure is not None:
            raise VariantFailed(f"{self.name}: {failure}")
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()


def _serve(pipe: Connection, name: str, task: Task) -> None:
    try:
        variant = _MAKE[name](task)
        pipe.send((None, None))
        while True:
            arguments = pipe.recv()
            pipe.send((None, variant.run(*arguments)))
    except EOFError:
        return
    except Exception as error:  # told to the one who asked
        pipe.send((f"{type(error).__name__}: {error}", None))
