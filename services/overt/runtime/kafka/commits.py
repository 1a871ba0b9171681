"""Commits that a rebalance refused while their partition stayed ours."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as Place

from overt.ports import TopicPartition

REFUSED_BY_REBALANCE = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
    }
)
NO_PARTITION = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC})


class OwedCommits:
    """Offsets to commit again until each is acknowledged or its partition goes.

    A group that moves refuses commits for a moment, also for partitions that do not move. Were they forgotten, the last
    batch before a pause would count as unconsumed, and whoever waits for it (`Backlog`) would wait for ever.
    """

    AGAIN_S = 0.3
    """How long after sending what is still owed is sent again."""

    def __init__(self) -> None:
        self._owed: dict[TopicPartition, int] = {}
        self._sent_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._owed)

    def owe(self, where: TopicPartition, offset: int) -> None:
        """`offset` is that of the next record to read."""
        self._owed[where] = offset

    def forgive(self, partitions: Iterable[TopicPartition]) -> None:
        """They are not ours any more, or something newer was committed."""
        for where in partitions:
            self._owed.pop(where, None)

    def due(self) -> bool:
        return bool(self._owed) and time.monotonic() - self._sent_at >= self.AGAIN_S

    def sent(self) -> list[Place]:
        """What to send; call it when sending."""
        self._sent_at = time.monotonic()
        return [Place(*where, offset) for where, offset in self._owed.items()]

    def on_commit(self, error: KafkaError | None, places: Sequence[Place]) -> None:
        """The coordinator's answer. One to an offset that is not owed is ignored."""
        for place in places:
            where = (place.topic, place.partition)
            refused = place.error or error
            if self._owed.get(where) == place.offset and (refused is None or refused.code() in NO_PARTITION):
                del self._owed[where]
