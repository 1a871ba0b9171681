"""As much of JSON Schema (draft 2020-12) as the schema of the deployment file uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def complaints(value: Any, schema: Schema, root: Schema, at: str = "") -> list[str]:
    """What the schema has against the value; empty when it is valid. `root` holds the definitions."""
    schema = resolved(schema, root)
    if "anyOf" in schema:
        tried = [complaints(value, choice, root, at) for choice in schema["anyOf"]]
        return [] if not all(tried) else tried[0]
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{at}: not of type {kind}"]
    if isinstance(value, dict):
        return list(_of_object(value, schema, root, at))
    if isinstance(value, list):
        return list(_of_array(value, schema, root, at))
    return list(_of_scalar(value, schema, at))


def resolved(schema: Schema, root: Schema) -> Schema:
    """The schema with what it refers to."""
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}


def objects(part: Any) -> Iterator[Schema]:
    """All schemas of objects in a schema, at any depth."""
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for inner in part.values():
            yield from objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects(inner)


def _of_object(value: dict[str, Any], schema: Schema, root: Schema, at: str) -> Iterator[str]:
    known = schema["properties"]
    for key in schema.get("required", []):
        if key not in value:
            yield f"{at}.{key}: missing"
    for key, inner in value.items():
        if key in known:
            yield from complaints(inner, known[key], root, f"{at}.{key}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{at}.{key}: unknown"


def _of_array(value: list[Any], schema: Schema, root: Schema, at: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{at}: {len(value)} items"
    items = schema.get("prefixItems", []) + [schema.get("items", {})] * len(value)
    for index, (inner, wanted) in enumerate(zip(value, items, strict=False)):
        yield from complaints(inner, wanted, root, f"{at}[{index}]")


def _of_scalar(value: Any, schema: Schema, at: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: not one of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: does not match {schema['pattern']}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: out of bounds"
