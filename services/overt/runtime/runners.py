"""How a batch goes through a stage: stateless, or with a memory for each camera that is covered by cause.

A runner never talks to the bus. What it has worked out counts only when the worker says `keep`; until then a batch that
is put back finds everything as it was before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from overt.messages import Cause
from overt.ports import Fenced, Reason, Reject, Saved, Stage, State, StatefulStage, Unavailable, Undecodable
from overt.runtime.elapsed import Elapsed, elapsed_s
from overt.runtime.logs import where
from overt.runtime.state_codec import StateCodec

_log = logging.getLogger(__name__)

In = TypeVar("In")
In_contra = TypeVar("In_contra", contravariant=True)
Out = TypeVar("Out")
S = TypeVar("S")


class HasCause(Protocol):
    """A message that belongs to a camera and comes from a cause."""

    @property
    def key(self) -> str: ...

    @property
    def cause(self) -> Cause: ...


@dataclass(slots=True)
class Outcome(Generic[Out]):
    """What became of a batch."""

    outputs: list[Out] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    repeats: int = 0
    """Items skipped since their cause was covered already."""

    def add(self, results: Iterable[Out | Reject], index_of: Sequence[int]) -> None:
        """Sorts a stage's results; `index_of` maps its indices to those of the whole batch."""
        for result in results:
            if isinstance(result, Reject):
                self.rejects.append(Reject(index_of[result.index], result.reason))
            else:
                self.outputs.append(result)


class Runner(Protocol[In_contra, Out]):
    """What the worker knows of a stage."""

    def run(self, batch: Sequence[In_contra], /) -> Outcome[Out]:
        """Raises Unavailable; nothing else."""
        ...

    def keep(self) -> None:
        """Step 6: saves what the last `run` has worked out. Raises Fenced, Unavailable."""
        ...

    def forget(self) -> None:
        """Partitions moved: what is remembered of cameras may be stale."""
        ...

    def tidy(self) -> None:
        """Drops what may not be remembered any longer; called about once a second, on the worker's thread."""
        ...


class StatelessRunner(Generic[In, Out]):
    """Runs a stage that remembers nothing."""

    def __init__(self, service: str, stage: Stage[In, Out]) -> None:
        self._service = service
        self._stage = stage

    def run(self, batch: Sequence[In], /) -> Outcome[Out]:
        outcome: Outcome[Out] = Outcome()
        try:
            outcome.add(list(self._stage(batch)), range(len(batch)))
        except Unavailable:
            raise
        except Exception as error:
            say_failure(self._service, error)
            outcome = self._one_by_one(batch)
        return outcome

    def keep(self) -> None:
        """There is nothing to keep."""

    def forget(self) -> None:
        """There is nothing to forget."""

    def tidy(self) -> None:
        """There is nothing to drop."""

    def _one_by_one(self, batch: Sequence[In]) -> Outcome[Out]:
        outcome: Outcome[Out] = Outcome()
        for index, item in enumerate(batch):
            try:
                outcome.add(list(self._stage([item])), [index])
            except Unavailable:
                raise
            except Exception as error:
                say_failure(self._service, error)
                outcome.rejects.append(Reject(index, Reason.FAILED))
        return outcome


@dataclass(frozen=True, slots=True)
class _Known(Generic[S]):
    """A camera's state, the last cause it covers, and when it was made."""

    cause: Cause
    state: S
    made_at_s: float


_BEFORE_ALL: Cause = (-1, -1, -1)


class StatefulRunner(Generic[S]):
    """Runs a stage that remembers each camera.

    For every camera it knows the last cause it has worked off; what is not newer is skipped, so a replay, a paused
    process that wakes, or an older lease's frames change nothing. `restore` completes a state that was loaded or is
    fresh with what the bus still tells (the alerter's cool-downs). Without a `store` states live in this process only.
    `tell` hears of each state that counts, and of None for a camera that may be another replica's now. `life_s`: a
    camera's state that has not changed for so long is emptied, its cause kept: what it holds is biometric.
    """

    def __init__(
        self,
        service: str,
        stage: StatefulStage[S, Any, Any],
        *,
        state_type: type[S],
        store: State | None,
        codec: StateCodec | None,
        restore: Callable[[str, S], S] | None = None,
        tell: Callable[[str, S | None], object] = lambda *_: None,
        life_s: float | None = None,
        elapsed: Elapsed = elapsed_s,
    ) -> None:
        self._service = service
        self._stage = stage
        self._state_type = state_type
        self._store = store
        self._codec = codec
        self._restore = restore
        self._tell = tell
        self._life_s = life_s
        self._elapsed = elapsed
        self._known: dict[str, _Known[S]] = {}
        self._pending: dict[str, _Known[S]] = {}

    def run(self, batch: Sequence[HasCause], /) -> Outcome[Any]:
        self._pending.clear()
        outcome: Outcome[Any] = Outcome()
        by_camera: dict[str, list[int]] = {}
        for index, item in enumerate(batch):
            by_camera.setdefault(item.key, []).append(index)
        for camera, indices in by_camera.items():
            self._run_camera(camera, batch, indices, outcome)
        return outcome

    def keep(self) -> None:
        try:
            self._save()
        except Fenced as fenced:
            for camera in fenced.cameras:  # its successor's state is read when it is needed
                self._known.pop(camera, None)
                self._pending.pop(camera)
            self._take_over()
            raise
        self._take_over()

    def forget(self) -> None:
        if self._store is not None:
            for camera in self._known:
                self._tell(camera, None)
            self._known.clear()
        self._pending.clear()

    def tidy(self) -> None:
        if self._life_s is None:
            return
        since_s = self._elapsed() - self._life_s
        for camera, known in self._known.items():
            if known.made_at_s < since_s:
                self._known[camera] = replace(known, state=self._stage.fresh(camera))

    def _save(self) -> None:
        if self._store is not None and self._codec is not None and self._pending:
            states = {c: Saved(known.cause, self._codec.dumps(known.state, c)) for c, known in self._pending.items()}
            self._store.save(self._service, states)

    def _take_over(self) -> None:
        """What is pending counts."""
        for camera, known in self._pending.items():
            self._known[camera] = known
            self._tell(camera, known.state)
        self._pending.clear()

    def _run_camera(
        self, camera: str, batch: Sequence[HasCause], indices: Sequence[int], outcome: Outcome[Any]
    ) -> None:
        known = self._known.get(camera) or self._load(camera)
        last, newer = known.cause, []
        for index in indices:
            if batch[index].cause > last:
                newer.append(index)
                last = batch[index].cause
        outcome.repeats += len(indices) - len(newer)
        if newer:
            state = self._step(known.state, batch, newer, outcome)
            self._pending[camera] = _Known(last, state, self._elapsed())

    def _step(self, state: S, batch: Sequence[Any], indices: Sequence[int], outcome: Outcome[Any]) -> S:
        try:
            after, results = self._stage.step(state, [batch[i] for i in indices])
            outcome.add(list(results), indices)
            return after
        except Unavailable:
            raise
        except Exception as error:
            say_failure(self._service, error)
        for index in indices:  # one by one, from the state before the batch
            try:
                after, results = self._stage.step(state, [batch[index]])
                outcome.add(list(results), [index])
                state = after
            except Unavailable:
                raise
            except Exception as error:
                say_failure(self._service, error)
                outcome.rejects.append(Reject(index, Reason.FAILED))
        return state

    def _load(self, camera: str) -> _Known[S]:
        saved = self._store.load(self._service, camera) if self._store is not None else None
        cause, state = _BEFORE_ALL, self._stage.fresh(camera)
        if saved is not None and self._codec is not None:
            cause = saved.cause
            try:
                state = self._codec.loads(self._state_type, saved.payload, camera)
            except Undecodable:
                _log.warning("%s: the saved state of camera %s cannot be read and starts afresh", self._service, camera)
        if self._restore is not None:
            state = self._restore(camera, state)
        known = _Known(cause, state, self._elapsed())
        self._known[camera] = known
        return known


def say_failure(service: str, error: Exception) -> None:
    """Logs where a stage failed. Never the exception's text: it may quote values."""
    _log.error("%s: %s at %s", service, type(error).__name__, where(error.__traceback__))
