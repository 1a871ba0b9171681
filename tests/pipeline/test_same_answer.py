"""The same answer both ways: one recording gives the same alerts and passes embedded and over Kafka, with any number of
replicas, also while replicas join and leave. What the same means stands in tests/support/answers.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import assert_same_answer, embedded, over_kafka
from tests.support.cluster import ONE_OF_EACH, SERVICES, Cluster, deployment
from tests.support.gate import held_back
from tests.support.kafka_broker import KafkaBroker
from tests.support.models import real_model
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes

pytestmark = pytest.mark.slow

CAMERAS = 4
_PATIENT = {"transient_key_life_s": "120", "unconsumed_frames": "1"}


def walks(scenes: Scenes, folder: Path, cameras: int = CAMERAS, **walk: Any) -> dict[str, Any]:
    """A deployment of some cameras, three passers-by each, the last two of them listed."""
    people = [PEOPLE[3 * n : 3 * n + 3] for n in range(cameras)]
    shown = {f"c{n}": scenes.walk(people[n], seed=n, **walk) for n in range(cameras)}
    listed = [person for passing in people for person in passing[1:]]
    return deployment(shown, scenes.watchlist(listed, folder))


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
        assert_same_answer(expected, over_kafka(cluster))
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
        assert_same_answer(expected, over_kafka(cluster))
        assert cluster.deadletters() == []


_PATIENT = {"transient_key_life_s": "120", "unconsumed_frames": "1"}


def test_reading_waits_for_the_slowest_service_so_that_nothing_expires_on_the_way(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    content = walks(scenes, tmp_path / "list", 1)
    with Cluster(tmp_path, kafka, redis_server, content, models_dir=test_data / "models", settings=_PATIENT) as cluster:
        expected = embedded(cluster)
        cluster.prepare()
        cluster.start({service: 1 for service in SERVICES if service != "embedder"})
        # 1 the embedder is away: after a few faces nothing more is read
        cluster.wait_until(lambda: cluster.lag("embedder") > 0, 60, "a face for the embedder")
        cluster.wait_until(lambda: cluster.lag("detector") == 0, 60, "what was sent is worked off")
        time.sleep(3.0)
        left = cluster.unread()
        assert left > 20, "the file was read to its end although nobody took the faces"
        # 2 it comes, and nothing was lost
        cluster.start({"embedder": 1})
        cluster.wait_done()
        print(f"{left} images were left to read while the embedder was away")
        assert_same_answer(expected, over_kafka(cluster))
        assert cluster.deadletters() == []
