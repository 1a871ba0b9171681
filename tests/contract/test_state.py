"""One suite for both states: the process's own and Redis's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.messages import Cause
from overt.ports import Fenced, Saved, State, Unavailable
from overt.runtime.redis_client import connect
from overt.runtime.state import MemoryState, RedisState
from tests.support.redis_server import RedisServer

LONG = st.integers(-(2**63), 2**63 - 1)
CAUSES = st.tuples(LONG, LONG, st.integers(-1, 2**31 - 1))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def state(request: pytest.FixtureRequest) -> Iterator[State]:
    if request.param == "memory":
        yield MemoryState()
        return
    client = connect(request.getfixturevalue("redis_server").url)
    yield RedisState(client, "d1")
    client.close()


def test_nothing_is_known_of_a_new_camera(state: State) -> None:
    assert state.load("detector", "gate") is None


def test_what_is_saved_is_loaded_with_its_cause(state: State) -> None:
    saved = Saved((1_800_000_000_000, 7, -1), bytes(range(256)))
    state.save("detector", {"gate": saved})
    assert state.load("detector", "gate") == saved


def test_services_and_cameras_do_not_mix(state: State) -> None:
    for number, (service, camera) in enumerate([("a", "b:c"), ("a:b", "c"), ("a", "c"), ("b", "c"), ("a", "b%3Ac")]):
        state.save(service, {camera: Saved((1, number, 0), b"%d" % number)})
    assert state.load("a", "b:c") == Saved((1, 0, 0), b"0")
    assert state.load("a:b", "c") == Saved((1, 1, 0), b"1")
    assert state.load("a", "b%3Ac") == Saved((1, 4, 0), b"4")


def test_the_same_cause_is_saved_again_by_a_replay(state: State) -> None:
    state.save("alerter", {"gate": Saved((5, 5, 5), b"first")})
    state.save("alerter", {"gate": Saved((5, 5, 5), b"again")})
    assert state.load("alerter", "gate") == Saved((5, 5, 5), b"again")


@pytest.mark.parametrize(
    ("stored", "older"),
    [
        ((2, 0, -1), (1, 999, 3)),
        ((1, 10, -1), (1, 9, 7)),
        ((1, 10, 0), (1, 10, -1)),
        ((1, 256, 0), (1, 255, 0)),
        ((2**53 + 2, 0, 0), (2**53 + 1, 0, 0)),
        ((2**63 - 1, 0, 0), (2**63 - 2, 0, 0)),
    ],
)
def test_an_older_cause_is_refused_and_changes_nothing(state: State, stored: Cause, older: Cause) -> None:
    state.save("detector", {"gate": Saved(stored, b"new")})
    with pytest.raises(Fenced):
        state.save("detector", {"gate": Saved(older, b"old")})
    assert state.load("detector", "gate") == Saved(stored, b"new")


def test_a_refused_camera_holds_up_none_that_is_saved_with_it(state: State) -> None:
    state.save("detector", {"gate": Saved((2, 0, 0), b"the successor's")})
    with pytest.raises(Fenced) as caught:
        state.save("detector", {name: Saved((1, 7, 0), b"ours") for name in ("door", "gate", "yard")})
    assert caught.value.cameras == {"gate"}
    assert [state.load("detector", name) for name in ("door", "gate", "yard")] == [
        Saved((1, 7, 0), b"ours"),
        Saved((2, 0, 0), b"the successor's"),
        Saved((1, 7, 0), b"ours"),
    ]


def test_a_paused_process_cannot_overwrite_its_successors_state(state: State) -> None:
    """It loaded, slept while another took over and went on, and wakes to save what it had worked out."""
    state.save("detector", {"gate": Saved((1, 10, 0), b"both know this")})
    before_sleep = state.load("detector", "gate")
    assert before_sleep is not None
    state.save("detector", {"gate": Saved((2, 0, -1), b"the successor's")})
    with pytest.raises(Fenced):
        state.save("detector", {"gate": Saved((1, 11, 0), before_sleep.payload + b" and more")})
    assert state.load("detector", "gate") == Saved((2, 0, -1), b"the successor's")


def _fenced_as_python_orders(state: State, camera: str, first: Cause, second: Cause) -> None:
    state.save("s", {camera: Saved(first, b"1")})
    if second < first:
        with pytest.raises(Fenced):
            state.save("s", {camera: Saved(second, b"2")})
    else:
        state.save("s", {camera: Saved(second, b"2")})
    assert state.load("s", camera) == max(Saved(first, b"1"), Saved(second, b"2"), key=lambda s: (s.cause, s.payload))


@given(first=CAUSES, second=CAUSES)
def test_causes_are_ordered_as_tuples_in_memory(first: Cause, second: Cause) -> None:
    _fenced_as_python_orders(MemoryState(), "gate", first, second)


@pytest.mark.redis
def test_causes_are_ordered_as_tuples_in_redis(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    state = RedisState(client, "ordering")
    cameras = iter(range(1_000_000))

    @given(first=CAUSES, second=CAUSES)
    def ordered(first: Cause, second: Cause) -> None:
        _fenced_as_python_orders(state, f"camera {next(cameras)}", first, second)

    ordered()
    client.close()


@pytest.mark.redis
def test_another_run_of_a_deployment_has_states_of_its_own(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    one, other = RedisState(client, "d1", run="first."), RedisState(client, "d1", run="second.")
    one.save("detector", {"gate": Saved((1, 100, 0), b"x")})
    assert other.load("detector", "gate") is None
    other.save("detector", {"gate": Saved((1, 0, 0), b"y")})
    assert one.load("detector", "gate") == Saved((1, 100, 0), b"x")
    client.close()


@pytest.mark.redis
def test_the_state_of_a_silent_camera_is_forgotten(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    state = RedisState(client, "d1", ttl_s=0.05)
    state.save("detector", {"gate": Saved((1, 1, 1), b"x")})
    deadline = time.monotonic() + 20
    while state.load("detector", "gate") is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state.load("detector", "gate") is None
    client.close()


@pytest.mark.redis
def test_redis_away_is_unavailable_and_the_same_client_works_when_it_is_back(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    state = RedisState(client, "d1")
    state.save("detector", {"gate": Saved((1, 1, 1), b"x")})
    redis_server.kill()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        state.load("detector", "gate")
    with pytest.raises(Unavailable):
        state.save("detector", {"gate": Saved((1, 2, 1), b"y")})
    redis_server.start()
    assert state.load("detector", "gate") is None, "memory only: what was there is lost"
    state.save("detector", {"gate": Saved((1, 2, 1), b"y")})
    client.close()


@pytest.mark.redis
def test_a_redis_that_hangs_is_unavailable_and_not_a_hang(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    state = RedisState(client, "d1")
    assert state.load("detector", "gate") is None
    redis_server.freeze()
    with pytest.raises(Unavailable):
        state.load("detector", "gate")
    redis_server.thaw()
    client.close()


@pytest.mark.redis
def test_a_server_that_takes_no_writes_is_unavailable(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    state = RedisState(client, "d1")
    client.call("REPLICAOF", "127.0.0.1", "1")  # a replica of nobody: it answers READONLY to writes
    try:
        with pytest.raises(Unavailable):
            state.save("detector", {"gate": Saved((1, 1, 1), b"x")})
    finally:
        client.call("REPLICAOF", "NO", "ONE")
        client.call("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(Unavailable):
            state.save("detector", {"gate": Saved((1, 1, 1), b"x")})
    finally:
        client.call("CONFIG", "SET", "maxmemory", "0")
    state.save("detector", {"gate": Saved((1, 1, 1), b"x")})
    client.close()


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://:hunter2@h/0", "redis://:hunter2@h:port/0"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="expected redis://") as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.redis
def test_a_unix_socket_serves_too_and_no_password_shows(tmp_path: Path) -> None:
    assert "hunter2" not in repr(connect("redis://:hunter2@127.0.0.1:1/0"))
    with pytest.raises(Unavailable) as caught:
        connect("redis://:hunter2@127.0.0.1:1/0").call("PING")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Unavailable, match="no-such"):
        connect(f"unix://{tmp_path}/no-such.sock").call("PING")
