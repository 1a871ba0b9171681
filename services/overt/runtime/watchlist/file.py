"""The sealed watchlist file: an Avro object container of entries, each sealed under its own key of the keyring.

Any Avro tool reads its structure, and nobody its vectors and images without the keyring. Its header carries the
manifest (`overt.watchlist.sealed.Manifest`) and a tag over it under the list's own key, which is in the keyring too and
ends with the list. A copy of the file is worth nothing once the keys are destroyed.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import ValidationError

from overt.messages import WatchlistEntry
from overt.ports import KeyGone, NotAuthentic, Undecodable
from overt.runtime.avro import AvroFormat, LocalRegistry, Schema, Schemas
from overt.runtime.codec import SealingCodec, sealed_fields
from overt.runtime.keys.keyring import Keyring, entry_owner
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.resources import schemas_dir
from overt.runtime.vault import SealingVault
from overt.watchlist.sealed import Manifest, counts, moment, why_unusable

_MANIFEST, _TAG = "overt.manifest", "overt.tag"
_RECORD = WatchlistEntry.__name__
Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Tells nobody."""
    del done, total


class WatchlistFileError(ValueError):
    """A sealed watchlist file that cannot be used. The text names the file, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` found of one entry that cannot be used; `why` holds no biometric."""

    entry_id: str
    why: str


class WatchlistFile:
    """Sealed watchlist files of one deployment, with its keyring."""

    def __init__(self, path: Path, deployment_id: str, keyring: Keyring, now_us: Callable[[], int]) -> None:
        self.path = path
        self._deployment_id = deployment_id
        self._keyring = keyring
        self._now_us = now_us
        schemas = Schemas(schemas_dir())
        self._avro = AvroFormat(schemas, LocalRegistry(schemas), lambda record: record)
        vault = SealingVault(deployment_id, MemoryTransientKeys(), keyring, clock=now_us)
        self._codec = SealingCodec(self._avro, vault, prefix="", frame_form="jpeg")

    def write(
        self,
        entries: Sequence[WatchlistEntry],
        *,
        space_id: str,
        embedder: str,
        expires_at_us: int,
        progress: Progress = _silent,
    ) -> Manifest:
        """Seals the entries and replaces the file by them, whole or not at all, mode 0600.

        Raises KeyGone when the key of an entry was destroyed: a removed entry does not come back under its id.
        WatchlistFileError when the list is empty, holds an id twice, or the file cannot be written.
        """
        ids = [entry.entry_id for entry in entries]
        if not ids:
            raise WatchlistFileError(f"{self.path}: an empty list is not written: nobody could be found with it")
        if len(set(ids)) != len(ids):
            raise WatchlistFileError(f"{self.path}: an entry's id is there twice: name each image of a subject once")
        total, subjects, by_category = counts(entries)
        owners = [entry_owner(entry_id) for entry_id in ids]
        self._keyring.create_many(owners, expires_at_us)
        self._keyring.prolong(owners, expires_at_us)
        list_id = str(uuid.uuid4())
        self._keyring.create(list_owner(list_id), expires_at_us)
        digest = hashlib.sha256()
        try:
            with tempfile.TemporaryFile(dir=self.path.parent) as body:
                self._avro.write_container(body, _RECORD, self._sealed(entries, digest, progress), {})
                body.seek(0)
                manifest = Manifest(
                    list_id=list_id,
                    deployment_id=self._deployment_id,
                    space_id=space_id,
                    embedder=embedder,
                    created_at_us=self._now_us(),
                    expires_at_us=expires_at_us,
                    entries=total,
                    subjects=subjects,
                    by_category=by_category,
                    content_sha256=digest.hexdigest(),
                )
                self._put(manifest, self._avro.read_container(cast("BinaryIO", body), _RECORD)[1])
        except OSError as error:
            raise WatchlistFileError(f"{self.path}: cannot be written: {error.strerror}") from error
        return manifest

    def manifest(self) -> Manifest:
        """What the file says of itself, proven by its tag. Raises WatchlistFileError."""
        with self._opened() as (manifest, tag, _):
            self._prove(manifest, tag)
            return manifest

    def unproven_manifest(self) -> Manifest:
        """What the file says of itself, whoever wrote it. Raises WatchlistFileError."""
        with self._opened() as (manifest, _, _records):
            return manifest

    def read(self, space_id: str, progress: Progress = _silent) -> Iterator[WatchlistEntry]:
        """The entries that can be opened; those whose keys were destroyed are on the list no more and are left out.

        Raises WatchlistFileError when the file may not be used (its end, another deployment, another model space), is
        not what was written, or holds an entry that does not open.
        """
        with self._opened() as (manifest, tag, records):
            self._demand(manifest, tag, space_id)
            for plain in self._counted(manifest, records, progress):
                try:
                    yield cast("WatchlistEntry", self._codec.opened(WatchlistEntry, plain))
                except KeyGone:
                    continue
                except NotAuthentic:
                    raise WatchlistFileError(
                        f"{self.path}: entry {plain['entry_id']} was changed after it was sealed"
                    ) from None

    def verify(self, space_id: str | None, progress: Progress = _silent) -> list[Finding]:
        """Opens every entry and keeps none; what cannot be opened. Raises WatchlistFileError as `read` does."""
        findings = []
        with self._opened() as (manifest, tag, records):
            self._demand(manifest, tag, space_id)
            for plain in self._counted(manifest, records, progress):
                entry_id = plain["entry_id"]
                try:
                    self._codec.opened(WatchlistEntry, plain)
                except KeyGone:
                    findings.append(Finding(entry_id, "its key is destroyed: it was removed"))
                except (NotAuthentic, Undecodable) as error:
                    findings.append(Finding(entry_id, str(error)))
        return findings

    def rows(self) -> Iterator[Schema]:
        """The entries' fields that are not sealed, in their order. Raises WatchlistFileError."""
        hidden = {field["name"] for field in sealed_fields(self._avro.schemas[_RECORD])}
        with self._opened() as (_, _, records):
            for plain in self._whole(records):
                yield {name: value for name, value in plain.items() if name not in hidden}

    def destroy_keys(self) -> tuple[int, int]:
        """Destroys the keys of every entry and of the list; how many entries' keys there were, and how many are left.
        Raises WatchlistFileError when the file is none of this deployment's."""
        manifest = self.unproven_manifest()
        if manifest.deployment_id != self._deployment_id:
            raise WatchlistFileError(f"{self.path}: it was made for deployment {manifest.deployment_id}")
        owners = [entry_owner(row["entry_id"]) for row in self.rows()]
        destroyed = self._keyring.destroy(*owners)
        self._keyring.destroy(list_owner(manifest.list_id))
        return destroyed, sum(self._keyring.get(owner) is not None for owner in owners)

    def supersede(self, manifest: Manifest) -> None:
        """Destroys a list's own key and no entry's: another list has taken its place, and no copy of it is accepted."""
        self._keyring.destroy(list_owner(manifest.list_id))

    def superseded(self) -> bool:
        """Whether the list's key is gone while entries of it can be opened: they are another list's now. Raises
        WatchlistFileError."""
        if self._keyring.get(list_owner(self.unproven_manifest().list_id)) is not None:
            return False
        return any(self._keyring.get(entry_owner(row["entry_id"])) is not None for row in self.rows())

    def _sealed(self, entries: Sequence[WatchlistEntry], digest: hashlib._Hash, progress: Progress) -> Iterator[Schema]:
        for done, entry in enumerate(entries, start=1):
            plain = self._codec.sealed(entry)
            digest.update(self._avro.dumps(_RECORD, plain))
            yield plain
            progress(done, len(entries))

    def _put(self, manifest: Manifest, records: Iterator[Schema]) -> None:
        key = self._keyring.get(list_owner(manifest.list_id))
        assert key is not None
        tag = base64.b64encode(key.key.seal(b"", manifest.canonical())).decode()
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                header = {_MANIFEST: manifest.canonical().decode(), _TAG: tag}
                self._avro.write_container(file, _RECORD, records, header)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @contextmanager
    def _opened(self) -> Iterator[tuple[Manifest, bytes, Iterator[Schema]]]:
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                metadata, records = self._avro.read_container(file, _RECORD)
                manifest = Manifest.model_validate_json(metadata[_MANIFEST])
                yield manifest, base64.b64decode(metadata[_TAG], validate=True), records
        except OSError as error:
            raise WatchlistFileError(f"{self.path}: cannot be read: {error.strerror}") from error
        except (Undecodable, KeyError, ValidationError, binascii.Error) as error:
            what = str(error) if isinstance(error, Undecodable) else "its header holds no manifest"
            raise WatchlistFileError(
                f"{self.path}: is no sealed watchlist: {what}; make one with `overt watchlist build`"
            ) from None

    def _demand(self, manifest: Manifest, tag: bytes, space_id: str | None) -> None:
        why = why_unusable(manifest, deployment_id=self._deployment_id, space_id=space_id, now_us=self._now_us())
        if why is not None:
            raise WatchlistFileError(f"{self.path}: {why}")
        self._prove(manifest, tag)

    def _prove(self, manifest: Manifest, tag: bytes) -> None:
        key = self._keyring.get(list_owner(manifest.list_id))
        if key is None or key.expired(self._now_us()):
            raise WatchlistFileError(
                f"{self.path}: the keyring does not hold the list's key: it was destroyed, ended at "
                f"{moment(manifest.expires_at_us)}, or OVERT_KEYRING_FILE names another keyring"
            )
        try:
            key.key.open(tag, manifest.canonical())
        except NotAuthentic:
            raise WatchlistFileError(f"{self.path}: its manifest was changed after it was written") from None

    def _counted(self, manifest: Manifest, records: Iterator[Schema], progress: Progress) -> Iterator[Schema]:
        """The records; at the end it is proven that they are those that were written, all of them and in order."""
        digest = hashlib.sha256()
        for done, plain in enumerate(self._whole(records), start=1):
            digest.update(self._avro.dumps(_RECORD, plain))
            yield plain
            progress(done, manifest.entries)
        if digest.hexdigest() != manifest.content_sha256:
            raise WatchlistFileError(f"{self.path}: its entries are not those that its manifest speaks of")

    def _whole(self, records: Iterator[Schema]) -> Iterator[Schema]:
        try:
            yield from records
        except Undecodable as error:
            raise WatchlistFileError(f"{self.path}: {error}") from None


def list_owner(list_id: str) -> str:
    """The owner under which a list's own key stands in the keyring."""
    return f"list:{list_id}"
