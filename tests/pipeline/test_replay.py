"""A replay repeats and never invents: records that come twice, offsets set back, states lost, topics made anew, and
processes that sleep through their own succession change neither which alerts there are nor which passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import assert_equal, assert_same_answer, embedded, over_kafka
from tests.support.cluster import CHAIN, Cluster, deployment, distinct
from tests.support.gate import held_back
from tests.support.kafka_broker import KafkaBroker
from tests.support.process import Service
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes
from tests.support.tampering import (
    back_to_the_beginning,
    every_record_twice,
    forget_states,
    keep_for_ever,
    make_anew,
    states,
)

pytestmark = pytest.mark.slow

STAGES = [service for service, _ in CHAIN]
Make = Callable[..., Cluster]


@pytest.fixture
def make(kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path) -> Make:
    """`make(cameras, **walk)`: a cluster that is prepared; three pass each camera and the last two are listed."""

    def made(cameras: int, **walk: float) -> Cluster:
        people = [PEOPLE[3 * n : 3 * n + 3] for n in range(cameras)]
        shown = {f"c{n}": scenes.walk(people[n], seed=n, **walk) for n in range(cameras)}  # type: ignore[arg-type]
        listed = scenes.watchlist([person for passing in people for person in passing[1:]], tmp_path / "list")
        return Cluster(
            tmp_path / "cluster",
            kafka,
            redis_server,
            deployment(shown, listed),
            models_dir=test_data / "models",
            settings={"transient_key_life_s": "600", "unconsumed_frames": "16"},
        ).prepare()

    return made


def test_every_topic_delivered_twice_gives_no_other_alert_and_no_other_pass(make: Make) -> None:
    with make(2) as cluster:
        keep_for_ever(cluster)
        expected = embedded(cluster)
        assert len(expected.alerts) == 4

        # 1 each record comes again, some time after itself, while the services run
        with every_record_twice(cluster) as copies:
            cluster.start()
            cluster.wait_done()
        cluster.wait_quiet()
        assert all(copies.values()), copies
        assert_same_answer(expected, over_kafka(cluster))
        assert len(cluster.alerts()) == len(expected.alerts), "an alert was repeated though its cause was covered"
        for service in ("detector", "alerter"):
            assert cluster.total("overt_repeated_records_total", service) > 0
        cluster.stop()

        # 2 all topics once more from the beginning, with the states that cover them
        back_to_the_beginning(cluster)
        for service in STAGES:
            cluster.service(service).start()
        cluster.wait_quiet()
        assert_same_answer(expected, over_kafka(cluster))
        assert len(cluster.alerts()) == len(expected.alerts)
        cluster.stop()

        # 3 and again, with the states lost: whatever comes is a repeat of what was there
        assert forget_states(cluster) > 0
        back_to_the_beginning(cluster)
        for service in STAGES:
            cluster.service(service).start()
        cluster.wait_quiet()
        assert_same_answer(expected, over_kafka(cluster))
        assert cluster.deadletters() == []


def test_topics_that_are_deleted_and_made_again_during_a_run_lose_what_was_in_them_and_nothing_else(make: Make) -> None:
    with make(2, every_s=3.0, until_s=10.0) as cluster, held_back(cluster) as let_go:
        expected = embedded(cluster)
        let_go("c0")
        cluster.start()
        cluster.wait_read(15)
        make_anew(cluster, "faces")
        cluster.wait_read(45)
        make_anew(cluster, "frames")
        let_go("c1")
        cluster.wait_done()
        answer = over_kafka(cluster)
        # Of the camera that was read meanwhile somebody may be lacking; nobody is invented.
        assert distinct(_of("c0", answer.alerts), "subject_id") <= distinct(_of("c0", expected.alerts), "subject_id")
        for said, due in ((answer.alerts, expected.alerts), (answer.passes, expected.passes)):
            assert_equal(
                {i: what for i, what in due.items() if what["camera_id"] == "c1"},
                {i: what for i, what in said.items() if what["camera_id"] == "c1"},
            )
        assert cluster.deadletters() == []


def _of(camera: str, said: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [what for what in said.values() if what["camera_id"] == camera]


def test_a_replica_that_sleeps_past_its_session_and_wakes_changes_nothing(make: Make) -> None:
    with make(4, fps=12.0, every_s=3.0, until_s=9.0) as cluster, held_back(cluster) as let_go:
        expected = embedded(cluster)
        let_go("c0")
        let_go("c1")
        cluster.start()
        cluster.wait_read(20)
        _sleep_through(cluster, "detector", lambda: cluster.wait_read(sum(cluster.frames[c] + 1 for c in ("c0", "c1"))))
        let_go("c2")
        let_go("c3")
        _sleep_through(cluster, "alerter", cluster.wait_done)
        assert_same_answer(expected, over_kafka(cluster))
        assert cluster.deadletters() == []


def _sleep_through(cluster: Cluster, service: str, until: Callable[[], float]) -> None:
    """Stops the only replica, waits until another has worked off what came, and wakes it."""
    sleeper = cluster.service(service)
    sleeper.freeze()
    cluster.add(service)
    took_s = until() + cluster.wait_quiet()
    before = states(cluster)
    sleeper.thaw()
    sleeper.child.wait_until(lambda: _noticed(sleeper) > 0, 60, what="aware that it was succeeded")
    sleeper.wait_ready()
    assert before
    assert states(cluster) == before, "the sleeper has overwritten what its successor knows"
    fenced = sleeper.scrape().total("overt_fenced_total")
    print(
        f"{service}: succeeded and everything worked off in {took_s:.1f} s; state refused to the sleeper {fenced:.0f}"
    )


def _noticed(sleeper: Service) -> float:
    if sleeper.status("/healthz") is None:
        return 0
    lost = sleeper.log_text().count("are another replica's by now")
    return lost + sleeper.scrape().total("overt_fenced_total")
