"""Kafka behind the bus's ports. Only this package imports confluent_kafka."""

from overt.runtime.kafka.acls import apply_grants
from overt.runtime.kafka.admin import apply_changes, existing_topics
from overt.runtime.kafka.client import KafkaConfigError, KafkaSettings
from overt.runtime.kafka.log import KafkaBacklog, KafkaFollower, KafkaLog
from overt.runtime.kafka.sink import KafkaSink
from overt.runtime.kafka.source import KafkaSource

__all__ = [
    "KafkaBacklog",
    "KafkaConfigError",
    "KafkaFollower",
    "KafkaLog",
    "KafkaSettings",
    "KafkaSink",
    "KafkaSource",
    "apply_changes",
    "apply_grants",
    "existing_topics",
]
