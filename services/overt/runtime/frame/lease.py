"""Who reads a camera: exactly one frame replica, by a lease that must be renewed and whose number only grows.

The number fences: it is the `source_epoch` of a live camera's frames, and the detector drops lower ones, so that a
replica that slept through the loss of its lease is not heard. It is the higher of the stored number plus one and the
store's own clock in milliseconds, so that it grows on after Redis lost everything (a server clock that is set back by
more than the time since the last lease, together with a loss, is the one case that this does not cover).

A replica that is killed is replaced after `ttl_ms` at the latest, plus the pause between two attempts of the others.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overt.runtime.elapsed import Elapsed, elapsed_s
from overt.runtime.redis_names import redis_key

if TYPE_CHECKING:  # a process that runs alone does not load the client
    from overt.runtime.redis_client import Client

TTL_MS = 6000
_PROGRESS_TTL_S = 86_400

_ACQUIRE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return false end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now_ms))
redis.call('SET', KEYS[2], epoch)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return epoch
"""

_OWN = """
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 0 end
"""
_RENEW = _OWN + "redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 1"
_RELEASE = _OWN + "redis.call('DEL', KEYS[1]) return 1"

_PROGRESS = """
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '-1') then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""


class RedisLeases:
    """Leases in Redis (`overt.ports.Leases`). Threads may share them.

    owner: must be unique to this run of this process (a random id, not a host name): whoever has the same name holds
    the same leases. run: names one reading of repeatable sources, so that its progress is not mistaken for another's.
    """

    def __init__(
        self,
        client: Client,
        deployment_id: str,
        owner: str,
        *,
        ttl_ms: int = TTL_MS,
        run: str = "",
        elapsed: Elapsed = elapsed_s,
    ) -> None:
        self._client = client
        self._deployment_id = deployment_id
        self._owner = owner
        self._ttl_ms = ttl_ms
        self._run = run
        self._elapsed = elapsed
        self._until_s: dict[tuple[str, int], float] = {}
        self._acquire = client.script(_ACQUIRE)
        self._renew = client.script(_RENEW)
        self._release = client.script(_RELEASE)
        self._progress = client.script(_PROGRESS)

    def acquire(self, camera_id: str) -> int | None:
        """See `overt.ports.Leases`. Raises Unavailable."""
        asked_at_s = self._elapsed()
        names = [self._lease(camera_id), redis_key(self._deployment_id, "epoch", camera_id)]
        answer = self._acquire(names, [self._owner, self._ttl_ms])
        if answer is None:
            return None
        epoch = int(answer)
        for older in [held for held in self._until_s.copy() if held[0] == camera_id]:
            self._until_s.pop(older, None)
        self._until_s[camera_id, epoch] = asked_at_s + self._ttl_ms / 1000
        return epoch

    def renew(self, camera_id: str, epoch: int) -> bool:
        """See `overt.ports.Leases`. Raises Unavailable."""
        asked_at_s = self._elapsed()
        if not self._renew([self._lease(camera_id)], [self._owner, epoch, self._ttl_ms]):
            self._until_s.pop((camera_id, epoch), None)
            return False
        self._until_s[camera_id, epoch] = asked_at_s + self._ttl_ms / 1000
        return True

    def held(self, camera_id: str, epoch: int) -> bool:
        """See `overt.ports.Leases`."""
        return self._elapsed() < self._until_s.get((camera_id, epoch), float("-inf"))

    def release(self, camera_id: str, epoch: int) -> None:
        """See `overt.ports.Leases`. Raises Unavailable."""
        self._until_s.pop((camera_id, epoch), None)
        self._release([self._lease(camera_id)], [self._owner, epoch])

    def progress(self, camera_id: str, frame_seq: int) -> None:
        """See `overt.ports.Leases`. Raises Unavailable."""
        self._progress([self._noted(camera_id)], [frame_seq, _PROGRESS_TTL_S])

    def read_progress(self, camera_id: str) -> int | None:
        """See `overt.ports.Leases`. Raises Unavailable."""
        answer = self._client.call("GET", self._noted(camera_id))
        return None if answer is None else int(answer)

    def _lease(self, camera_id: str) -> str:
        return redis_key(self._deployment_id, "lease", camera_id)

    def _noted(self, camera_id: str) -> str:
        return redis_key(self._deployment_id, "progress", self._run, camera_id)


@dataclass(slots=True)
class LeaseTable:
    """What owners in one process share: who holds what, every camera's last number, and the progress."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    held: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    """For a camera: owner, number, when it ends (elapsed seconds)."""
    numbers: dict[str, int] = field(default_factory=dict)
    progress: dict[str, int] = field(default_factory=dict)


class MemoryLeases:
    """Leases within one process (`overt.ports.Leases`). Several owners compete when they share a table."""

    def __init__(
        self,
        owner: str = "embedded",
        *,
        table: LeaseTable | None = None,
        ttl_ms: int = TTL_MS,
        elapsed: Elapsed = elapsed_s,
    ) -> None:
        self._owner = owner
        self._table = table or LeaseTable()
        self._ttl_s = ttl_ms / 1000
        self._elapsed = elapsed

    def acquire(self, camera_id: str) -> int | None:
        """See `overt.ports.Leases`. Never raises."""
        with self._table.lock:
            now_s = self._elapsed()
            owner, _, until_s = self._table.held.get(camera_id, (self._owner, 0, now_s))
            if owner != self._owner and now_s < until_s:
                return None
            epoch = max(self._table.numbers.get(camera_id, 0) + 1, time.time_ns() // 1_000_000)
            self._table.numbers[camera_id] = epoch
            self._table.held[camera_id] = (self._owner, epoch, now_s + self._ttl_s)
            return epoch

    def renew(self, camera_id: str, epoch: int) -> bool:
        """See `overt.ports.Leases`. Never raises."""
        with self._table.lock:
            own = self._owns(camera_id, epoch)
            if own:
                self._table.held[camera_id] = (self._owner, epoch, self._elapsed() + self._ttl_s)
            return own

    def held(self, camera_id: str, epoch: int) -> bool:
        """See `overt.ports.Leases`."""
        with self._table.lock:
            return self._owns(camera_id, epoch)

    def release(self, camera_id: str, epoch: int) -> None:
        """See `overt.ports.Leases`. Never raises."""
        with self._table.lock:
            if self._owns(camera_id, epoch):
                del self._table.held[camera_id]

    def progress(self, camera_id: str, frame_seq: int) -> None:
        """See `overt.ports.Leases`. Never raises."""
        with self._table.lock:
            self._table.progress[camera_id] = max(frame_seq, self._table.progress.get(camera_id, -1))

    def read_progress(self, camera_id: str) -> int | None:
        """See `overt.ports.Leases`. Never raises."""
        with self._table.lock:
            return self._table.progress.get(camera_id)

    def _owns(self, camera_id: str, epoch: int) -> bool:
        owner, number, until_s = self._table.held.get(camera_id, ("", -1, 0.0))
        return (owner, number) == (self._owner, epoch) and self._elapsed() < until_s
