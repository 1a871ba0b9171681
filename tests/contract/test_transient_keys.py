"""One suite for the transient keys of one process and those that replicas share through Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overt.ports import Unavailable
from overt.runtime.elapsed import elapsed_s
from overt.runtime.keys.transient import MemoryTransientKeys, RedisTransientKeys, TransientKeys
from overt.runtime.redis_client import Client, connect
from tests.support.redis_server import RedisServer, redis_unavailable
from tests.support.requirements import require


class Time:
    """Elapsed time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def elapsed() -> Time:
    return Time()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    client = connect(redis_server.url)
    yield client
    client.close()


Make = Callable[[], TransientKeys]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make(request: pytest.FixtureRequest, elapsed: Time) -> Make:
    if request.param == "memory":
        return lambda: MemoryTransientKeys(elapsed=elapsed)
    client = request.getfixturevalue("client")
    return lambda: RedisTransientKeys(client, "d1", "s1", elapsed=elapsed)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_key_opens_what_it_sealed_and_is_found_by_its_id(make: Make) -> None:
    keys = make()
    current = keys.current()
    found = keys.find(current.slot, current.key.key_id)
    assert found is not None
    assert found.key.open(current.key.seal(b"x", b"a"), b"a") == b"x"
    assert keys.find(current.slot, bytes(16)) is None


def test_a_key_is_given_up_at_the_end_of_its_life_by_elapsed_time(make: Make, elapsed: Time) -> None:
    keys = make()
    assert keys.ages_s() == []
    keys.current()
    assert keys.ages_s() == [pytest.approx(0, abs=1)]
    elapsed.now_s += 29.0
    assert keys.ages_s() == [pytest.approx(29, abs=1)]
    elapsed.now_s += 1.0
    assert keys.ages_s() == []


def test_two_runs_share_no_key(make: Make, request: pytest.FixtureRequest) -> None:
    first = make().current().key
    if "client" in request.fixturenames:
        request.getfixturevalue("client").call("FLUSHALL")
    second = make().current().key
    assert first.key_id != second.key_id
    assert first.reveal() != second.reveal()


def test_what_was_forgotten_is_not_held(make: Make) -> None:
    keys = make()
    keys.current()
    keys.forget()
    assert keys.ages_s() == []


def test_a_key_that_would_die_within_its_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="lives longer"):
        MemoryTransientKeys(slot_s=10, life_s=10)


def test_each_slot_has_its_own_key_and_a_process_holds_no_more_than_are_alive(elapsed: Time) -> None:
    keys = MemoryTransientKeys(slot_s=10, life_s=30, elapsed=elapsed)
    seen = set()
    for _ in range(600):
        seen.add(keys.current().key.key_id)
        assert len(keys.ages_s()) <= 4
        assert max(keys.ages_s()) < 30
        elapsed.now_s += 0.5
    assert len(seen) == 30


def test_setting_the_wall_clock_changes_no_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default measure of elapsed time, with a wall clock that jumps by a year in both directions."""
    keys = MemoryTransientKeys(slot_s=1000, life_s=2000)
    current = keys.current()
    before_s = elapsed_s()
    for jump_s in (-31_536_000, 31_536_000):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: 1_800_000_000 + jump_s)
        monkeypatch.setattr(time, "time_ns", lambda jump_s=jump_s: (1_800_000_000 + jump_s) * 10**9)
        assert abs(elapsed_s() - before_s) < 900
        assert keys.find(current.slot, current.key.key_id) is not None
        assert len(keys.ages_s()) == 1


# Over Redis only


@pytest.mark.redis
def test_replicas_of_a_site_share_the_key_and_sites_and_deployments_do_not(client: Client) -> None:
    def current(deployment_id: str, site_id: str) -> bytes:
        return RedisTransientKeys(client, deployment_id, site_id, slot_s=50_000, life_s=60_000).current().key.key_id

    assert current("d1", "s1") == current("d1", "s1")
    assert len({current("d1", "s1"), current("d1", "s2"), current("d2", "s1"), current("d1:s1", "")}) == 4


@pytest.mark.redis
def test_a_replica_that_comes_later_counts_what_is_left_of_the_life(client: Client, elapsed: Time) -> None:
    first = RedisTransientKeys(client, "d1", "s1", elapsed=elapsed).current()
    client.call("PEXPIRE", f"overt:d1:key:s1:{first.slot}", 4000)
    later = RedisTransientKeys(client, "d1", "s1", elapsed=elapsed)
    found = later.find(first.slot, first.key.key_id)
    assert found is not None
    assert found.key.reveal() == first.key.reveal()
    assert later.ages_s()[0] >= 26
    elapsed.now_s += 4.0
    assert later.ages_s() == []


@pytest.mark.redis
def test_a_life_longer_than_a_whole_one_is_not_believed(client: Client, elapsed: Time) -> None:
    first = RedisTransientKeys(client, "d1", "s1", elapsed=elapsed).current()
    name = f"overt:d1:key:s1:{first.slot}"
    client.call("PEXPIRE", name, 10_000_000)
    later = RedisTransientKeys(client, "d1", "s1", elapsed=elapsed)
    assert later.find(first.slot, first.key.key_id) is not None
    elapsed.now_s += 30.0
    assert later.ages_s() == []
    client.call("PERSIST", name)
    assert later.find(first.slot, first.key.key_id) is None, "a key without an end is none"


@pytest.mark.redis
def test_a_key_that_redis_keeps_past_its_life_is_counted(client: Client) -> None:
    """Asked of Redis itself, since a process that has given its copy up could not tell."""
    keys = RedisTransientKeys(client, "d1", "s1", slot_s=0.2, life_s=0.4)
    key = keys.current()
    client.call("PERSIST", f"overt:d1:key:s1:{key.slot}")
    assert keys.overdue() == 0
    wait_until(lambda: keys.overdue() == 1)
    another = RedisTransientKeys(client, "d1", "s2", slot_s=0.2, life_s=0.4)
    another.current()
    time.sleep(1.7)
    assert another.overdue() == 0, "one that expires is none, nor is another site's"


@pytest.mark.redis
def test_each_key_that_is_given_up_is_told_once(client: Client, elapsed: Time) -> None:
    told: list[None] = []
    keys = RedisTransientKeys(client, "d1", "s1", elapsed=elapsed, given_up=lambda: told.append(None))
    keys.current()
    assert len(keys.ages_s()) == 1
    assert told == []
    elapsed.now_s += 31.0
    assert keys.ages_s() == keys.ages_s() == []
    assert told == [None]


@pytest.mark.redis
def test_redis_drops_a_key_at_the_end_of_its_life(client: Client) -> None:
    sealing = RedisTransientKeys(client, "d1", "s1", slot_s=0.2, life_s=0.4)
    key = sealing.current()
    assert client.call("PTTL", f"overt:d1:key:s1:{key.slot}") <= 400
    wait_until(lambda: not sealing.ages_s())
    wait_until(lambda: sealing.find(key.slot, key.key.key_id) is None)
    wait_until(lambda: client.call("DBSIZE") == 0)
    assert sealing.current().key.key_id != key.key.key_id


@pytest.mark.redis
def test_after_redis_lost_everything_a_new_key_is_used_within_a_second(
    client: Client, redis_server: RedisServer, elapsed: Time
) -> None:
    sealing, opening, late = (
        RedisTransientKeys(client, "d1", "s1", slot_s=50_000, life_s=60_000, elapsed=elapsed) for _ in range(3)
    )
    old = sealing.current()
    assert opening.find(old.slot, old.key.key_id) is not None
    redis_server.wipe()
    assert opening.find(old.slot, old.key.key_id) is not None, "what was held lives to the end of its life"
    assert late.find(old.slot, old.key.key_id) is None
    elapsed.now_s += 1.0
    new = sealing.current()
    assert new.slot == old.slot
    assert new.key.key_id != old.key.key_id
    assert late.find(new.slot, new.key.key_id) is not None
    assert late.find(old.slot, old.key.key_id) is None
    elapsed.now_s += 60_000.0
    assert opening.find(old.slot, old.key.key_id) is None


@pytest.mark.redis
def test_without_redis_what_is_held_still_opens_and_nothing_new_is_sealed_for_long(
    client: Client, redis_server: RedisServer, elapsed: Time
) -> None:
    keys = RedisTransientKeys(client, "d1", "s1", slot_s=50_000, life_s=60_000, elapsed=elapsed)
    held = keys.current()
    redis_server.kill()
    assert keys.find(held.slot, held.key.key_id) is not None
    elapsed.now_s += 1.0
    with pytest.raises(Unavailable):
        keys.current()
    with pytest.raises(Unavailable):
        keys.find(held.slot, bytes(16))
    redis_server.start()
    assert keys.current().key.key_id != held.key.key_id


@pytest.mark.redis
def test_a_loading_server_is_unavailable(client: Client, redis_server: RedisServer) -> None:
    """The answers that a starting or demoted server gives are not taken for lost keys."""
    keys = RedisTransientKeys(client, "d1", "s1")
    client.call("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(Unavailable):
            keys.current()
    finally:
        client.call("REPLICAOF", "NO", "ONE")


@pytest.mark.redis
def test_nothing_of_a_key_reaches_the_servers_folder(redis_server: RedisServer, client: Client) -> None:
    key = RedisTransientKeys(client, "d1", "s1").current().key
    redis_server.stop()
    data = b"".join(path.read_bytes() for path in redis_server.folder.rglob("*") if path.is_file())
    assert redis_server.log_path.stat().st_size, "there is something to search"
    assert key.reveal() not in data
    assert key.key_id not in data
    assert not [path for path in redis_server.folder.rglob("*") if path.suffix in {".rdb", ".aof"}]


@pytest.mark.redis
def test_a_server_that_keeps_what_it_holds_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require(redis_unavailable())
    with RedisServer(tmp_path / "redis") as server:
        client = connect(server.url)
        for setting in (("save", "3600 1"), ("appendonly", "yes"), ("slowlog-max-len", "128")):
            client.call("CONFIG", "SET", *setting)
        keys = RedisTransientKeys(client, "d1", "s1")
        secret = keys.current().key.reveal()
        keys.find(0, bytes(16))
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert [word for word in ("save is", "appendonly is", "slowlog-max-len") if any(word in w for w in warned)] == [
            "save is",
            "appendonly is",
            "slowlog-max-len",
        ]
        assert len(warned) == 3
        assert secret.hex() not in caplog.text
        caplog.clear()
        for setting in (("save", ""), ("appendonly", "no"), ("slowlog-max-len", "0")):
            client.call("CONFIG", "SET", *setting)
        RedisTransientKeys(client, "d1", "s1").current()
        assert not caplog.records
        client.close()


@pytest.mark.redis
def test_a_server_that_does_not_tell_its_settings_is_used_all_the_same(tmp_path: Path) -> None:
    require(redis_unavailable())
    with RedisServer(tmp_path / "redis") as server:
        admin = connect(server.url)
        admin.call("ACL", "SETUSER", "default", "-config")
        RedisTransientKeys(admin, "d1", "s1").current()
        admin.call("ACL", "SETUSER", "default", "-@scripting")
        with pytest.raises(Unavailable, match="refuses a command"):
            RedisTransientKeys(admin, "d1", "s2").current()
        admin.close()


@pytest.mark.redis
def test_no_key_shows_in_a_repr(client: Client) -> None:
    keys = RedisTransientKeys(client, "d1", "s1")
    current = keys.current()
    secret = current.key.reveal()
    shown = repr((keys, current, vars(keys), client))
    assert repr(secret)[2:-1] not in shown
    assert secret.hex() not in shown
