"""Durable keys: one for each watchlist entry, one for each hour of alert images, wrapped by the deployment key.

It survives a Redis that lost everything. A key is random and exists once, so that destroying it is final: the file is
rewritten without it, its old content is overwritten, and a tombstone keeps the same owner from getting a key again.

What this cannot promise: a solid-state disk or a copying file system (Btrfs, ZFS, overlay, network) may keep old blocks
where overwriting does not reach; a backup of the file brings destroyed keys back to whoever also has the deployment
key; a copy in a running process's memory is given up, not erased. Encrypt the disk, and keep no backup of the keyring
for longer than a destroyed key may still be opened.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from overt.ports import Clock, KeyGone
from overt.runtime.keys.deployment_key import DeploymentKey, create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring_format import KeyringMissing, KeyringNotWritten
from overt.runtime.keys.keyring_ring import DurableKey, Ring

__all__ = ["DurableKey", "Keyring", "create_deployment_key", "entry_owner", "load_deployment_key"]

_ENTRY = "entry:"
ALERT = "alert:"
"""How the owners of keys of alert images begin; the hour follows."""
_MAIN_IDS = b"\x00"
"""How the ids of keys in the main file begin; those of the shards begin with 1 to 255, their number."""
_SHARDS = 255


class Keyring:
    """The keyring of one deployment: a main file, and beside it a folder of shards for the keys of watchlist entries.

    A file is rewritten whole when a key in it is made or destroyed. With 100,000 entries in 255 shards that is some
    100 KB for a change, and every other process reads as little again. Processes and threads may share the files; a
    change is seen by all at their next call. Every method raises KeyringError (an Unavailable) when a file cannot be
    used; no file is ever half changed.
    """

    def __init__(
        self,
        path: Path,
        deployment_key: DeploymentKey,
        deployment_id: str,
        *,
        clock: Clock = lambda: time.time_ns() // 1000,
    ) -> None:
        self._path = path
        self._deployment_key = deployment_key
        self._deployment_id = deployment_id
        self._clock = clock
        self._lock = threading.Lock()
        self._main = self._ring(path, _MAIN_IDS)
        self._shards: dict[int, Ring] = {}

    def create_file(self) -> bool:
        """Makes an empty keyring unless there is one; False when there is, and it opens. Safe to race."""
        return self._main.create_file()

    def get(self, owner: str) -> DurableKey | None:
        """The owner's key, None when it has none: never created, or destroyed."""
        ring = self._of(owner)
        return None if ring is None else ring.get(owner)

    def get_by_id(self, key_id: bytes) -> DurableKey | None:
        """The key with this id, None when it does not exist any more."""
        ring = self._main if key_id[:1] == _MAIN_IDS else self._shard(key_id[0])
        return None if ring is None else ring.get_by_id(key_id)

    def is_destroyed(self, owner: str) -> bool:
        """Whether the owner had a key that was destroyed."""
        ring = self._of(owner)
        return ring is not None and ring.is_destroyed(owner)

    def every_key(self) -> Sequence[DurableKey]:
        """All keys that exist: for whoever proves what they still open."""
        return [key for ring in self._rings() for key in ring.every_key()]

    def alert_keys(self) -> Sequence[DurableKey]:
        """The keys of alert images that exist, whatever the number of watchlist entries: they lie in the main file."""
        return [key for key in self._main.every_key() if key.owner.startswith(ALERT)]

    def __len__(self) -> int:
        """Keys that exist."""
        return sum(len(ring) for ring in self._rings())

    def create(self, owner: str, expires_at_us: int | None = None) -> DurableKey:
        """The owner's key, made if there is none. Raises KeyGone when it was destroyed."""
        return self.create_many([owner], expires_at_us)[0]

    def create_many(self, owners: Sequence[str], expires_at_us: int | None = None) -> list[DurableKey]:
        """The key of each owner, with one rewriting of each file. Raises KeyGone, and then none is made."""
        for owner in owners:
            if self.is_destroyed(owner):
                raise KeyGone(f"the key of {owner} was destroyed; it cannot be made again: use a new id")
        found: dict[str, DurableKey] = {}
        for number, those in _by_shard(owners).items():
            ring = self._main if number is None else self._shard(number, make=True)
            assert ring is not None
            found |= zip(those, ring.create_many(those, expires_at_us), strict=True)
        return [found[owner] for owner in owners]

    def destroy(self, *owners: str) -> int:
        """Destroys the owners' keys for good; returns how many existed."""
        gone = 0
        for number, those in _by_shard(owners).items():
            ring = self._main if number is None else self._shard(number)
            gone += 0 if ring is None else ring.destroy(*those)
        return gone

    def prolong(self, owners: Sequence[str], until_us: int) -> int:
        """Lets keys live until then where they would end before, and returns how many; what has ended or was destroyed
        is not revived."""
        prolonged = 0
        for number, those in _by_shard(owners).items():
            ring = self._main if number is None else self._shard(number)
            prolonged += 0 if ring is None else ring.prolong(those, until_us)
        return prolonged

    def sweep(self, now_us: int) -> int:
        """Destroys the keys that have expired (hours of alert images, watchlists); returns how many. Cheap when there
        are none."""
        return sum(ring.sweep(now_us) for ring in self._rings())

    def create_entry_key(self, entry_id: str) -> None:
        """Gives a watchlist entry its key: enrolment does, matchers never. Raises KeyGone when it was destroyed."""
        self.create_many([entry_owner(entry_id)])

    def create_entry_keys(self, entry_ids: Sequence[str]) -> None:
        """`create_entry_key` for a whole watchlist with one rewriting of each file."""
        self.create_many([entry_owner(entry_id) for entry_id in entry_ids])

    def destroy_entry_key(self, entry_id: str) -> bool:
        """Destroys a watchlist entry's key; False when it had none."""
        return self.destroy(entry_owner(entry_id)) == 1

    def _ring(self, path: Path, id_prefix: bytes) -> Ring:
        return Ring(path, self._deployment_key, self._deployment_id, id_prefix=id_prefix, clock=self._clock)

    @property
    def _folder(self) -> Path:
        return self._path.with_name(f"{self._path.name}.entries")

    def _of(self, owner: str) -> Ring | None:
        number = _shard_of(owner)
        return self._main if number is None else self._shard(number)

    def _shard(self, number: int, *, make: bool = False) -> Ring | None:
        """A shard; None when it was never made. Raises KeyringMissing where its file is gone though it was made."""
        known = self._shards.get(number)
        if known is not None:
            return known
        path = self._folder / f"{number:02x}"
        made = number in self._main.shards()
        if made and not path.exists():
            raise KeyringMissing(f"keyring {path} is missing: mount the folder that holds it, or restore it")
        if not made and not make:
            return None
        ring = self._ring(path, bytes([number]))
        if not made:
            self._make_folder()
            ring.create_file()
            self._main.add_shard(number)
        with self._lock:
            return self._shards.setdefault(number, ring)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise KeyringNotWritten(f"keyring {self._folder} cannot be made: {error.strerror}") from error

    def _rings(self) -> Iterable[Ring]:
        yield self._main
        for number in self._main.shards():
            ring = self._shard(number)
            if ring is not None:
                yield ring


def entry_owner(entry_id: str) -> str:
    """The owner under which a watchlist entry's key stands in the keyring."""
    return f"{_ENTRY}{entry_id}"


def _shard_of(owner: str) -> int | None:
    """The number of the shard that holds an owner's key; None: the main file."""
    if not owner.startswith(_ENTRY):
        return None
    return 1 + int.from_bytes(hashlib.sha256(owner.encode()).digest()[:4], "big") % _SHARDS


def _by_shard(owners: Iterable[str]) -> dict[int | None, list[str]]:
    those: dict[int | None, list[str]] = defaultdict(list)
    for owner in dict.fromkeys(owners):
        those[_shard_of(owner)].append(owner)
    return those
