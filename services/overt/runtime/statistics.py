"""The statistics service: Faust and the tally on the one side, settings, codec, metrics and the guard's topic on the
other, and a watchdog beside them that believes neither.

Faust is known to stand still after it has lost a broker, with a loop that turns and a consumer that gets nothing. So a
thread asks the cluster, through a client of its own, how far this worker's partitions were read. Where records wait and
none is committed for `OVERT_STATISTICS_STALL_S`, the process ends with exit code 4, and whoever supervises it starts it
again. So it does when Faust gives up by itself. What was not committed comes again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NoReturn, TypeVar

from overt.governance.deployment import Deployment
from overt.governance.fields import microseconds
from overt.identity import pause_id
from overt.messages import TOPIC_OF, Fact, Message
from overt.ports import TopicPartition, Unavailable
from overt.runtime.avro import from_plain, to_plain
from overt.runtime.cluster import kafka_settings, wire_format
from overt.runtime.guard import audit_of, guard_watch
from overt.runtime.kafka import KafkaBacklog, KafkaLog, KafkaSettings
from overt.runtime.logs import where
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.world import group_name, now_us
from overt.statistics.facts import SOURCES, Plain, Scope
from overt.statistics.faust_app import Broker, CountingApp, Figures, Outgoing, Work
from overt.statistics.faust_broker import credentials, urls
from overt.statistics.guard import Bound
from overt.statistics.pause import watch
from overt.statistics.progress import Progress, Standing
from overt.statistics.tally import MINUTE_US, Tally

_log = logging.getLogger(__name__)

SERVICE = "statistics"
FACTS = "statistics-facts"
"""The topic without a record of its own: the changelog of the table of facts."""
_ASK_S = 2.0
_GUARD_AGAIN_S = 10.0
_LATE_US = MINUTE_US
_CODE = 4

M = TypeVar("M")


class StatisticsService:
    """Counts and guards the site of one deployment. Constructed, it has connected to nothing; raises SettingsError."""

    def __init__(self, deployment: Deployment, settings: Settings, metrics: Metrics) -> None:
        self._deployment = deployment
        self._stall_s = settings.statistics_stall_s
        self._prefix = settings.topic_prefix
        self._metrics = metrics
        self._avro = wire_format(settings)
        self._kafka = kafka_settings(settings, SERVICE)
        self._group = group_name(self._prefix, deployment.deployment_id, SERVICE)
        self._guard = guard_watch(deployment, self._prefix, self._avro, KafkaLog(self._kafka))
        self._scope = scope_of(deployment)
        self._bound = bound_of(deployment)
        self._paused_at_s = float("-inf")
        self._app = CountingApp(_broker(self._kafka, self._group), self._work(), Tally(self._scope, self._site))
        self._told = Figures(0, 0, 0, 0.0, 0.0)

    @property
    def last_turn_s(self) -> float:
        """When the loop last turned, by the monotonic clock."""
        return self._app.last_turn_s

    def ready(self) -> bool:
        """Whether it is in its group, and knows what was last said of the site."""
        ready = self._app.ready() and self._guard.known()
        self._metrics.ready.labels(SERVICE).set(ready)
        return ready

    def refresh(self) -> None:
        """Brings the gauges of Faust's monitor up to date."""
        figures, told = self._app.figures(), self._told
        if figures is None:
            return
        metrics, self._told = self._metrics, figures
        metrics.statistics_events.inc(figures.events - told.events)
        metrics.statistics_rebalances.inc(figures.rebalances - told.rebalances)
        metrics.statistics_send_errors.inc(figures.send_errors - told.send_errors)
        metrics.statistics_event_seconds.set(figures.event_s)
        metrics.statistics_commit_seconds.set(figures.commit_s)

    def run(self, stop: threading.Event) -> None:
        """Counts until `stop`. Where Faust gives up or stands still, the process ends."""
        make_discreet()
        self._wait_for_kafka(stop)
        if stop.is_set():
            return
        threading.Thread(target=self._watch_progress, args=(stop,), name="progress", daemon=True).start()
        failure = self._app.run(stop)
        self._guard.close()
        if failure is not None:
            leave(f"Faust has given up: {type(failure).__name__} at {where(failure.__traceback__)}")

    # What Faust is told to do

    def _work(self) -> Work:
        return Work(
            sources={self._prefix + name: partial(self._fact, *source) for name, source in SOURCES.items()},
            counted=self._prefix + TOPIC_OF[Fact],
            facts=self._prefix + FACTS,
            dumps=self._dumps,
            loads=partial(self._loads, Fact),
            tell=self._tell,
            rejected=self._rejected,
            counts=self._counts,
        )

    def _fact(self, name: str, of: Callable[[Scope, Plain], Fact | None], value: bytes | None) -> Fact | None:
        return of(self._scope, self._avro.loads(name, value))

    def _dumps(self, message: Message) -> bytes:
        return self._avro.dumps(type(message).__name__, to_plain(message))

    def _loads(self, cls: type[M], value: object) -> M:
        return from_plain(cls, self._avro.loads(cls.__name__, value))

    def _rejected(self, topic: str, partition: int, offset: int, why: str) -> None:
        self._metrics.rejects.labels(SERVICE, "undecodable").inc()
        _log.warning("%s [%d], offset %d: not counted: %s", topic, partition, offset, why)

    def _counts(self, fact: Fact, new: bool) -> None:
        metrics = self._metrics
        metrics.records.labels(SERVICE).inc()
        if not new:
            metrics.repeats.labels(SERVICE).inc()
            return
        metrics.statistics_facts.labels(fact.fact.value).inc()
        if now_us() - (fact.at_us // MINUTE_US + 1) * MINUTE_US > _LATE_US:
            metrics.statistics_late.inc()

    def _tell(self, tally: Tally, revision: int) -> Sequence[Outgoing]:
        """Windows that have changed, and the pause of the site where its guard demands it."""
        messages: list[Message] = [*tally.take_touched(revision), *self._pause(tally)]
        return [Outgoing(self._prefix + TOPIC_OF[type(m)], m.key, self._dumps(m)) for m in messages]

    # The guard

    def _pause(self, tally: Tally) -> Iterable[Message]:
        if not self._guard.known():
            return ()  # it may be paused already, or resumed since some moment
        last = self._guard.last()
        weighed, pause = watch(self._scope.deployment_id, self._site, self._bound, last, tally.minutes(), now_us())
        metrics = self._metrics
        metrics.guard_paused.labels(SERVICE).set(weighed is None or pause is not None)
        metrics.guard_unjudged_alerts.set(tally.unjudged())
        if weighed is None:
            metrics.guard_evidence.set(1.0)
            return ()
        metrics.guard_evidence.set(max(0.0, weighed.evidence / self._bound.upper))
        metrics.guard_passes.set(weighed.passes)
        metrics.guard_false_alerts.set(weighed.false_alerts)
        if pause is None or time.monotonic() - self._paused_at_s < _GUARD_AGAIN_S:
            return ()  # said a moment ago, and not heard of yet
        self._paused_at_s = time.monotonic()
        _log.error("the site is paused by its guard: %s", pause.reason)
        return (pause, audit_of(pause, pause_id(pause.deployment_id, pause.weighed_until_us)))

    @property
    def _site(self) -> str:
        return self._deployment.site.site_id

    # The watchdog

    def _wait_for_kafka(self, stop: threading.Event) -> None:
        """Faust gives up at once where no broker answers; a service waits."""
        backlog = KafkaBacklog(self._kafka, self._prefix + "alerts", self._group)
        while not stop.is_set():
            try:
                backlog.standing(0)
                break
            except Unavailable as error:
                _log.warning("statistics: waiting: %s", error)
                stop.wait(1.0)
        backlog.close()

    def _watch_progress(self, stop: threading.Event) -> None:
        backlogs: dict[str, KafkaBacklog] = {}
        progress = Progress()
        while not stop.wait(_ASK_S):
            try:
                standings = {place: self._standing(backlogs, place) for place in self._watched()}
            except Unavailable as error:
                _log.warning("statistics: %s", error)
                progress.excuse()
                continue
            stuck_s = progress.observe(standings, time.monotonic())
            waiting = dict.fromkeys((topic for topic, _ in standings), 0)
            for (topic, _), standing in standings.items():
                waiting[topic] += standing.waiting
            for topic, count in waiting.items():
                self._metrics.statistics_lag.labels(topic).set(count)
            self._metrics.statistics_stalled.set(stuck_s > self._stall_s / 2)
            if stuck_s > self._stall_s:
                leave(f"records wait and none was counted for {stuck_s:.0f} s")

    def _watched(self) -> Iterable[TopicPartition]:
        """The worker's own partitions. One that has none looks at those that all cameras share: where nobody reads
        them, it should have been given them."""
        mine = {place for place in self._app.assigned() if place[0] != self._prefix + FACTS}
        return mine or {(self._prefix + name, 0) for name in ("alerts", "adjudications", TOPIC_OF[Fact])}

    def _standing(self, backlogs: dict[str, KafkaBacklog], place: TopicPartition) -> Standing:
        topic, partition = place
        if topic not in backlogs:
            backlogs[topic] = KafkaBacklog(self._kafka, topic, self._group)
        return Standing(*backlogs[topic].standing(partition))


def leave(why: str) -> NoReturn:
    """Ends the process at once, with all its threads: what hangs cannot be asked to end."""
    _log.critical("statistics: %s; ending, to be started again", why)
    logging.shutdown()
    os._exit(_CODE)


def scope_of(deployment: Deployment) -> Scope:
    """Which records are the deployment's own."""
    starts = {c.camera_id: None if c.started_at is None else microseconds(c.started_at) for c in deployment.cameras}
    return Scope(deployment.deployment_id, (deployment.window.start_us, deployment.window.end_us), starts)


def bound_of(deployment: Deployment) -> Bound:
    """The test of the deployment's guard."""
    guard = deployment.guard
    return Bound(guard.false_alert_ceiling, guard.detectable, guard.alpha, guard.beta)


def _broker(kafka: KafkaSettings, group: str) -> Broker:
    try:
        return Broker(urls(kafka.bootstrap), credentials(kafka.extra), group, kafka.client_id)
    except (ValueError, OSError) as error:
        raise SettingsError(f"OVERT_KAFKA_CONFIG: {error}") from None


class _Discreet(logging.Handler):
    """Passes on who complains and how, never what they had in hand: Faust and its client quote whole records."""

    def emit(self, record: logging.LogRecord) -> None:
        template = str(record.msg).splitlines() or [""]
        text = template[0].partition("%r")[0].partition("{")[0][:80] if record.args else template[0][:60]
        _log.log(record.levelno, "%s: %s (%s:%d)", record.name, text.strip(), record.filename, record.lineno)


def make_discreet() -> None:
    """Has Faust, its parts and its client say only who complains and where."""
    # Faust's parts log in the name of the module that derives from them.
    for name in ("faust", "mode", "aiokafka", "asyncio", "overt.statistics.faust_parts"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [_Discreet()], False
        logger.setLevel(logging.WARNING)
