"""Topics as `schemas/topics.yaml` says them, and what has to be done to a cluster until it has them.

Everything here is values: `overt.runtime.kafka` asks the cluster what exists and carries a plan out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Largest record: a lossless 720p frame takes about 1.5 MB, and Kafka's own default is 1 MiB."""

READERS_GROUP = "overt-readers"
"""In whose name a topic is read outside any group: librdkafka asks for a coordinator of it all the same."""

_BATCH_OVERHEAD_BYTES = 64 * 1024
_EVERYWHERE = {
    # With the producer's time a file that was filmed last year would be deleted at once, and a wrong clock refused.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MAX_MESSAGE_BYTES + _BATCH_OVERHEAD_BYTES),
}


class TopicsError(ValueError):
    """topics.yaml is wrong, or a cluster's topics cannot become what is planned. The text says where and what to do."""


class TopicSpec(BaseModel):
    """One topic of topics.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    record: str | None = Field(alias="schema", description="Name of the Avro record; None: no value, headers only.")
    key: str = Field(min_length=1)
    partitions: PositiveInt | Literal["cameras"]
    producer: str | list[str] = Field(min_length=1, description="A principal, or several.")
    consumers: list[str]
    config: dict[str, str] = Field(default_factory=dict, description="Kafka's topic configuration.")

    @property
    def producers(self) -> list[str]:
        """Who writes it."""
        return [self.producer] if isinstance(self.producer, str) else self.producer

    @field_validator("config", mode="before")
    @classmethod
    def _as_kafka_writes_it(cls, config: object) -> object:
        if not isinstance(config, dict):
            return config
        return {str(name): _scalar(value) for name, value in config.items()}


def _scalar(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: Any = None
    """Only holds anchors."""
    topics: dict[str, TopicSpec] = Field(min_length=1)


Topics = Mapping[str, TopicSpec]
"""By name, without the deployment's prefix."""


def load_topics(path: Path) -> Topics:
    """Reads topics.yaml. Raises TopicsError naming the file and the line or field."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise TopicsError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TopicsError(f"{path}: not YAML: {error}") from error  # its text says line and column
    try:
        return _File.model_validate(raw).topics
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise TopicsError(f"{path}: " + "; ".join(problems)) from error


@dataclass(frozen=True, slots=True)
class ExistingTopic:
    """A topic as the cluster has it: `config` holds every property's value in effect."""

    partitions: int
    config: Mapping[str, str]


class Action(StrEnum):
    """What is done to a topic."""

    CREATE = "create"
    GROW = "add partitions"
    ALTER = "alter"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan. `config` holds what is set: all of it (create), or what differs (alter)."""

    topic: str
    action: Action
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    """For people: what was and what will be."""


def plan(
    topics: Topics,
    *,
    cameras_partitions: int,
    prefix: str,
    retention_ms: Mapping[str, int],
    existing: Mapping[str, ExistingTopic],
) -> list[Change]:
    """What makes the cluster's topics (`existing`, by full name) as wanted; a topic that needs two steps has two.

    retention_ms: by topic, how long the deployment keeps it, in place of what the file says.
    Raises TopicsError when a topic has more partitions than wanted: Kafka cannot take any away.
    """
    changes: list[Change] = []
    too_many: list[str] = []
    for name, spec in topics.items():
        full = prefix + name
        partitions = cameras_partitions if spec.partitions == "cameras" else spec.partitions
        config = {**spec.config, **_EVERYWHERE}
        if name in retention_ms:
            config["retention.ms"] = str(retention_ms[name])
        there = existing.get(full)
        if there is None:
            changes.append(Change(full, Action.CREATE, partitions, config, _assignments(config)))
        elif there.partitions > partitions:
            too_many.append(f"{full} has {there.partitions} partitions and {partitions} are wanted")
        else:
            changes += _steps(full, there, partitions, config)
    if too_many:
        raise TopicsError(
            f"{'; '.join(too_many)}. Kafka cannot take partitions away. Either let a camera of the deployment have "
            "the highest partition that exists; or choose another topic prefix; or stop all services, delete these "
            "topics with what is in them (kafka-topics.sh --delete --topic NAME) and apply again"
        )
    return changes


def _steps(full: str, there: ExistingTopic, partitions: int, config: Mapping[str, str]) -> list[Change]:
    steps: list[Change] = []
    if there.partitions < partitions:
        steps.append(Change(full, Action.GROW, partitions, {}, f"{there.partitions} -> {partitions}"))
    differing = {name: value for name, value in config.items() if there.config.get(name) != value}
    if differing:
        was = {name: f"{there.config.get(name, 'unset')} -> {value}" for name, value in differing.items()}
        steps.append(Change(full, Action.ALTER, partitions, differing, _assignments(was)))
    return steps or [Change(full, Action.OK, partitions)]


def _assignments(config: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in config.items())


def table(changes: Sequence[Change]) -> list[str]:
    """A plan for people, one line a step, with a header."""
    rows = [("TOPIC", "PARTITIONS", "ACTION", ""), *((c.topic, str(c.partitions), c.action, c.detail) for c in changes)]
    widths = [_width(row[column] for row in rows) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]).rstrip() for row in rows
    ]


def _width(cells: Iterable[str]) -> int:
    return max(len(cell) for cell in cells)
