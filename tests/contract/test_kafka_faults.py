"""What the bus promises while a real Kafka is killed, frozen or emptied, and while members come, go and sleep."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from overt.ports import Record, Unavailable
from overt.runtime.kafka import KafkaBacklog, KafkaSettings, KafkaSink, KafkaSource, apply_changes
from overt.runtime.topics import Action, Change
from tests.support.bus import PARTITIONS, KafkaBackend, Listener, gather, send, take, unique, until, values
from tests.support.bus_member import QUICK
from tests.support.child import Child
from tests.support.kafka_broker import KafkaBroker

REPOSITORY = Path(__file__).resolve().parents[2]


def _delivered(sink: KafkaSink, topic: str, records: list[bytes]) -> bool:
    """One attempt, as a worker makes it: the whole batch again."""
    try:
        for value in records:
            sink.produce(topic, key="k", value=value, partition=0)
        sink.flush(5.0)
    except Unavailable:
        return False
    return True


def test_a_broker_that_freezes_or_dies_is_unavailable_in_time_and_all_goes_on_by_itself_when_it_is_back(
    kafka_factory: Callable[..., KafkaBroker],
) -> None:
    broker = kafka_factory()
    backend = KafkaBackend(broker.bootstrap)
    topic, group = backend.topic(), unique("group")
    sink = KafkaSink(backend.settings)
    source, listener = KafkaSource(backend.settings, group, commit_timeout_s=1.0), Listener()
    bystander = KafkaSource(backend.settings, unique("group"))
    source.subscribe([topic], listener)
    bystander.subscribe([topic], Listener())
    send(sink, topic, [b"1", b"2"])
    first = take(source, 2)
    take(bystander, 2)

    broker.child.freeze()
    with _within(8.0), pytest.raises(Unavailable, match="without an answer after 1 s"):
        _flush(sink, topic, b"3", 1.0)
    with _within(6.0), pytest.raises(Unavailable, match="no answer within 1 s"):
        source.commit(first)
    with _within(6.0):
        _nothing(source)
    with _within(10.0):
        bystander.close()
    source.rewind(first[1:])
    broker.child.thaw()

    until("a batch done again after the freeze", lambda: _delivered(sink, topic, [b"3"]))
    found: list[Record] = []
    until("what was put back and what came after", lambda: {b"2", b"3"} <= _polled(source, found))
    until("a commit", lambda: _committed(source, found))

    broker.kill()
    with _within(8.0), pytest.raises(Unavailable):
        _flush(sink, topic, b"4", 2.0)
    with _within(6.0):
        _nothing(source)
    with _within(6.0), pytest.raises(Unavailable):
        source.commit(found)
    broker.start()
    until("a batch done again after the restart", lambda: _delivered(sink, topic, [b"4", b"5"]))
    after: list[Record] = []
    until("what came after the restart", lambda: {b"4", b"5"} <= _polled(source, after))
    until("a commit", lambda: _committed(source, after))
    assert backend.backlog(topic, group).unconsumed(0) == 0
    backend.close()
    source.close()
    sink.close()


class _within:  # noqa: N801  # reads as a word where it is used
    """Fails when what it holds takes longer: it is far above what is expected, and far below a hang."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        took = time.monotonic() - self._began
        if error is None:
            assert took < self._seconds, f"took {took:.1f} s"


def _nothing(source: KafkaSource) -> None:
    """While Kafka is away a poll gives nothing, or says that an earlier commit has no answer yet."""
    with contextlib.suppress(Unavailable):
        assert list(source.poll(10, 0.2)) == []


def _flush(sink: KafkaSink, topic: str, value: bytes, timeout_s: float) -> None:
    sink.produce(topic, key="k", value=value, partition=0)
    sink.flush(timeout_s)


def _polled(source: KafkaSource, found: list[Record]) -> set[bytes]:
    """One attempt, as a worker makes it; what has come so far."""
    with contextlib.suppress(Unavailable):
        gather(source, found)
    return set(values(found))


def _committed(source: KafkaSource, records: list[Record]) -> bool:
    """One attempt; records that came again after a lost membership replace the old ones."""
    try:
        gather(source, records)
        source.commit(records)
    except Unavailable:
        return False
    return True


def test_a_topic_that_was_deleted_and_made_again_is_read_from_its_beginning(kafka: KafkaBroker) -> None:
    backend = KafkaBackend(kafka.bootstrap)
    topic = backend.topic()
    sink, source = KafkaSink(backend.settings), KafkaSource(backend.settings, unique("group"))
    source.subscribe([topic], Listener())
    send(sink, topic, [b"old"] * 20)
    source.commit(take(source, 20))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([topic], operation_timeout=20)[topic].result(30)
    until("the topic made again", lambda: _made(backend.settings, topic))
    until("records on it", lambda: _delivered(sink, topic, [b"new 1", b"new 2"]))
    found: list[Record] = []
    until("the records of the new topic", lambda: {b"new 1", b"new 2"} <= {r.value for r in gather(source, found)})
    assert found[0].offset == 0
    source.commit(found)
    source.close()
    sink.close()


def _made(settings: KafkaSettings, topic: str) -> bool:
    """Kafka deletes in the background, and a topic on its way out cannot be made again yet."""
    apply_changes(settings, [Change(topic, Action.CREATE, PARTITIONS)], replication=1)
    return True


def test_a_topic_that_is_made_after_its_reader_came_is_found(kafka: KafkaBroker) -> None:
    settings, topic = KafkaSettings(kafka.bootstrap), unique("later")
    source, listener = KafkaSource(settings, unique("group")), Listener()
    source.subscribe([topic], listener)
    assert list(source.poll(1, 1.0)) == []
    apply_changes(settings, [Change(topic, Action.CREATE, 1)], replication=1)
    sink = KafkaSink(settings)
    send(sink, topic, [b"x"])
    assert values(take(source, 1)) == [b"x"]
    assert listener.owned == {(topic, 0)}
    source.close()
    sink.close()


def test_a_member_that_stays_outside_its_group_joins_anew_and_misses_nothing(
    kafka: KafkaBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Here because its topic is missing: no group takes it in. It must not matter how often it has tried."""
    settings, topic = KafkaSettings(kafka.bootstrap), unique("outside")
    source, listener = KafkaSource(settings, unique("group"), adrift_s=0.5), Listener()
    source.subscribe([topic], listener)
    with caplog.at_level("INFO", "overt.kafka"):
        until("a second attempt", lambda: source.poll(1, 0.1) or caplog.text.count("joining anew") >= 2)
    apply_changes(settings, [Change(topic, Action.CREATE, 1)], replication=1)
    sink = KafkaSink(settings)
    send(sink, topic, [b"x"])
    assert values(take(source, 1)) == [b"x"]
    assert listener.owned == {(topic, 0)}
    source.close()
    sink.close()


def test_a_member_that_slept_past_its_session_commits_nothing_and_is_told_that_it_lost_its_partitions(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    backend = KafkaBackend(kafka.bootstrap)
    topic, group, flag = backend.topic(), unique("group"), tmp_path / "go on"
    sink = KafkaSink(backend.settings)
    send(sink, topic, [b"%d" % number for number in range(10)])
    argv = [sys.executable, "-m", "tests.support.bus_member", kafka.bootstrap, topic, group, str(flag)]
    with Child(argv, log_path=tmp_path / "member.log", cwd=REPOSITORY) as sleeper:
        sleeper.spawn()
        sleeper.wait_until(lambda: "holding 0 1 2" in sleeper.log_text(), 40, what="holding three records")
        sleeper.freeze()
        successor, listener = KafkaSource(KafkaSettings(kafka.bootstrap, extra=QUICK), group), Listener()
        successor.subscribe([topic], listener)
        successor.commit(take(successor, 10))
        backlog = KafkaBacklog(backend.settings, topic, group)
        assert backlog.unconsumed(0) == 0

        flag.touch()
        sleeper.thaw()
        sleeper.wait_until(lambda: "committed" in sleeper.log_text(), 40, what="past its commit")
        assert backlog.unconsumed(0) == 0, "the sleeper's three records did not overwrite the successor's ten"
        until("news of the loss", lambda: successor.poll(10, 0.1) or "lost" in sleeper.log_text())
        assert f"lost {' '.join(str(number) for number in range(PARTITIONS))}" in sleeper.log_text()
        assert backlog.unconsumed(0) == 0
        backlog.close()
        successor.close()
    sink.close()


def test_members_that_come_and_go_leave_nothing_out_and_nothing_uncommitted(kafka: KafkaBroker) -> None:
    backend = KafkaBackend(kafka.bootstrap)
    topic, group, count = backend.topic(), unique("group"), 400
    seen: Counter[bytes] = Counter()
    errors: list[BaseException] = []

    def work(stop: threading.Event) -> None:
        source = KafkaSource(backend.settings, group)
        try:
            source.subscribe([topic], Listener())
            while not stop.is_set():
                records = source.poll(5, 0.1)
                time.sleep(0.01)  # a batch takes a moment
                source.commit(records)
                seen.update(values(records))
        except BaseException as error:  # handed to the test
            errors.append(error)
        finally:
            source.close()

    def produce() -> None:
        sink = KafkaSink(backend.settings)
        for number in range(count):
            send(sink, topic, [b"%d" % number], partition=number % PARTITIONS)
            time.sleep(0.015)
        sink.close()

    members: list[tuple[threading.Thread, threading.Event]] = []

    def join() -> None:
        stop = threading.Event()
        members.append((threading.Thread(target=work, args=(stop,)), stop))
        members[-1][0].start()

    def leave(which: int) -> None:
        members[which][1].set()
        members[which][0].join(30)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for step in (join, join, join, lambda: leave(0), join, lambda: leave(2)):
            step()
            time.sleep(1.2)
        producer.join(60)
        backlog = backend.backlog(topic, group)
        until("nothing left", lambda: errors or not sum(map(backlog.unconsumed, range(PARTITIONS))))
    finally:
        for which in range(len(members)):
            leave(which)
    backend.close()
    assert not errors
    assert set(seen) == {b"%d" % number for number in range(count)}
    repeats = sum(seen.values()) - count
    print(f"{repeats} of {count} records came twice")
    assert repeats <= count // 4, "a rebalance repeats the batch in hand, not the topic"
