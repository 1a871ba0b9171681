"""The same answer both ways: one recording gives the same alerts and passes embedded and over Kafka, with any number of
replicas, also while replicas join and leave. The same means: the same ids, times and subjects, similarity within 1e-5
(another batch shape changes the last bits)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from overt.governance.loading import load_deployment
from overt.messages import Alert, Pass
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.enrolment import enrol_folder
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support.cluster import ONE_OF_EACH, SERVICES, Cluster, deployment
from tests.support.kafka_broker import KafkaBroker
from tests.support.models import real_model
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes

CAMERAS = 4


@dataclass(frozen=True)
class Answer:
    """What a run has said, by identity."""

    alerts: Mapping[str, Mapping[str, Any]]
    passes: Mapping[str, Mapping[str, Any]]


def walks(scenes: Scenes, folder: Path, **walk: Any) -> dict[str, Any]:
    """A deployment of four cameras, three passers-by each, the last two of them listed."""
    people = [PEOPLE[3 * n : 3 * n + 3] for n in range(CAMERAS)]
    cameras = {f"c{n}": scenes.walk(people[n], seed=n, **walk) for n in range(CAMERAS)}
    listed = [person for passing in people for person in passing[1:]]
    return deployment(cameras, scenes.watchlist(listed, folder))


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


def test_one_replica_of_each_service_gives_the_embedded_answer_with_the_default_models(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, tmp_path: Path
) -> None:
    for name in ("centerface", "dlib-resnet-v1"):
        real_model(name)
    content = {**walks(scenes, tmp_path / "list"), "models": {}}
    with Cluster(tmp_path, kafka, redis_server, content) as cluster:
        expected = embedded(cluster)
        cluster.prepare()
        cluster.start(ONE_OF_EACH)
        cluster.wait_done()
        assert len(expected.alerts) >= 6
        assert len(expected.passes) == 3 * CAMERAS
        assert_equal(expected.alerts, over_kafka(cluster).alerts)
        assert_equal(expected.passes, over_kafka(cluster).passes)
        assert cluster.deadletters() == []


def test_three_replicas_of_each_service_that_join_and_leave_give_the_embedded_answer(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    content = walks(scenes, tmp_path / "list", fps=12.0, every_s=5.0, until_s=15.0)
    with Cluster(tmp_path, kafka, redis_server, content, models_dir=test_data / "models", settings=_PATIENT) as cluster:
        expected = embedded(cluster)
        cluster.prepare()
        with held_back(cluster) as let_go:
            # 1 one of each and one camera
            let_go("c0")
            cluster.start(ONE_OF_EACH)
            cluster.wait_read(8)
            # 2 two more of each join; a camera begins when the first of them has
            joining = [cluster.add(service, wait=False) for service in SERVICES for _ in range(2)]
            for replica in joining:
                replica.wait_ready(120)
                let_go("c1")
            # 3 the first of each leaves while a camera is read
            let_go("c2")
            cluster.wait_read(sum(cluster.frames[c] for c in ("c0", "c1")) + 8)
            left = cluster.unread() - cluster.frames["c3"] - 2
            for service in SERVICES:
                cluster.service(service, 0).terminate()
        # 4 the last camera is left to those who joined
        took_s = cluster.wait_done()
        print(f"{left} images of c2 left when replicas began to leave; after that it took {took_s:.1f} s")
        for service in SERVICES:
            assert cluster.total("overt_records_total", service) > 0, service
        assert len(expected.alerts) >= 6
        assert len(expected.passes) == 3 * CAMERAS
        assert_equal(expected.alerts, over_kafka(cluster).alerts)
        assert_equal(expected.passes, over_kafka(cluster).passes)
        assert cluster.deadletters() == []


_PATIENT = {"transient_key_life_s": "120", "unconsumed_frames": "1"}


@contextmanager
def held_back(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Holds the leases of all cameras, as another replica would, until they are let go by name or at the end: so a run
    cannot be over before somebody has joined, however slow that is."""
    leases, over = cluster.world.leases, threading.Event()
    held = {camera.camera_id: leases.acquire(camera.camera_id) or 0 for camera in cluster.deployment.cameras}

    def renew() -> None:
        while not over.wait(1.0):
            for camera, epoch in list(held.items()):
                leases.renew(camera, epoch)

    def let_go(camera: str) -> None:
        if camera in held:
            leases.release(camera, held.pop(camera))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield let_go
    finally:
        over.set()
        thread.join()
        for camera in list(held):
            let_go(camera)
