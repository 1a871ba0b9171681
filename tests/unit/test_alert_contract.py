"""The promises of docs/alert-topic.md: the table is the schema, and old and new readers read old and new records."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import fastavro

from overt.runtime.resources import schemas_dir
from overt.runtime.topics import load_topics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "alert-topic.md").read_text("utf-8")
TODAY: dict[str, Any] = json.loads((schemas_dir() / "alert.avsc").read_text("utf-8"))
FIRST: dict[str, Any] = json.loads((schemas_dir() / "archive" / "alert-1.avsc").read_text("utf-8"))
ADDED = {"name": "added", "type": ["null", "string"], "default": None}
NEXT = {**TODAY, "fields": [*TODAY["fields"], ADDED]}
"""As the promise lets it become."""
VALUES: dict[str, Any] = {"string": "x", "long": 7, "int": 7, "double": 0.5, "bytes": b"sealed"}


def meaning(kind: Any) -> Any:
    """A type without its documentation."""
    if isinstance(kind, dict):
        return {key: value for key, value in kind.items() if key != "doc"}
    return kind


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """A record with a value in each field."""
    kinds = {f["name"]: f["type"][-1] if isinstance(f["type"], list) else f["type"] for f in schema["fields"]}
    return {name: VALUES[k] if isinstance(k, str) else k["symbols"][-1] for name, k in kinds.items()}


def crossed(writer: dict[str, Any], reader: dict[str, Any] | None, known: dict[str, Any]) -> Any:
    """What comes out where `writer` wrote. known: the schema the reader takes for the writer's."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer, named_schemas={}), filled(writer))
    out.seek(0)
    takes: Any = fastavro.parse_schema(known, named_schemas={})
    wants: Any = None if reader is None else fastavro.parse_schema(reader, named_schemas={})
    return fastavro.schemaless_reader(out, takes, wants)


def test_the_first_schemas_fields_are_still_the_first_and_what_was_added_has_a_default() -> None:
    old, new = FIRST["fields"], TODAY["fields"]
    assert [(f["name"], meaning(f["type"])) for f in new[: len(old)]] == [(f["name"], meaning(f["type"])) for f in old]
    assert all("default" in field for field in new[len(old) :])
    assert (TODAY["namespace"], TODAY["name"]) == (FIRST["namespace"], FIRST["name"])


def test_a_reader_with_an_old_schema_reads_what_is_written_now_and_will_be() -> None:
    for writer in (TODAY, NEXT):
        expected = {name: filled(writer)[name] for name in filled(FIRST)}
        assert crossed(writer, FIRST, known=writer) == expected, "with a registry"
        assert crossed(writer, None, known=FIRST) == expected, "with its own copy and nothing else"


def test_a_reader_of_today_reads_what_was_written_first() -> None:
    read = crossed(FIRST, NEXT, known=FIRST)
    assert {name: read[name] for name in filled(FIRST)} == filled(FIRST)
    assert read["added"] is None


def test_the_page_lists_each_field_with_its_type_in_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", PAGE, re.MULTILINE)

    def told(kind: Any) -> str:
        if isinstance(kind, list):
            return f"{kind[1]} or null"
        return str(kind["type"]) if isinstance(kind, dict) else str(kind)

    assert rows == [(field["name"], told(field["type"])) for field in TODAY["fields"]]


def test_the_page_marks_what_is_sealed() -> None:
    marked = set(re.findall(r"^\| `(\w+)` .*\*\*sealed\*\*", PAGE, re.MULTILINE))
    assert marked == {field["name"] for field in TODAY["fields"] if "overt.sealed" in field}


def test_topic_key_and_partition_are_as_the_page_says() -> None:
    spec = load_topics(schemas_dir() / "topics.yaml")["alerts"]
    assert (spec.record, spec.key, spec.partitions) == ("Alert", "deployment_id", 1)
    assert int(spec.config["retention.ms"]) == 24 * 3_600_000
