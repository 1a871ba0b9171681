"""What a service knows of each camera, kept between batches: in Redis's memory, or in the process.

A save carries the last cause that the state covers, and an older one never overwrites a newer: a process that was
paused, lost its partition and wakes is told so (`Fenced`) instead of undoing its successor's work. An equal cause is
accepted, since a replayed batch saves the same again. A Redis that lost everything has no cause to compare with; then
the camera's lease (a higher `source_epoch`) and the identities made from causes are what keeps replays harmless.
"""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING

from overt.messages import Cause
from overt.ports import Fenced, Saved
from overt.runtime.redis_names import redis_key

if TYPE_CHECKING:  # a process that runs alone does not load the client
    from overt.runtime.redis_client import Client

_CAUSE = struct.Struct(">QQQ")
_SIGN = 1 << 63

# Byte by byte: Lua's numbers lose integers above 2^53, and its string order follows the server's locale.
_SAVE = """
local stored = redis.call('HGET', KEYS[1], 'cause')
if stored then
  for i = 1, #ARGV[1] do
    local new, old = ARGV[1]:byte(i), stored:byte(i)
    if new < old then return 0 end
    if new > old then break end
  end
end
redis.call('HSET', KEYS[1], 'cause', ARGV[1], 'payload', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""


class RedisState:
    """State in Redis, as the hash `overt:<deployment>:state:<run>:<service>:<camera>`, fields `cause` and `payload`.

    run: names the topics that the state goes with (their prefix). A recording that is worked off once more on other
    topics would else find everything covered, and nobody would be alerted on.
    ttl_s: how long the state of a silent camera is kept. It only cleans up; nothing relies on it.
    """

    def __init__(self, client: Client, deployment_id: str, *, run: str = "", ttl_s: float = 3600.0) -> None:
        self._client = client
        self._deployment_id = deployment_id
        self._run = run
        self._ttl_ms = round(ttl_s * 1000)
        self._save = client.script(_SAVE)

    def load(self, service: str, key: str) -> Saved | None:
        """Raises Unavailable."""
        cause, payload = self._client.call("HMGET", self._name(service, key), "cause", "payload")
        return None if cause is None else Saved(_unpacked(cause), payload)

    def save(self, service: str, key: str, saved: Saved) -> None:
        """Raises Fenced when a newer cause is stored; Unavailable."""
        arguments = (_packed(saved.cause), saved.payload, self._ttl_ms)
        if not self._save([self._name(service, key)], arguments):
            raise _fenced(service, key, saved.cause)

    def _name(self, service: str, key: str) -> str:
        return redis_key(self._deployment_id, "state", self._run, service, key)


class MemoryState:
    """State in this process; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._saved: dict[tuple[str, str], Saved] = {}

    def load(self, service: str, key: str) -> Saved | None:
        """Never raises."""
        with self._lock:
            return self._saved.get((service, key))

    def save(self, service: str, key: str, saved: Saved) -> None:
        """Raises Fenced when a newer cause is stored."""
        with self._lock:
            stored = self._saved.get((service, key))
            if stored is not None and saved.cause < stored.cause:
                raise _fenced(service, key, saved.cause)
            self._saved[service, key] = saved


def _packed(cause: Cause) -> bytes:
    """24 bytes whose byte order is the order of causes: big-endian, shifted so that negative numbers come first."""
    return _CAUSE.pack(*(number + _SIGN for number in cause))


def _unpacked(data: bytes) -> Cause:
    epoch, seq, index = _CAUSE.unpack(data)
    return (epoch - _SIGN, seq - _SIGN, index - _SIGN)


def _fenced(service: str, key: str, cause: Cause) -> Fenced:
    return Fenced(f"{service}: the state of {key} already covers more than {cause}: another replica has taken over")
