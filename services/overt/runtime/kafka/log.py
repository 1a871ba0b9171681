"""Reading topics outside any group, and looking at a group from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from overt.ports import Record, Unavailable
from overt.runtime.kafka.client import REQUEST_TIMEOUT_S, KafkaSettings, Trouble, ask, hint, make, reason, to_record
from overt.runtime.kafka.properties import READER
from overt.runtime.topics import READERS_GROUP

_STALLED_S = 10.0
_BACKLOG_S = 2.0


class KafkaLog:
    """See `overt.ports.Log`. Each call has a connection of its own, closed when the reader is."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def read(self, topic: str, *, since_us: int | None = None) -> Iterator[Record]:
        """See `overt.ports.Log`. Where to begin and to end is asked now, the records as they are wanted. Raises
        Unavailable now, or later when nothing comes for 10 s."""
        follower = KafkaFollower(self._settings, topic, since_us=since_us)
        return _to_the_end(follower, topic)

    def follow(self, topic: str) -> KafkaFollower:
        """See `overt.ports.Log`. Raises Unavailable when the topic's end cannot be asked for."""
        return KafkaFollower(self._settings, topic)


def _to_the_end(follower: KafkaFollower, topic: str) -> Iterator[Record]:
    try:
        heard_at = time.monotonic()
        while not follower.caught_up():
            found = follower.poll(500, 0.2)
            yield from (record for record in found if record.offset < follower.ends[record.partition])
            if found:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _STALLED_S:
                raise Unavailable(f"reading {topic} got nothing for {_STALLED_S:g} s before its end")
    finally:
        follower.close()


class KafkaFollower:
    """See `overt.ports.Follower`. Made by `KafkaLog.follow`, which connects. `ends`: by partition, the offset after the
    last record that was there then. Partitions that are added later are not read."""

    def __init__(self, settings: KafkaSettings, topic: str, *, since_us: int | None = None) -> None:
        self._topic = topic
        self._trouble = Trouble(f"reader of {topic}")
        # Kafka wants a group's name of every consumer; without subscription or commit there is no group.
        conf = {**READER, "group.id": READERS_GROUP}
        self._consumer: Consumer | None = make(Consumer, settings, self._trouble, conf)
        try:
            starts, self.ends = self._span(self._consumer, since_us)
        except KafkaException as error:
            self.close()
            raise Unavailable(
                f"Kafka at {settings.bootstrap}: {topic}: {reason(error)}{self._trouble.because()}"
            ) from error
        except Unavailable:
            self.close()
            raise
        self._behind = {number for number, start in starts.items() if start < self.ends[number]}
        self._consumer.assign([Place(topic, number, start) for number, start in starts.items()])

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to `most` records, each partition in order; nothing after about `timeout_s`, also while Kafka is away."""
        consumer = self._opened()
        deadline = time.monotonic() + timeout_s
        found: list[Record] = []
        while len(found) < most:
            message = consumer.poll(0.0 if found else max(0.0, deadline - time.monotonic()))
            if message is None:
                break
            error = message.error()
            if error is None:
                record = to_record(message)
                found.append(record)
                if record.offset + 1 >= self.ends[record.partition]:
                    self._behind.discard(record.partition)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end(consumer, message.partition() or 0, message.offset() or 0)
            else:
                self._trouble.heard(error)
        return found

    def caught_up(self) -> bool:
        return not self._behind

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("this reader was closed")
        return self._consumer

    def _span(self, consumer: Consumer, since_us: int | None) -> tuple[dict[int, int], dict[int, int]]:
        """First offset to read and offset after the last, by partition."""
        known = consumer.list_topics(self._topic, timeout=REQUEST_TIMEOUT_S).topics[self._topic]
        if known.error is not None:
            raise Unavailable(f"topic {self._topic}: {known.error.str()}{hint(known.error.name())}")
        ends: dict[int, int] = {}
        starts: dict[int, int] = {}
        for number in known.partitions:
            place = Place(self._topic, number)
            starts[number], ends[number] = ask(
                partial(consumer.get_watermark_offsets, place, timeout=REQUEST_TIMEOUT_S)
            )
        if since_us is not None:
            # Kafka counts milliseconds: the first that begins at or after the microsecond asked for.
            since_ms = -(-since_us // 1000)
            places = [Place(self._topic, number, since_ms) for number in starts]
            for place in consumer.offsets_for_times(places, timeout=REQUEST_TIMEOUT_S):
                starts[place.partition] = ends[place.partition] if place.offset in (OFFSET_END, -1) else place.offset
        return starts, ends

    def _at_end(self, consumer: Consumer, partition: int, offset: int) -> None:
        """The partition has no more for now. What was compacted away before its end never comes, and a topic that was
        made again may be shorter than it was."""
        if partition in self._behind:
            end = self.ends[partition]
            if offset < end:
                try:
                    place = Place(self._topic, partition)
                    _, end = consumer.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
                except KafkaException:
                    return  # asked again at the next end
            if offset >= end:
                self._behind.discard(partition)


class KafkaBacklog:
    """See `overt.ports.Backlog`: high watermark minus what the group has committed, as it is now.

    Each answer takes two round trips, some 2 ms, and 4 s at most where nobody answers: ask when it matters.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._trouble = Trouble(f"backlog of {topic}")
        self._consumer: Consumer | None = None

    def unconsumed(self, partition: int) -> int:
        """Records that the group has not committed. Raises Unavailable."""
        committed, end = self.standing(partition)
        return max(0, end - committed)

    def standing(self, partition: int) -> tuple[int, int]:
        """The offset from which the group would go on, and that after the last record. Raises Unavailable."""
        consumer, place = self._opened(), Place(self._topic, partition)
        try:
            low, high = ask(lambda: consumer.get_watermark_offsets(place, timeout=_BACKLOG_S))
            committed = consumer.committed([place], timeout=_BACKLOG_S)[0]
            if committed.error is not None:
                raise KafkaException(committed.error)
        except KafkaException as error:
            raise Unavailable(
                f"Kafka at {self._settings.bootstrap}: backlog of {self._topic} [{partition}]: {reason(error)}"
                f"{self._trouble.because()}"
            ) from error
        # Without a commit the group will begin at the beginning; what retention took away cannot be consumed.
        return max(low, committed.offset), high

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _opened(self) -> Consumer:
        if self._consumer is None:
            # It never subscribes, so it is no member: it only asks in the group's name.
            self._consumer = make(Consumer, self._settings, self._trouble, {**READER, "group.id": self._group})
        return self._consumer
