"""Which replicas of the matcher are there, and what each of them has done of the watchlist's changes.

A replica says again and again that it is there; one that has not said so for `ALIVE_MS` is not waited for. It follows
the watchlist before it compares anything, so a replica that slept does nothing with an old list when it wakes. All of
this may be lost with Redis at any time: then a command that waits says that it cannot know.
"""

from __future__ import annotations

from overt.ports import Clock
from overt.runtime.elapsed import Elapsed, elapsed_s
from overt.runtime.redis_client import Client
from overt.runtime.redis_names import redis_key

ALIVE_MS = 6000
_AGAIN_S = 1.0
_KEPT_S = 600

_MEMBERS = """
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


class RedisReplicas:
    """The matchers of one deployment. Threads may share it. Every method raises Unavailable."""

    def __init__(self, client: Client, deployment_id: str, *, run: str = "") -> None:
        self._client = client
        self._deployment_id = deployment_id
        self._run = run
        self._members = client.script(_MEMBERS)

    def here(self, replica: str) -> None:
        """This replica is there, for the next `ALIVE_MS`."""
        self._members([self._name("matchers")], [replica, ALIVE_MS])

    def left(self, replica: str) -> None:
        """This replica ends."""
        self._client.call("ZREM", self._name("matchers"), replica)

    def members(self) -> set[str]:
        """The replicas that are there."""
        return {member.decode() for member in self._members([self._name("matchers")], ["", ALIVE_MS])}

    def acknowledge(self, change_id: str, replica: str, at_us: int) -> None:
        """This replica has applied a change; `at_us` is when, by its own clock."""
        name = self._name("change", change_id)
        self._client.call("HSET", name, replica, at_us)
        self._client.call("EXPIRE", name, _KEPT_S)

    def acknowledged(self, change_id: str) -> dict[str, int]:
        """By replica, when it applied the change."""
        answer = self._client.call("HGETALL", self._name("change", change_id))
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        return {replica.decode(): int(at_us) for replica, at_us in pairs}

    def _name(self, *parts: str) -> str:
        return redis_key(self._deployment_id, self._run, *parts)


class RedisAttendance:
    """One replica among them (`overt.runtime.watchlist.following.Attendance`)."""

    def __init__(self, replicas: RedisReplicas, replica: str, clock: Clock, *, elapsed: Elapsed = elapsed_s) -> None:
        self._replicas = replicas
        self._replica = replica
        self._clock = clock
        self._elapsed = elapsed
        self._said_at_s = float("-inf")

    def here(self) -> None:
        """Says so once a second. Raises Unavailable."""
        now_s = self._elapsed()
        if now_s - self._said_at_s >= _AGAIN_S:
            self._replicas.here(self._replica)
            self._said_at_s = now_s

    def left(self) -> None:
        """Raises Unavailable."""
        self._replicas.left(self._replica)

    def acknowledge(self, change_id: str, /) -> None:
        """Raises Unavailable."""
        self._replicas.acknowledge(change_id, self._replica, self._clock())
