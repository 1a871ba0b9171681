"""topics.yaml, and the plan that makes a cluster's topics so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from overt.demo.deployments import own_deployment
from overt.governance.deployment import Retention
from overt.messages import TOPIC_OF
from overt.runtime.avro import Schemas
from overt.runtime.cluster import retention_ms, transient_retention_ms
from overt.runtime.codec import sealed_fields
from overt.runtime.resources import schemas_dir
from overt.runtime.topics import Action, Change, ExistingTopic, Topics, TopicsError, load_topics, plan, table

GOOD = """
topics:
  frames: {schema: Frame, key: camera_id, partitions: cameras, producer: frame, consumers: [detector],
           config: {retention.ms: 60000, preallocate: true}}
  alerts: {schema: Alert, key: deployment_id, partitions: 1, producer: alerter, consumers: []}
"""


def _load(tmp_path: Path, text: str) -> Topics:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    return load_topics(path)


def _plan(topics: Topics, existing: dict[str, ExistingTopic] | None = None, cameras: int = 4) -> list[Change]:
    held = dict.fromkeys(("matches", "alerts"), 7_200_000)
    return plan(topics, cameras_partitions=cameras, prefix="overt.", retention_ms=held, existing=existing or {})


def _as_created(changes: list[Change]) -> dict[str, ExistingTopic]:
    """What a cluster has after the plan: with properties of its own beside."""
    return {c.topic: ExistingTopic(c.partitions, {"compression.type": "producer", **c.config}) for c in changes}


def test_the_shipped_file_has_every_record_on_its_topic_with_its_key() -> None:
    topics = load_topics(schemas_dir() / "topics.yaml")
    for message, name in TOPIC_OF.items():
        assert topics[name].record == message.__name__
        key = topics[name].key
        # The property of a message that is its record's key, or a field that carries the same.
        assert key in {field.name for field in dataclasses.fields(message)}
    assert topics["deadletters"].record is None
    assert topics["alerts"].partitions == 1
    assert topics["frames"].partitions == "cameras"


def test_everybody_who_reads_frames_faces_or_vectors_reads_topics_that_forget_within_minutes() -> None:
    topics = load_topics(schemas_dir() / "topics.yaml")
    for name in ("frames", "faces", "embeddings"):
        assert int(topics[name].config["retention.ms"]) <= 60_000
        assert topics[name].config["cleanup.policy"] == "delete"


def test_scalars_become_what_kafka_writes(tmp_path: Path) -> None:
    assert _load(tmp_path, GOOD)["frames"].config == {"retention.ms": "60000", "preallocate": "true"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topics: [", "line 1"),
        ("", "file"),
        ("topics: {}", "topics"),
        ("{topics: {a: {}}, more: 1}", "more: Extra inputs"),
        (GOOD.replace("cameras", "many"), r"topics\.frames\.partitions"),
        (GOOD.replace("partitions: 1", "partitions: 0"), r"topics\.alerts\.partitions"),
        (GOOD.replace("partitions: 1", "partitions: '1'"), r"topics\.alerts\.partitions"),
        (GOOD.replace("producer: frame,", ""), r"topics\.frames\.producer: Field required"),
        (GOOD.replace("consumers: []", "consumers: console"), r"topics\.alerts\.consumers"),
        (GOOD.replace("key: camera_id", "kye: camera_id"), r"topics\.frames\.kye: Extra inputs"),
        (GOOD.replace("60000", "[60000]"), r"topics\.frames\.config\.retention\.ms"),
        (GOOD.replace("{retention.ms: 60000, preallocate: true}", "5"), r"topics\.frames\.config"),
    ],
)
def test_an_error_names_the_file_and_the_line_or_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TopicsError, match=rf"(?s)topics\.yaml: .*{said}"):
        _load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match=r"none\.yaml: cannot be read"):
        load_topics(tmp_path / "none.yaml")


def test_a_new_cluster_gets_all_topics_with_the_brokers_time_and_room_for_frames(tmp_path: Path) -> None:
    frames, alerts = _plan(_load(tmp_path, GOOD))
    assert (frames.topic, frames.action, frames.partitions) == ("overt.frames", Action.CREATE, 4)
    assert (alerts.topic, alerts.action, alerts.partitions) == ("overt.alerts", Action.CREATE, 1)
    for change in (frames, alerts):
        assert change.config["message.timestamp.type"] == "LogAppendTime"
        assert int(change.config["max.message.bytes"]) > 8 * 1024 * 1024


def test_what_the_deployment_says_replaces_the_files_retention_and_nothing_elses() -> None:
    changes = _plan(load_topics(schemas_dir() / "topics.yaml"))
    held = {c.topic for c in changes if c.config.get("retention.ms") == "7200000"}
    assert held == {"overt.matches", "overt.alerts"}


def test_every_retention_of_a_deployment_reaches_its_topics_and_segments_are_short_beside_it(tmp_path: Path) -> None:
    """A day's counts that lay in a segment of a week would stay for eight days."""
    topics = load_topics(schemas_dir() / "topics.yaml")
    retention = Retention(alerts_hours=2.0, passes_days=3.0, adjudications_days=4.0)
    held = retention_ms(own_deployment("usb:0", tmp_path).model_copy(update={"retention": retention}))
    hour = 3_600_000
    assert held == {
        "matches": 2 * hour,
        "alerts": 2 * hour,
        "passes": 72 * hour,
        "adjudications": 96 * hour,
        "audit": 96 * hour,
        "statistics-facts": 72 * hour,
        "site-stats": 72 * hour,
    }
    assert len(set(held.values())) == len(Retention.model_fields) - 1, "all but the decision, which is a text"
    for name, kept_ms in held.items():
        assert int(topics[name].config["segment.ms"]) <= kept_ms / 2


def test_topics_under_transient_keys_stay_for_a_minute_or_twice_a_keys_life_whichever_is_longer() -> None:
    topics = load_topics(schemas_dir() / "topics.yaml")
    schemas = Schemas(schemas_dir())
    fields = {name: sealed_fields(schemas[spec.record]) for name, spec in topics.items() if spec.record is not None}
    transient = {name for name, sealed in fields.items() if "transient" in {each["overt.sealed"] for each in sealed}}
    assert transient
    assert transient_retention_ms(topics, 30) == dict.fromkeys(transient, 60_000)
    assert transient_retention_ms(topics, 2) == dict.fromkeys(transient, 60_000)
    assert transient_retention_ms(topics, 120) == dict.fromkeys(transient, 240_000)


def test_a_plan_that_was_carried_out_has_nothing_left_to_do() -> None:
    topics = load_topics(schemas_dir() / "topics.yaml")
    again = _plan(topics, _as_created(_plan(topics)))
    assert {change.action for change in again} == {Action.OK}
    assert len(again) == len(topics)


def test_more_cameras_add_partitions_and_keep_the_rest(tmp_path: Path) -> None:
    topics = _load(tmp_path, GOOD)
    steps = _plan(topics, _as_created(_plan(topics)), cameras=6)
    assert [(s.topic, s.action, s.partitions) for s in steps] == [
        ("overt.frames", Action.GROW, 6),
        ("overt.alerts", Action.OK, 1),
    ]
    assert steps[0].detail == "4 -> 6"


def test_only_what_differs_is_altered_and_the_old_value_is_told(tmp_path: Path) -> None:
    topics = _load(tmp_path, GOOD)
    existing = _as_created(_plan(topics))
    changed = {**existing["overt.frames"].config, "retention.ms": "1"}
    del changed["preallocate"]
    existing["overt.frames"] = ExistingTopic(2, changed)
    grow, alter, _ = _plan(topics, existing)
    assert (grow.action, alter.action) == (Action.GROW, Action.ALTER)
    assert alter.config == {"retention.ms": "60000", "preallocate": "true"}
    assert alter.detail == "retention.ms=1 -> 60000, preallocate=unset -> true"


def test_fewer_partitions_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    topics = _load(tmp_path, GOOD)
    with pytest.raises(TopicsError, match=r"overt\.frames has 4 partitions and 2 are wanted.*delete.*apply again"):
        _plan(topics, _as_created(_plan(topics)), cameras=2)


def test_the_table_has_a_line_for_each_step_in_columns(tmp_path: Path) -> None:
    header, frames, alerts = table(_plan(_load(tmp_path, GOOD)))
    assert header.split() == ["TOPIC", "PARTITIONS", "ACTION"]
    assert frames.split()[:3] == ["overt.frames", "4", "create"]
    assert "retention.ms=60000" in frames
    assert header.index("ACTION") == frames.index("create") == alerts.index("create")
