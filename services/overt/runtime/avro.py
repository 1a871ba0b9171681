"""Records to Avro and back, in the Confluent wire format: a zero byte, a big-endian schema id, the record.

Dataclasses and schemas say the same (a test proves it), so one generic mapping serves messages and states. Schema ids
come from a registry: a Confluent-compatible server when one is configured, else `LocalRegistry`, whose ids are made
from the schemas themselves, so that processes that share the files agree without a server.
"""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import fastavro
import numpy as np
from fastavro.schema import SchemaParseException, fingerprint, parse_schema, to_parsing_canonical_form

from overt.picture import Picture
from overt.ports import Undecodable

Schema = dict[str, Any]

_HEADER = struct.Struct(">bI")
_MAX_RECORD = 16 * 1024 * 1024


class Registry(Protocol):
    """Knows schemas by id."""

    def id_of(self, subject: str, schema: Schema) -> int:
        """The id of a schema that this process writes, registered under `subject` where that means something."""
        ...

    def schema_of(self, schema_id: int) -> Schema:
        """The schema with which a record was written. Raises Undecodable when nobody knows it."""
        ...


class SchemaError(ValueError):
    """A schema file is missing or wrong. The text names the file."""


class Schemas:
    """The schemas of a folder: `*.avsc` as they are now, `state/*.avsc`, and `archive/*.avsc` as they once were."""

    def __init__(self, folder: Path) -> None:
        self._current = {s["name"]: s for p in _files(folder, "*.avsc", "state/*.avsc") for s in [_parse(p)]}
        self.archived = [_parse(p) for p in _files(folder, "archive/*.avsc")]
        if not self._current:
            raise SchemaError(f"{folder} holds no *.avsc file: is this Overt's schemas folder?")

    def __getitem__(self, record: str) -> Schema:
        return self._current[record]

    def all(self) -> list[Schema]:
        """Current and archived schemas."""
        return [*self._current.values(), *self.archived]


def _files(folder: Path, *patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def _parse(path: Path) -> Schema:
    try:
        raw = json.loads(path.read_text("utf-8"))
        parse_schema(raw, named_schemas={})
    except (ValueError, SchemaParseException) as error:
        raise SchemaError(f"{path}: not an Avro schema: {error}") from error
    if not isinstance(raw, dict) or raw.get("type") != "record" or "fields" not in raw:
        raise SchemaError(f"{path}: not the schema of a record: it should have type record, a name and fields")
    return raw


class LocalRegistry:
    """Ids without a server: the first 31 bits of the SHA-256 of a schema's parsing canonical form."""

    def __init__(self, schemas: Schemas) -> None:
        self._known = {local_id(schema): schema for schema in schemas.all()}

    def id_of(self, subject: str, schema: Schema) -> int:
        del subject  # a server's notion
        return local_id(schema)

    def schema_of(self, schema_id: int) -> Schema:
        try:
            return self._known[schema_id]
        except KeyError:
            raise Undecodable(f"no schema has the id {schema_id}") from None


def local_id(schema: Schema) -> int:
    """A schema's id in every local registry. Docs and Overt's own attributes do not change it; a field does."""
    digest = fingerprint(to_parsing_canonical_form(parse_schema(schema, named_schemas={})), "sha256")
    return int(str(digest)[:8], 16) >> 1


class AvroFormat:
    """Plain dictionaries to wire bytes and back, resolving old writers' schemas to today's."""

    def __init__(self, schemas: Schemas, registry: Registry, subject_of: Callable[[str], str]) -> None:
        self.schemas = schemas
        self._registry = registry
        self._subject_of = subject_of
        self._parsed: dict[str, Any] = {}
        self._ids: dict[str, int] = {}
        self._writers: dict[int, Any] = {}

    def dumps(self, record: str, plain: Schema) -> bytes:
        """Encodes `plain` as the record of that name."""
        schema = self._reader(record)
        if record not in self._ids:
            self._ids[record] = self._registry.id_of(self._subject_of(record), self.schemas[record])
        out = io.BytesIO()
        out.write(_HEADER.pack(0, self._ids[record]))
        fastavro.schemaless_writer(out, schema, plain)
        return out.getvalue()

    def loads(self, record: str, data: object) -> Schema:
        """Decodes wire bytes to today's form of the record of that name. Raises Undecodable."""
        if not isinstance(data, bytes):
            raise Undecodable(f"a {record} was expected, the record has no value")
        if len(data) < _HEADER.size or data[0] != 0:
            raise Undecodable("the bytes do not begin with the Confluent wire format's header")
        if len(data) > _MAX_RECORD:
            raise Undecodable(f"the record is larger than {_MAX_RECORD} bytes")
        _, schema_id = _HEADER.unpack_from(data)
        if schema_id not in self._writers:
            self._writers[schema_id] = parse_schema(self._registry.schema_of(schema_id), named_schemas={})
        body = io.BytesIO(data)
        body.seek(_HEADER.size)
        try:
            plain = fastavro.schemaless_reader(body, self._writers[schema_id], self._reader(record))
        except Exception as error:  # fastavro raises many kinds on hostile bytes; each means the same here
            raise Undecodable(f"the bytes are no {record} ({type(error).__name__})") from None
        if body.tell() != len(data):
            raise Undecodable(f"{len(data) - body.tell()} bytes are left over behind the {record}")
        return typing.cast("Schema", plain)

    def write_container(
        self, file: BinaryIO, record: str, plains: Iterable[Schema], metadata: Mapping[str, str]
    ) -> None:
        """Writes records of one kind as an Avro object container file, with `metadata` in its header."""
        fastavro.writer(file, self._reader(record), plains, metadata=dict(metadata))

    def read_container(self, file: BinaryIO, record: str) -> tuple[Mapping[str, str], Iterator[Schema]]:
        """The metadata of a container file's header, and its records in today's form, one after the other. Raises
        Undecodable, at once or while one reads on.

        The header says how to read the rest, and a stranger may have written it: a schema that Overt never wrote can
        hold an array of 2^60 nothings in ten bytes, and packed blocks may unpack to more than there is memory.
        """
        try:
            reader = fastavro.reader(file, self._reader(record))
            metadata: Mapping[str, str] = reader.metadata
            packed, written = reader.codec != "null", local_id(typing.cast("Schema", reader.writer_schema))
        except Exception as error:  # as in `loads`
            raise Undecodable(f"it is no Avro container file of {record} ({type(error).__name__})") from None
        if packed:
            raise Undecodable("its blocks are packed, as Overt never writes them")
        if written not in {local_id(schema) for schema in self.schemas.all() if schema["name"] == record}:
            raise Undecodable(f"its schema of {record} is none that Overt has written")
        return metadata, _records(reader, record)

    def _reader(self, record: str) -> Any:
        if record not in self._parsed:
            self._parsed[record] = parse_schema(self.schemas[record], named_schemas={})
        return self._parsed[record]


def _records(reader: Any, record: str) -> Iterator[Schema]:
    try:
        yield from reader
    except Exception as error:  # as in `AvroFormat.loads`
        raise Undecodable(f"it is cut short, or its bytes are no {record} ({type(error).__name__})") from None


# Dataclasses to plain dictionaries and back. Pictures are left to the caller, who knows how they are to be encoded.


def to_plain(value: Any) -> Any:
    """A dataclass (or a field of one) as fastavro takes it: float32 vectors as little-endian bytes, enums as text."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, "<f4").tobytes()
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


T = typing.TypeVar("T")


def from_plain(cls: type[T], plain: Schema) -> T:
    """The dataclass `cls` from what `to_plain` made of it, or from what an Avro reader returned."""
    make = _maker(typing.cast("typing.Hashable", cls))
    return typing.cast("T", make(plain))


@cache
def _maker(hint: Any) -> Callable[[Any], Any]:
    """How a plain value becomes one of type `hint`; worked out once for each type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = _maker(next(a for a in args if a is not types.NoneType))
        return lambda v: None if v is None else inner(v)
    if origin is tuple:
        item = _maker(args[0])
        return lambda v: tuple(item(x) for x in v)
    if hint is Picture:
        return lambda v: Picture(encoded=v)
    if origin is np.ndarray:
        return _vector
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        makers = [(f.name, _maker(hints[f.name])) for f in dataclasses.fields(hint)]
        cls: Any = hint
        return lambda v: cls(**{name: make(v[name]) for name, make in makers})
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return lambda v: v


def _vector(data: bytes) -> Any:
    if len(data) % 4:
        raise Undecodable(f"a vector of {len(data)} bytes is no whole number of float32")
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)
