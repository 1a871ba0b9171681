"""A stage's state to bytes and back: Avro, with what is biometric sealed under transient keys.

Only the embedder's state holds anything biometric, in the records of a list. Each of them is sealed when it changes and
not when another does: its ciphertext is kept and written again, so that its key ages with it. A record whose key has
gone cannot be read by anybody any more and is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from overt.ports import Custody, KeyGone, NotAuthentic, Undecodable, Vault
from overt.runtime.avro import AvroFormat, Schema, from_plain, to_plain
from overt.runtime.codec import seal_context, sealed_fields


class StateCodec:
    """One thread for each stage. `expired` hears how many records of a loaded state could not be opened any more.

    Without a vault it refuses states that have something to seal.
    """

    def __init__(
        self, avro: AvroFormat, vault: Vault | None = None, *, expired: Callable[[int], object] = lambda _: None
    ) -> None:
        self._avro = avro
        self._vault = vault
        self._expired = expired
        self._sealed: dict[tuple[str, str], dict[bytes, bytes]] = {}
        """By state and camera: what is sealed of it now, by associated data."""

    def dumps(self, state: Any, camera: str) -> bytes:
        """The state of a camera as bytes. Raises Unavailable."""
        assert dataclasses.is_dataclass(state)
        name = type(state).__name__
        plain: Schema = to_plain(state)
        before, now = self._sealed.get((name, camera), {}), dict[bytes, bytes]()
        for schema, rows in self._lists(name, plain):
            for row in rows:
                for field in sealed_fields(schema):
                    context = _context(schema, field["name"], row, camera)
                    now[context] = before.get(context) or self._seal(row[field["name"]], field, context)
                    row[field["name"]] = now[context]
        self._remember(name, camera, now)
        return self._avro.dumps(name, plain)

    def loads(self, cls: type[Any], data: bytes, camera: str) -> Any:
        """The state `cls` of a camera. Raises Undecodable when the bytes are no such state or were changed;
        Unavailable."""
        plain = self._avro.loads(cls.__name__, data)
        now = dict[bytes, bytes]()
        for schema, rows in self._lists(cls.__name__, plain):
            rows[:] = [row for row in rows if self._open(schema, row, camera, now)]
        self._remember(cls.__name__, camera, now)
        return from_plain(cls, plain)

    def _open(self, schema: Schema, row: Schema, camera: str, now: dict[bytes, bytes]) -> bool:
        """Opens a record in place; False when its key has gone."""
        for field in sealed_fields(schema):
            context, sealed = _context(schema, field["name"], row, camera), row[field["name"]]
            try:
                row[field["name"]] = self._with_vault().open(sealed, context=context)
            except KeyGone:
                self._expired(1)
                return False
            except NotAuthentic as error:
                raise Undecodable(f"a sealed part of the state of {camera} was changed or belongs elsewhere") from error
            now[context] = sealed
        return True

    def _seal(self, data: bytes, field: Schema, context: bytes) -> bytes:
        custody = Custody(field["overt.sealed"])
        return self._with_vault().seal(data, custody=custody, owner="", context=context)

    def _with_vault(self) -> Vault:
        if self._vault is None:
            raise TypeError("this state has parts to seal and there is no vault")
        return self._vault

    def _remember(self, name: str, camera: str, now: dict[bytes, bytes]) -> None:
        self._sealed.pop((name, camera), None)
        if now:
            self._sealed[name, camera] = now

    def _lists(self, name: str, plain: Schema) -> Iterator[tuple[Schema, list[Schema]]]:
        """The state's lists of records that have something to seal, with the records' schema."""
        for field in self._avro.schemas[name]["fields"]:
            kind = field["type"]
            items = kind.get("items") if isinstance(kind, dict) else None
            if isinstance(items, dict) and sealed_fields(items):
                yield items, plain[field["name"]]


def _context(schema: Schema, field: str, row: Schema, camera: str) -> bytes:
    """The associated data of one record's field: camera, record, field and cause (the vault adds the deployment)."""
    return camera.encode() + b"\x1f" + seal_context(schema, field, row)
