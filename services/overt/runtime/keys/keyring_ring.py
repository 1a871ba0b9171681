"""One file of a keyring: keys by their owners, made once and destroyed for good.

`overt.runtime.keys.keyring` says what a keyring is for; it is made of one or more of these.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from overt.ports import Clock, KeyGone, NotAuthentic
from overt.runtime.keys.deployment_key import DeploymentKey
from overt.runtime.keys.key import SealingKey
from overt.runtime.keys.keyring_file import KeyringFile, Version
from overt.runtime.keys.keyring_format import Contents, KeyringCorrupt, Tombstone, WrappedKey


@dataclass(frozen=True, slots=True)
class DurableKey:
    """A key of the keyring, and whose it is."""

    key: SealingKey
    owner: str
    created_at_us: int
    expires_at_us: int | None

    def expired(self, now_us: int) -> bool:
        """Whether its time is over, even if nobody has destroyed it yet."""
        return self.expires_at_us is not None and self.expires_at_us <= now_us


class Ring:
    """One file. Processes and threads may share it; a change is seen by all at their next call. Every method raises
    KeyringError (an Unavailable) when the file cannot be used; it is never half changed.

    id_prefix: how the ids of its keys begin, so that a key is found by its id in one of several files.
    """

    def __init__(
        self,
        path: Path,
        deployment_key: DeploymentKey,
        deployment_id: str,
        *,
        id_prefix: bytes,
        clock: Clock,
    ) -> None:
        self._file = KeyringFile(path, deployment_key, deployment_id)
        self._id_prefix = id_prefix
        self._deployment_key = deployment_key
        self._deployment_id = deployment_id
        self._clock = clock
        self._lock = threading.Lock()
        self._version: Version | None = None
        self._contents = Contents()
        self._by_id: dict[str, WrappedKey] = {}
        self._next_end_us: int | None = None

    def create_file(self) -> bool:
        """Makes an empty keyring unless there is one; False when there is, and it opens. Safe to race."""
        if not self._file.path.exists():
            with self._file.locked():
                if not self._file.path.exists():
                    self._file.write(Contents())
                    return True
        self._current()
        return False

    def get(self, owner: str) -> DurableKey | None:
        """The owner's key, None when it has none: never created, or destroyed."""
        wrapped = self._current().keys.get(owner)
        return None if wrapped is None else self._unwrapped(wrapped)

    def get_by_id(self, key_id: bytes) -> DurableKey | None:
        """The key with this id, None when it does not exist any more."""
        self._current()
        wrapped = self._by_id.get(key_id.hex())
        return None if wrapped is None else self._unwrapped(wrapped)

    def is_destroyed(self, owner: str) -> bool:
        """Whether the owner had a key that was destroyed."""
        return owner in self._current().destroyed

    def every_key(self) -> Sequence[DurableKey]:
        """All keys that exist: for whoever proves what they still open."""
        return [self._unwrapped(wrapped) for wrapped in self._current().keys.values()]

    def __len__(self) -> int:
        """Keys that exist."""
        return len(self._current().keys)

    def create(self, owner: str, expires_at_us: int | None = None) -> DurableKey:
        """The owner's key, made if there is none. Raises KeyGone when it was destroyed."""
        return self.create_many([owner], expires_at_us)[0]

    def create_many(self, owners: Sequence[str], expires_at_us: int | None = None) -> list[DurableKey]:
        """The key of each owner, with one rewriting of the file. Raises KeyGone, and then none is made."""
        keys = self._current().keys
        if not all(owner in keys for owner in owners):
            with self._file.locked():
                contents = self._current()
                self._refuse_destroyed(owners)
                made = {owner: self._wrapped(owner, expires_at_us) for owner in owners if owner not in contents.keys}
                self._file.write(replace(contents, keys={**contents.keys, **made}))
            keys = self._current().keys
        found = [keys.get(owner) for owner in owners]
        if None in found:  # destroyed by another process between our two looks
            raise KeyGone("a key was destroyed while it was made")
        return [self._unwrapped(wrapped) for wrapped in found if wrapped is not None]

    def destroy(self, *owners: str) -> int:
        """Destroys the owners' keys for good; returns how many existed."""
        with self._file.locked():
            contents = self._current()
            gone = [contents.keys[owner] for owner in dict.fromkeys(owners) if owner in contents.keys]
            if gone:
                self._rewrite_without(contents, gone)
        return len(gone)

    def prolong(self, owners: Sequence[str], until_us: int) -> int:
        """Lets the owners' keys live until then where they would end before; one that has ended is not revived. Returns
        how many were prolonged."""
        if not _ending(self._current(), owners, self._clock(), until_us):
            return 0
        with self._file.locked():
            contents = self._current()
            ending = _ending(contents, owners, self._clock(), until_us)
            if ending:
                prolonged = {wrapped.owner: self._rewrapped(wrapped, until_us) for wrapped in ending}
                self._file.write(replace(contents, keys={**contents.keys, **prolonged}))
        return len(ending)

    def sweep(self, now_us: int) -> int:
        """Destroys the keys that have expired (hours of alert images); returns how many. Cheap when there are none."""
        self._current()
        if self._next_end_us is None or self._next_end_us > now_us:
            return 0
        with self._file.locked():
            contents = self._current()
            gone = _expired(contents, now_us)
            if gone:
                self._rewrite_without(contents, gone)
        return len(gone)

    def shards(self) -> tuple[int, ...]:
        """The numbers of the shards that were made beside this file."""
        return self._current().shards

    def add_shard(self, number: int) -> None:
        """Notes that a shard was made."""
        with self._file.locked():
            contents = self._current()
            if number not in contents.shards:
                self._file.write(replace(contents, shards=tuple(sorted({*contents.shards, number}))))

    def _current(self) -> Contents:
        """The file's content as of now: read again only when the file is another than the one last read."""
        with self._lock:
            if self._version is None or self._version != self._file.version():
                self._contents, self._version = self._file.read()
                self._by_id = {wrapped.key_id: wrapped for wrapped in self._contents.keys.values()}
                ends = (wrapped.expires_at_us for wrapped in self._contents.keys.values())
                self._next_end_us = min((end for end in ends if end is not None), default=None)
            return self._contents

    def _rewrite_without(self, contents: Contents, gone: Sequence[WrappedKey]) -> None:
        now_us = self._clock()
        ids = {wrapped.key_id for wrapped in gone}
        left = {owner: wrapped for owner, wrapped in contents.keys.items() if wrapped.key_id not in ids}
        buried = {wrapped.owner: Tombstone(wrapped.key_id, wrapped.owner, now_us) for wrapped in gone}
        self._file.write(replace(contents, keys=left, destroyed={**contents.destroyed, **buried}))

    def _refuse_destroyed(self, owners: Sequence[str]) -> None:
        for owner in owners:
            if self.is_destroyed(owner):
                raise KeyGone(f"the key of {owner} was destroyed; it cannot be made again: use a new id")

    def _wrapped(self, owner: str, expires_at_us: int | None) -> WrappedKey:
        return self._sealed(DurableKey(SealingKey.random(self._id_prefix), owner, self._clock(), expires_at_us))

    def _rewrapped(self, wrapped: WrappedKey, expires_at_us: int) -> WrappedKey:
        return self._sealed(replace(self._unwrapped(wrapped), expires_at_us=expires_at_us))

    def _sealed(self, durable: DurableKey) -> WrappedKey:
        key_id, owner = durable.key.key_id.hex(), durable.owner
        created_at_us, expires_at_us = durable.created_at_us, durable.expires_at_us
        associated = self._associated(key_id, owner, created_at_us, expires_at_us)
        sealed = base64.b64encode(self._deployment_key.seal(durable.key.reveal(), associated)).decode()
        return WrappedKey(key_id, owner, created_at_us, expires_at_us, sealed)

    def _unwrapped(self, wrapped: WrappedKey) -> DurableKey:
        created_at_us, expires_at_us = wrapped.created_at_us, wrapped.expires_at_us
        associated = self._associated(wrapped.key_id, wrapped.owner, created_at_us, expires_at_us)
        try:
            secret = self._deployment_key.open(base64.b64decode(wrapped.wrapped), associated)
        except NotAuthentic:
            raise KeyringCorrupt(f"keyring {self._file.path}: the key of {wrapped.owner} does not unwrap") from None
        key = SealingKey(bytes.fromhex(wrapped.key_id), secret)
        return DurableKey(key, wrapped.owner, created_at_us, expires_at_us)

    def _associated(self, *parts: str | int | None) -> bytes:
        return b"overt key\x00" + json.dumps([self._deployment_id, *parts]).encode()


def _expired(contents: Contents, now_us: int) -> list[WrappedKey]:
    return [w for w in contents.keys.values() if w.expires_at_us is not None and w.expires_at_us <= now_us]


def _ending(contents: Contents, owners: Sequence[str], now_us: int, until_us: int) -> list[WrappedKey]:
    """The owners' keys that have not ended yet and will before `until_us`."""
    theirs = [contents.keys[owner] for owner in owners if owner in contents.keys]
    return [w for w in theirs if w.expires_at_us is not None and now_us < w.expires_at_us < until_us]
