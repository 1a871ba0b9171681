"""What Kafka's side of the bus promises beyond what every bus does. On the mock cluster, where no broker must fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence

import psutil
import pytest
from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as Place

from overt.ports import Record, TooLarge, TopicPartition, Unavailable
from overt.runtime.kafka import (
    KafkaBacklog,
    KafkaConfigError,
    KafkaLog,
    KafkaSettings,
    KafkaSink,
    KafkaSource,
    existing_topics,
)
from overt.runtime.kafka.bounded import BoundedCalls
from overt.runtime.kafka.client import Trouble
from overt.runtime.kafka.commits import OwedCommits
from overt.runtime.topics import MAX_MESSAGE_BYTES
from tests.support.bus import PARTITIONS, Listener, MockBackend, gather, send, unique, until, values


@pytest.fixture(scope="module")
def mock() -> MockBackend:
    return MockBackend()


@pytest.fixture(params=["closed", "silent"])
def nobody(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    """An address where nothing listens, and one that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if request.param == "closed":
            server.close()
        yield KafkaSettings(f"127.0.0.1:{port}")


# Settings


@pytest.mark.parametrize("name", ["enable.auto.commit", "partitioner", "acks", "group.id"])
def test_a_property_that_the_promises_rest_on_cannot_be_set(name: str) -> None:
    with pytest.raises(KafkaConfigError, match=name):
        KafkaSettings("127.0.0.1:9092", extra={name: "x"})


def test_an_unknown_property_or_value_is_named() -> None:
    sink = KafkaSink(KafkaSettings("127.0.0.1:9092", extra={"no.such.property": "1"}))
    with pytest.raises(KafkaConfigError, match=r"no\.such\.property"):
        sink.produce("t", key="k", value=b"")
    source = KafkaSource(KafkaSettings("127.0.0.1:9092", extra={"session.timeout.ms": "soon"}), "g")
    with pytest.raises(KafkaConfigError, match=r"session\.timeout\.ms"):
        source.subscribe(["t"], Listener())


def test_settings_do_not_show_a_password() -> None:
    assert "secret" not in repr(KafkaSettings("a:1", extra={"sasl.password": "secret"}))


def test_nothing_connects_or_starts_a_thread_before_it_is_used() -> None:
    settings = KafkaSettings("127.0.0.1:9092")
    before = psutil.Process().num_threads()
    made = (KafkaSource(settings, "g"), KafkaSink(settings), KafkaLog(settings), KafkaBacklog(settings, "t", "g"))
    assert psutil.Process().num_threads() == before
    made[0].close()
    made[1].flush(1.0)
    made[1].close()
    made[3].close()


# The sink


def test_a_record_that_no_broker_would_take_is_refused_alone(mock: MockBackend) -> None:
    topic, sink = mock.topic(), mock.sink()
    sink.produce(topic, key="k", value=b"before", partition=0)
    with pytest.raises(TooLarge, match=topic):
        sink.produce(topic, key="k", value=bytes(MAX_MESSAGE_BYTES + 1), partition=0)
    sink.produce(topic, key="k", value=b"after", partition=0)
    sink.flush(20.0)
    sink.close()
    assert values(list(mock.log().read(topic))) == [b"before", b"after"]


def test_a_missing_partition_is_unavailable_says_what_to_do_and_takes_nothing_else_with_it(mock: MockBackend) -> None:
    topic, sink = mock.topic(), mock.sink()
    send(sink, topic, [b"first"])

    with pytest.raises(Unavailable, match="overt topics apply"):
        send(sink, topic, [b"x"], partition=PARTITIONS + 3)
    send(sink, topic, [b"second"])
    sink.close()
    assert values(list(mock.log().read(topic))) == [b"first", b"second"]


def test_after_a_failure_a_new_producer_goes_on_with_nothing_left_of_the_old_batch(mock: MockBackend) -> None:
    topic, sink = mock.topic(), mock.sink()
    for attempt in range(3):
        sink.produce(topic, key="k", value=b"of the failed batch", partition=0)
        with pytest.raises(Unavailable):
            send(sink, topic, [b""], partition=PARTITIONS + 3)
        send(sink, topic, [b"%d" % attempt])
    sink.close()
    good = [value for value in values(list(mock.log().read(topic))) if value != b"of the failed batch"]
    assert good == [b"0", b"1", b"2"]


# The source


class _Refusing(Listener):
    """A worker whose world is away when it first hears of its partitions."""

    refusals = 2

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("asked", list(partitions)))
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("state is away")
        super().assigned(partitions)


def test_a_worker_that_could_not_take_its_partitions_is_told_again_before_any_record(mock: MockBackend) -> None:
    topic, sink = mock.topic(), mock.sink()
    send(sink, topic, [b"%d" % number for number in range(5)])
    source, listener = KafkaSource(mock.settings, unique("group")), _Refusing()
    source.subscribe([topic], listener)
    found: list[Record] = []
    refused = 0

    def enough() -> bool:
        nonlocal refused
        try:
            gather(source, found)
        except Unavailable:
            refused += 1
            assert not found
        return len(found) == 5

    until("five records", enough)
    source.close()
    sink.close()
    assert refused == 2
    assert [what for what, _ in listener.heard] == ["asked", "asked", "asked", "assigned"]
    assert values(found) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_closed_source_cannot_be_polled(mock: MockBackend) -> None:
    source = mock.source(unique("group"))
    source.subscribe([mock.topic()], Listener())
    source.close()
    source.close()
    with pytest.raises(RuntimeError, match="make a new source"):
        source.poll(1, 0.0)


def _answer(topic: str, partition: int, offset: int, code: int | None = None) -> Place:
    place = Place(topic, partition, offset)
    if code is not None:
        place.error = KafkaError(code)
    return place


def test_a_commit_refused_by_a_rebalance_is_owed_until_acknowledged_or_its_partition_goes() -> None:
    owed = OwedCommits()
    for number in range(4):
        owed.owe(("t", number), 10)
    assert owed.due()
    assert {(place.partition, place.offset) for place in owed.sent()} == {(number, 10) for number in range(4)}
    assert not owed.due(), "not at once again"
    refused = KafkaError(KafkaError.REBALANCE_IN_PROGRESS)
    owed.on_commit(refused, [Place("t", 0, 10)])  # stays
    owed.on_commit(None, [Place("t", 1, 10)])  # done
    owed.on_commit(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), [Place("t", 2, 10)])  # nobody can ever commit it
    owed.on_commit(None, [Place("t", 3, 9)])  # an older one
    assert {place.partition for place in owed.sent()} == {0, 3}
    owed.forgive([("t", 0), ("t", 3)])
    assert not owed


def test_a_bounded_call_gives_up_and_the_next_waits_for_it() -> None:
    calls, log = BoundedCalls("test"), list[str]()

    def slow() -> None:
        time.sleep(0.5)
        log.append("slow")

    assert calls.call(lambda: 7, 5.0) == 7
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 / 0, 5.0)
    with pytest.raises(TimeoutError):
        calls.call(slow, 0.05)
    assert not calls.idle(0.01)
    with pytest.raises(TimeoutError):
        calls.call(lambda: log.append("dropped"), 0.05)
    assert calls.idle(10.0)
    assert calls.finish(lambda: log.append("last"), 10.0)
    assert log == ["slow", "last"]


# Where nobody answers


def test_nothing_hangs_where_nobody_answers(nobody: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("log.REQUEST_TIMEOUT_S", "admin.REQUEST_TIMEOUT_S", "log._BACKLOG_S"):
        monkeypatch.setattr(f"overt.runtime.kafka.{patience}", 1.0)
    source = KafkaSource(nobody, "g")
    source.subscribe(["t"], Listener())
    sink = KafkaSink(nobody)
    began = time.monotonic()
    assert list(source.poll(5, 0.3)) == []
    with pytest.raises(Unavailable, match=r"without an answer after 0\.5 s"):
        send_briefly(sink)
    with pytest.raises(Unavailable, match="backlog"):
        KafkaBacklog(nobody, "t", "g").unconsumed(0)
    with pytest.raises(Unavailable, match="t: "):
        KafkaLog(nobody).follow("t")
    with pytest.raises(Unavailable, match=nobody.bootstrap):
        existing_topics(nobody, ["t"])
    sink.close()
    source.close()
    assert time.monotonic() - began < 30


def send_briefly(sink: KafkaSink) -> None:
    sink.produce("t", key="k", value=b"x")
    sink.flush(0.5)


def test_trouble_is_logged_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble("consumer")
    for _ in range(50):
        trouble.heard(KafkaError(KafkaError._TRANSPORT, "connection refused"))
        trouble.heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert [record.getMessage() for record in caplog.records] == [
        "consumer: connection refused",
        "consumer: 1/1 brokers are down",
    ]
    assert trouble.because() == " (1/1 brokers are down)"
    assert Trouble("other").because() == ""


def test_a_member_for_whom_no_partition_is_left_is_a_spare_and_takes_over(mock: MockBackend) -> None:
    """So a service with more replicas than partitions is ready on all of them."""
    topic, group = mock.topic(), unique("group")
    members = [(KafkaSource(mock.settings, group), Listener()) for _ in range(PARTITIONS + 1)]
    for source, listener in members:
        source.subscribe([topic], listener)

    def spares() -> list[KafkaSource]:
        for source, _ in members:
            source.poll(10, 0.02)
        return [source for source, _ in members if source.spare()]

    until("a spare", lambda: len(spares()) == 1)
    [spare] = spares()
    busy = next(source for source, listener in members if listener.owned)
    members = [(source, listener) for source, listener in members if source is not busy]
    busy.close()
    until("nobody spare", lambda: not spares() and all(listener.owned for _, listener in members))
    for source, _ in members:
        source.close()
    assert not spare.spare()
