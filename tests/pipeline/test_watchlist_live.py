"""A watchlist is changed while people walk past: every matcher applies it, and who is removed is gone for good."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from overt.messages import WatchlistEntry
from overt.ports import KeyGone, Record
from tests.support.cluster import ONE_OF_EACH, Cluster, deployment
from tests.support.kafka_broker import KafkaBroker
from tests.support.process_memory import holds
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes, subject

pytestmark = pytest.mark.slow

GOES, STAYS, COMES = PEOPLE[3], PEOPLE[5], PEOPLE[6]
FORGOTTEN_WITHIN_S = 5.0


def test_people_come_onto_the_list_and_leave_it_for_good_while_it_is_used(
    kafka: KafkaBroker, redis_server: RedisServer, scenes: Scenes, test_data: Path, tmp_path: Path
) -> None:
    content = deployment(
        {
            "c1": scenes.walk([GOES, STAYS, COMES], fps=8.0),
            "c2": scenes.walk([], fps=2.0, until_s=4.0),  # a partition for the second matcher
        },
        scenes.watchlist([GOES, STAYS], tmp_path / "list"),
        loop=True,
        recognition={"cooldown_s": 2},
        realtime={"max_delay_s": 10},
    )
    with Cluster(tmp_path, kafka, redis_server, content, models_dir=test_data / "models", realtime=True) as cluster:
        cluster.prepare()
        cluster.start({**ONE_OF_EACH, "matcher": 2})
        alerted_on(cluster, GOES)
        record = record_of(cluster, GOES)
        vector = entry_in(cluster, record).vector.tobytes()
        assert all(holds(pid, vector) for pid in matchers(cluster)), "else that it is gone would mean nothing"

        # 1 somebody is removed
        [done] = changed(cluster, "remove", "--subject", subject(GOES), "--reason", "warrant withdrawn")
        removed_us = time.time_ns() // 1000
        assert (done["matchers"], done["missing"]) == (2, [])
        forgotten(cluster, vector)
        with pytest.raises(KeyGone):
            cluster.world.codec.decode(record)

        # 2 somebody comes
        folder = scenes.watchlist([COMES], tmp_path / "new")
        [done] = changed(cluster, "add", folder, "--reason", "warrant issued")
        assert (done["subject_id"], done["matchers"], done["missing"]) == (subject(COMES), 2, [])
        alerted_on(cluster, COMES)
        alerted_on(cluster, STAYS, since_us=removed_us)
        late = [a for a in cluster.alerts() if a["subject_id"] == subject(GOES) and a["alerted_at_us"] > removed_us]
        assert late == [], "they have walked past again, and others were alerted on"

        # 3 neither a replay nor a restart brings anybody back
        sink = cluster.world.sink()
        sink.produce(record.topic, key=record.key, value=record.value, headers={"change": "replayed"})
        sink.flush(10)
        sink.close()
        [done] = changed(cluster, "update", "--subject", subject(COMES), "--notes", "scar", "--reason", "description")
        assert done["matchers"] == 2
        cluster.service("matcher").kill()
        cluster.service("matcher").start()
        for replica in cluster.replicas("matcher"):
            assert replica.scrape().total("overt_gallery_entries") == 2
        assert not any(holds(pid, vector) for pid in matchers(cluster))

        # 4 all of it is accounted for
        events = [
            json.loads(line) for line in cluster.cli("watchlist", "log", "-d", cluster.file, "--json").splitlines()
        ]
        told = [(event["action"], event["subject_id"], event["reason"]) for event in events]
        assert told[0][0] == "watchlist_published"
        assert told[1:] == [
            ("watchlist_entry_removed", subject(GOES), "warrant withdrawn"),
            ("watchlist_entry_added", subject(COMES), "warrant issued"),
            ("watchlist_entry_updated", subject(COMES), "description"),
        ]

        # 5 the list is destroyed, and with it what the matchers hold
        vectors = [entry_in(cluster, record_of(cluster, person)).vector.tobytes() for person in (STAYS, COMES)]
        who, certificate = tmp_path / "who.json", tmp_path / "destroyed.json"
        destroyed = ("--published", "--reason", "over", "--pseudonyms", who, "--certificate", certificate, "--yes")
        cluster.cli("watchlist", "destroy", "-d", cluster.file, *destroyed)
        said = json.loads(certificate.read_text())["certificate"]
        assert (said["entries"], said["keys_destroyed"]) == (3, 2), "one was removed and replayed"
        assert (said["keys_left"], said["matchers"], said["matchers_missing"]) == (0, 2, 0)
        for replica in cluster.replicas("matcher"):
            assert replica.scrape().total("overt_gallery_entries") == 0
        for vector in vectors:
            forgotten(cluster, vector)
        for person in (GOES, STAYS, COMES):
            assert cluster.cli("watchlist", "was-listed", subject(person), "--pseudonyms", who) == "yes\n"


def changed(cluster: Cluster, command: str, *arguments: str | Path) -> list[dict[str, Any]]:
    said = cluster.cli("watchlist", command, *arguments, "-d", cluster.file, "--json", "--wait", "30")
    return [json.loads(line) for line in said.splitlines()]


def alerted_on(cluster: Cluster, person: str, since_us: int = 0) -> None:
    def seen() -> bool:
        return any(a["subject_id"] == subject(person) and a["alerted_at_us"] > since_us for a in cluster.alerts())

    cluster.wait_until(seen, 90, f"an alert on {person}")


def record_of(cluster: Cluster, person: str) -> Record:
    assert cluster.world.peek is not None
    peek = cluster.world.peek
    theirs = [r for r in cluster.records("watchlist") if r.value and peek(r)["subject_id"] == subject(person)]
    return theirs[-1]


def entry_in(cluster: Cluster, record: Record) -> WatchlistEntry:
    entry = cluster.world.codec.decode(record)
    assert isinstance(entry, WatchlistEntry)
    return entry


def matchers(cluster: Cluster) -> list[int]:
    return [replica.child.pid for replica in cluster.replicas("matcher")]


def forgotten(cluster: Cluster, vector: bytes) -> None:
    deadline = time.monotonic() + FORGOTTEN_WITHIN_S
    pids = [replica.child.pid for service in ("matcher", "alerter") for replica in cluster.replicas(service)]
    while left := [pid for pid in pids if holds(pid, vector)]:
        assert time.monotonic() < deadline, f"{len(left)} processes still hold the vector"
        time.sleep(0.2)
