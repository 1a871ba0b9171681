"""What stands in a keyring's file, and everything that can be wrong with it.

Two lines of JSON: the content (deployment, keys each wrapped by the deployment key, tombstones without keys) and a
seal over its bytes: SHA-256 to tell damage, and an AES-GCM tag under the deployment key to tell another key, or a
change by somebody who has none. An older copy of the whole file is not told from the newest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overt.ports import NotAuthentic, Unavailable
from overt.runtime.keys.deployment_key import DeploymentKey

_FORMAT = "overt-keyring-1"


class KeyringError(Unavailable):
    """The keyring cannot be read or written now. Nothing was lost or half done; the loop tries again."""


class KeyringMissing(KeyringError):
    """There is no file, where one was expected."""


class KeyringCorrupt(KeyringError):
    """The file is damaged or no keyring."""


class WrongDeployment(KeyringError):
    """The keyring belongs to another deployment."""


class WrongDeploymentKey(KeyringError):
    """The keyring was wrapped by another deployment key, or changed by somebody who has none."""


class KeyringNotWritten(KeyringError):
    """A change could not be written; the file is as it was."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """One key as it stands in the file."""

    key_id: str
    owner: str
    created_at_us: int
    expires_at_us: int | None
    wrapped: str
    """Base64 of the sealed 32 bytes."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What remains of a destroyed key."""

    key_id: str
    owner: str
    destroyed_at_us: int


@dataclass(frozen=True, slots=True)
class Contents:
    """A file's content: keys and tombstones, each by owner, and in the main file the numbers of the shards."""

    keys: Mapping[str, WrappedKey] = field(default_factory=dict)
    destroyed: Mapping[str, Tombstone] = field(default_factory=dict)
    shards: tuple[int, ...] = ()


def serialised(contents: Contents, deployment_key: DeploymentKey, deployment_id: str) -> bytes:
    """The bytes of a keyring file."""
    plain = {
        "format": _FORMAT,
        "deployment_id": deployment_id,
        "keys": [_row(key) for key in contents.keys.values()],
        "destroyed": [_row(tombstone) for tombstone in contents.destroyed.values()],
        "shards": list(contents.shards),
    }
    body = json.dumps(plain, separators=(",", ":")).encode()
    tag = base64.b64encode(deployment_key.seal(b"", _associated(body))).decode()
    seal = json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "tag": tag}).encode()
    return body + b"\n" + seal + b"\n"


def parsed(data: bytes, deployment_key: DeploymentKey, deployment_id: str, path: Path) -> Contents:
    """The content of a keyring file. Raises KeyringCorrupt, WrongDeployment, WrongDeploymentKey, naming `path`."""
    body, _, last = data.removesuffix(b"\n").rpartition(b"\n")
    try:
        seal = json.loads(last)
        whole = hashlib.sha256(body).hexdigest() == seal["sha256"]
        plain = json.loads(body)
        tag = base64.b64decode(seal["tag"], validate=True)
    except (ValueError, KeyError, TypeError):
        whole, plain, tag = False, {}, b""
    if not whole or not isinstance(plain, dict) or plain.get("format") != _FORMAT:
        raise KeyringCorrupt(f"keyring {path} is damaged or cut short ({len(data)} bytes): restore it from a backup")
    if plain.get("deployment_id") != deployment_id:
        raise WrongDeployment(
            f"keyring {path} belongs to deployment {plain.get('deployment_id')!r}, not to {deployment_id!r}"
        )
    try:
        deployment_key.open(tag, _associated(body))
    except NotAuthentic:
        raise WrongDeploymentKey(
            f"keyring {path} does not open with this deployment key: use the key it was made with"
        ) from None
    return Contents(
        {row["owner"]: WrappedKey(**row) for row in plain["keys"]},
        {row["owner"]: Tombstone(**row) for row in plain["destroyed"]},
        tuple(plain["shards"]),
    )


def _row(item: WrappedKey | Tombstone) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


def _associated(body: bytes) -> bytes:
    return b"overt keyring\x00" + body
