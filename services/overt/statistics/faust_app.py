"""The Faust application: a thin shell around `Tally`. Nothing else in Overt is driven by Faust.

    passes, matches, alerts, adjudications  --agents-->  counted  --agent-->  table of facts, tally  -->  site-stats

An agent for each source makes facts of records and hands them to `counted`, whose one partition brings all cameras'
facts to one worker; the others stand by and go on making facts. The table is the set of all facts, keyed by what makes
each the same, so that whatever comes twice, late, or from a worker that was thought dead writes what is there already.

Faust loses or repeats a record here and there, and this is made harmless in four places:

- A fact counts as handed over, and as kept, when the broker has acknowledged it. Faust itself commits a source's offset
  whether or not its changelog was written.
- An agent that fails never acknowledges the record, and the process ends; by itself Faust acknowledges and goes on.
- In a rebalance Faust acknowledges records that it only skipped. So each assignment reads the last records before the
  committed offset again, more than can be on their way.
- It creates no topic and elects no leader: its topics stand in topics.yaml as all others do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from faust.types import TP

from overt.messages import Fact
from overt.ports import TopicPartition, Undecodable
from overt.statistics.faust_parts import AT_ONCE, BUFFER, App, FactTable, Tables, Transport
from overt.statistics.tally import Tally

_TICK_S = 1.0
_TURN_S = 0.1
_STOP_S = 7.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be sent to partition 0 of a topic."""

    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Broker:
    """How Faust is to reach Kafka, and as which group."""

    urls: Sequence[str]
    credentials: Any | None
    group: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with records, as plain functions."""

    sources: Mapping[str, Callable[[bytes | None], Fact | None]]
    """By topic: its record as a fact; None for what is not counted. Raises Undecodable."""
    counted: str
    facts: str
    """The changelog of the table of facts."""
    dumps: Callable[[Fact], bytes]
    loads: Callable[[bytes], Fact]
    tell: Callable[[Tally, int], Sequence[Outgoing]]
    """What is to be sent now; asked about once a second, with how far `counted` was read."""
    rejected: Callable[[str, int, int, str], None]
    """Told of a record that cannot be read: topic, partition, offset, why."""
    counts: Callable[[Fact, bool], None]
    """Told of each fact, and whether it is new."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What Faust's monitor says, for the metrics."""

    events: int
    rebalances: int
    send_errors: int
    event_s: float
    commit_s: float


class CountingApp:
    """Counts until it is stopped. Constructed, it has connected to nothing."""

    def __init__(self, broker: Broker, work: Work, tally: Tally) -> None:
        self._broker = broker
        self._work = work
        self._tally = tally
        self._app: Any = None
        self._table: Any = None
        self._failure: BaseException | None = None
        self._generation = -1
        self._read_to = 0
        self._told_at_s = float("-inf")
        self.last_turn_s = time.monotonic()

    def run(self, stop: threading.Event) -> BaseException | None:
        """Runs Faust in this thread. Returns None after `stop`, or what ended it before: then nothing was tidied up,
        the loop's threads still run, and the process had better end."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        failure = loop.run_until_complete(self._main(stop))
        if failure is None:
            loop.close()
        return failure

    def ready(self) -> bool:
        """Whether it is in its group and works, or stands by."""
        app = self._app
        return app is not None and self._failure is None and self._settled(app)

    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions that are this worker's. May be called from any thread; never blocks."""
        app = self._app
        consumer = None if app is None else app._consumer
        return frozenset() if consumer is None else frozenset((tp.topic, tp.partition) for tp in consumer.assignment())

    def figures(self) -> Figures | None:
        """From Faust's monitor; None before it runs. May be called from any thread."""
        if (app := self._app) is None:
            return None
        monitor = app.monitor
        return Figures(
            events=monitor.events_total,
            rebalances=app.rebalancing_count,
            send_errors=monitor.send_errors,
            event_s=fmean(list(monitor.events_runtime) or [0.0]),
            commit_s=fmean(list(monitor.commit_latency) or [0.0]),
        )

    # The loop

    async def _main(self, stop: threading.Event) -> BaseException | None:
        app = self._app = self._build()
        try:
            await app.start()
            while not stop.is_set() and self._failure is None:
                self.last_turn_s = time.monotonic()
                if app.should_stop or app.crashed:
                    return app.crash_reason or RuntimeError("Faust has stopped by itself")
                await self._tick(app)
                await asyncio.sleep(_TURN_S)
        except Exception as error:  # Kafka's client has many of its own
            return error
        if self._failure is None:
            await asyncio.wait_for(app.stop(), _STOP_S)
        return self._failure

    async def _tick(self, app: Any) -> None:
        if time.monotonic() - self._told_at_s < _TICK_S or not self._settled(app):
            return
        if TP(self._work.counted, 0) not in app.consumer.assignment():
            return
        self._told_at_s = time.monotonic()
        self._follow(app)
        sent = [
            await app.producer.send(out.topic, out.key.encode(), out.value, 0, None, None)
            for out in self._work.tell(self._tally, self._read_to)
        ]
        await asyncio.gather(*sent)

    def _settled(self, app: Any) -> bool:
        return app.started and not app.rebalancing and app.consumer_generation_id > 0

    # Agents

    async def _make_facts(self, topic: str, stream: Any) -> None:
        fact_of = self._work.sources[topic]
        async for event in stream.events():
            try:
                fact = fact_of(event.value)
                if fact is not None:
                    await self._send(self._work.counted, fact.fact_id, self._work.dumps(fact))
            except Undecodable as error:
                message = event.message
                self._work.rejected(topic, message.partition, message.offset, str(error))
            except Exception as error:  # every kind ends the process, and the record comes again
                await self._fail(error)

    async def _count(self, stream: Any) -> None:
        async for event in stream.events():
            try:
                self._follow(self._app)
                fact = self._work.loads(event.value)
                new = self._tally.add(fact)
                if new:
                    self._table[fact.fact_id.encode()] = event.value
                    await self._table.written()
                self._work.counts(fact, new)
            except Undecodable as error:
                self._work.rejected(self._work.counted, 0, event.message.offset, str(error))
            except Exception as error:  # as above
                await self._fail(error)
            self._read_to = max(self._read_to, event.message.offset + 1)

    async def _send(self, topic: str, key: str, value: bytes) -> None:
        await self._app.producer.send_and_wait(topic, key.encode(), value, 0, None, None)

    async def _fail(self, error: BaseException) -> None:
        """Ends the process without acknowledging the record in hand."""
        self._failure = error
        await asyncio.Event().wait()

    def _follow(self, app: Any) -> None:
        """After partitions moved: what another worker has kept meanwhile is counted here too."""
        if self._generation == app.consumer_generation_id:
            return
        self._generation = app.consumer_generation_id
        self._read_to = max(self._read_to, app.consumer.begun_at.get(TP(self._work.counted, 0), 0))
        for key, value in self._table.data.items():
            if not self._tally.knows(key.decode()):
                self._tally.add(self._work.loads(value))

    def _build(self) -> Any:
        broker, work = self._broker, self._work
        app = App(
            broker.group,
            env={},  # else it reads the process's
            broker=broker.urls,
            broker_credentials=broker.credentials,
            broker_client_id=broker.client_id,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=2.0,
            broker_rebalance_timeout=20.0,
            broker_request_timeout=25.0,
            broker_commit_interval=1.0,
            producer_request_timeout=20.0,
            stream_buffer_maxsize=BUFFER,
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=1,
            web_enabled=False,
            store="memory://",
            TableManager=Tables,
        )
        app.counted = work.counted
        app.transport = Transport(app.conf.broker_consumer, app)
        raw: dict[str, Any] = {
            "key_type": bytes,
            "value_type": bytes,
            "key_serializer": "raw",
            "value_serializer": "raw",
        }
        changelog = app.topic(work.facts, partitions=1, internal=True, compacting=True, **raw)
        self._table = FactTable(
            app, name="facts", partitions=1, key_type=bytes, value_type=bytes, changelog_topic=changelog
        )
        app.tables.add(self._table)
        for name in work.sources:
            app.agent(app.topic(name, **raw), name=f"facts-of-{name}", concurrency=AT_ONCE)(
                _agent(self._make_facts, name)
            )
        counted = app.topic(work.counted, partitions=1, **raw)
        app.agent(counted, name="counting", concurrency=AT_ONCE)(_agent(self._count))
        return app


def _agent(function: Callable[..., Any], *arguments: str) -> Callable[[Any], Any]:
    async def agent(stream: Any) -> None:
        await function(*arguments, stream)

    return agent
