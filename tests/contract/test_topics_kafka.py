"""A plan carried out on a real cluster."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from overt.demo.deployments import own_deployment
from overt.runtime.cluster import TopicsAdmin
from overt.runtime.kafka import KafkaLog, KafkaSettings, KafkaSink, apply_changes, existing_topics
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings
from overt.runtime.topics import MAX_MESSAGE_BYTES, Action, Change, TopicsError, load_topics, plan
from tests.support.bus import send, unique
from tests.support.kafka_broker import KafkaBroker


def _plan(settings: KafkaSettings, prefix: str, cameras: int, retention_ms: int = 3_600_000) -> list[Change]:
    topics = load_topics(schemas_dir() / "topics.yaml")
    existing = existing_topics(settings, [prefix + name for name in topics])
    held = dict.fromkeys(("matches", "alerts"), retention_ms)
    return plan(topics, cameras_partitions=cameras, prefix=prefix, retention_ms=held, existing=existing)


def _actions(changes: list[Change]) -> set[Action]:
    return {change.action for change in changes}


def test_the_shipped_topics_are_made_grown_and_altered_and_a_second_time_nothing_happens(kafka: KafkaBroker) -> None:
    settings, prefix = KafkaSettings(kafka.bootstrap), unique("deployment") + "."
    first = _plan(settings, prefix, cameras=2)
    assert _actions(first) == {Action.CREATE}
    apply_changes(settings, first)
    apply_changes(settings, first)  # two operators at once
    assert _actions(_plan(settings, prefix, cameras=2)) == {Action.OK}

    more = _plan(settings, prefix, cameras=3, retention_ms=7_200_000)
    assert {(c.topic.removeprefix(prefix), c.action) for c in more if c.action is not Action.OK} == {
        *((name, Action.GROW) for name in ("frames", "faces", "embeddings", "matches", "passes")),
        ("matches", Action.ALTER),
        ("alerts", Action.ALTER),
    }
    apply_changes(settings, more)
    assert _actions(_plan(settings, prefix, cameras=3, retention_ms=7_200_000)) == {Action.OK}
    frames = existing_topics(settings, [prefix + "frames"])[prefix + "frames"]
    assert (frames.partitions, frames.config["retention.ms"]) == (3, "60000")
    with pytest.raises(TopicsError, match="has 3 partitions and 2 are wanted"):
        _plan(settings, prefix, cameras=2)


def test_the_time_of_a_record_is_the_brokers_and_a_large_frame_fits(kafka: KafkaBroker) -> None:
    """A producer whose clock says 1970 would have its records deleted at once."""
    settings, prefix = KafkaSettings(kafka.bootstrap), unique("deployment") + "."
    apply_changes(settings, [c for c in _plan(settings, prefix, cameras=1) if c.topic.endswith(".frames")])
    before_us = time.time_ns() // 1000
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(prefix + "frames", b"old", partition=0, timestamp=1000)
    assert producer.flush(20) == 0
    sink = KafkaSink(settings)
    largest = MAX_MESSAGE_BYTES - 1024  # the limit holds key, headers and framing too
    send(sink, prefix + "frames", [bytes(largest)])
    sink.close()
    old, large = KafkaLog(settings).read(prefix + "frames")
    assert before_us - 1000 <= old.timestamp_us <= time.time_ns() // 1000
    assert len(large.value) == largest


def test_ciphertext_stays_twice_as_long_as_a_raised_life_of_keys(kafka: KafkaBroker, tmp_path: Path) -> None:
    settings = Settings(
        kafka_bootstrap=kafka.bootstrap, topic_prefix=unique("deployment") + ".", transient_key_life_s=120
    )
    changes = TopicsAdmin(own_deployment("usb:0", tmp_path), settings).plan()
    longer = {c.topic.removeprefix(settings.topic_prefix) for c in changes if c.config.get("retention.ms") == "240000"}
    assert longer == {"frames", "faces", "embeddings"}


def test_a_refusal_names_the_topic(kafka: KafkaBroker) -> None:
    settings, name = KafkaSettings(kafka.bootstrap), unique("refused")
    with pytest.raises(TopicsError, match=f"{name}: .*no.such.property"):
        apply_changes(settings, [Change(name, Action.CREATE, 1, {"no.such.property": "1"})])
    with pytest.raises(TopicsError, match=f"{name}: .*eplication"):
        apply_changes(settings, [Change(name, Action.CREATE, 1)], replication=7)
    with pytest.raises(TopicsError, match=name):
        apply_changes(settings, [Change(name, Action.GROW, 2)])
    assert existing_topics(settings, [name]) == {}
