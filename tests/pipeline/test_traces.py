"""Each alert of a whole cluster can be followed back to its frame, and no trace tells whose face it was."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.cluster import CHAIN, Cluster, deployment
from tests.support.collector import Collector, SeenSpan
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes, subject

pytestmark = pytest.mark.slow


def test_an_alert_leads_back_through_every_service_to_its_frame(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    listed = PEOPLE[3:5]
    cameras = {
        "gate": scenes.walk(listed[:1], seed=1, fps=8.0, until_s=4.0),
        "square": scenes.walk(listed[1:], seed=2, fps=8.0, until_s=4.0),
    }
    content = deployment(cameras, scenes.watchlist(listed, tmp_path / "list"))
    with (
        Collector() as collector,
        Cluster(
            tmp_path,
            kafka,
            redis_server,
            content,
            models_dir=test_data / "models",
            settings={"otlp_endpoint": collector.url},
        ) as cluster,
    ):
        cluster.prepare()
        cluster.start()
        cluster.wait_done()
        cluster.stop()  # what is left is sent
        spans = {span.span_id: span for span in collector.spans()}
        topics = {f"overt-{service}": f"process {cluster.world.topic(topic)}" for service, topic in CHAIN}
        assert cluster.world.peek is not None
        alerts = [(record, cluster.world.peek(record)) for record in cluster.records("alerts")]
        assert {alert["subject_id"] for _, alert in alerts} == {subject(person) for person in listed}
        for record, alert in alerts:
            way = _way_back(spans, record.headers["traceparent"].split("-")[2])
            assert [span.service for span in way] == [*reversed(topics), "overt-frame"]
            assert [span.name for span in way[:-1]] == [*reversed(topics.values())]
            assert len({span.trace_id for span in way}) == 1
            assert way[-1].attributes["overt.camera_id"] == alert["camera_id"]
            assert all(later.begun_ns >= earlier.begun_ns for later, earlier in pairwise(way))
        told = {str(value) for span in spans.values() for value in span.attributes.values()}
        people = {alert[key] for _, alert in alerts for key in ("subject_id", "entry_id", "track_id", "category")}
        assert not [word for word in told if any(person in word for person in people)]


def _way_back(spans: dict[str, SeenSpan], span_id: str) -> list[SeenSpan]:
    """From a span to the first of its trace."""
    way = [spans[span_id]]
    while way[-1].parent_id:
        way.append(spans[way[-1].parent_id])
    return way
