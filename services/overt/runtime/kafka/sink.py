"""Where records go."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from overt.ports import TooLarge, Unavailable
from overt.runtime.kafka.client import KafkaSettings, Trouble, code, hint, make, reason
from overt.runtime.kafka.properties import PRODUCER
from overt.runtime.topics import MAX_MESSAGE_BYTES


class KafkaSink:
    """See `overt.ports.Sink`. One thread.

    What fails takes its producer with it and the next record makes a new one: so all that was queued is forgotten and
    the batch which is done again is not mixed with the old one (librdkafka's `purge` was seen to take records that were
    queued after it). What was on its way may have arrived all the same: at least once.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._trouble = Trouble("producer")
        self._producer: Producer | None = None
        self._refused: Counter[str] = Counter()

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """See `overt.ports.Sink`. Raises TooLarge (nothing else is forgotten), or Unavailable."""
        producer = self._opened()
        try:
            producer.produce(
                topic,
                value=value,
                key=key.encode(),
                partition=-1 if partition is None else partition,
                headers=[(name, text.encode()) for name, text in (headers or {}).items()],
                on_delivery=self._delivered,
            )
        except BufferError:
            self._fail("its queue is full")
        except KafkaException as error:
            if code(error) == KafkaError.MSG_SIZE_TOO_LARGE:
                raise TooLarge(f"a record for {topic} is larger than {MAX_MESSAGE_BYTES} bytes") from error
            self._fail(f"{topic}: {reason(error)}{hint(error.args[0].name())}")
        producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        """See `overt.ports.Sink`. Returns or raises within about `timeout_s`."""
        producer = self._producer
        if producer is None:
            return
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0 and not self._refused:
            if producer.flush(min(left_s, 0.2)) == 0:
                break
        unacknowledged = len(producer)
        if self._refused:
            self._fail("; ".join(f"{count} of {what}" for what, count in self._refused.items()))
        if unacknowledged:
            self._fail(f"{unacknowledged} records without an answer after {timeout_s:g} s")

    def close(self) -> None:
        """Forgets what was not flushed."""
        self._discard()

    def _opened(self) -> Producer:
        if self._producer is None:
            self._producer = make(Producer, self._settings, self._trouble, PRODUCER)
        return self._producer

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused[f"{message.topic()}: {error.str()}{hint(error.name())}"] += 1

    def _fail(self, why: str) -> None:
        """Discards, then raises Unavailable."""
        self._discard()
        because = self._trouble.because()
        raise Unavailable(f"Kafka at {self._settings.bootstrap} did not take the records: {why}{because}")

    def _discard(self) -> None:
        # Its last reference: librdkafka drops the queue and closes the connections without waiting for anybody.
        self._producer = None
        self._refused.clear()
