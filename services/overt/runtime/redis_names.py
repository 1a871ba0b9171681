"""What values are called in Redis: `overt:<deployment>:<part>:...`."""

from __future__ import annotations

from urllib.parse import quote


def redis_key(deployment_id: str, *parts: str) -> str:
    """The name of a value. A colon within a part is escaped, so that names differ where their parts do."""
    return ":".join(["overt", *(quote(part, safe="") for part in (deployment_id, *parts))])
