"""What every bus promises: one suite on the memory bus, on librdkafka's mock cluster and on a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from overt.ports import Follower, Record, Sink, Source, TopicPartition
from tests.support.bus import (
    PARTITIONS,
    Backend,
    KafkaBackend,
    Listener,
    MemoryBackend,
    MockBackend,
    gather,
    nothing_more,
    send,
    take,
    unique,
    until,
    values,
)

EMBEDDED_AND_KAFKA = ["memory", "mock", pytest.param("kafka", marks=pytest.mark.kafka)]


@pytest.fixture(scope="module", params=EMBEDDED_AND_KAFKA)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each kind of bus in turn."""
    made: Backend
    if request.param == "memory":
        made = MemoryBackend()
    elif request.param == "mock":
        made = MockBackend()
    else:
        made = KafkaBackend(request.getfixturevalue("kafka").bootstrap)
    yield made
    made.close()


@pytest.fixture
def topic(backend: Backend) -> str:
    """A new topic with four partitions."""
    return backend.topic()


@pytest.fixture
def sink(backend: Backend) -> Iterator[Sink]:
    made = backend.sink()
    yield made
    made.close()


Join = Callable[..., tuple[Source, Listener]]


@pytest.fixture
def join(backend: Backend, topic: str) -> Iterator[Join]:
    """`join(group)` makes a member of the group on the topic; those that are left open are closed at the end."""
    sources: list[Source] = []

    def member(group: str) -> tuple[Source, Listener]:
        source, listener = backend.source(group), Listener()
        source.subscribe([topic], listener)
        sources.append(source)
        return source, listener

    yield member
    for source in sources:
        source.close()


def _read(backend: Backend, topic: str) -> list[Record]:
    return list(backend.log().read(topic))


# Records


def test_a_partition_keeps_its_order_and_counts_from_zero(backend: Backend, topic: str, sink: Sink) -> None:
    sent = [b"%d" % number for number in range(200)]
    send(sink, topic, sent, partition=2)
    found = _read(backend, topic)
    assert values(found) == sent
    assert [record.offset for record in found] == list(range(200))
    assert {(record.topic, record.partition) for record in found} == {(topic, 2)}


def test_an_explicit_partition_is_respected_whatever_the_key(backend: Backend, topic: str, sink: Sink) -> None:
    for partition in range(PARTITIONS):
        send(sink, topic, [b"%d" % partition], partition=partition, key="the same")
    assert {record.partition: record.value for record in _read(backend, topic)} == {
        partition: b"%d" % partition for partition in range(PARTITIONS)
    }


def test_key_headers_empty_values_and_tombstones_arrive_as_they_were(backend: Backend, topic: str, sink: Sink) -> None:
    headers = {"stage": "detector", "reason": "key_gone", "Grüße": "aus Köln", "empty": ""}
    sink.produce(topic, key="Kamera 7 – Süd", value=None, partition=0, headers=headers)
    sink.produce(topic, key="", value=b"", partition=0)
    sink.flush(20.0)
    tombstone, empty = _read(backend, topic)
    assert (tombstone.key, tombstone.value, dict(tombstone.headers)) == ("Kamera 7 – Süd", None, headers)
    assert (empty.key, empty.value, dict(empty.headers)) == ("", b"", {})


def test_a_record_carries_the_time_at_which_the_bus_took_it(backend: Backend, topic: str, sink: Sink) -> None:
    before_us = time.time_ns() // 1000
    send(sink, topic, [b"now"])
    [record] = _read(backend, topic)
    assert before_us - 1000 <= record.timestamp_us <= time.time_ns() // 1000  # Kafka counts milliseconds


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2, 32 bits, as Kafka's Java client seeds and reads it; the result is signed."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


def test_this_files_own_murmur2_gives_the_vectors_of_kafkas_java_client() -> None:
    known = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107, b"a-little-bit-longer-string": -1486304829}
    assert {data: murmur2(data) for data in known} == known


def test_a_key_without_a_partition_goes_where_java_would_put_it(backend: Backend, topic: str, sink: Sink) -> None:
    keys = [f"entry-{number}" for number in range(40)] + ["Süd"]
    for key in keys * 2:
        sink.produce(topic, key=key, value=b"")
    sink.flush(20.0)
    found = {(record.key, record.partition) for record in _read(backend, topic)}
    assert len(found) == len(keys), "one key, one partition"
    assert len({partition for _, partition in found}) == PARTITIONS, "all partitions are used"
    if backend.hashes_like_java:
        assert found == {(key, (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS) for key in keys}


# Groups


def test_what_was_committed_does_not_come_again_and_the_rest_does(topic: str, sink: Sink, join: Join) -> None:
    group = unique("group")
    send(sink, topic, [b"%d" % number for number in range(10)])
    first, _ = join(group)
    records = take(first, 10)
    first.commit(records[:4])
    first.close()
    second, listener = join(group)
    again = take(second, 6)
    assert values(again) == [b"4", b"5", b"6", b"7", b"8", b"9"]
    assert ("assigned", [(topic, number) for number in range(PARTITIONS)]) in listener.heard
    second.commit(again)
    second.close()
    third, heard = join(group)
    until("an assignment", lambda: third.poll(100, 0.1) or heard.owned)
    assert nothing_more(third)


def test_each_group_gets_everything(topic: str, sink: Sink, join: Join) -> None:
    send(sink, topic, [b"1", b"2"])
    one, _ = join(unique("group"))
    other, _ = join(unique("group"))
    got = take(one, 2)
    one.commit(got)
    assert values(take(other, 2)) == values(got) == [b"1", b"2"]


def test_rewinding_makes_a_partition_come_again_from_there_and_no_other(topic: str, sink: Sink, join: Join) -> None:
    send(sink, topic, [b"%d" % number for number in range(6)], partition=0)
    send(sink, topic, [b"other"], partition=1)
    source, _ = join(unique("group"))
    records = take(source, 7)
    mine = [record for record in records if record.partition == 0]
    source.rewind(mine[2:])
    assert values(take(source, 4)) == [b"2", b"3", b"4", b"5"]
    source.rewind(records)
    assert sorted(values(take(source, 7))) == sorted(values(records))
    assert nothing_more(source, 0.3)


def test_a_rewound_batch_can_be_committed_later(backend: Backend, topic: str, sink: Sink, join: Join) -> None:
    group = unique("group")
    send(sink, topic, [b"%d" % number for number in range(3)])
    source, _ = join(group)
    records = take(source, 3)
    source.rewind(records)
    source.commit(take(source, 3))
    assert backend.backlog(topic, group).unconsumed(0) == 0


def test_a_paused_partition_rests_and_goes_on_where_it_was(topic: str, sink: Sink, join: Join) -> None:
    send(sink, topic, [b"a", b"b"], partition=0)
    source, _ = join(unique("group"))
    first = take(source, 2)
    source.pause((topic, 0))
    send(sink, topic, [b"c", b"d"], partition=0)
    send(sink, topic, [b"elsewhere"], partition=1)
    assert values(take(source, 1)) == [b"elsewhere"]
    assert nothing_more(source)
    source.rewind(first[1:])  # also while it rests
    assert nothing_more(source, 0.5)
    source.resume((topic, 0))
    assert values(take(source, 3)) == [b"b", b"c", b"d"]


def test_what_it_does_not_own_is_left_alone(topic: str, sink: Sink, join: Join) -> None:
    send(sink, topic, [b"a"])
    source, _ = join(unique("group"))
    strange = Record(unique("elsewhere"), 0, 5, "k", b"", 0)
    source.commit([strange])
    source.rewind([strange])
    source.pause((strange.topic, 0))
    source.resume((strange.topic, 0))
    assert values(take(source, 1)) == [b"a"]


def test_two_members_share_and_who_stays_gets_all(topic: str, sink: Sink, join: Join) -> None:
    group = unique("group")
    everything: set[TopicPartition] = {(topic, number) for number in range(PARTITIONS)}
    one, of_one = join(group)
    until("all partitions for one", lambda: one.poll(100, 0.05) or of_one.owned == everything)
    other, of_other = join(group)

    def shared() -> bool:
        one.poll(100, 0.05)
        other.poll(100, 0.05)
        return bool(of_one.owned and of_other.owned) and of_one.owned | of_other.owned == everything

    until("a share for each", shared)
    assert not of_one.owned & of_other.owned
    assert len(of_other.owned) == PARTITIONS // 2
    assert ("revoked", sorted(of_other.owned)) in of_one.heard

    for partition in range(PARTITIONS):
        send(sink, topic, [b"%d" % partition], partition=partition)
    got: dict[bytes, list[Source]] = {}

    def collect() -> bool:
        for source in (one, other):
            for record in source.poll(100, 0.05):
                got.setdefault(record.value, []).append(source)
        return len(got) == PARTITIONS

    until("every record at one of the two", collect)
    assert all(len(sources) == 1 for sources in got.values())
    assert {bool((topic, int(value)) in of_one.owned) == (got[value] == [one]) for value in got} == {True}

    other.close()  # it has committed nothing, so its records come again, to who stays
    theirs = sorted(number for _, number in everything - of_one.owned)
    again: list[Record] = []
    until("the other's records", lambda: len(gather(one, again)) >= len(theirs))
    assert sorted(record.partition for record in again) == theirs
    assert of_one.owned == everything
    assert "lost" not in [what for what, _ in of_one.heard]


def test_lag_and_backlog_count_what_is_not_consumed_yet(backend: Backend, topic: str, sink: Sink, join: Join) -> None:
    group = unique("group")
    backlog = backend.backlog(topic, group)
    assert backlog.unconsumed(3) == 0
    send(sink, topic, [b"%d" % number for number in range(5)], partition=3)
    assert backlog.unconsumed(3) == 5, "a group that has committed nothing will begin at the beginning"
    source, _ = join(group)
    first: list[Record] = []
    until("a record", lambda: gather(source, first, 1))
    assert len(first) == 1, "no more than were asked for"
    until("a lag of four", lambda: source.lag().get((topic, 3)) == 4 or source.poll(0, 0.0))
    rest = take(source, 4)
    until("no lag", lambda: source.lag().get((topic, 3)) == 0 or source.poll(1, 0.0))
    assert backlog.unconsumed(3) == 5, "polled is not consumed"
    source.commit([*first, *rest[:2]])
    assert backlog.unconsumed(3) == 2
    assert backlog.unconsumed(0) == 0
    source.rewind(rest[2:])
    assert source.lag()[topic, 3] == 2, "it is of the moment, not of the last poll"
    source.close()
    assert not source.lag()


def test_an_empty_topic_gives_nothing_after_the_wait(topic: str, join: Join) -> None:
    source, _ = join(unique("group"))
    began = time.monotonic()
    assert list(source.poll(10, 0.3)) == []
    assert 0.2 <= time.monotonic() - began < 20


# Outside a group


def test_a_read_ends_at_the_end_as_it_was_when_it_began(backend: Backend, topic: str, sink: Sink) -> None:
    assert _read(backend, topic) == []
    for partition in range(PARTITIONS):
        send(sink, topic, [b"before"] * 3, partition=partition)
    reading = backend.log().read(topic)
    send(sink, topic, [b"after"])
    assert values(list(reading)) == [b"before"] * 3 * PARTITIONS
    assert len(_read(backend, topic)) == 3 * PARTITIONS + 1


def test_a_read_since_a_time_begins_with_the_first_record_at_or_after_it(
    backend: Backend, topic: str, sink: Sink
) -> None:
    if not backend.reads_since_a_time:
        pytest.skip("the mock cluster knows no offsets for times")
    send(sink, topic, [b"old"], partition=0)
    send(sink, topic, [b"old"], partition=1)
    time.sleep(0.02)  # Kafka counts milliseconds
    since_us = time.time_ns() // 1000
    time.sleep(0.02)
    send(sink, topic, [b"new 1", b"new 2"], partition=0)
    log = backend.log()
    assert values(list(log.read(topic, since_us=since_us))) == [b"new 1", b"new 2"]
    first_new = next(iter(log.read(topic, since_us=since_us)))
    exactly = list(log.read(topic, since_us=first_new.timestamp_us))
    assert exactly[0] == first_new, "at or after: that very time is included"
    assert list(log.read(topic, since_us=time.time_ns() // 1000 + 3_600_000_000)) == []


def test_a_follower_reads_all_and_then_what_comes(backend: Backend, topic: str, sink: Sink) -> None:
    for partition in range(PARTITIONS):
        send(sink, topic, [b"%d" % partition] * 5, partition=partition)
    follower = backend.log().follow(topic)
    try:
        assert not follower.caught_up()
        found: list[Record] = []
        until("the whole history", lambda: gather(follower, found, 3) and follower.caught_up())
        assert sorted(values(found)) == sorted(b"%d" % partition for partition in range(PARTITIONS) for _ in range(5))
        send(sink, topic, [b"later"])
        later: list[Record] = []
        until("what came later", lambda: gather(follower, later, 3))
        assert values(later) == [b"later"]
        assert follower.caught_up()
    finally:
        follower.close()


def test_a_follower_of_an_empty_topic_has_caught_up_at_once(backend: Backend, topic: str) -> None:
    follower: Follower = backend.log().follow(topic)
    assert follower.caught_up()
    assert list(follower.poll(10, 0.0)) == []
    follower.close()
