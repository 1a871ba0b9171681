"""`overt erasure verify`: plants a canary in a running deployment and looks for what is left of it, and of anybody.

1. A canary (a picture, a crop and a vector of random numbers, nobody's) is sent on `frames`, `faces` and `embeddings`
   under an epoch that no stage heeds.
2. The life of its transient key goes by.
3. The broker's folders, Redis, and the folders named are searched for pictures in the clear, for the canary, and for
   sealed payloads.
4. Every key that still exists, in Redis or in the keyring, is tried on every payload found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from overt.erasure.keys import Trial, try_keys
from overt.erasure.search import Findings, SealedBytes, Searcher, Sighted
from overt.messages import Box, Embedding, Face, Frame, Message
from overt.picture import Picture
from overt.ports import Custody, NotAuthentic
from overt.runtime.keyring import Keyring
from overt.runtime.keys import KEY_ID_BYTES
from overt.runtime.redis_client import Client
from overt.runtime.redis_names import redis_key
from overt.runtime.vault import MAGIC, read_header
from overt.runtime.world import World, now_us

_CHIP_PX = 150
_MARGIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Canary:
    """What was planted: its contents in the clear, and the payloads in which they travel."""

    contents: Mapping[str, bytes]
    sealed: Sequence[bytes]
    """The encoded records; each holds sealed payloads."""
    planted_at_s: float


@dataclass(slots=True)
class Verdict:
    """What the search and the keys have shown."""

    clear: list[Sighted] = field(default_factory=list)
    """Pictures or canary in the clear: each is a failure."""
    opened_transient: list[tuple[SealedBytes, str]] = field(default_factory=list)
    """Payloads past their key's life that some key opens: each is a failure."""
    transient_erased: int = 0
    transient_young: int = 0
    """Payloads whose key may still live: sealed within the last key's life."""
    durable_readable: int = 0
    """Payloads of alerts and watchlist entries whose key exists: readable until their retention is over."""
    durable_erased: int = 0
    keys_tried: int = 0
    bytes_searched: int = 0
    places: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was found that must not be there, and everything could be read."""
        return not self.clear and not self.opened_transient and not self.unreadable


def plant(world: World) -> Canary:
    """Sends the canary. Raises Unavailable."""
    camera = world.deployment.cameras[0].camera_id
    noise = np.random.default_rng(int.from_bytes(os.urandom(8), "big"))
    frame = Picture(bgr=noise.integers(0, 256, (180, 320, 3), np.uint8))
    crop = Picture(bgr=noise.integers(0, 256, (_CHIP_PX, _CHIP_PX, 3), np.uint8))
    thumbnail = Picture(bgr=noise.integers(0, 256, (96, 96, 3), np.uint8))
    vector = noise.normal(size=128).astype(np.float32)
    vector /= np.linalg.norm(vector)
    at, number = now_us(), int.from_bytes(os.urandom(4), "big")
    where = (camera, 0, number)  # epoch 0 is older than any lease: stages with a memory pass it over
    messages: list[Message] = [
        Frame(*where, at, None, 0, 0, 320, 180, frame),
        Face(*where, 0, at, "canary", Box(0, 0, 96, 96), vector[:10], 1.0, 1.0, crop, thumbnail, None),
        Embedding(*where, 0, at, "canary", 1.0, "canary/1", vector, thumbnail, None),
    ]
    sink = world.sink()
    sealed = []
    for message in messages:
        topic, partition = world.route(message)
        record = world.codec.encode(message)
        sealed.append(record)
        sink.produce(topic, key=message.key, value=record, partition=partition)
    sink.flush(10.0)
    sink.close()
    contents = {
        "the canary's frame": frame.encoded("jpeg")[64:],
        "the canary's crop": crop.encoded("png")[64:],
        "the canary's thumbnail": thumbnail.encoded("jpeg")[700:],
        "the canary's vector": vector.tobytes(),
    }
    return Canary(contents, sealed, time.monotonic())


def wait_out(redis: Client, deployment_id: str, life_s: float, say: Callable[[str], None]) -> None:
    """Waits until every transient key that exists now is gone. Raises Unavailable."""
    before = set(transient_keys(redis, deployment_id))
    deadline = time.monotonic() + life_s + _MARGIN_S
    while before & set(transient_keys(redis, deployment_id)):
        if time.monotonic() > deadline:
            say(f"keys outlive their life of {life_s:.0f} s: look at Redis's clock and its settings")
            return
        time.sleep(0.5)


def seconds_on_disk(canary: Canary, folders: Sequence[Path], most_s: float) -> float | None:
    """Polls until the canary's ciphertext is in no file any more; None when it still is after `most_s`."""
    searcher = Searcher({f"record {n}": record[-200:] for n, record in enumerate(canary.sealed)}, MAGIC)
    while time.monotonic() - canary.planted_at_s < most_s:
        findings = Findings()
        searcher.look_into(folders, findings)
        if not any(seen.what.startswith("record") for seen in findings.clear):
            return time.monotonic() - canary.planted_at_s
        time.sleep(1.0)
    return None


def examine(
    redis: Client,
    keyring: Keyring | None,
    deployment_id: str,
    folders: Sequence[Path],
    known: Mapping[str, bytes],
    *,
    slot_s: float,
    life_s: float,
) -> Verdict:
    """Steps 3 and 4. Raises Unavailable."""
    findings = Findings()
    searcher = Searcher(known, MAGIC)
    searcher.look_into(folders, findings)
    for name, value in redis_values(redis):
        searcher.look(f"redis {name}", value, findings)
    keys = {f"transient key {name}": secret for name, secret in transient_keys(redis, deployment_id).items()}
    owners = {key.key.key_id: key for key in keyring.every_key()} if keyring else {}
    keys |= {f"keyring {key_id.hex()}": durable.key.reveal() for key_id, durable in owners.items()}
    verdict = Verdict(
        clear=findings.clear,
        keys_tried=len(keys),
        bytes_searched=findings.bytes_read,
        places=findings.places,
        unreadable=findings.unreadable,
    )
    dead_before_slot = (time.time() - life_s) // slot_s
    transient = []
    for payload in findings.sealed:
        try:
            header = read_header(payload.data)
        except NotAuthentic:
            continue  # the magic by chance, or a piece of a payload: nothing that could be opened
        if header.custody is not Custody.TRANSIENT:
            verdict.durable_readable += header.key_id in owners
            verdict.durable_erased += header.key_id not in owners
        elif header.slot < dead_before_slot:
            transient.append(payload)
        else:
            verdict.transient_young += 1
    trial: Trial = try_keys(transient, keys, list(known.values()))
    verdict.opened_transient = trial.opened
    verdict.transient_erased = len(transient) - len(trial.opened)
    return verdict


def transient_keys(redis: Client, deployment_id: str) -> dict[str, bytes]:
    """The transient keys that Redis holds now, by name: the 32 bytes of each. Raises Unavailable."""
    found = {}
    for name in _names(redis, redis_key(deployment_id, "key") + ":*"):
        value = redis.call("GET", name)
        if value is not None:
            found[name.decode()] = value[KEY_ID_BYTES:]
    return found


def redis_values(redis: Client) -> Sequence[tuple[str, bytes]]:
    """Everything that Redis holds, as bytes. Raises Unavailable."""
    values = []
    for name in _names(redis, "*"):
        kind = redis.call("TYPE", name).decode()
        command: dict[str, tuple[bytes | str | int, ...]] = {
            "string": ("GET", name),
            "hash": ("HGETALL", name),
            "list": ("LRANGE", name, 0, -1),
            "set": ("SMEMBERS", name),
            "zset": ("ZRANGE", name, 0, -1),
        }
        answer = redis.call(*command.get(kind, ("DUMP", name)))
        values.append((name.decode(errors="replace"), _flat(answer)))
    return values


def _flat(answer: object) -> bytes:
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, dict):
        return b"\n".join(_flat(part) for pair in answer.items() for part in pair)
    if isinstance(answer, list | tuple | set):
        return b"\n".join(_flat(part) for part in answer)
    return b""


def _names(redis: Client, pattern: str) -> list[bytes]:
    names: set[bytes] = set()
    cursor: object = 0
    while True:
        cursor, page = redis.call("SCAN", str(int(str(cursor))), "MATCH", pattern, "COUNT", 1000)
        names.update(page)
        if int(str(cursor)) == 0:
            return sorted(names)
