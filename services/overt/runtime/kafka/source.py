"""One member of a consumer group."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Place

from overt.ports import Rebalance, Record, TopicPartition, Unavailable
from overt.runtime.kafka.bounded import BoundedCalls
from overt.runtime.kafka.client import KafkaSettings, Trouble, hint, log, make, reason, to_record
from overt.runtime.kafka.commits import NO_PARTITION, REFUSED_BY_REBALANCE, OwedCommits
from overt.runtime.kafka.properties import MEMBER

_REFUSED_BY_CLUSTER = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    }
)
_SPARE_S = 4.0
_ADRIFT_S = 20.0
_CLOSE_S = 3.0


class KafkaSource:
    """See `overt.ports.Source`. For one thread.

    Only `poll`, `commit` and `close` speak to Kafka, each for a bounded time. `rewind`, `pause` and `resume` say what
    the next `poll` brings about first, so they work while Kafka is away.

    A rebalance is heard inside librdkafka's callback and told to the worker right after it, still inside `poll` and
    before any record of a new partition. A `Rebalance` that raises is told again at the next `poll`; no record is lost.

    A topic that is deleted and made again is read from its beginning, except one that outgrows the old position within
    the second before anybody looks: stop the services before doing that.
    """

    def __init__(
        self, settings: KafkaSettings, group: str, *, commit_timeout_s: float = 5.0, adrift_s: float = _ADRIFT_S
    ) -> None:
        self._settings = settings
        self._group = group
        self._commit_timeout_s = commit_timeout_s
        self._adrift_s = adrift_s
        self._topics: Sequence[str] = ()
        self._trouble = Trouble(f"consumer of group {group}")
        self._consumer: Consumer | None = None
        self._rebalance: Rebalance | None = None
        self._news: deque[tuple[str, list[TopicPartition]]] = deque()
        self._owned: set[TopicPartition] = set()
        self._ready: list[Record] = []
        """Polled and not handed out: the worker could not be told of a rebalance, or their partition was paused."""
        self._next: dict[TopicPartition, int] = {}
        """The offset after the last record handed out since the partition was assigned."""
        self._paused: set[TopicPartition] = set()
        self._resting: set[TopicPartition] = set()
        """Those that librdkafka knows to be paused."""
        self._seeks: dict[TopicPartition, int] = {}
        self._owed = OwedCommits()
        self._calls = BoundedCalls(f"commits of {group}")
        self._without_since_s: float | None = None
        """Since when it is a member without a partition."""
        self._outside_since_s: float | None = None
        """Since when it is no member of its group."""

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Joins the group. Nothing is known to work until the first `poll`s. Raises KafkaConfigError."""
        self._rebalance = rebalance
        self._topics = list(topics)
        self._join()

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Waits for one record, then takes what is there; see `overt.ports.Source`.

        Returns nothing while the cluster is away or a topic does not exist yet, and goes on by itself when it is back.
        Raises Unavailable for what waiting does not heal (authorisation) and while a commit is without an answer.
        """
        consumer = self._opened()
        deadline = time.monotonic() + timeout_s
        # 1 what was left undone
        self._tell()
        if not self._calls.idle(timeout_s):
            raise self._uncommitted("a commit is still without an answer")
        self._bring_about(consumer)
        # 2 records
        while (waiting := self._waiting()) < most:
            message = consumer.poll(0.0 if waiting or self._news else max(0.0, deadline - time.monotonic()))
            if message is not None:
                self._take(message)
            elif waiting or self._news or time.monotonic() >= deadline:
                break
        # 3 a rebalance heard meanwhile, before any record of a new partition
        self._tell()
        handed = self._hand_out(most)
        self._note_membership(consumer)
        return handed

    def commit(self, records: Sequence[Record]) -> None:
        """See `overt.ports.Source`. Raises Unavailable when the answer does not come in `commit_timeout_s` or is a
        refusal that has nothing to do with a rebalance."""
        consumer = self._opened()
        offsets: dict[TopicPartition, int] = {}
        for record in records:
            where = (record.topic, record.partition)
            if where in self._owned and record.offset < self._next.get(where, 0):
                offsets[where] = record.offset + 1
            else:
                log.info("%s [%d] is not ours any more: its next owner decides what is committed", *where)
        if offsets:
            self._commit(consumer, offsets)

    def rewind(self, records: Sequence[Record]) -> None:
        """See `overt.ports.Source`."""
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault((record.topic, record.partition), record.offset)
        for where, offset in first.items():
            if where in self._owned:
                self._seeks[where] = self._next[where] = offset
        self._ready = [r for r in self._ready if (r.topic, r.partition) not in self._seeks]

    def pause(self, partition: TopicPartition) -> None:
        """See `overt.ports.Source`. A partition that goes to another member and comes back is not paused any more."""
        if partition in self._owned:
            self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self._paused.discard(partition)

    def lag(self) -> Mapping[TopicPartition, int]:
        """See `overt.ports.Source`. By what was fetched last; a partition that gave no record yet is left out."""
        lag: dict[TopicPartition, int] = {}
        if self._consumer is None:
            return lag
        for where, offset in self._next.items():
            _, end = self._consumer.get_watermark_offsets(Place(*where), cached=True)
            if end >= 0:  # else it was not heard yet
                lag[where] = max(0, end - offset)
        return lag

    def spare(self) -> bool:
        """See `overt.ports.Source`. librdkafka tells nobody of an empty assignment, so it is one after some seconds."""
        return self._without_since_s is not None and time.monotonic() - self._without_since_s > _SPARE_S

    def close(self) -> None:
        """Leaves the group, so that others take over at once. Takes 3 s at most."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if not self._calls.finish(consumer.close, _CLOSE_S):
            log.warning("Kafka does not answer: group %s will notice the leaving only when it does", self._group)
        self._forget(list(self._owned))

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("subscribe first; after close make a new source")
        return self._consumer

    def _join(self) -> None:
        conf = {**MEMBER, "group.id": self._group, "on_commit": self._owed.on_commit}
        consumer = make(Consumer, self._settings, self._trouble, conf)
        consumer.subscribe(
            list(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        self._consumer = consumer

    def _note_membership(self, consumer: Consumer) -> None:
        """Knows a spare, and joins anew what stays outside the group: after a broker's restart a client was seen to
        lose its session and never to ask for another."""
        now_s, member = time.monotonic(), bool(self._owned or consumer.memberid())
        self._without_since_s = (self._without_since_s or now_s) if member and not self._owned else None
        self._outside_since_s = None if member else self._outside_since_s or now_s
        if self._outside_since_s is None or now_s - self._outside_since_s < self._adrift_s:
            return
        log.info("group %s: outside it for %.0f s: joining anew", self._group, self._adrift_s)
        self._outside_since_s = None
        calls, self._calls = self._calls, BoundedCalls(f"commits of {self._group}")
        calls.finish(consumer.close, _CLOSE_S)
        self._join()

    # Records

    def _bring_about(self, consumer: Consumer) -> None:
        """What was asked for since the last poll: rests, seeks, and commits to be sent again."""
        for where in self._paused - self._resting:
            consumer.pause([Place(*where)])
        for where in self._resting - self._paused:
            consumer.resume([Place(*where)])
        self._resting = set(self._paused)
        for where, offset in list(self._seeks.items()):
            try:
                consumer.seek(Place(*where, offset))
                del self._seeks[where]
            except KafkaException as error:
                # Fetching has not begun or has stopped: tried again at the next poll, until then nothing is handed out.
                log.info("%s [%d]: seeking again later: %s", *where, reason(error))
        if self._owed.due():
            self._send_owed(consumer)

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            self._trouble.heard(error)
            if error.code() in _REFUSED_BY_CLUSTER or error.fatal():
                why = error.str() + hint(error.name())
                raise Unavailable(f"Kafka at {self._settings.bootstrap} refuses group {self._group}: {why}")
            return
        record = to_record(message)
        where = (record.topic, record.partition)
        if where in self._owned and where not in self._seeks:
            self._ready.append(record)

    def _waiting(self) -> int:
        if not self._paused:
            return len(self._ready)
        return sum((r.topic, r.partition) not in self._paused for r in self._ready)

    def _hand_out(self, most: int) -> list[Record]:
        handed: list[Record] = []
        kept: list[Record] = []
        for record in self._ready:
            where = (record.topic, record.partition)
            if len(handed) < most and where not in self._paused:
                handed.append(record)
                self._next[where] = record.offset + 1
            else:
                kept.append(record)
        self._ready = kept
        return handed

    # Commits

    def _commit(self, consumer: Consumer, offsets: Mapping[TopicPartition, int]) -> None:
        places = [Place(*where, offset) for where, offset in offsets.items()]
        self._owed.forgive(offsets)
        try:
            answers = self._calls.call(
                lambda: consumer.commit(offsets=places, asynchronous=False), self._commit_timeout_s
            )
            refusals = {(a.topic, a.partition): a.error for a in answers if a.error is not None}
        except TimeoutError:
            why = f"no answer within {self._commit_timeout_s:g} s{self._trouble.because()}"
            raise self._uncommitted(why) from None
        except KafkaException as error:
            refusals = dict.fromkeys(offsets, error.args[0])
        for where, refused in refusals.items():
            if refused.code() in REFUSED_BY_REBALANCE:
                log.info("%s [%d]: commit refused during a rebalance: %s", *where, refused.str())
                self._owed.owe(where, offsets[where])
            elif refused.code() not in NO_PARTITION:
                raise self._uncommitted(refused.str())

    def _uncommitted(self, why: str) -> Unavailable:
        return Unavailable(f"Kafka at {self._settings.bootstrap} did not commit for group {self._group}: {why}")

    def _send_owed(self, consumer: Consumer) -> None:
        try:
            consumer.commit(offsets=self._owed.sent(), asynchronous=True)
        except KafkaException as error:
            log.info("what is owed to group %s was not sent: %s", self._group, reason(error))

    # Rebalances: librdkafka calls these inside its poll and close, and then assigns or unassigns by itself.

    def _on_assign(self, _consumer: Consumer, places: list[Place]) -> None:
        self._owned.update(_where(places))
        self._news.append(("assigned", _where(places)))

    def _on_revoke(self, consumer: Consumer, places: list[Place]) -> None:
        # Still ours until this returns: the last chance for what is owed, sent ahead of our giving the partitions up.
        if self._owed:
            self._send_owed(consumer)
        self._forget(_where(places))
        self._news.append(("revoked", _where(places)))

    def _on_lost(self, _consumer: Consumer, places: list[Place]) -> None:
        self._forget(_where(places))
        self._news.append(("lost", _where(places)))

    def _forget(self, gone: Sequence[TopicPartition]) -> None:
        for known in (self._owned, self._paused, self._resting):
            known.difference_update(gone)
        for where in gone:
            self._next.pop(where, None)
            self._seeks.pop(where, None)
        self._owed.forgive(gone)
        self._ready = [r for r in self._ready if (r.topic, r.partition) in self._owned]

    def _tell(self) -> None:
        assert self._rebalance is not None
        while self._news:
            what, partitions = self._news[0]
            if partitions:
                getattr(self._rebalance, what)(partitions)
            self._news.popleft()


def _where(places: Sequence[Place]) -> list[TopicPartition]:
    return sorted((place.topic, place.partition) for place in places)
