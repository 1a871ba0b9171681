"""Fixtures for the real parts, their marks, and what a run says at its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka_broker import KafkaBroker, kafka_unavailable
from tests.support.overdue import Overdue, tell_where_on_request
from tests.support.redis_server import RedisServer, redis_unavailable
from tests.support.requirements import require
from tests.support.rtsp_server import RtspServer, rtsp_unavailable
from tests.support.scenes import Scenes
from tests.support.side_by_side import FilesSideBySide, those_alone_last
from tests.support.summary import ToldAtOnce, kafka_was_left_out, mark_by_fixture, write_summary

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before `-m` selects."""
    mark_by_fixture(items)
    those_alone_last(items)


def pytest_sessionstart(session: pytest.Session) -> None:
    """In CI nobody watches: what goes wrong is told in time."""
    plugins = session.config.pluginmanager
    reporter = plugins.get_plugin("terminalreporter")
    if "PYTEST_XDIST_WORKER" in os.environ:
        tell_where_on_request(session.config)
    elif os.environ.get("CI") and reporter is not None:
        plugins.register(ToldAtOnce(reporter), "told-at-once")
        plugins.register(Overdue(reporter), "overdue")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesSideBySide:
    """See tests/support/side_by_side.py."""
    return FilesSideBySide(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run in CI that never met a real broker has failed."""
    if kafka_was_left_out(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """See tests/support/summary.py."""
    write_summary(terminalreporter, config)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of models, videos and photographs that the repository does not ship; skipped by name where absent."""
    folder = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"test data is missing: {folder} is no folder; set OVERT_TEST_DATA to one that has it")
    return folder


@pytest.fixture(scope="session")
def scenes(test_data: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Composes small scenes and watchlists from the test data, once for all runs."""
    cache = getattr(pytestconfig, "cache", None)  # absent with -p no:cacheprovider
    kept = cache.mkdir("scenes") if cache else tmp_path_factory.mktemp("scenes")
    return Scenes(test_data, kept)


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

    def make(settings: Mapping[str, str] | None = None, *, port: int | None = None, heap_mb: int = 256) -> KafkaBroker:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), settings=settings, port=port, heap_mb=heap_mb)
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


@pytest.fixture
def rtsp_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RtspServer]]:
    """`rtsp_factory(video, port=..., frames_per_s=..., width=...)` gives a running camera that shows the video."""
    reason = rtsp_unavailable()
    if reason is not None:
        pytest.skip(reason)
    servers: list[RtspServer] = []

    def make(video: Path, *, port: int | None = None, frames_per_s: int = 15, width: int = 640) -> RtspServer:
        folder = tmp_path_factory.mktemp("rtsp")
        server = RtspServer(video, folder, port=port, frames_per_s=frames_per_s, width=width)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def rtsp_server(rtsp_factory: Callable[..., RtspServer], tmp_path: Path) -> RtspServer:
    """A running camera that shows a moving test pattern, 640 by 360 pixels, 15 pictures a second."""
    video = tmp_path / "pattern.mkv"
    pattern = "testsrc2=size=640x360:rate=15:duration=4"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", pattern, str(video)], check=True)
    return rtsp_factory(video)
