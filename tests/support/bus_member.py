"""A member of a group as a process of its own, to be stopped in the middle of a batch.

Usage: python -m tests.support.bus_member BOOTSTRAP TOPIC GROUP FLAG. Polls until it holds records, says `holding`,
waits for the file FLAG, commits what it holds, says `committed`, and goes on polling. What it is told about its
partitions it says too, one line each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from overt.ports import TopicPartition
from overt.runtime.kafka import KafkaSettings, KafkaSource

QUICK = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "400"}
"""A short session, so that a test of its end need not wait for the product's 6 s."""


class _Saying:
    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._say("assigned", partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._say("revoked", partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._say("lost", partitions)

    @staticmethod
    def _say(what: str, partitions: Sequence[TopicPartition]) -> None:
        print(what, *sorted(number for _, number in partitions), flush=True)


def main(bootstrap: str, topic: str, group: str, flag: Path) -> None:
    """See the module."""
    source = KafkaSource(KafkaSettings(bootstrap, client_id="stopped", extra=QUICK), group)
    source.subscribe([topic], _Saying())
    while not (records := source.poll(3, 0.2)):
        pass
    print("holding", *(record.offset for record in records), flush=True)
    while not flag.exists():
        time.sleep(0.01)
    source.commit(records)
    print("committed", flush=True)
    while True:
        source.poll(100, 0.2)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
