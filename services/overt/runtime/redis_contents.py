"""Everything that a Redis holds, read for whoever has to prove what it does not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from overt.runtime.keys.key import KEY_ID_BYTES, SECRET_BYTES
from overt.runtime.redis_client import Client
from overt.runtime.redis_names import redis_key


@dataclass(frozen=True, slots=True)
class RedisValue:
    """A value by its name: the bytes of all that is in it, and how long Redis will keep it (None: for ever)."""

    name: str
    data: bytes = field(repr=False)
    left_ms: int | None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What may be a transient key: any value that is as long as one, whatever its name."""

    name: str
    key_id: bytes
    secret: bytes = field(repr=False)
    left_ms: int | None


_READ: dict[bytes, tuple[str, tuple[int, ...]]] = {
    b"string": ("GET", ()),
    b"hash": ("HGETALL", ()),
    b"list": ("LRANGE", (0, -1)),
    b"set": ("SMEMBERS", ()),
    b"zset": ("ZRANGE", (0, -1)),
}


def redis_values(redis: Client) -> list[RedisValue]:
    """All values. Raises Unavailable."""
    values = []
    for name in _names(redis):
        command, arguments = _READ.get(redis.call("TYPE", name), ("DUMP", ()))
        data = _flat(redis.call(command, name, *arguments))
        left_ms = int(redis.call("PTTL", name))
        if left_ms != -2:  # it has not expired meanwhile
            values.append(RedisValue(name.decode(errors="replace"), data, None if left_ms < 0 else left_ms))
    return values


def stored_keys(values: Sequence[RedisValue]) -> list[StoredKey]:
    """Those that may be keys."""
    return [
        StoredKey(value.name, value.data[:KEY_ID_BYTES], value.data[KEY_ID_BYTES:], value.left_ms)
        for value in values
        if len(value.data) == KEY_ID_BYTES + SECRET_BYTES
    ]


def may_live(key: StoredKey, deployment_id: str, *, now_ms: int, slot_s: float, life_s: float) -> bool | None:
    """Whether a transient key lives as long as it should; None for what has not the name of one, such as a copy.

    One without an end outstays its life, and so does one of this deployment whose end is too far off or whose slot is
    too long ago. Of another deployment's on the same Redis no more is known. now_ms: Redis's own clock.
    """
    prefix, _, slot = key.name.rpartition(":")
    if not re.fullmatch(r"overt:[^:]+:key:[^:]+", prefix) or not slot.isdecimal():
        return None
    if key.left_ms is None or not prefix.startswith(redis_key(deployment_id, "key") + ":"):
        return key.left_ms is not None
    ends_at_ms = (int(slot) + 1) * slot_s * 1000 + life_s * 1000
    return key.left_ms <= life_s * 1000 and now_ms <= ends_at_ms


def redis_now_ms(redis: Client) -> int:
    """The server's clock, which says which slot it is. Raises Unavailable."""
    seconds, microseconds = redis.call("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def _names(redis: Client) -> list[bytes]:
    names: set[bytes] = set()
    cursor = 0
    while True:
        cursor, page = redis.call("SCAN", cursor, "COUNT", 1000)
        names.update(page)
        cursor = int(cursor)
        if cursor == 0:
            return sorted(names)


def _flat(answer: object) -> bytes:
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, dict):
        return b"\n".join(_flat(part) for pair in answer.items() for part in pair)
    if isinstance(answer, list | tuple | set):
        return b"\n".join(_flat(part) for part in answer)
    return b""
