"""The AsyncAPI document says what topics.yaml and the schemas say. docs/alert-topic.md tells how to validate it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from overt.runtime.asyncapi import as_yaml, document
from overt.runtime.avro import Schemas
from overt.runtime.grants import DOWNSTREAM
from overt.runtime.resources import schemas_dir
from overt.runtime.topics import load_topics
from tests.support.typed import typed

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
TOPICS = load_topics(schemas_dir() / "topics.yaml")
MADE = document(TOPICS, Schemas(schemas_dir()).__getitem__, prefix="overt.", server="kafka:9092")


def followed(value: Any) -> Any:
    """What a reference within the document leads to."""
    found: Any = MADE
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_committed_document_is_what_the_schemas_make() -> None:
    """Where it is not: overt topics asyncapi > docs/asyncapi.yaml"""
    assert COMMITTED.read_text("utf-8") == as_yaml(MADE)
    assert yaml.safe_load(as_yaml(MADE)) == MADE


def test_the_command_prints_it_with_the_names_of_the_settings() -> None:
    done = typed("topics", "asyncapi", "--server", "b.example:9095", topic_prefix="van7.")
    assert done.returncode == 0, done.stderr
    said = yaml.safe_load(done.stdout)
    assert said["servers"]["kafka"]["host"] == "b.example:9095"
    assert {channel["address"] for channel in said["channels"].values()} == {f"van7.{name}" for name in TOPICS}


@pytest.mark.parametrize("name", TOPICS)
def test_a_channel_leads_to_its_record_as_the_file_has_it(name: str) -> None:
    (message,) = map(followed, MADE["channels"][name]["messages"].values())
    if TOPICS[name].record is None:
        assert "payload" not in message
        return
    (file,) = (f for f in schemas_dir().glob("*.avsc") if json.loads(f.read_text())["name"] == TOPICS[name].record)
    assert message["payload"]["schema"] == json.loads(file.read_text())


@pytest.mark.parametrize("name", TOPICS)
def test_who_sends_and_receives_is_who_may(name: str) -> None:
    told = {
        action: MADE["operations"].get(f"{action}-{name}", {}).get("x-principals", []) for action in ("send", "receive")
    }
    assert told["send"] == TOPICS[name].producers
    assert told["receive"] == [role for role in TOPICS[name].consumers if role != DOWNSTREAM]


def test_every_operation_leads_to_a_channel() -> None:
    for operation in MADE["operations"].values():
        assert followed(operation["channel"]) in MADE["channels"].values()
