"""Each service killed in turn, Kafka restarted, Redis wiped, one stopped for a while, as people pass: nothing promised
is missing, nothing is doubled, and whoever passes with no frame inside an outage is alerted on.

A pass that this machine was too slow for is no outage's fault: where frames were dropped or shed during it, which the
services count, it is counted as thinned and not judged. Enough must remain. Meanwhile each service tells what memory is
in use: none for what it has worked off. The long form, with three brokers and more faults, is `make faults`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.cluster import SERVICES, Cluster, deployment, distinct
from tests.support.heaps import Heaps, most_kept_kb, observed
from tests.support.judgement import Judgement, judge
from tests.support.kafka_broker import KafkaBroker
from tests.support.ordeal import COOLDOWN_S, KEY_LIFE_S, LISTED, Ordeal, recognised, street
from tests.support.redis_server import RedisServer
from tests.support.scenes import Scenes, subject
from tests.support.witness import Witness

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DOWN_S = 1.5
STOPPED_S = 20.0
STEADY_S = 105.0
JUDGED_S = 180.0
"""Each service has then been under load for so long since it was killed."""
FEWEST = {"frame": 600, "detector": 600, "embedder": 100, "matcher": 100, "alerter": 60}
"""Items that it is judged by: less than a third of what there are where no frame is lost."""


@pytest.fixture
def broker(kafka_factory: Callable[..., KafkaBroker]) -> KafkaBroker:
    return kafka_factory()


def test_nothing_promised_is_missing_or_doubled_through_any_single_failure(
    broker: KafkaBroker,
    redis_server: RedisServer,
    scenes: Scenes,
    test_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heaps_folder = tmp_path / "heaps"
    heaps_folder.mkdir()
    for name, value in observed(heaps_folder).items():
        monkeypatch.setenv(name, value)
    cameras = street(scenes)
    content = deployment(
        cameras,
        scenes.watchlist(LISTED, tmp_path / "watchlist"),
        name="ordeal",
        loop=True,
        recognition={"cooldown_s": COOLDOWN_S},
    )
    with Cluster(
        tmp_path / "cluster",
        broker,
        redis_server,
        content,
        realtime=True,
        models_dir=test_data / "models",
        settings={"transient_key_life_s": str(KEY_LIFE_S)},
    ) as cluster:
        cluster.prepare()
        can_be_seen = recognised(cluster, test_data, cameras)
        witness = Witness(cluster.world)
        witness.start()
        cluster.start()
        ordeal = Ordeal(cluster, witness)
        ordeal.settle()
        ordeal.calm()
        with Heaps(cluster, heaps_folder) as heaps:
            for service in ("embedder", "matcher", "alerter", "detector", "frame"):
                ordeal.suffer(f"kill -9 {service}", lambda s=service: _kill(cluster, s))  # type: ignore[misc]
            ordeal.suffer("SIGSTOP embedder 20 s", lambda: _stop(cluster, "embedder"))
            ordeal.suffer("Kafka restarted", lambda: _restart(broker))
            ordeal.suffer("Redis wiped", redis_server.wipe)
            ordeal.calm(STEADY_S)
        cluster.stop("frame")
        cluster.wait_quiet()
        witness.stop()
        _hold(judge(ordeal, cameras, can_be_seen))
        _nothing_is_kept(heaps.worked_off(JUDGED_S))


def _kill(cluster: Cluster, name: str) -> None:
    replica = cluster.service(name)
    replica.kill()
    time.sleep(DOWN_S)
    replica.spawn()


def _stop(cluster: Cluster, name: str) -> None:
    """For longer than a member's session, and shorter than a key's life."""
    replica = cluster.service(name)
    replica.freeze()
    time.sleep(STOPPED_S)
    replica.thaw()


def _restart(broker: KafkaBroker) -> None:
    broker.restart()


def _nothing_is_kept(worked_off: Mapping[str, tuple[float, float]]) -> None:
    found = {name.partition("-")[0]: items_and_kb for name, items_and_kb in worked_off.items()}
    print("kept:", "; ".join(f"{name} {kb:+.2f} kB of each of {items:.0f}" for name, (items, kb) in found.items()))
    assert set(found) == set(SERVICES)
    assert {name: items for name, (items, _) in found.items() if items < FEWEST[name]} == {}
    assert {name: kb for name, (items, kb) in found.items() if kb > most_kept_kb(name, items)} == {}


def _hold(judged: Judgement) -> None:
    print(judged)
    for one in judged.passes.unseen:
        print("not alerted on:", one)
    assert len(judged.promised) >= 20, "too few listed passes for the figures to mean anything"
    assert judged.missing == []
    assert judged.doubled == []
    assert judged.late == []
    assert judged.other == []
    assert judged.passes.due >= 10
    assert judged.passes.unseen == []
    assert distinct(list(judged.made.values()), "subject_id") <= {subject(person) for person in LISTED}
