"""What a worker tells its operator, in metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from overt.messages import Frame, Message, Sightings
from overt.ports import Clock, Reject, TopicPartition
from overt.runtime.metrics import Metrics


class Tally:
    """Counts for one service. realtime: capture times are those of now, so latency can be told from them."""

    def __init__(self, service: str, metrics: Metrics, clock: Clock, *, realtime: bool) -> None:
        self._service = service
        self._metrics = metrics
        self._clock = clock
        self._realtime = realtime

    def worked_off(self, records: int, repeats: int, took_s: float) -> None:
        """A batch is committed. took_s: what the stage took."""
        service, metrics = self._service, self._metrics
        metrics.records.labels(service).inc(records)
        metrics.repeats.labels(service).inc(repeats)
        metrics.batch_seconds.labels(service).observe(took_s)
        metrics.batch_size.labels(service).observe(records)

    def became(self, messages: Sequence[Message], outputs: Iterable[Any], rejects: Iterable[Reject]) -> None:
        """What went into a batch's stage and what came out of it, once it is committed."""
        now_us = self._clock() if self._realtime else None
        for message in messages:
            captured_at_us = getattr(message, "captured_at_us", None)
            if captured_at_us is not None and now_us is not None:
                seconds = max(0.0, (now_us - captured_at_us) / 1e6)
                self._metrics.capture_to_stage_seconds.labels(self._service).observe(seconds)
        for output in outputs:
            if not isinstance(output, Sightings):
                self._metrics.produced(output, now_us)
        for reject in rejects:
            self._metrics.rejects.labels(self._service, reject.reason.value).inc()

    def arrived(self, frame: Frame, at_us: int, *, late: bool) -> None:
        """A frame has come, by the bus's clock; a late one is shed."""
        self._metrics.arrived(frame, at_us)
        if late:
            self._metrics.frames_shed.labels(frame.camera_id).inc()

    def put_back(self) -> None:
        """The broker or Redis is away."""
        self._metrics.unavailable.labels(self._service).inc()

    def fenced(self) -> None:
        """Another replica had gone on."""
        self._metrics.fenced.labels(self._service).inc()

    def rests(self, partition: TopicPartition, rests: bool) -> None:
        """Whether a partition rests because too much of it is rejected."""
        topic, number = partition
        self._metrics.partition_paused.labels(self._service, topic, str(number)).set(rests)

    def stands(self, lag: Mapping[TopicPartition, int], *, ready: bool) -> None:
        """How the service stands at the moment."""
        for (topic, number), waiting in lag.items():
            self._metrics.consumer_lag.labels(self._service, topic, str(number)).set(waiting)
            self._metrics.partition_paused.labels(
                self._service, topic, str(number)
            )  # there, as 0, before it ever rests
        self._metrics.ready.labels(self._service).set(ready)

    def left(self, partition: TopicPartition) -> None:
        """The partition is another replica's: its lag is no longer ours to tell."""
        self.rests(partition, False)
        topic, number = partition
        self._metrics.consumer_lag.labels(self._service, topic, str(number)).set(0)
