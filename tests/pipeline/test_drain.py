"""SIGTERM: each service ends within 10 s, with exit status 0 and its work committed: nothing is done twice after it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.answers import assert_same_answer, embedded, over_kafka
from tests.support.cluster import CHAIN, SERVICES, Cluster, deployment
from tests.support.gate import held_back
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes

pytestmark = pytest.mark.slow


def test_each_service_ends_in_time_while_frames_come_and_what_it_did_is_never_done_again(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    cameras = {f"c{n}": scenes.walk(PEOPLE[2 * n : 2 * n + 2], seed=n) for n in range(len(SERVICES))}
    content = deployment(cameras, scenes.watchlist(PEOPLE[: 2 * len(SERVICES)], tmp_path / "list"))
    settings = {"transient_key_life_s": "120"}
    cluster = Cluster(tmp_path, kafka, redis_server, content, models_dir=test_data / "models", settings=settings)
    with cluster.prepare(), held_back(cluster) as let_go:
        expected = embedded(cluster)
        cluster.start()
        sent = 0
        for camera, name in zip(cameras, SERVICES, strict=True):
            let_go(camera)
            cluster.wait_read(sent + 20)
            service = cluster.service(name)
            took_s = service.terminate()
            print(f"{name} ended {took_s:.1f} s after SIGTERM")
            assert service.child.exit_code == 0, service.log_text()
            assert took_s <= 10
            service.start(120)
            sent += cluster.frames[camera] + 1
            cluster.wait_read(sent)
        cluster.wait_done()
        assert len(expected.alerts) >= 6
        assert_same_answer(expected, over_kafka(cluster))
        peek = cluster.world.peek
        assert peek is not None
        for _, topic in CHAIN:
            records = [peek(record) for record in cluster.records(topic)]
            causes = Counter((r["camera_id"], r["source_epoch"], r["frame_seq"], r.get("face_index")) for r in records)
            assert causes
            assert [cause for cause, times in causes.items() if times > 1] == [], topic
        assert len(cluster.alerts()) == len(expected.alerts)
        assert len(cluster.passes()) == len(expected.passes)
        assert cluster.deadletters() == []


def test_each_service_ends_in_time_while_neither_kafka_nor_redis_answers(
    kafka_factory: Callable[..., KafkaBroker],
    redis_server: RedisServer,
    scenes: Scenes,
    test_data: Path,
    tmp_path: Path,
) -> None:
    broker = kafka_factory()
    content = deployment(
        {"c1": scenes.walk(PEOPLE[:2], seed=1)}, scenes.watchlist(PEOPLE[:2], tmp_path / "list"), loop=True
    )
    with Cluster(tmp_path, broker, redis_server, content, models_dir=test_data / "models") as cluster:
        cluster.prepare()
        cluster.start()
        cluster.wait_alerts(1)
        running = cluster.replicas()
        broker.child.freeze()
        redis_server.freeze()
        began = time.monotonic()
        for service in running:
            service.child.signal(signal.SIGTERM)
        took_s: dict[str, float] = {}
        while len(took_s) < len(running):
            assert time.monotonic() - began < 60, f"only {took_s} have ended"
            took_s |= {
                service.name: time.monotonic() - began
                for service in running
                if service.name not in took_s and not service.child.running
            }
            time.sleep(0.02)
        redis_server.thaw()
        broker.child.thaw()
        print("; ".join(f"{name} {seconds:.1f} s" for name, seconds in took_s.items()))
        assert max(took_s.values()) <= 10
