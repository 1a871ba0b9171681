"""One suite for both kinds of leases, with two owners that compete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from overt.ports import Leases, Unavailable
from overt.runtime.frame.lease import LeaseTable, MemoryLeases, RedisLeases
from overt.runtime.redis_client import connect
from tests.support.redis_server import RedisServer

Make = Callable[..., Leases]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """`make(owner, ttl_ms=...)`: one replica's view of the same leases."""
    if request.param == "memory":
        table = LeaseTable()
        yield lambda owner, **more: MemoryLeases(owner, table=table, **more)
        return
    client = connect(request.getfixturevalue("redis_server").url)
    yield lambda owner, **more: RedisLeases(client, "d1", owner, **more)
    client.close()


def until_acquired(leases: Leases, camera: str) -> int:
    deadline = time.monotonic() + 20
    while (epoch := leases.acquire(camera)) is None:
        assert time.monotonic() < deadline, "the lease never became free"
        time.sleep(0.02)
    return epoch


def test_one_of_two_replicas_reads_a_camera(make: Make) -> None:
    first, second = make("a"), make("b")
    epoch = first.acquire("gate")
    assert epoch is not None
    assert first.held("gate", epoch)
    assert second.acquire("gate") is None
    assert not second.renew("gate", epoch), "knowing the number is not owning the lease"
    assert second.acquire("door") is not None, "another camera is free"


def test_a_lease_that_is_renewed_outlives_its_time(make: Make) -> None:
    first, second = make("a", ttl_ms=3000), make("b", ttl_ms=3000)
    epoch = first.acquire("gate")
    assert epoch is not None
    for _ in range(11):
        time.sleep(0.3)
        assert first.renew("gate", epoch)
        assert second.acquire("gate") is None


def test_a_replica_that_stopped_renewing_is_replaced_and_knows_it_when_it_wakes(make: Make) -> None:
    sleeper, successor = make("a", ttl_ms=200), make("b", ttl_ms=60_000)
    old = sleeper.acquire("gate")
    assert old is not None
    time.sleep(0.25)
    new = until_acquired(successor, "gate")
    assert new > old
    assert not sleeper.held("gate", old), "known without asking"
    assert not sleeper.renew("gate", old)
    sleeper.release("gate", old)
    assert successor.held("gate", new)
    assert successor.renew("gate", new), "the sleeper's release did not touch the successor's lease"
    assert sleeper.acquire("gate") is None


def test_a_released_lease_is_free_at_once_and_the_number_grows(make: Make) -> None:
    first, second = make("a"), make("b")
    epoch = first.acquire("gate")
    assert epoch is not None
    first.release("gate", epoch)
    assert not first.held("gate", epoch)
    assert not first.renew("gate", epoch)
    later = second.acquire("gate")
    assert later is not None
    assert later > epoch


def test_taking_ones_own_lease_again_ends_the_older_number(make: Make) -> None:
    """An answer that was lost on the way must not lock its owner out."""
    leases = make("a")
    first = leases.acquire("gate")
    second = leases.acquire("gate")
    assert first is not None
    assert second is not None
    assert second > first
    assert not leases.held("gate", first)
    assert not leases.renew("gate", first)
    assert leases.renew("gate", second)


def test_numbers_are_milliseconds_of_the_store_and_never_repeat(make: Make) -> None:
    leases = make("a")
    epochs = [leases.acquire("gate") for _ in range(50)]
    assert None not in epochs
    assert epochs == sorted(set(epochs))  # type: ignore[type-var]  # None was ruled out on the line above
    assert abs((epochs[0] or 0) - time.time() * 1000) < 600_000


def test_progress_is_read_by_the_successor_and_never_goes_back(make: Make) -> None:
    first, second = make("a"), make("b")
    assert second.read_progress("file") is None
    first.progress("file", 0)
    assert second.read_progress("file") == 0
    second.progress("file", 80)
    first.progress("file", 55)  # a sleeper wakes
    assert second.read_progress("file") == 80
    assert second.read_progress("another") is None


@pytest.mark.redis
def test_numbers_grow_on_after_redis_lost_everything_and_the_holder_must_stop(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    first, second = RedisLeases(client, "d1", "a"), RedisLeases(client, "d1", "b")
    old = first.acquire("gate")
    assert old is not None
    time.sleep(0.01)
    redis_server.wipe()
    assert not first.renew("gate", old)
    assert not first.held("gate", old)
    new = second.acquire("gate")
    assert new is not None
    assert new > old
    redis_server.restart()
    newest = first.acquire("gate")
    assert newest is not None
    assert newest > new
    client.close()


@pytest.mark.redis
def test_a_number_ahead_of_the_clock_still_grows(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    leases = RedisLeases(client, "d1", "a")
    ahead = int(time.time() * 1000) + 3_600_000
    client.call("SET", "overt:d1:epoch:gate", ahead)
    assert leases.acquire("gate") == ahead + 1
    client.close()


@pytest.mark.redis
def test_two_readings_of_one_file_do_not_share_progress(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    RedisLeases(client, "d1", "a", run="monday").progress("file", 99)
    assert RedisLeases(client, "d1", "a", run="tuesday").read_progress("file") is None
    client.close()


@pytest.mark.redis
def test_a_holder_without_redis_knows_when_its_lease_is_over(redis_server: RedisServer) -> None:
    """It cannot ask, so it counts: from then on another may read the camera."""
    client = connect(redis_server.url)
    now_s = 100.0
    leases = RedisLeases(client, "d1", "a", ttl_ms=6000, elapsed=lambda: now_s)
    epoch = leases.acquire("gate")
    assert epoch is not None
    redis_server.kill()
    now_s = 105.9
    assert leases.held("gate", epoch)
    with pytest.raises(Unavailable):
        leases.renew("gate", epoch)
    now_s = 106.0
    assert not leases.held("gate", epoch)
    client.close()
