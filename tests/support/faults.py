"""What `make faults` does to a running cluster. Each fault strikes, and where something stays broken, mends it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from confluent_kafka import Producer

from overt.messages import Frame
from overt.picture import Picture, encode
from overt.runtime.world import now_us, partition_count
from tests.support.cluster import CHAIN, Cluster
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_cluster import KafkaCluster, Refused
from tests.support.ordeal import Ordeal, S
from tests.support.redis_server import RedisServer
from tests.support.scenes import TestScene

FLOODED = "flood"
"""A camera of the deployment whose own file is over at once: the flood comes under its name."""
_DOWN_S = 3.0
_STOPPED_S = 60.0
_AHEAD_S = 5.0
_STEPPED_S = 20.0
_FLOOD_S = 60.0
_FLOOD_FPS = 160
_FLOOD_EPOCH = 1_000_000
_TWICE_S = 10
_POISONED = (
    "frames",
    "faces",
    "embeddings",
    "matches",
    "alerts",
    "passes",
    "watchlist",
    "adjudications",
    "audit",
    "guard",
)
_BY_CAMERA = frozenset({"frames", "faces", "embeddings", "matches", "passes"})


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


def _kill(service: str) -> Callable[[Victim], None]:
    def strike(victim: Victim) -> None:
        replica = victim.cluster.service(service)
        replica.kill()
        time.sleep(_DOWN_S)
        replica.spawn()

    return strike


def _stop(service: str) -> Callable[[Victim], None]:
    def strike(victim: Victim) -> None:
        replica = victim.cluster.service(service)
        replica.freeze()
        time.sleep(_STOPPED_S)
        replica.thaw()

    return strike


def _kill_leader(victim: Victim) -> None:
    victim.struck = victim.kafka.leader(victim.cluster.world.topic("frames"))
    victim.struck.kill()
    time.sleep(_DOWN_S)


def _start_again(victim: Victim) -> None:
    assert victim.struck is not None
    victim.struck.kill()
    victim.struck.spawn()
    victim.struck.wait_ready()


def _kill_redis(victim: Victim) -> None:
    victim.redis.kill()
    time.sleep(_DOWN_S)
    victim.redis.start()


def _cut_off(victim: Victim) -> None:
    assert victim.kafka.cable is not None
    victim.kafka.prefer()  # one that came back leads nothing at first, and nobody would miss it
    victim.ordeal.settle()
    leads = victim.kafka.led_by(victim.kafka.brokers[1])
    assert any(topic.startswith(victim.cluster.world.prefix) for topic, _ in leads), "what is cut off leads nothing"
    victim.kafka.cable.pull()
    time.sleep(_DOWN_S)


def _join_again(victim: Victim) -> None:
    assert victim.kafka.cable is not None
    victim.kafka.cable.plug()


def _fill_disk(victim: Victim) -> None:
    assert victim.kafka.disk is not None
    victim.struck = victim.kafka.brokers[2]
    with (victim.kafka.disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(1 << 16))
        except OSError:
            pass  # which is what was wanted
    time.sleep(_DOWN_S)


def _clear_disk(victim: Victim) -> None:
    assert victim.kafka.disk is not None
    (victim.kafka.disk / "filler").unlink()
    _start_again(victim)


def _step_clock(victim: Victim) -> None:
    replica = victim.cluster.service("frame")
    script = str(Path(__file__).with_name("shifted_clock.py"))
    replica.terminate()
    right = replica.child.argv
    replica.child.argv = [sys.executable, script, str(_AHEAD_S), *right[1:]]
    replica.start()
    time.sleep(_DOWN_S)
    replica.child.signal(signal.SIGUSR1)
    time.sleep(_STEPPED_S)
    replica.child.signal(signal.SIGUSR2)
    replica.child.argv = right  # of the next start


def _deliver_twice(victim: Victim) -> None:
    world = victim.cluster.world
    producer = Producer({"bootstrap.servers": victim.kafka.bootstrap})
    for _, name in (*CHAIN, ("", "matches")):
        topic = world.topic(name)
        for record in list(world.log.read(topic, since_us=now_us() - _TWICE_S * S)):
            producer.produce(topic, record.value, record.key, record.partition)
    assert producer.flush(30) == 0


def _poison(victim: Victim) -> None:
    world, cluster = victim.cluster.world, victim.cluster
    producer = Producer({"bootstrap.servers": victim.kafka.bootstrap})
    real = [record.value for record in world.log.read(world.topic("alerts")) if record.value]
    doses = [b"\x00", os.urandom(100), b"\x00" + os.urandom(2000), *(value[:40] for value in real[:1])]
    victim.ordeal.plant(doses)
    for name in _POISONED:
        for partition in range(partition_count(cluster.deployment) if name in _BY_CAMERA else 1):
            for dose in doses:
                producer.produce(world.topic(name), dose, "north", partition)
    assert producer.flush(30) == 0


def _flood(victim: Victim) -> None:
    """Ten times the frames of both cameras, at their pace, under the name of a third."""
    world = victim.cluster.world
    sink, topic = world.sink(), world.topic("frames")
    camera = next(c for c in victim.cluster.deployment.cameras if c.camera_id == FLOODED)
    delay_us = round(victim.cluster.deployment.realtime.max_delay_s * S)
    began = time.monotonic()
    for number, (image, size) in enumerate(_images(victim.scene), 1):
        ahead_s = number / _FLOOD_FPS - (time.monotonic() - began)
        if ahead_s > 0:
            time.sleep(ahead_s)
        if time.monotonic() - began > _FLOOD_S:
            break
        at = now_us()
        frame = Frame(FLOODED, _FLOOD_EPOCH, number, at, at + delay_us, 0, 0, *size, Picture(encoded=image))
        sink.produce(topic, key=FLOODED, value=world.codec.encode(frame), partition=camera.partition)
        if number % 8 == 0:
            sink.flush(10.0)
    sink.flush(10.0)
    sink.close()


def _images(scene: TestScene) -> Iterator[tuple[bytes, tuple[int, int]]]:
    while True:
        reader = cv2.VideoCapture(str(scene.video))
        while (shown := reader.read())[0]:
            bgr = np.asarray(shown[1], np.uint8)
            yield encode(bgr, "jpeg"), (bgr.shape[1], bgr.shape[0])
        reader.release()


FAULTS = (
    *(Fault(f"kill -9 {s}", _kill(s)) for s in ("frame", "detector", "embedder", "matcher", "alerter")),
    Fault("kill -9 the leader broker", _kill_leader, _start_again),
    Fault("kill -9 Redis, empty after", _kill_redis),
    Fault("a broker cut off", _cut_off, _join_again, lambda victim: victim.kafka.missing.get("cable")),
    Fault("a broker's disk full", _fill_disk, _clear_disk, lambda victim: victim.kafka.missing.get("disk")),
    Fault("clock of frame +5 s, back", _step_clock),
    *(Fault(f"SIGSTOP {s} 60 s", _stop(s)) for s in ("detector", "embedder", "alerter", "frame")),
    Fault("10 s delivered twice", _deliver_twice),
    Fault("poison in every topic", _poison),
    Fault("ten times the frames, 60 s", _flood),
)
__all__ = ["FAULTS", "FLOODED", "Fault", "Refused", "Victim"]
