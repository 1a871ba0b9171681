"""The one loop. Poll, commit, pause and dead-letter live here and nowhere else.

Each turn, in this order:

1. poll a batch,
2. decode and unseal it; shed frames that are past their deadline,
3. run the stage,
4. produce its outputs, and a dead letter for each reject; an input of which an output cannot be sent is one, too,
5. flush: until the bus has all of it nothing counts,
6. save state,
7. commit.

A crash between any two steps repeats the batch and, since identities come from causes, repeats its outputs. When the
broker or Redis is away in any step, the batch is put back and state stays as it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from overt.messages import Frame, Message, Sightings
from overt.picture import BadPicture
from overt.ports import (
    HARMLESS,
    Clock,
    Codec,
    Fenced,
    KeyGone,
    NotAuthentic,
    Reason,
    Record,
    Reject,
    Sink,
    Source,
    TooLarge,
    TopicPartition,
    Unavailable,
    Undecodable,
)
from overt.runtime.dead_letters import headers_of
from overt.runtime.limit import RejectLimit, RejectWindow
from overt.runtime.metrics import Metrics
from overt.runtime.origin import origin_of
from overt.runtime.runners import Runner, say_failure
from overt.runtime.tally import Tally
from overt.runtime.tracing import NO_TRACING, Tracing, Trail

_log = logging.getLogger(__name__)

_LONGEST_BACKOFF_S = 2.0
_EVERY_S = 1.0


class Companion(Protocol):
    """Something that the stage looks things up in and that must be kept up to date: the matcher's watchlist."""

    def follow(self) -> None:
        """Takes in what is new, without waiting. Raises Unavailable."""
        ...

    def ready(self) -> bool: ...

    def close(self) -> None:
        """Called once, when the worker ends."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker does, apart from the stage."""

    service: str
    reads: str
    """Topic, with prefix."""
    most: int
    """Records in a batch at most."""
    route: Callable[[Message], tuple[str, int | None]]
    """Topic (with prefix) and partition (None: hash the key) of an output."""
    deadletters: str
    realtime: bool = True
    """Whether capture times are those of now, so that latency can be told from them."""
    flush_s: float = 8.0
    poll_s: float = 0.2
    limit: RejectLimit = field(default_factory=RejectLimit)


@dataclass(slots=True)
class _Batch:
    """A polled batch after step 2: what goes on to the stage, and what is rejected already."""

    kept: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def came_of(self, output: Any) -> int:
        """The index of the polled record that an output came of."""
        return self.kept[origin_of(output, self.messages)]


class Worker:
    """Drives one stage. `run` blocks until it is told to stop, and then drains: the batch in hand is finished."""

    def __init__(
        self,
        plan: Plan,
        runner: Runner[Any, Any],
        *,
        source: Source,
        sink: Sink,
        codec: Codec,
        metrics: Metrics,
        clock: Clock,
        stamp: Callable[[Message, int], Message] = lambda message, _: message,
        observe: Callable[[Sightings], None] | None = None,
        companion: Companion | None = None,
        chores: Callable[[], object] = lambda: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._source = source
        self._sink = sink
        self._codec = codec
        self._tally = Tally(plan.service, metrics, clock, realtime=plan.realtime)
        self._clock = clock
        self._stamp = stamp
        self._observe = observe
        self._companion = companion
        self._chores = chores
        self._tracing = tracing
        self._window = RejectWindow(plan.limit)
        self._assigned: set[TopicPartition] = set()
        self._joined = False
        self._failures = 0
        self._said_waiting = False
        self._looked_at_s = 0.0
        self.last_turn_s = time.monotonic()

    # The loop

    def run(self, stop: threading.Event) -> None:
        """Turns until `stop` is set; then leaves the group. Raises what is nobody's fault but ours."""
        self.open()
        try:
            while not stop.is_set():
                self.turn()
                if self._failures:
                    stop.wait(min(0.05 * 2**self._failures, _LONGEST_BACKOFF_S))
        finally:
            self.close()

    def open(self) -> None:
        self._source.subscribe([self._plan.reads], self)

    def close(self) -> None:
        self._source.close()
        self._sink.close()
        if self._companion is not None:
            self._companion.close()

    def turn(self) -> int:
        """One turn of the loop; returns how many records it has finished."""
        self.last_turn_s = time.monotonic()
        records: Sequence[Record] = ()
        try:
            if self._companion is not None:
                self._companion.follow()
                if not self._companion.ready():  # what it would answer now is not the truth yet
                    self._failures = 0
                    time.sleep(0.01)
                    return 0
            records = self._source.poll(self._plan.most, self._plan.poll_s)  # 1
            if records:
                with self._tracing.working(self._plan.service, records) as trail:
                    self._work_off(records, trail)
            self._go_on()
        except Unavailable as error:
            self._put_back(records, str(error))
            return 0
        except Fenced:
            self._tally.fenced()
            self._source.rewind(records)
            return 0
        finally:
            self._look_around()
        return len(records)

    def _work_off(self, records: Sequence[Record], trail: Trail) -> None:
        batch = self._decode(records)  # 2
        started = time.perf_counter()
        outcome = self._runner.run(batch.messages)  # 3
        took = time.perf_counter() - started
        now = self._clock()
        outputs = [m if isinstance(m, Sightings) else self._stamp(m, now) for m in outcome.outputs]
        sent, unsent = self._produce(outputs, batch, trail)  # 4
        rejects = batch.rejects + [Reject(batch.kept[r.index], r.reason) for r in (*outcome.rejects, *unsent)]
        self._bury(rejects, records, trail)
        self._sink.flush(self._plan.flush_s)  # 5
        self._runner.keep()  # 6
        self._source.commit(records)  # 7
        self._tally.worked_off(len(records), outcome.repeats, took)
        self._tally.became(batch.messages, sent, rejects)
        self._weigh(records, rejects)

    def ready(self) -> bool:
        """Whether the service is in its group (a spare member, too), sees its world and knows its watchlist."""
        joined = self._joined or self._source.spare()
        return joined and not self._failures and (self._companion is None or self._companion.ready())

    # Its steps

    def _decode(self, records: Sequence[Record]) -> _Batch:
        batch = _Batch()
        for index, record in enumerate(records):
            try:
                message = self._codec.decode(record)
            except Undecodable:
                batch.rejects.append(Reject(index, Reason.UNDECODABLE))
            except KeyGone:
                batch.rejects.append(Reject(index, Reason.KEY_GONE))
            except NotAuthentic:
                batch.rejects.append(Reject(index, Reason.NOT_AUTHENTIC))
            else:
                if not self._too_late(message, record):
                    batch.kept.append(index)
                    batch.messages.append(message)
        return batch

    def _too_late(self, message: Message, record: Record) -> bool:
        """The one place where something is dropped for being late: a frame past its deadline. It is counted."""
        if not isinstance(message, Frame):
            return False
        if message.deadline_us is None:
            return False
        late = self._clock() > message.deadline_us
        self._tally.arrived(message, record.timestamp_us, late=late)
        return late

    def _produce(self, outputs: Sequence[Any], batch: _Batch, trail: Trail) -> tuple[list[Any], list[Reject]]:
        """Queues the outputs. Returns those that can be sent, and a reject (an index of the batch's messages) for each
        input of which something cannot be: it would fail the same way for ever, and everything else waits for it."""
        sent, blamed = [], set[int]()
        for output in outputs:
            if isinstance(output, Sightings):
                if self._observe is not None:
                    self._observe(output)
                continue
            topic, partition = self._plan.route(output)
            headers = trail.headers(partial(batch.came_of, output))
            try:
                value = self._codec.encode(output)
                self._sink.produce(topic, key=output.key, value=value, partition=partition, headers=headers)
            except (BadPicture, TooLarge) as error:
                say_failure(self._plan.service, error)
                blamed.add(origin_of(output, batch.messages))
            else:
                sent.append(output)
        return sent, [Reject(index, Reason.UNENCODABLE) for index in sorted(blamed)]

    def _bury(self, rejects: Sequence[Reject], records: Sequence[Record], trail: Trail) -> None:
        """Queues a dead letter for each reject."""
        for reject in rejects:
            trail.rejected(reject.index, reject.reason)
            origin = records[reject.index]
            headers = headers_of(self._plan.service, reject.reason, origin)
            self._sink.produce(self._plan.deadletters, key=origin.key, value=None, headers=headers)

    def _put_back(self, records: Sequence[Record], why: str) -> None:
        self._failures = min(self._failures + 1, 8)
        self._tally.put_back()
        if not self._said_waiting:
            _log.warning("%s: waiting: %s", self._plan.service, why)
            self._said_waiting = True
        self._source.rewind(records)

    def _go_on(self) -> None:
        if self._said_waiting:
            _log.info("%s: goes on", self._plan.service)
        self._failures, self._said_waiting = 0, False

    # The limit on rejects

    def _weigh(self, records: Sequence[Record], rejects: Sequence[Reject]) -> None:
        """Notes for each partition what was rejected of it; one that passes the limit rests."""
        now_s = time.monotonic()
        harmful = {reject.index for reject in rejects if reject.reason not in HARMLESS}
        for index, record in enumerate(records):
            self._limit((record.topic, record.partition), index in harmful, now_s)

    def _limit(self, partition: TopicPartition, rejected: bool, now_s: float) -> None:
        if self._window.note(partition, rejected, now_s):
            topic, number = partition
            _log.error(
                "%s: too many rejects: %s/%d rests for %.0f s; look at the camera that writes it",
                self._plan.service,
                topic,
                number,
                self._plan.limit.rest_s,
            )
            self._source.pause(partition)
            self._tally.rests(partition, True)

    def _look_around(self) -> None:
        """Ends rests that are over; once a second tells the lag and does the process's chores."""
        now_s = time.monotonic()
        for partition in self._window.rested(now_s):
            if partition in self._assigned:
                self._source.resume(partition)
            self._tally.rests(partition, False)
        if now_s - self._looked_at_s >= _EVERY_S:
            self._looked_at_s = now_s
            self._chores()
            self._tally.stands(self._source.lag(), ready=self.ready())

    # What the source tells (overt.ports.Rebalance)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._joined = True
        self._assigned.update(partitions)
        self._runner.forget()

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Whatever was polled is finished and committed: `poll` is only called between batches."""
        self._leave(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        named = ", ".join(f"{topic}/{number}" for topic, number in partitions)
        _log.warning("%s: %s are another replica's by now: this one was away for too long", self._plan.service, named)
        self._joined = False
        self._leave(partitions)

    def _leave(self, partitions: Sequence[TopicPartition]) -> None:
        self._assigned.difference_update(partitions)
        self._runner.forget()
        for partition in partitions:
            self._window.forget(partition)
            self._tally.left(partition)
