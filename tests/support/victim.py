"""What a fault of `make faults` is, and all that it may lay hands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.cluster import Cluster
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_cluster import KafkaCluster
from tests.support.ordeal import Ordeal
from tests.support.redis_server import RedisServer
from tests.support.scenes import TestScene


@dataclass
class Victim:
    """All that a fault may lay hands on."""

    ordeal: Ordeal
    kafka: KafkaCluster
    redis: RedisServer
    scene: TestScene
    struck: KafkaBroker | None = None
    """The broker to be mended."""

    @property
    def cluster(self) -> Cluster:
        return self.ordeal.cluster


def _nothing(_victim: Victim) -> None:
    """All is as it was."""


@dataclass(frozen=True)
class Fault:
    """`strike` returns when the fault is over, or when it is there to stay until `mend`."""

    name: str
    strike: Callable[[Victim], None]
    mend: Callable[[Victim], None] = _nothing
    why_not: Callable[[Victim], str | None] = field(default=lambda _victim: None)
    """None, or why it cannot be done on this machine."""
