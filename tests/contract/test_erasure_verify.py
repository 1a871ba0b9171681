"""`overt erasure verify` on a deployment in which nothing runs: what it succeeds on, and all that it fails on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from confluent_kafka import Producer

from overt.cli.erasure import erasure
from overt.cli.errors import UserError
from overt.erasure.search import Findings, Searcher
from overt.messages import Message
from overt.picture import encode
from overt.runtime.cluster import TopicsAdmin
from overt.runtime.erasure import Verdict, examine, kept_bytes
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.redis_client import connect
from overt.runtime.redis_contents import redis_values, stored_keys
from overt.runtime.settings import Settings
from overt.runtime.vault import MAGIC
from tests.support import messages as samples
from tests.support.cluster import Cluster, deployment
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.scenes import TestScene

SHORT = {"transient_key_slot_s": "2", "transient_key_life_s": "4"}


@dataclass
class Site:
    """A deployment with two cameras that show nothing, its topics, and a Redis that keeps nothing."""

    cluster: Cluster
    broker: KafkaBroker
    server: RedisServer

    @property
    def topics(self) -> list[Path]:
        """The folders of this deployment's partitions; other tests use the broker too. It makes them after a while."""
        names = ("frames", "faces", "embeddings", "passes")
        wanted = {self.cluster.world.topic(name) + f"-{n}" for name in names for n in range(2)}
        deadline = time.monotonic() + 20
        while not wanted <= {path.name for path in self._folders()}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self._folders()

    def _folders(self) -> list[Path]:
        return [p for p in self.broker.data_dir.iterdir() if p.name.startswith(self.cluster.world.prefix)]

    def verify(self, *places: Path) -> tuple[int, dict[str, Any], str]:
        """The command: exit code, verdict, and the reasons."""
        settings = self.cluster.settings
        options = [word for place in places for word in ("--search", str(place))]
        result = CliRunner().invoke(
            erasure,
            ["verify", "-d", str(self.cluster.file), "--json", *options],
            env={f"OVERT_{name.upper()}": str(value) for name, value in settings.items()},
        )
        assert result.exception is None or isinstance(result.exception, UserError), result.exception
        code = result.exception.code if isinstance(result.exception, UserError) else result.exit_code
        return code, json.loads(result.stdout.splitlines()[-1]), str(result.exception)

    def examine(self, *more: Path, life_s: int = 4) -> Verdict:
        """What the command does after the canary's key is gone."""
        redis, prefix, places = connect(self.server.url), self.cluster.world.prefix, [*self.topics, *more]
        return examine(redis, self.keyring(), "trial", places, {}, topic_prefix=prefix, slot_s=2, life_s=life_s)

    def keyring(self) -> Keyring:
        secret = load_deployment_key(Path(self.cluster.settings["deployment_key_file"]))
        keyring = Keyring(Path(self.cluster.settings["keyring_file"]), secret, "trial")
        keyring.create_file()
        return keyring

    def send(self, messages: Sequence[Message]) -> None:
        world = self.cluster.world
        sink = world.sink()
        for message in messages:
            topic, partition = world.route(message)
            sink.produce(topic, key=message.key, value=world.codec.encode(message), partition=partition)
        sink.flush(10.0)
        sink.close()


@pytest.fixture
def site(kafka: KafkaBroker, redis_server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    with redis_server.client() as client:
        client.config_set("slowlog-max-len", 0)
    (tmp_path / "nothing.avi").touch()
    cameras = {f"c{n}": TestScene(tmp_path / "nothing.avi", 0, 10.0, ()) for n in range(2)}
    content = deployment(cameras, tmp_path)
    with Cluster(tmp_path / "cluster", kafka, redis_server, content, settings=SHORT) as cluster:
        create_deployment_key(Path(cluster.settings["deployment_key_file"]))
        settings = Settings.model_validate({name: str(value) for name, value in cluster.settings.items()})
        TopicsAdmin(cluster.deployment, settings).apply()
        yield Site(cluster, kafka, redis_server)
    with redis_server.client() as client:
        client.config_set("slowlog-max-len", 128)


def when_there_is_a_key(site: Site, then: Callable[[redis.Redis, str], object]) -> threading.Thread:
    """Does something to Redis as soon as it holds a transient key."""

    def watch() -> None:
        with site.server.client() as client:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                for name in client.scan_iter("overt:trial:key:*"):
                    then(client, name)
                    return
                time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_it_succeeds_where_nothing_is_left(site: Site) -> None:
    """And shows that it can see: the canary was found on the disk and opened while its key lived."""
    code, verdict, _ = site.verify(*site.topics)
    assert (code, verdict["failures"]) == (0, [])
    assert verdict["control"] == {"planted": 12, "found": 12, "opened": 12}
    assert verdict["transient_erased"] == 12


def test_it_fails_where_it_cannot_see(site: Site, tmp_path: Path) -> None:
    """A folder in which no broker keeps its data, and a Redis that may keep keys: nothing found is no proof."""
    (tmp_path / "empty").mkdir()
    with site.server.client() as client:
        client.config_set("slowlog-max-len", 5)
    code, verdict, reasons = site.verify(tmp_path / "empty")
    assert code == 7
    assert verdict["control"]["found"] == 0
    assert "the search is blind" in reasons
    assert "slowlog-max-len" in verdict["persisting"][0]


def test_it_fails_on_a_picture_in_the_clear(site: Site, tmp_path: Path) -> None:
    (tmp_path / "core.1234").write_bytes(bytes(999) + encode(samples.pixels(), "png"))
    verdict = site.examine(tmp_path)
    assert [(seen.offset, seen.what) for seen in verdict.clear] == [(999, "a PNG")]
    assert len(verdict.failures()) == 1


def test_it_fails_on_a_key_without_an_end(site: Site) -> None:
    """It opens what it sealed, however long ago; also while its slot is the present one."""
    site.send([samples.frame(camera_id="c0")])
    with site.server.client() as client:
        (name,) = client.scan_iter("overt:trial:key:*")
        client.persist(name)
    verdict = site.examine()
    assert verdict.outstaying == [name.decode()]
    assert [key for _, key in verdict.opened] == [f"the key {name.decode()} in Redis"]
    assert len(verdict.failures()) == 2


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_it_fails_on_compressed_segments(site: Site, codec: str) -> None:
    """What is sealed stays as it is when it is compressed, so a canary would be found; but what is not changes."""
    topic = site.cluster.world.topic("passes")
    producer = Producer({"bootstrap.servers": site.broker.bootstrap, "compression.type": codec})
    producer.produce(topic, value=b"what a person could read " * 50, partition=1)
    assert producer.flush(10) == 0
    verdict = site.examine()
    assert [Path(path).parent.name for path in verdict.compressed] == [f"{topic}-1"]
    assert verdict.failures() == ["1 log segments are compressed, and a byte search does not see into them"]


def test_it_fails_when_redis_has_written_keys_to_a_disk(site: Site) -> None:
    """A snapshot that somebody asked for once holds the keys of that moment for ever."""
    saving = when_there_is_a_key(site, lambda client, name: client.save())
    code, verdict, _ = site.verify(*site.topics, site.server.folder)
    saving.join()
    dump = site.server.folder / "dump.rdb"
    dump.unlink()
    assert code == 7
    assert {place for place, _, _ in verdict["clear"]} == {str(dump)}
    assert all(what.startswith("transient key") for _, _, what in verdict["clear"])


def test_it_fails_when_a_key_was_copied(site: Site) -> None:
    """Under any name: whoever has it can read what it sealed."""
    copying = when_there_is_a_key(site, lambda client, name: client.set("backup", client.get(name) or b""))
    code, verdict, _ = site.verify(*site.topics)
    copying.join()
    assert code == 7
    assert {key for _, _, key in verdict["opened"]} == {"the key backup in Redis"}
    assert verdict["outstaying"] == []


def test_a_destroyed_entry_cannot_be_read_and_a_living_one_is_no_failure(site: Site) -> None:
    keyring = site.keyring()
    keyring.create_entry_keys(["stays", "goes"])
    site.send([samples.entry(entry_id=name, deployment_id="trial") for name in ("stays", "goes")])
    keyring.destroy_entry_key("goes")
    verdict = site.examine()
    assert verdict.failures() == []
    assert (verdict.durable_alive, verdict.durable_erased) == (2, 2)


def test_it_fails_when_alerts_can_be_read_after_their_retention(site: Site) -> None:
    """The key of their hour should have been destroyed; nothing that would do it has run."""
    site.keyring().create(f"alert:{time.strftime('%Y-%m-%dT%H', time.gmtime())}", expires_at_us=1)
    site.send([samples.alert(deployment_id="trial")])
    verdict = site.examine()
    assert verdict.overdue == 2
    assert "retention is over" in verdict.failures()[0]


def test_what_was_sealed_a_moment_ago_may_be_read(site: Site) -> None:
    """While services run there are always such payloads: they are counted, and no failure while their key may live."""
    site.send([samples.frame(camera_id="c0")])
    with site.server.client() as client:
        for name in client.scan_iter("overt:trial:key:*"):
            client.expire(name, 120)  # the search takes longer than four seconds where the machine is busy
    verdict = site.examine(life_s=120)
    assert (verdict.transient_alive, verdict.transient_erased, verdict.failures()) == (1, 0, [])


def test_other_deployments_on_the_same_redis_and_broker_are_no_failure(site: Site) -> None:
    """Their payloads are young as long as their own keys, of whose life nothing is known here, have an end."""
    with site.server.client() as client:
        for name, left_s in (
            ("overt:other:key:s1:1", 60),
            ("overt:trial:key:s1:1", 60),
            ("overt:third:key:s1:1", None),
        ):
            client.set(name, bytes(48), ex=left_s)
    assert site.examine().outstaying == ["overt:third:key:s1:1", "overt:trial:key:s1:1"]


def test_everything_in_redis_is_searched(redis_server: RedisServer) -> None:
    content = bytes(range(64))
    with redis_server.client() as client:
        client.set("a string", content)
        client.hset("a hash", content, b"x")
        client.hset("another hash", b"x", content)
        client.rpush("a list", b"x", content)
        client.sadd("a set", content)
        client.zadd("a sorted set", {content: 1})
        client.set("none", b"x" * 100)
    found = Findings()
    searcher = Searcher({"content": content}, MAGIC, kept_bytes)
    values = redis_values(connect(redis_server.url))
    for value in values:
        searcher.look(value.name, value.data, found)
    expected = ["a hash", "a list", "a set", "a sorted set", "a string", "another hash"]
    assert sorted(seen.place for seen in found.clear) == expected
    assert len(values) == 7
    assert stored_keys(values) == []
