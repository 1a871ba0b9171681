"""What a service knows of each camera, kept between batches: in Redis's memory, or in the process.

A save carries the last cause that the state covers, and an older one never overwrites a newer: a process that was
paused, lost its partition and wakes is told so (`Fenced`) instead of undoing its successor's work. An equal cause is
accepted, since a replayed batch saves the same again. A Redis that lost everything has no cause to compare with; then
the camera's lease (a higher `source_epoch`) and the identities made from causes are what keeps replays harmless.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping
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
local function older(new, stored)
  for i = 1, stored and #new or 0 do
    local a, b = new:byte(i), stored:byte(i)
    if a ~= b then return a < b end
  end
  return false
end
local refused = {}
for n, key in ipairs(KEYS) do
  local cause, payload = ARGV[2 * n], ARGV[2 * n + 1]
  if older(cause, redis.call('HGET', key, 'cause')) then
    table.insert(refused, n)
  else
    redis.call('HSET', key, 'cause', cause, 'payload', payload)
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
return refused
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

    def save(self, service: str, states: Mapping[str, Saved]) -> None:
        """One question to the server for all of them. Raises Fenced where a newer cause is stored; Unavailable."""
        arguments = [part for saved in states.values() for part in (_packed(saved.cause), saved.payload)]
        refused = self._save([self._name(service, key) for key in states], [self._ttl_ms, *arguments])
        if refused:
            cameras = list(states)
            raise Fenced(service, [cameras[number - 1] for number in refused])  # Lua counts from 1

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

    def save(self, service: str, states: Mapping[str, Saved]) -> None:
        """Raises Fenced where a newer cause is stored."""
        refused = []
        with self._lock:
            for key, saved in states.items():
                stored = self._saved.get((service, key))
                if stored is not None and saved.cause < stored.cause:
                    refused.append(key)
                else:
                    self._saved[service, key] = saved
        if refused:
            raise Fenced(service, refused)


def _packed(cause: Cause) -> bytes:
    """24 bytes whose byte order is the order of causes: big-endian, shifted so that negative numbers come first."""
    return _CAUSE.pack(*(number + _SIGN for number in cause))


def _unpacked(data: bytes) -> Cause:
    epoch, seq, index = _CAUSE.unpack(data)
    return (epoch - _SIGN, seq - _SIGN, index - _SIGN)
