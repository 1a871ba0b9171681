"""What only the bus of one process must do: a run that lasts for days keeps no more than it needs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from overt.demo.deployments import own_deployment
from overt.ports import Record, TopicPartition
from overt.runtime.memory import MemoryBus, MemorySource
from overt.runtime.world import memory_world


class Deaf:
    """A member that need not be told of anything."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...


def consumer(bus: MemoryBus, topic: str, group: str = "g") -> MemorySource:
    source = bus.source(group)
    source.subscribe([topic], Deaf())
    return source


def kept(bus: MemoryBus, topic: str) -> list[Record]:
    return list(bus.log().read(topic))


def fill(bus: MemoryBus, topic: str, count: int) -> None:
    sink = bus.sink()
    for number in range(count):
        sink.produce(topic, key="k", value=number, partition=0)


def test_of_a_topic_that_nobody_need_read_the_last_records_stay() -> None:
    bus = MemoryBus(lambda: 0)
    bus.create("passes", 2, most=3)
    fill(bus, "passes", 10)
    assert [(record.offset, record.value) for record in kept(bus, "passes")] == [(7, 7), (8, 8), (9, 9)]


def test_a_flush_waits_while_consumers_are_behind_so_that_what_waits_has_a_bound() -> None:
    bus = MemoryBus(lambda: 0)
    bus.create("faces", 2, keep=False, most=4)
    source, sink = consumer(bus, "faces"), bus.sink()
    for partition in (0, 1, 0, 1):
        sink.produce("faces", key="k", value=None, partition=partition)
    sink.flush(60.0)  # there is room for four
    sink.produce("faces", key="k", value=None, partition=0)
    producing = threading.Thread(target=sink.flush, args=(60.0,), daemon=True)
    producing.start()
    producing.join(0.2)
    assert producing.is_alive(), "five wait, over both partitions"
    source.commit(source.poll(1, 0.0))
    producing.join(30)
    assert not producing.is_alive()


def test_a_flush_gives_up_waiting_and_loses_nothing() -> None:
    bus = MemoryBus(lambda: 0)
    bus.create("faces", 1, keep=False, most=1)
    source, sink = consumer(bus, "faces"), bus.sink()
    for number in range(3):
        sink.produce("faces", key="k", value=number, partition=0)
    sink.flush(0.05)
    assert [record.value for record in source.poll(10, 0.0)] == [0, 1, 2]


def test_whoever_wrote_elsewhere_does_not_wait() -> None:
    bus = MemoryBus(lambda: 0)
    bus.create("faces", 1, keep=False, most=1)
    bus.create("passes", 1)
    consumer(bus, "faces")
    fill(bus, "faces", 5)
    sink = bus.sink()
    sink.produce("passes", key="k", value=None)
    sink.flush(60.0)  # would time the test out
    assert len(kept(bus, "passes")) == 1


def test_in_one_process_nothing_grows_with_the_length_of_a_run(tmp_path: Path) -> None:
    """Alerts hold pictures: what the output has taken is forgotten. Faces wait in bounded numbers. Of what nobody reads
    a bounded number stays. The watchlist stays as a whole."""
    world, bus = memory_world(own_deployment("usb:0", tmp_path))
    many = 30_000
    for topic in ("passes", "deadletters", "adjudications"):
        fill(bus, topic, many)
        assert len(kept(bus, topic)) < many / 2, topic
    fill(bus, "watchlist", many)
    assert len(kept(bus, "watchlist")) == many
    for topic in ("frames", "faces", "embeddings", "matches", "alerts"):
        source = consumer(bus, topic)
        fill(bus, topic, 3)
        source.commit(source.poll(10, 0.0))
        assert kept(bus, topic) == [], topic
    assert bus.most("faces") is not None
    assert bus.most("embeddings") is not None
    assert bus.most("matches") is not None
    assert world.topic("alerts") == "alerts"
