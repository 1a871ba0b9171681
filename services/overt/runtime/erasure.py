"""What is left of anybody: searches the broker's disk, Redis and folders, and tries every key that still exists.

1. Search for pictures in the clear, for known contents (a canary's, see `overt.runtime.canary`), and for sealed
   payloads.
2. Leave out the payloads that may be readable: those whose own key lives as long as it should.
3. Try every key in Redis and in the keyring, whatever its custody, on all the others.

What it cannot see: swap, core dumps, freed memory, blocks that no file has any more, copies made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overt.erasure.batches import compressed_batches
from overt.erasure.keys import LONGEST_VECTOR_BYTES, Ciphertext, try_keys
from overt.erasure.search import Findings, Found, Searcher, Sighted
from overt.ports import Clock, Custody
from overt.runtime.keys.key import NONCE_BYTES, OVERHEAD_BYTES
from overt.runtime.keys.keyring import Keyring
from overt.runtime.redis_client import Client
from overt.runtime.redis_contents import StoredKey, may_live, redis_now_ms, redis_values, stored_keys
from overt.runtime.vault import HEADER_BYTES, MAGIC, SealedHeader, header_of
from overt.runtime.world import now_us

_PICTURE_KEPT_BYTES = HEADER_BYTES + NONCE_BYTES + 64
_VECTOR_KEPT_BYTES = HEADER_BYTES + OVERHEAD_BYTES + LONGEST_VECTOR_BYTES


@dataclass(frozen=True, slots=True)
class Payload:
    """A sealed payload, whole or cut short, and where it was found."""

    place: str
    offset: int
    custody: Custody
    key_id: bytes
    ciphertext: Ciphertext


def kept_bytes(head: bytes) -> int:
    """For `Searcher`: all of a vector, and as much of a picture as tells that it is one."""
    header = header_of(head)
    if header is None:
        return 0
    return header.length if header.length <= _VECTOR_KEPT_BYTES else _PICTURE_KEPT_BYTES


def payload_of(found: Found) -> Payload | None:
    """The payload that begins there; None when its header says that it is none."""
    header: SealedHeader | None = header_of(found.data)
    if header is None:
        return None
    begins = HEADER_BYTES + NONCE_BYTES
    length = header.length - HEADER_BYTES - OVERHEAD_BYTES
    ciphertext = Ciphertext(found.data[HEADER_BYTES:begins], found.data[begins : begins + length], length)
    return Payload(found.place, found.offset, header.custody, header.key_id, ciphertext)


@dataclass(slots=True)
class Verdict:
    """What the search and the keys have shown. `failures` says what of it must not be."""

    clear: list[Sighted] = field(default_factory=list)
    """Pictures, known contents or keys in the clear."""
    opened: list[tuple[Payload, str]] = field(default_factory=list)
    """Payloads that a key opens although their own key's life is over."""
    outstaying: list[str] = field(default_factory=list)
    """Transient keys in Redis that should have gone."""
    overdue: int = 0
    """Payloads of alerts whose retention is over and whose key still exists."""
    persisting: list[str] = field(default_factory=list)
    """Settings with which Redis keeps keys beyond their life."""
    compressed: list[str] = field(default_factory=list)
    """Log segments that a byte search does not see into."""
    unreadable: list[str] = field(default_factory=list)

    transient_erased: int = 0
    transient_alive: int = 0
    """Of passers-by, sealed so lately that their key lives."""
    durable_erased: int = 0
    durable_alive: int = 0
    """Of alerts and watchlist: readable until their time is over, or their entry is removed."""
    durable_unjudged: int = 0
    """The same, where no keyring was given."""
    keys_tried: int = 0
    places: int = 0
    bytes_searched: int = 0

    def failures(self) -> list[str]:
        """Why erasure is not proven; empty when it is."""
        found = [
            (len(self.clear), "pictures, contents of the canary or keys lie in the clear"),
            (len(self.opened), "payloads are opened by a key although their own key's life is over"),
            (len(self.outstaying), "transient keys are in Redis longer than their life"),
            (self.overdue, "payloads of alerts have a key although their retention is over: is a service running?"),
            (len(self.persisting), "settings of Redis keep keys beyond their life"),
            (len(self.compressed), "log segments are compressed, and a byte search does not see into them"),
            (len(self.unreadable), "places could not be read"),
        ]
        return [f"{count} {what}" for count, what in found if count]


def examine(
    redis: Client,
    keyring: Keyring | None,
    deployment_id: str,
    folders: Sequence[Path],
    known: Mapping[str, bytes],
    *,
    topic_prefix: str,
    slot_s: float,
    life_s: float,
    clock: Clock = now_us,
    missing: Keyring | None = None,
) -> Verdict:
    """Steps 1 to 3. `known`: contents by name that must be in the clear nowhere; `missing`: the keyring of alerts about
    missing people, where it is another. Raises Unavailable."""
    findings = Findings()
    searcher = Searcher(known, MAGIC, kept_bytes, most_kept=_VECTOR_KEPT_BYTES)
    searcher.look_into(folders, findings)
    values = redis_values(redis)
    for value in values:
        searcher.look(f"Redis: {value.name}", value.name.encode() + b"\n" + value.data, findings)
    in_redis, now_ms = stored_keys(values), redis_now_ms(redis)
    may = {k.name: may_live(k, deployment_id, now_ms=now_ms, slot_s=slot_s, life_s=life_s) for k in in_redis}
    verdict = Verdict(
        clear=findings.clear,
        outstaying=[name for name, lives_rightly in may.items() if lives_rightly is False],
        persisting=redis.what_outlives(),
        compressed=[path for folder in folders for path in compressed_batches(folder, topic_prefix)],
        unreadable=findings.unreadable,
        places=findings.places,
        bytes_searched=findings.bytes_read,
    )
    alive = {key.key_id for key in in_redis if may[key.name]}
    payloads = [payload for found in findings.sealed if (payload := payload_of(found)) is not None]
    rings = [ring for ring in (keyring, missing) if ring is not None]
    _judge(verdict, payloads, alive, in_redis, rings, clock())
    return verdict


def _judge(
    verdict: Verdict,
    payloads: Sequence[Payload],
    alive: set[bytes],
    in_redis: Sequence[StoredKey],
    keyrings: Sequence[Keyring],
    at_us: int,
) -> None:
    durable = [key for keyring in keyrings for key in keyring.every_key()]
    owned = {key.key.key_id: key.expired(at_us) for key in durable}
    keys = {f"the key {key.name} in Redis": key.secret for key in in_redis}
    keys |= {f"the key of {key.owner} in the keyring": key.key.reveal() for key in durable}
    erased = []
    for payload in payloads:
        if payload.custody is Custody.TRANSIENT:
            if payload.key_id in alive:
                verdict.transient_alive += 1
            else:
                erased.append(payload)
        elif payload.key_id in owned:
            verdict.durable_alive += not owned[payload.key_id]
            verdict.overdue += owned[payload.key_id]
        elif not keyrings:
            verdict.durable_unjudged += 1
        else:
            erased.append(payload)
    opened = try_keys([payload.ciphertext for payload in erased], keys)
    verdict.keys_tried = len(keys)
    verdict.opened = [(erased[index], name) for index, name in opened.items()]
    left = [payload.custody is Custody.TRANSIENT for n, payload in enumerate(erased) if n not in opened]
    verdict.transient_erased, verdict.durable_erased = sum(left), len(left) - sum(left)
