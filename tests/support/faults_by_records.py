"""Faults by what is put on the topics: records once more, poison, and far too many."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import cv2
import numpy as np
from confluent_kafka import Producer

from overt.messages import Frame
from overt.picture import Picture, encode
from overt.runtime.world import now_us, partition_count
from tests.support.cluster import CHAIN
from tests.support.ordeal import S
from tests.support.scenes import TestScene
from tests.support.victim import Victim

FLOODED = "flood"
"""A camera of the deployment whose own file is over at once: the flood comes under its name."""
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


def deliver_twice(victim: Victim) -> None:
    world = victim.cluster.world
    producer = Producer({"bootstrap.servers": victim.kafka.bootstrap})
    for _, name in (*CHAIN, ("", "matches")):
        topic = world.topic(name)
        for record in list(world.log.read(topic, since_us=now_us() - _TWICE_S * S)):
            producer.produce(topic, record.value, record.key, record.partition)
    assert producer.flush(30) == 0


def poison(victim: Victim) -> None:
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


def flood(victim: Victim) -> None:
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
