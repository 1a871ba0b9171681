"""The schemas are the contract: dataclasses say the same, every field is documented, old bytes stay readable."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from overt.alerter.state import AlerterState
from overt.detector.state import DetectorState
from overt.embedder.state import EmbedderState
from overt.messages import TOPIC_OF
from overt.picture import Picture
from overt.runtime.avro import AvroFormat, LocalRegistry, Schemas, local_id
from overt.runtime.resources import schemas_dir
from overt.runtime.topics import load_topics

SCHEMAS = Schemas(schemas_dir())
RECORDS: list[type[Any]] = [*TOPIC_OF, AlerterState, DetectorState, EmbedderState]


def avro_type(hint: Any) -> Any:
    """What the schema must say for a dataclass field of this type; names only for records and enums."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return ["null", avro_type(next(a for a in args if a is not types.NoneType))]
    if origin is tuple:
        return {"array": avro_type(args[0])}
    if hint is Picture or origin is np.ndarray:
        return "bytes"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [str(member) for member in hint]}
    if dataclasses.is_dataclass(hint):
        return {"record": [(f.name, avro_type(h)) for f, h in fields_of(hint)]}
    return {str: "string", float: "double", bool: "boolean", int: "integer"}[hint]


def fields_of(cls: Any) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return [(f, hints[f.name]) for f in dataclasses.fields(cls)]


def said_type(schema: Any) -> Any:
    if isinstance(schema, list):
        return [said_type(s) for s in schema]
    if isinstance(schema, dict):
        match schema["type"]:
            case "record":
                return {"record": [(f["name"], said_type(f["type"])) for f in schema["fields"]]}
            case "enum":
                return {"enum": schema["symbols"]}
            case "array":
                return {"array": said_type(schema["items"])}
            case other:
                return said_type(other)
    return {"int": "integer", "long": "integer"}.get(schema, schema)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
def test_dataclass_and_schema_say_the_same(cls: type[Any]) -> None:
    said = said_type(SCHEMAS[cls.__name__])
    assert said == avro_type(cls)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
def test_every_record_and_field_is_documented(cls: type[Any]) -> None:
    def undocumented(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [u for s in schema for u in undocumented(s, path)]
        if not isinstance(schema, dict):
            return []
        found = [] if schema.get("doc") or schema["type"] == "array" else [path]
        for f in schema.get("fields", ()):
            found += [] if f.get("doc") else [f"{path}.{f['name']}"]
            found += undocumented(f["type"], f"{path}.{f['name']}")
        return found + undocumented(schema.get("items"), path)

    assert undocumented(SCHEMAS[cls.__name__], cls.__name__) == []


def test_pictures_and_vectors_are_sealed_and_nothing_else_is() -> None:
    for cls in TOPIC_OF:
        schema = SCHEMAS[cls.__name__]
        sealed = {f["name"] for f in schema["fields"] if "overt.sealed" in f}
        biometric = {f.name for f, h in fields_of(cls) if avro_type(h) in ("bytes", ["null", "bytes"])}
        assert sealed == biometric, cls
        if sealed:
            assert set(schema["overt.context"]) <= {f["name"] for f in schema["fields"]}


def test_every_topic_names_a_record_and_every_record_a_topic() -> None:
    topics = load_topics(schemas_dir() / "topics.yaml")
    named = {name: topic.record for name, topic in topics.items() if topic.record}
    assert named == {topic: cls.__name__ for cls, topic in TOPIC_OF.items()}


def test_docs_do_not_change_a_schemas_id_but_a_field_does() -> None:
    schema = SCHEMAS["Pass"]
    assert local_id({**schema, "doc": "other words"}) == local_id(schema)
    assert local_id({**schema, "fields": schema["fields"][:-1]}) != local_id(schema)


def test_bytes_of_an_older_schema_are_read_with_todays() -> None:
    """What a service wrote before a field with a default was added is read, the field at its default."""
    old = {**SCHEMAS["Adjudication"], "fields": SCHEMAS["Adjudication"]["fields"][:-2]}
    today = Schemas(schemas_dir())
    today.archived.append(old)
    registry = LocalRegistry(today)
    written_by = Schemas(schemas_dir())
    written_by._current["Adjudication"] = old
    plain = {
        "adjudication_id": "j",
        "alert_id": "a",
        "deployment_id": "d",
        "verdict": "true",
        "by": "op",
        "adjudicated_at_us": 1,
        "took_ms": None,
    }
    data = AvroFormat(written_by, registry, lambda r: r).dumps("Adjudication", plain)
    read = AvroFormat(today, registry, lambda r: r).loads("Adjudication", data)
    assert read == {**plain, "note": None, "outcome": None}
