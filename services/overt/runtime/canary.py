"""A canary: contents of random numbers, nobody's, sent the way of everybody's, and what becomes of them.

It is also the proof that a search is not blind: while its key lives, its ciphertext must be found on the disks that are
searched, and the key must open it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overt.erasure.keys import try_keys
from overt.erasure.known import as_text, vector_as_text
from overt.erasure.search import Findings, Searcher
from overt.messages import Box, Embedding, Face, Frame, Message
from overt.picture import Picture
from overt.ports import KeyGone, Record
from overt.runtime.erasure import Payload, kept_bytes, payload_of
from overt.runtime.redis_client import Client
from overt.runtime.redis_contents import StoredKey, redis_values, stored_keys
from overt.runtime.vault import MAGIC
from overt.runtime.world import World, now_us

_NO_CHIP_PX = 97  # no model's chips are of this size, so an embedder refuses it and no canary is ever compared
_LONG_AGO_US = 1
_MARGIN_S = 2.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Canary:
    """What was planted: contents in the clear by name, in all forms worth looking for; the records that carry them; and
    the keys that Redis held then."""

    contents: Mapping[str, bytes]
    records: Sequence[Record]
    keys: Sequence[StoredKey]
    planted_at_s: float

    def payloads(self) -> list[Payload]:
        """The sealed payloads within its records."""
        findings = Findings()
        searcher = Searcher({}, MAGIC, kept_bytes)
        for number, record in enumerate(self.records):
            searcher.look(f"record {number}", record.value, findings)
        return [payload for found in findings.sealed if (payload := payload_of(found)) is not None]

    def known(self) -> dict[str, bytes]:
        """Everything that must be in the clear nowhere once its time is over: contents, and the keys themselves."""
        known = dict(self.contents)
        for number, key in enumerate(self.keys):
            known |= as_text(f"transient key {number}", key.secret)
        return known


def plant(world: World, redis: Client) -> Canary:
    """Sends a frame, a face and an embedding on every partition, as a service would. Raises Unavailable.

    No stage makes anything of them: the frame is past its deadline and shed; the crop comes before all that its camera
    has shown, and where it has shown nothing has no model's size; the vector is of no model's space. What is refused
    leaves a dead letter.
    """
    contents: dict[str, bytes] = {}
    records = []
    cameras = {camera.partition: camera.camera_id for camera in world.deployment.cameras}
    for partition, camera_id in cameras.items():
        messages, known = _canary(camera_id)
        for message in messages:
            topic, _ = world.route(message)
            records.append(Record(topic, partition, 0, message.key, world.codec.encode(message), 0))
        contents |= {f"the canary's {name} on partition {partition}": content for name, content in known.items()}
    planted_at_s = time.monotonic()
    keys = stored_keys(redis_values(redis))  # before the bus can take its time
    sink = world.sink()
    for record in records:
        sink.produce(record.topic, key=record.key, value=record.value, partition=record.partition)
    sink.flush(10.0)
    sink.close()
    return Canary(contents, records, keys, planted_at_s)


def _canary(camera_id: str) -> tuple[list[Message], dict[str, bytes]]:
    noise = np.random.default_rng(int.from_bytes(os.urandom(8), "big"))

    def picture(height: int, width: int) -> Picture:
        return Picture(bgr=noise.integers(0, 256, (height, width, 3), np.uint8))

    frame, crop, thumbnail = picture(180, 320), picture(_NO_CHIP_PX, _NO_CHIP_PX), picture(96, 96)
    vector = noise.normal(size=128).astype(np.float32)
    vector /= np.linalg.norm(vector)
    landmarks = noise.uniform(10, 90, size=10).astype(np.float32)
    at_us, number = now_us(), int.from_bytes(os.urandom(4), "big")
    messages: list[Message] = [
        Frame(camera_id, 0, number, at_us, _LONG_AGO_US, 0, 0, 320, 180, frame),
        Face(camera_id, 0, number, 0, at_us, "canary", Box(0, 0, 96, 96), landmarks, 1, 1, crop, thumbnail, None),
        Embedding(camera_id, 0, number, 0, at_us, "canary", 1.0, "canary/1", vector, thumbnail, None),
    ]
    return (
        messages,
        {
            "frame": frame.encoded("jpeg")[1024:],  # the search looks for how pictures begin by itself
            **as_text("crop", crop.encoded("png")[64:]),
            "crop's pixels": crop.bgr().tobytes(),
            **as_text("thumbnail", thumbnail.encoded("jpeg")[1024:]),
            **vector_as_text("vector", vector),
            **vector_as_text("landmarks", landmarks),
        },
    )


@dataclass(frozen=True, slots=True)
class Control:
    """What the search and the keys can do while the canary's key lives: the proof that neither is blind."""

    planted: int
    """Payloads of the canary."""
    found: int
    """Those that the search found on the disks."""
    opened: int
    """Those found that a key opened."""

    @property
    def passed(self) -> bool:
        """Whether any were found and all of those opened. Not all need be found: a cluster of several brokers has
        partitions that this one does not hold."""
        return 0 < self.found == self.opened


def control(canary: Canary, folders: Sequence[Path]) -> Control:
    """Looks for the canary as it will be looked for when its key is gone, and tries the keys that lived when it was
    planted."""
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look_into(folders, findings)
    nonces = {payload.ciphertext.nonce for payload in canary.payloads()}
    found = {
        payload.ciphertext.nonce: payload.ciphertext
        for sealed in findings.sealed
        if (payload := payload_of(sealed)) is not None and payload.ciphertext.nonce in nonces
    }
    opened = try_keys(list(found.values()), {key.name: key.secret for key in canary.keys})
    return Control(len(nonces), len(found), len(opened))


def wait_out(redis: Client, canary: Canary, life_s: float) -> float:
    """Waits until every key that lived when the canary was planted is gone, or has outlived its life; the seconds since
    then. Raises Unavailable."""
    before = {key.key_id for key in canary.keys}
    while time.monotonic() - canary.planted_at_s < life_s + _MARGIN_S:
        if not before & {key.key_id for key in stored_keys(redis_values(redis))}:
            break
        time.sleep(_POLL_S)
    return time.monotonic() - canary.planted_at_s


def refused(world: World, canary: Canary) -> bool:
    """Whether the process that sealed the canary, which held its key, cannot open it any more. Raises Unavailable."""
    return all(_refused(world, record) for record in canary.records)


def _refused(world: World, record: Record) -> bool:
    try:
        world.codec.decode(record)
    except KeyGone:
        return True
    return False


def seconds_on_disk(
    canary: Canary, folders: Sequence[Path], most_s: float, say: Callable[[str], None] = lambda _: None
) -> float | None:
    """Polls until the canary's ciphertext is in no file any more: the seconds since it was planted, None when it still
    is after `most_s`. Blocks of a disk that no file has any more are not looked at."""
    known = {f"record {number}": record.value for number, record in enumerate(canary.records)}
    searcher = Searcher(known, MAGIC, lambda _: 0)
    while True:
        began = time.monotonic()
        findings = Findings()
        searcher.look_into(folders, findings)
        left = {seen.what for seen in findings.clear} & known.keys()
        if not left:
            return began - canary.planted_at_s
        if time.monotonic() - canary.planted_at_s >= most_s:
            return None
        say(f"{len(left)} of {len(known)} records on disk after {time.monotonic() - canary.planted_at_s:.0f} s")
        time.sleep(max(1.0, time.monotonic() - began))
