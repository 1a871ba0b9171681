"""What a run has said: by a deployment in this process, and on a cluster's topics; and whether two have said the same.

The same means: the same ids, times and subjects, similarity within 1e-5 (another batch shape changes the last bits).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest

from overt.governance.loading import load_deployment
from overt.messages import Alert, Pass
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.watchlist.enrolment import enrol_folder
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support.cluster import Cluster


@dataclass(frozen=True)
class Answer:
    """What a run has said, by identity."""

    alerts: Mapping[str, Mapping[str, Any]]
    passes: Mapping[str, Mapping[str, Any]]


def embedded(cluster: Cluster) -> Answer:
    """The deployment of the cluster, in this process."""
    chosen = load_deployment(cluster.file, check_files=True)
    world, bus = memory_world(chosen)
    known = {name: value for name, value in cluster.settings.items() if name == "models_dir"}
    wiring = Wiring(world, Settings.model_validate(known), Metrics(), realtime=False)
    alerts: list[Alert] = []
    run = EmbeddedRun(wiring, bus, enrol_folder(wiring, lambda *_: None).entries, on_alert=alerts.append)
    run.run(threading.Event())
    passes: list[Pass] = [record.value for record in world.log.read("passes")]
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    return Answer(
        {a.alert_id: {name: getattr(a, name) for name in _ALERT} for a in alerts},
        {p.track_id: {name: getattr(p, name) for name in _PASS} for p in passes},
    )


def over_kafka(cluster: Cluster) -> Answer:
    """What is on the topics. Repeats must be true repeats."""
    answer = Answer({}, {})
    for records, identity, names, into in (
        (cluster.alerts(), "alert_id", _ALERT, answer.alerts),
        (cluster.passes(), "track_id", _PASS, answer.passes),
    ):
        for record in records:
            said = {name: record[name] for name in names}
            assert isinstance(into, dict)
            assert_equal({"": into.setdefault(record[identity], said)}, {"": said})
    return answer


_ALERT = [
    f.name
    for f in fields(Alert)
    if f.name not in ("alert_id", "deployment_id", "alerted_at_us", "probe_image", "context", "site_id")
]
_PASS = [f.name for f in fields(Pass) if f.name != "track_id"]


def assert_equal(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> None:
    """The same identities, and the same said of each; numbers that are no integers within 1e-5."""
    assert one.keys() == other.keys()
    for identity, said in one.items():
        near = {name: pytest.approx(v, abs=1e-5) if isinstance(v, float) else v for name, v in said.items()}
        assert other[identity] == near, identity


def assert_same_answer(one: Answer, other: Answer) -> None:
    """Alerts and passes."""
    assert_equal(one.alerts, other.alerts)
    assert_equal(one.passes, other.passes)
