"""The topics as an AsyncAPI document, made of `schemas/topics.yaml` and `schemas/*.avsc` and of nothing else.

AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0) with the Kafka bindings 0.5. The records'
schemas stand in it as they are, in Avro; what Overt adds to Avro (`overt.sealed` and the like) is kept. An operation is
told from Overt's side: what its services send and receive, and under which names they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from overt import __version__
from overt.runtime.avro import Schema
from overt.runtime.dead_letters import HEADERS
from overt.runtime.grants import DOWNSTREAM
from overt.runtime.topics import Topics, TopicSpec

VERSION = "3.0.0"
_BINDING = "0.5.0"
_AVRO = "application/vnd.apache.avro;version=1.9.0"
_WIRE = "application/vnd.confluent.avro"
_ON_THE_WAY = frozenset({"frame", "detector", "embedder", "matcher", "alerter"})
_TRACED = {
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "description": "W3C Trace Context of the frame that the record came of, where the site has traces on.",
        }
    },
}

_INTRODUCTION = """\
Made by `overt topics asyncapi` of schemas/topics.yaml and schemas/*.avsc: change those.

Values are Avro in the Confluent wire format: a zero byte, the schema's id (4 bytes, big-endian), the record. Fields
that bear `overt.sealed` are ciphertext (AES-256-GCM), for subscribers too. Delivery is at least once. Systems of others
read `alerts` and nothing else; docs/alert-topic.md is the contract. Retention is that of topics.yaml, and the
deployment file replaces it where it says how long something is kept.
"""


def document(topics: Topics, schema_of: Callable[[str], Schema], *, prefix: str, server: str) -> dict[str, Any]:
    """The document as plain values.

    schema_of: a record's Avro schema by its name. prefix: what topics' names begin with. server: HOST:PORT of a broker.
    """
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Overt",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _WIRE,
        "servers": {
            "kafka": {
                "host": server,
                "protocol": "kafka-secure",
                "description": "A user for each service, and for each system that reads alerts.",
                "security": [{"$ref": "#/components/securitySchemes/user"}],
            }
        },
        "channels": {name: _channel(name, spec, prefix) for name, spec in topics.items()},
        "operations": dict(operation for name, spec in topics.items() for operation in _operations(name, spec)),
        "components": {
            "messages": {_message_name(n, spec): _message(n, spec, schema_of) for n, spec in topics.items()},
            "securitySchemes": {
                "user": {"type": "scramSha512", "description": "SASL/SCRAM-SHA-512, over TLS only."},
            },
        },
    }


def as_yaml(made: Mapping[str, Any]) -> str:
    """A document as text, the same for the same document."""
    head = "# Made by `overt topics asyncapi`; a test compares. Change schemas/ instead.\n"
    return head + yaml.dump(dict(made), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Without anchors, which some readers of AsyncAPI do not follow; texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def _message_name(name: str, spec: TopicSpec) -> str:
    """The record's, or where the value is not one, the topic's."""
    return spec.record or name


def _channel(name: str, spec: TopicSpec, prefix: str) -> dict[str, Any]:
    partitions = {} if spec.partitions == "cameras" else {"partitions": spec.partitions}
    cut = "partitions by camera" if spec.partitions == "cameras" else f"partitions: {spec.partitions}"
    message = _message_name(name, spec)
    return {
        "address": prefix + name,
        "description": f"Key: {spec.key}; {cut}. In order within a partition.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "topic": prefix + name,
                **partitions,
                "topicConfiguration": _configuration(spec.config),
                "bindingVersion": _BINDING,
            }
        },
    }


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    """Those of the topic's properties that the binding knows, as it types them."""
    known: dict[str, Any] = {"cleanup.policy": config["cleanup.policy"].split(",")}
    return known | {key: int(config[key]) for key in ("retention.ms", "delete.retention.ms") if key in config}


def _operations(name: str, spec: TopicSpec) -> list[tuple[str, dict[str, Any]]]:
    readers = [role for role in spec.consumers if role != DOWNSTREAM]
    found = [(f"send-{name}", _operation("send", name, spec.producers))]
    if readers:
        found.append((f"receive-{name}", _operation("receive", name, readers)))
    return found


def _operation(action: str, name: str, roles: list[str]) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "x-principals": roles}


def _message(name: str, spec: TopicSpec, schema_of: Callable[[str], Schema]) -> dict[str, Any]:
    binding: dict[str, Any] = {"key": {"type": "string", "description": spec.key}, "bindingVersion": _BINDING}
    if name == "deadletters":
        properties = {header: {"type": "string", "description": said} for header, said in HEADERS.items()}
        return {
            "title": "Dead letter",
            "description": "What a service could not process. It has no value: headers say where the record lies.",
            "headers": {"type": "object", "properties": properties, "required": list(properties)},
            "bindings": {"kafka": binding},
        }
    if spec.record is None:
        return {
            "title": name,
            "description": f"Kept by {', '.join(spec.producers)} for itself. Nobody else reads it.",
            "bindings": {"kafka": binding},
        }
    schema = schema_of(spec.record)
    headers = {"headers": _TRACED} if _ON_THE_WAY.intersection(spec.producers) else {}
    return {
        "name": f"{schema['namespace']}.{spec.record}",
        "title": spec.record,
        "summary": schema["doc"],
        **headers,
        "payload": {"schemaFormat": _AVRO, "schema": schema},
        "bindings": {
            "kafka": {
                **binding,
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicNameStrategy",
            }
        },
    }
