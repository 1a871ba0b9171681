"""Fixtures for the real parts, their markers, and what a run could not have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kafka_broker import KafkaBroker, kafka_unavailable
from tests.support.redis_server import RedisServer, redis_unavailable
from tests.support.requirements import require

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of models, videos and photographs that the repository does not ship; skipped by name where absent."""
    folder = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"test data is missing: {folder} is no folder; set OVERT_TEST_DATA to one that has it")
    return folder


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker for the whole run: use topic names of your own. To stop or configure a broker take `kafka_factory`."""
    require(kafka_unavailable())
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def kafka_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., KafkaBroker]]:
    """`kafka_factory(settings=..., port=..., heap_mb=...)` gives a started broker of the test's own."""
    require(kafka_unavailable())
    brokers: list[KafkaBroker] = []

    def make(**options: object) -> KafkaBroker:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), **options)  # type: ignore[arg-type]  # passed through
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture(scope="session")
def _redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    require(redis_unavailable())
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_redis_process: RedisServer) -> RedisServer:
    """A running Redis without a key. Tests may stop, kill or freeze it: the next gets it running and empty again."""
    _redis_process.thaw()
    if _redis_process.child.running:
        _redis_process.wipe()
    else:
        _redis_process.start()
    return _redis_process
