"""Faults by what is put on the topics: records once more, poison, and far too many."""

from __future__ import annotations

import itertools
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
    images = itertools.cycle(_images(victim.scene))  # encoded once: the flood must not wait for its own spring
    began, sent = time.monotonic(), 0
    while (gone_s := time.monotonic() - began) < _FLOOD_S:
        while sent < gone_s * _FLOOD_FPS:
            (image, size), at = next(images), now_us()
            sent += 1
            frame = Frame(FLOODED, _FLOOD_EPOCH, sent, at, at + delay_us, 0, 0, *size, Picture(encoded=image))
            sink.produce(topic, key=FLOODED, value=world.codec.encode(frame), partition=camera.partition)
        sink.flush(10.0)
        time.sleep(0.01)
    sink.close()
    print(f"flood: {sent / gone_s:.0f} frames a second", flush=True)
    assert sent > 0.9 * _FLOOD_FPS * _FLOOD_S, f"this machine sent only {sent} of {_FLOOD_FPS * _FLOOD_S:.0f} frames"


def _images(scene: TestScene) -> Iterator[tuple[bytes, tuple[int, int]]]:
    reader = cv2.VideoCapture(str(scene.video))
    while (shown := reader.read())[0]:
        bgr = np.asarray(shown[1], np.uint8)
        yield encode(bgr, "jpeg"), (bgr.shape[1], bgr.shape[0])
    reader.release()
