"""Transient keys: one for a site and 10 s, alive 30 s, in memory only. When one has gone, what it sealed is noise.

Replicas share them through Redis's memory; a single process keeps them itself. A process holds a key for what was left
of its life when it came, by elapsed time: setting the wall clock neither prolongs nor shortens that. Redis expires by
its own host's clock, which therefore must be slewed and not stepped: back by n seconds, and a key that nobody holds
any more can be had for n seconds longer.

Redis needs: no snapshot, no append-only file, no slow log (it keeps arguments); the first use warns of each. A copy
that was given up is not erased from a process's memory at once: forbid core dumps and unencrypted swap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from overt.runtime.elapsed import Elapsed, elapsed_s
from overt.runtime.keys.key import KEY_ID_BYTES, SealingKey
from overt.runtime.redis_names import redis_key

if TYPE_CHECKING:  # a process that runs alone does not load the client
    from overt.runtime.redis_client import Client

_log = logging.getLogger(__name__)

SLOT_S = 10.0
LIFE_S = 30.0
_RECHECK_S = 1.0
_MOST_HELD = 64

# The slot's key, made if there is none. Redis's own clock says which slot it is, so that all replicas agree.
_CURRENT = """
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local slot_ms = tonumber(ARGV[1])
local slot = math.floor(now_ms / slot_ms)
local name = KEYS[1] .. ':' .. string.format('%.0f', slot)
redis.call('SET', name, ARGV[3], 'NX', 'PX', ARGV[2])
return {slot, redis.call('GET', name), redis.call('PTTL', name), (slot + 1) * slot_ms - now_ms}
"""
# How many slots' keys are there that have been used and lived: a key is made in its slot and lives from then on.
_COUNT_OVERDUE = """
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local slot_ms, life_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local last = math.floor((now_ms - life_ms - 1000) / slot_ms) - 1
local found = 0
for slot = last - math.ceil(tonumber(ARGV[3]) / slot_ms), last do
    found = found + redis.call('EXISTS', KEYS[1] .. ':' .. string.format('%.0f', slot))
end
return found
"""
_OVERDUE_MS = 900_000
_FIND = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"


@dataclass(frozen=True, slots=True)
class TransientKey:
    """A key as held here: its slot, and when its life began and ends in elapsed seconds."""

    key: SealingKey
    slot: int
    born_at_s: float
    ends_at_s: float


class TransientKeys(Protocol):
    """Where a site's transient keys come from."""

    def current(self) -> TransientKey:
        """The key to seal with now. Raises Unavailable."""
        ...

    def find(self, slot: int, key_id: bytes) -> TransientKey | None:
        """The key with this id if it is still alive. Raises Unavailable."""
        ...

    def ages_s(self) -> list[float]:
        """The ages of the keys that this process holds; those whose life is over are given up first. Asks nobody.
        An idle process calls it now and then, since a key that nobody asks for is not given up by itself."""
        ...

    def overdue(self) -> int:
        """Keys past their life that can still be had from where they come from; there should be none. Raises
        Unavailable."""
        ...

    def forget(self) -> None:
        """Gives up every key held here, as at the end of the process."""
        ...


class _Held:
    """The keys in this process's memory, each given up at the end of its life. Not locked."""

    def __init__(self, elapsed: Elapsed, given_up: Callable[[], object] = lambda: None) -> None:
        self._elapsed = elapsed
        self._given_up = given_up
        self._keys: dict[bytes, TransientKey] = {}

    def alive(self) -> dict[bytes, TransientKey]:
        now_s = self._elapsed()
        for key_id in [key_id for key_id, held in self._keys.items() if held.ends_at_s <= now_s]:
            del self._keys[key_id]
            self._given_up()
        return self._keys

    def add(self, key: TransientKey) -> TransientKey:
        """What is held already stays as it is: its life was counted from the earlier look."""
        alive = self.alive()
        if key.key.key_id not in alive and len(alive) >= _MOST_HELD:
            del alive[min(alive.values(), key=lambda held: held.ends_at_s).key.key_id]
        return alive.setdefault(key.key.key_id, key)

    def ages_s(self) -> list[float]:
        now_s = self._elapsed()
        return [now_s - held.born_at_s for held in self.alive().values()]

    def clear(self) -> None:
        self._keys.clear()


class MemoryTransientKeys:
    """Transient keys of one process; threads may share them. They die with it."""

    def __init__(self, *, slot_s: float = SLOT_S, life_s: float = LIFE_S, elapsed: Elapsed = elapsed_s) -> None:
        _check(slot_s, life_s)
        self._slot_s = slot_s
        self._life_s = life_s
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._held = _Held(elapsed)
        self._current_id = b""

    def current(self) -> TransientKey:
        """See `TransientKeys`. Never raises."""
        with self._lock:
            now_s = self._elapsed()
            slot = int(now_s // self._slot_s)
            current = self._held.alive().get(self._current_id)
            if current is None or current.slot != slot:
                current = self._held.add(TransientKey(SealingKey.random(), slot, now_s, now_s + self._life_s))
                self._current_id = current.key.key_id
            return current

    def find(self, slot: int, key_id: bytes) -> TransientKey | None:  # noqa: ARG002 # the id alone says which
        """See `TransientKeys`. Never raises."""
        with self._lock:
            return self._held.alive().get(key_id)

    def ages_s(self) -> list[float]:
        """See `TransientKeys`."""
        with self._lock:
            return self._held.ages_s()

    def overdue(self) -> int:
        """See `TransientKeys`: they come from this process, which gives them up."""
        return 0

    def forget(self) -> None:
        """See `TransientKeys`."""
        with self._lock:
            self._held.clear()
            self._current_id = b""


class RedisTransientKeys:
    """Transient keys of all replicas of a site, as `overt:<deployment>:key:<site>:<slot>`; threads may share them.

    The current key is asked for again every second, so that after Redis lost everything nobody goes on sealing for
    long with a key that no other process can get. `given_up` is told of each key whose life is over here.
    """

    def __init__(
        self,
        client: Client,
        deployment_id: str,
        site_id: str,
        *,
        slot_s: float = SLOT_S,
        life_s: float = LIFE_S,
        elapsed: Elapsed = elapsed_s,
        given_up: Callable[[], object] = lambda: None,
    ) -> None:
        _check(slot_s, life_s)
        self._client = client
        self._prefix = redis_key(deployment_id, "key", site_id)
        self._slot_ms = round(slot_s * 1000)
        self._life_ms = round(life_s * 1000)
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._held = _Held(elapsed, given_up)
        self._current_id = b""
        self._current_until_s = 0.0
        self._checked = False
        self._ask_current = client.script(_CURRENT)
        self._ask = client.script(_FIND)
        self._ask_overdue = client.script(_COUNT_OVERDUE)

    def current(self) -> TransientKey:
        """See `TransientKeys`."""
        with self._lock:
            current = self._held.alive().get(self._current_id)
            now_s = self._elapsed()
            if current is None or now_s >= self._current_until_s:
                self._warn_once()
                offered = SealingKey.random()
                slot, value, left_ms, slot_left_ms = self._ask_current(
                    [self._prefix], [self._slot_ms, self._life_ms, offered.key_id + offered.reveal()]
                )
                current = self._take(slot, value, left_ms, now_s)
                self._current_id = current.key.key_id
                self._current_until_s = now_s + min(_RECHECK_S, slot_left_ms / 1000)
            return current

    def find(self, slot: int, key_id: bytes) -> TransientKey | None:
        """See `TransientKeys`."""
        with self._lock:
            held = self._held.alive().get(key_id)
            if held is not None:
                return held
            now_s = self._elapsed()
            self._warn_once()
            value, left_ms = self._ask([f"{self._prefix}:{slot}"], [])
            if value is None or left_ms <= 0 or value[:KEY_ID_BYTES] != key_id:
                return None
            return self._take(slot, value, left_ms, now_s)

    def ages_s(self) -> list[float]:
        """See `TransientKeys`."""
        with self._lock:
            return self._held.ages_s()

    def overdue(self) -> int:
        """See `TransientKeys`. Looks for the keys of the slots before, as many as make a quarter of an hour: one that
        was told to persist, or to live longer, is found for so long. Older ones `overt erasure verify` finds."""
        return int(self._ask_overdue([self._prefix], [self._slot_ms, self._life_ms, _OVERDUE_MS]))

    def forget(self) -> None:
        """See `TransientKeys`. Other processes and Redis keep theirs."""
        with self._lock:
            self._held.clear()
            self._current_id = b""

    def _take(self, slot: int, value: bytes, left_ms: int, asked_at_s: float) -> TransientKey:
        # Counted from before the question, and never more than a whole life: rather too early than too late.
        left_s = min(max(left_ms, 0), self._life_ms) / 1000
        born_at_s = asked_at_s + left_s - self._life_ms / 1000
        key = SealingKey(value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])
        return self._held.add(TransientKey(key, slot, born_at_s, asked_at_s + left_s))

    def _warn_once(self) -> None:
        if not self._checked:
            for trouble in self._client.what_outlives():
                _log.warning("transient keys may outlive their time: Redis at %s: %s", self._client.where, trouble)
            self._checked = True


def _check(slot_s: float, life_s: float) -> None:
    if not 0 < slot_s < life_s:
        raise ValueError(f"a transient key is used for a slot and lives longer: slot {slot_s} s, life {life_s} s")
